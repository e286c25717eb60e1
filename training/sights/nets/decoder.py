"""The LLaMA decoder with composite attention, or with stock attention, for packed questions.

A line holds <s> and some of the questions about one picture (or one pair); a mask keeps them apart. Visual keys and values do
not depend on the text, so they are made once for all the lines of a picture, and each question gets exactly the
positions it has at inference: <s> at 0, the pictures at 1..n, the question from n + 1 on.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from .shape import Design
from .vit import merge_heads, split_heads


class RmsNorm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def rope_table(positions: torch.Tensor, design: Design) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin [..., head_dim] for integer positions [...], Hugging Face's rotate-half layout."""
    d = design.head_dim
    rates = design.theta ** (-torch.arange(0, d, 2, dtype=torch.float32, device=positions.device) / d)
    angles = positions.float()[..., None] * rates
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """x [B, H, T, d]; cos, sin broadcastable [.., T, d]."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


class Layer(nn.Module):
    def __init__(self, design: Design):
        super().__init__()
        w = design.width
        self.heads, self.aligner, self.scale = design.heads, design.aligner, 1.0 / math.sqrt(design.head_dim)
        self.norm1, self.norm2 = RmsNorm(w, design.eps), RmsNorm(w, design.eps)
        self.qkv, self.out = nn.Linear(w, 3 * w, bias=False), nn.Linear(w, w, bias=False)
        self.gate_up, self.down = nn.Linear(w, 2 * design.ffn, bias=False), nn.Linear(design.ffn, w, bias=False)
        self.qkv.parts, self.gate_up.parts = 3, 2

    def feed(self, x: torch.Tensor) -> torch.Tensor:
        gate, up = self.gate_up(self.norm2(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """[B, T, H·d] -> [B, H, T, d]"""
        return split_heads(x, self.heads).view(x.shape[0], self.heads, x.shape[1], -1)

    def _attend(self, q, k, v, mask) -> tuple[torch.Tensor, torch.Tensor]:
        """softmax(q kᵀ + mask) v for [B, H, T, d]; the merged context and the probabilities."""
        b, h, t, d = q.shape
        n = k.shape[2]
        scores = torch.bmm(q.reshape(b * h, t, d) * self.scale, k.reshape(b * h, n, d).transpose(1, 2))
        p = torch.softmax(scores.view(b, h, t, n) + mask, dim=-1)
        return merge_heads(torch.bmm(p.view(b * h, t, n), v.reshape(b * h, n, d)), h), p

    def forward(self, text, visual, picture, rope, masks, last: bool):
        """text [L, T, D], visual [B, n, D], picture [L]; the first two for the next layer, and the probabilities [L, H, T, n + T]."""
        w = text.shape[-1]
        (cos_v, sin_v), (cos_t, sin_t) = rope
        q, k, v = (self._split(x) for x in self.qkv(self.norm1(text)).chunk(3, dim=-1))
        q, k = rotate(q, cos_t, sin_t), rotate(k, cos_t, sin_t)
        if self.aligner == "stock":
            q_v, k_v, v_v = (self._split(x) for x in self.qkv(self.norm1(visual)).chunk(3, dim=-1))
        else:
            kv = F.linear(self.norm1(visual), self.qkv.weight[w:])
            value = kv[..., w:]
            k_v, v_v = self._split(kv[..., :w]), self._split(value)
        k_v = rotate(k_v, cos_v, sin_v)
        keys, values = (torch.cat((seen.index_select(0, picture), own), dim=2) for seen, own in ((k_v, k), (v_v, v)))
        context, p = self._attend(q, keys, values, masks[0])
        text = self.feed(text + self.out(context))
        if last or self.aligner == "none":
            return text, visual, p
        if self.aligner == "stock":  # visual rows see <s>, themselves and what lies before them
            start = (own[:1, :, :1].expand(len(visual), -1, -1, -1) for own in (k, v))  # <s> is the same in every line
            keys, values = (torch.cat((s, seen), dim=2) for s, seen in zip(start, (k_v, v_v)))
            return text, self.feed(visual + self.out(self._attend(rotate(q_v, cos_v, sin_v), keys, values, masks[1])[0])), p
        visual = visual + self.out(value)
        return text, self.feed(visual) if self.aligner == "vo_ffn" else visual, p


class Decoder(nn.Module):
    def __init__(self, design: Design, pieces: int):
        super().__init__()
        self.design = design
        self.embed = nn.Embedding(pieces, design.width)
        self.layers = nn.ModuleList(Layer(design) for _ in range(design.layers))
        self.norm = RmsNorm(design.width, design.eps)
        nn.init.normal_(self.embed.weight, std=0.06)

    def forward(self, visual, picture, tokens, positions, mask):
        """visual [B, n, D]; picture [L], a line's among those; tokens and positions [L, T]; mask [L, 1, T, n + T] (0 or -inf).

        Returns final hidden states [L, T, D] and each layer's attention.
        """
        text, n = self.embed(tokens), visual.shape[1]
        cos_v, sin_v = rope_table(torch.arange(1, n + 1, device=tokens.device), self.design)
        cos_t, sin_t = rope_table(positions, self.design)
        rope = ((cos_v.to(text.dtype), sin_v.to(text.dtype)),
                (cos_t[:, None].to(text.dtype), sin_t[:, None].to(text.dtype)))
        causal = torch.full((n, n + 1), float("-inf"), dtype=text.dtype, device=tokens.device).triu_(2)
        attentions = []
        for index, layer in enumerate(self.layers):
            text, visual, p = layer(text, visual, picture, rope, (mask, causal), index == len(self.layers) - 1)
            attentions.append(p)
        return self.norm(text), attentions

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.embed.weight)
