"""The one place with the models' numbers; config.json is written from here."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class TowerShape:
    image: int
    patch: int
    width: int = 256
    layers: int = 4
    heads: int = 4
    ffn: int = 1024
    registers: int = 0
    eps: float = 1e-5

    @property
    def side(self) -> int:
        return self.image // self.patch


@dataclass(frozen=True)
class Design:
    """A model of the recipe: the default and, with a part changed, what it is compared with."""

    name: str = "default"
    fusion: str = "ftz"  # anchor, augment, add, channel_concat, interleave
    aligner: str = "vo"  # vo_ffn, none, or stock: no composite attention
    anchor: TowerShape = TowerShape(image=112, patch=8)
    # Four times the anchor's pixels: letters of 9 pixels and things of 18 are what it is there for.
    augment: TowerShape = TowerShape(image=224, patch=14, layers=5, registers=4, eps=1e-6)
    fusion_heads: int = 4
    fusion_eps: float = 1e-5
    width: int = 320
    layers: int = 6
    heads: int = 5
    ffn: int = 864
    eps: float = 1e-5
    theta: float = 10000.0
    context: int = 1024

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    @property
    def side(self) -> int:
        """Of the grid that the visual tokens lie on."""
        return (self.augment if self.fusion == "augment" else self.anchor).side

    @property
    def visual(self) -> int:
        """Visual tokens of one picture."""
        return self.side ** 2 * (2 if self.fusion == "interleave" else 1)

    @property
    def uses(self) -> tuple[str, ...]:
        return {"anchor": ("anchor",), "augment": ("augment",)}.get(self.fusion, ("anchor", "augment"))


DEFAULT = Design()
DESIGNS = {d.name: d for d in (
    DEFAULT, *(replace(DEFAULT, name=f, fusion=f) for f in ("anchor", "augment", "add", "channel_concat", "interleave")),
    *(replace(DEFAULT, name=a, aligner=a) for a in ("vo_ffn", "none", "stock")))}


def sincos(positions: torch.Tensor, width: int, longest: float = 64.0) -> torch.Tensor:
    """Smooth code of 2-D positions: [..., 2] in units of the picture's side (0..1) -> [..., width].

    A quarter of the width each for sin x, cos x, sin y, cos y, over wavelengths from 2 to 2/`longest` of the side.
    """
    n = width // 4
    rates = math.pi * torch.exp(torch.linspace(0, math.log(longest), n, device=positions.device))
    x, y = positions[..., :1] * rates, positions[..., 1:] * rates
    return torch.cat((x.sin(), x.cos(), y.sin(), y.cos()), dim=-1)


def grid(side: int) -> torch.Tensor:
    """Patch centres of a side x side grid, row by row, as [side², 2] (x, y) in 0..1."""
    centres = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.stack((x, y), dim=-1).reshape(-1, 2)
