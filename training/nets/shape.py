"""The one place with the model's numbers; config.json is written from here."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class TowerShape:
    image: int
    patch: int
    width: int = 192
    layers: int = 4
    heads: int = 6
    ffn: int = 768
    registers: int = 0
    eps: float = 1e-5

    @property
    def side(self) -> int:
        return self.image // self.patch


ANCHOR = TowerShape(image=96, patch=8)
AUGMENT = TowerShape(image=192, patch=12, registers=4, eps=1e-6)

FUSION_HEADS = 6
FUSION_EPS = 1e-5

LM_WIDTH = 256
LM_LAYERS = 6
LM_HEADS = 4
LM_HEAD_DIM = 64
LM_FFN = 688
LM_EPS = 1e-5
ROPE_THETA = 10000.0
VISUAL = ANCHOR.side ** 2
CONTEXT = 512


def sincos(positions: torch.Tensor, width: int, longest: float = 64.0) -> torch.Tensor:
    """Smooth code of 2-D positions: [..., 2] in units of the picture's side (0..1) -> [..., width].

    A quarter of the width each for sin x, cos x, sin y, cos y, over wavelengths from 2 to 2/`longest` of the side.
    """
    n = width // 4
    rates = math.pi * torch.exp(torch.linspace(0, math.log(longest), n))
    x, y = positions[..., :1] * rates, positions[..., 1:] * rates
    return torch.cat((x.sin(), x.cos(), y.sin(), y.cos()), dim=-1)


def grid(side: int) -> torch.Tensor:
    """Patch centres of a side x side grid, row by row, as [side², 2] (x, y) in 0..1."""
    centres = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.stack((x, y), dim=-1).reshape(-1, 2)
