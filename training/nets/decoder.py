"""The LLaMA decoder with composite attention (`vo` aligner in every layer), for packed questions.

One sequence holds <s> and all the questions about one picture; a mask keeps the questions apart. Visual keys and
values do not depend on the text, so all the questions share them, and each question gets exactly the positions it has
at inference: <s> at 0, the picture at 1..n, the question from n + 1 on.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from . import shape as S
from .vit import merge_heads, split_heads


class RmsNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, S.LM_EPS)


def rope_table(positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin [..., head_dim] for integer positions [...], Hugging Face's rotate-half layout."""
    rates = S.ROPE_THETA ** (-torch.arange(0, S.LM_HEAD_DIM, 2, dtype=torch.float32) / S.LM_HEAD_DIM)
    angles = positions.float()[..., None] * rates
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """x [B, H, T, d]; cos, sin broadcastable [.., T, d]."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        w = S.LM_HEADS * S.LM_HEAD_DIM
        self.norm1, self.norm2 = RmsNorm(S.LM_WIDTH), RmsNorm(S.LM_WIDTH)
        self.qkv = nn.Linear(S.LM_WIDTH, 3 * w, bias=False)
        self.out = nn.Linear(w, S.LM_WIDTH, bias=False)
        self.gate_up = nn.Linear(S.LM_WIDTH, 2 * S.LM_FFN, bias=False)
        self.down = nn.Linear(S.LM_FFN, S.LM_WIDTH, bias=False)
        self.qkv.parts, self.gate_up.parts = 3, 2

    def forward(self, text, visual, rope, mask, last: bool):
        """text [B, T, D], visual [B, n, D]; returns both for the next layer and the probabilities [B, H, T, n + T]."""
        heads, w = S.LM_HEADS, S.LM_HEADS * S.LM_HEAD_DIM
        b, t, n = text.shape[0], text.shape[1], visual.shape[1]
        (cos_v, sin_v), (cos_t, sin_t) = rope
        q, k, v = (split_heads(x, heads).view(b, heads, t, -1) for x in self.qkv(self.norm1(text)).chunk(3, dim=-1))
        kv = F.linear(self.norm1(visual), self.qkv.weight[w:])
        value = kv[..., w:]
        k_v, v_v = (split_heads(x, heads).view(b, heads, n, -1) for x in (kv[..., :w], value))
        keys = torch.cat((rotate(k_v, cos_v, sin_v), rotate(k, cos_t, sin_t)), dim=2).view(b * heads, n + t, -1)
        values = torch.cat((v_v, v), dim=2).view(b * heads, n + t, -1)
        query = (rotate(q, cos_t, sin_t) * (1.0 / math.sqrt(S.LM_HEAD_DIM))).view(b * heads, t, -1)
        scores = torch.bmm(query, keys.transpose(1, 2)).view(b, heads, t, n + t) + mask
        p = torch.softmax(scores, dim=-1)
        text = text + self.out(merge_heads(torch.bmm(p.view(b * heads, t, n + t), values), heads))
        gate, up = self.gate_up(self.norm2(text)).chunk(2, dim=-1)
        text = text + self.down(F.silu(gate) * up)
        if not last:  # the aligner: x + W_o·W_v·N1(x), no feed-forward on visual rows
            visual = visual + self.out(value)
        return text, visual, p


class Decoder(nn.Module):
    def __init__(self, pieces: int):
        super().__init__()
        self.embed = nn.Embedding(pieces, S.LM_WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(S.LM_LAYERS))
        self.norm = RmsNorm(S.LM_WIDTH)
        nn.init.normal_(self.embed.weight, std=0.06)

    def forward(self, visual, tokens, positions, mask):
        """visual [B, n, D], tokens and positions [B, T], mask [B, 1, T, n + T] (0 or -inf).

        Returns final hidden states [B, T, D] and each layer's attention.
        """
        text = self.embed(tokens)
        cos_v, sin_v = rope_table(torch.arange(1, visual.shape[1] + 1))
        cos_t, sin_t = rope_table(positions)
        rope = ((cos_v.to(text.dtype), sin_v.to(text.dtype)),
                (cos_t[:, None].to(text.dtype), sin_t[:, None].to(text.dtype)))
        attentions = []
        for index, layer in enumerate(self.layers):
            text, visual, p = layer(text, visual, rope, mask, index == len(self.layers) - 1)
            attentions.append(p)
        return self.norm(text), attentions

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.embed.weight)
