"""The fusions and the projector."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .shape import Design
from .vit import attention, gelu, merge_heads, split_heads

ALPHA = 0.5  # the anchor's weight in `add`


class Projector(nn.Module):
    """W2·gelu(W1·x)"""

    def __init__(self, width: int, out: int):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(width, out), nn.Linear(out, out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear_2(gelu(self.linear_1(x)))


class Cross(nn.Module):
    """LayerNorm(A + MHCA(A, B)): queries from the anchor, keys and values from the augmenting tower."""

    def __init__(self, design: Design):
        super().__init__()
        d, b = design.anchor.width, design.augment.width
        self.heads = design.fusion_heads
        self.q, self.k, self.v = nn.Linear(d, d), nn.Linear(b, d), nn.Linear(b, d)
        self.out, self.norm = nn.Linear(d, d), nn.LayerNorm(d, design.fusion_eps)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        q, k, v = (split_heads(t, self.heads) for t in (self.q(a), self.k(b), self.v(b)))
        context, p = attention(q, k, v)
        return self.norm(a + self.out(merge_heads(context, self.heads))), p


def resample(b: torch.Tensor, side: int) -> torch.Tensor:
    """[B, m², D] on another grid: bilinear, half-pixel centres, no antialiasing."""
    n, m, d = b.shape[0], int(b.shape[1] ** 0.5), b.shape[2]
    if m == side:
        return b
    x = b.float().transpose(1, 2).reshape(n, d, m, m)
    x = F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
    return x.reshape(n, d, side * side).transpose(1, 2).to(b.dtype)


class Bridge(nn.Module):
    """Visual tokens [B, n, D] from the towers' features; also FtZ's attention [B·H, n_a, n_b], else None."""

    def __init__(self, design: Design):
        super().__init__()
        self.fusion, self.side = design.fusion, design.anchor.side
        a, b = design.anchor.width, design.augment.width
        if self.fusion == "ftz":
            self.cross = Cross(design)
        if self.fusion == "interleave":
            self.project_a, self.project_b = Projector(a, design.width), Projector(b, design.width)
        else:
            width = {"augment": b, "channel_concat": a + b}.get(self.fusion, a)
            self.project = Projector(width, design.width)

    def forward(self, a, b) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self.fusion == "ftz":
            fused, p = self.cross(a, b)
            return self.project(fused), p
        if self.fusion == "anchor":
            return self.project(a), None
        if self.fusion == "augment":
            return self.project(b), None
        b = resample(b, self.side)
        if self.fusion == "add":
            return self.project(ALPHA * a + (1 - ALPHA) * b), None
        if self.fusion == "channel_concat":
            return self.project(torch.cat((a, b), dim=-1)), None
        pairs = torch.stack((self.project_a(a), self.project_b(b)), dim=2)
        return pairs.flatten(1, 2), None
