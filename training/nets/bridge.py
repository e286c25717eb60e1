"""FtZ fusion and the projector."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .shape import ANCHOR, AUGMENT, FUSION_EPS, FUSION_HEADS, LM_WIDTH
from .vit import attention, merge_heads, split_heads


class Bridge(nn.Module):
    """z = W2·gelu(W1·LayerNorm(A + MHCA(A, B))): queries from the anchor, keys and values from the augmenting tower."""

    def __init__(self) -> None:
        super().__init__()
        d = ANCHOR.width
        self.q, self.k, self.v = nn.Linear(d, d), nn.Linear(AUGMENT.width, d), nn.Linear(AUGMENT.width, d)
        self.out, self.norm = nn.Linear(d, d), nn.LayerNorm(d, FUSION_EPS)
        self.linear_1, self.linear_2 = nn.Linear(d, LM_WIDTH), nn.Linear(LM_WIDTH, LM_WIDTH)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Visual tokens [B, n_a, D] and the fusion's attention [B·H, n_a, n_b]."""
        q, k, v = (split_heads(t, FUSION_HEADS) for t in (self.q(a), self.k(b), self.v(b)))
        context, p = attention(q, k, v)
        fused = self.norm(a + self.out(merge_heads(context, FUSION_HEADS)))
        return self.linear_2(F.gelu(self.linear_1(fused))), p
