"""The model's parts as trained: the mathematics of the exported directory, laid out for speed on one CPU thread."""
