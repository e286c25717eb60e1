"""The two towers: CLIP's vision model and DINOv2 with registers, by their public topologies.

q, k and v are one matrix here (one large product is faster than three small ones); export splits it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from .shape import TowerShape, grid, sincos


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """softmax(q kᵀ / √d) v on [N, T, d]; also the probabilities.

    Spelled out: torch's fused CPU attention has a slow backward at these sizes.
    """
    p = torch.softmax(torch.bmm(q * (1.0 / math.sqrt(q.shape[-1])), k.transpose(1, 2)), dim=-1)
    return torch.bmm(p, v), p


def split_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """[B, T, H·d] -> [B·H, T, d]"""
    b, t, w = x.shape
    return x.view(b, t, heads, w // heads).transpose(1, 2).reshape(b * heads, t, w // heads)


def merge_heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    """[B·H, T, d] -> [B, T, H·d]"""
    n, t, d = x.shape
    return x.view(n // heads, heads, t, d).transpose(1, 2).reshape(n // heads, t, heads * d)


class Gelu(torch.autograd.Function):
    """erf GELU whose slope is that of the tanh form: within 1e-3, and torch's erf backward has no vector code in bf16
    (94 ms against 25 ms for 4.3 M values)."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.ops.aten.gelu(x)

    @staticmethod
    def backward(ctx, gradient):
        return torch.ops.aten.gelu_backward(gradient, ctx.saved_tensors[0], approximate="tanh")


def gelu(x: torch.Tensor) -> torch.Tensor:
    return Gelu.apply(x)


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    """x·σ(1.702 x), through SiLU: fewer passes over memory."""
    return F.silu(x * 1.702) * (1 / 1.702)


class Block(nn.Module):
    """Pre-norm encoder block; `scaled` adds DINOv2's layer scale and picks erf GELU instead of quick GELU."""

    def __init__(self, shape: TowerShape, scaled: bool):
        super().__init__()
        w = shape.width
        self.heads, self.scaled = shape.heads, scaled
        self.norm1, self.norm2 = nn.LayerNorm(w, shape.eps), nn.LayerNorm(w, shape.eps)
        self.qkv, self.out = nn.Linear(w, 3 * w), nn.Linear(w, w)
        self.fc1, self.fc2 = nn.Linear(w, shape.ffn), nn.Linear(shape.ffn, w)
        self.qkv.parts = 3
        if scaled:
            self.scale1, self.scale2 = nn.Parameter(torch.ones(w)), nn.Parameter(torch.ones(w))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(t, self.heads) for t in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        a = self.out(merge_heads(attention(q, k, v)[0], self.heads))
        x = x + (a * self.scale1 if self.scaled else a)
        h = self.fc1(self.norm2(x))
        m = self.fc2(gelu(h) if self.scaled else quick_gelu(h))
        return x + (m * self.scale2 if self.scaled else m)


class Tower(nn.Module):
    """Class token (and registers), learned positions that start as a 2-D sine-cosine code, blocks."""

    def __init__(self, shape: TowerShape):
        super().__init__()
        self.shape, self.dino = shape, shape.registers > 0
        w = shape.width
        self.patch = nn.Linear(3 * shape.patch ** 2, w, bias=self.dino)
        self.class_token = nn.Parameter(torch.randn(w) * 0.02)
        self.positions = nn.Parameter(torch.cat((torch.zeros(1, w), 0.3 * sincos(grid(shape.side), w))))
        if self.dino:
            self.registers = nn.Parameter(torch.randn(shape.registers, w) * 0.02)
        else:
            self.pre_norm = nn.LayerNorm(w, shape.eps)
        self.blocks = nn.ModuleList(Block(shape, self.dino) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(w, shape.eps)  # DINOv2: after the features; CLIP: of the class token only

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, 3, S, S] -> patch features [B, n, D] and the normalised class token [B, D]."""
        s, b = self.shape, pixels.shape[0]
        x = pixels.view(b, 3, s.side, s.patch, s.side, s.patch).permute(0, 2, 4, 1, 3, 5).reshape(b, s.side ** 2, -1)
        x = torch.cat((self.class_token.expand(b, 1, -1), self.patch(x)), dim=1) + self.positions
        if self.dino:
            x = torch.cat((x[:, :1], self.registers.expand(b, -1, -1), x[:, 1:]), dim=1)
        else:
            x = self.pre_norm(x)
        for block in self.blocks:
            x = block(x)
        features = x[:, 1 + s.registers:]
        if self.dino:
            x = self.norm(x)
            return x[:, 1 + s.registers:], x[:, 0]
        return features, self.norm(x[:, 0])
