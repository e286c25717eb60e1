"""Where training runs, and what weights, activations and gradients are there."""

import torch


def fast_number(device: str) -> torch.dtype:
    """bf16 where it is multiplied: on a GPU, and with AVX512-BF16 (1.7 times f32's speed) or AMX (more). Elsewhere torch emulates it, with
    AVX2 at a tenth of f32's speed."""
    if device == "cuda" or torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NUMBER = fast_number(DEVICE)
