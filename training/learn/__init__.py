"""Batches, losses, the optimiser and the training loop."""
