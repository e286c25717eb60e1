"""All the parameters in one flat buffer (of `nets.number`) with f32 masters; Muon for matrices, AdamW for the rest.

The flat layout makes the optimiser a handful of calls. The masters keep what bf16 would round away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from nets.number import NUMBER


@dataclass
class Rates:
    muon: float
    adam: float


def _matrix(name: str, parameter: nn.Parameter) -> bool:
    """Hidden matrices go to Muon; readouts, embeddings, positions, norms and biases to AdamW."""
    others = ("heads.", "embed", "positions", "registers", "oracle")
    return parameter.ndim == 2 and not any(word in name for word in others)


class FlatModel:
    """Moves a module's parameters into flat buffers and steps them; of `ranks` processes with equal gradients each makes a part of the
    matrices' updates (a sixth of a step of 12 pictures, if each made all)."""

    BETAS, EPS, MOMENTUM, DECAY = (0.9, 0.98), 1e-8, 0.95, 0.01

    def __init__(self, module: nn.Module, rank: int = 0, ranks: int = 1):
        self.rank, self.ranks = rank, ranks
        parts = {id(m.weight): m.parts for m in module.modules() if hasattr(m, "parts")}
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        shapes: dict[tuple[int, int], list] = {}
        for name, p in named:
            if _matrix(name, p):
                k = parts.get(id(p), 1)
                shapes.setdefault((p.shape[0] // k, p.shape[1]), []).append((name, p))
        vectors = [(n, p) for n, p in named if not _matrix(n, p)]
        self.order = vectors + [item for shape in sorted(shapes) for item in shapes[shape]]
        total = sum(p.numel() for _, p in self.order)
        device = self.order[0][1].device
        self.master, self.momentum = torch.empty(total, device=device), torch.zeros(total, device=device)
        self.weights = torch.empty(total, dtype=NUMBER, device=device)
        self.gradients = torch.zeros(total, dtype=NUMBER, device=device)
        offset = 0
        for _, p in self.order:
            end = offset + p.numel()
            self.master[offset:end] = p.data.flatten().float()
            p.data = self.weights[offset:end].view(p.shape)
            p.grad = self.gradients[offset:end].view(p.shape)
            offset = end
        self.vector_end = sum(p.numel() for _, p in vectors)
        self.square = torch.zeros(self.vector_end, device=device)
        self.groups, offset = [], self.vector_end
        for shape in sorted(shapes):
            size = sum(p.numel() for _, p in shapes[shape])
            self.groups.append((offset, offset + size, shape))
            offset += size
        self.weights.copy_(self.master)

    def step(self, rates: Rates, count: int) -> None:
        """One update from the accumulated gradients, which are then zeroed; `count` starts at 1."""
        gradient = self.gradients.float()
        if not torch.isfinite(gradient.sum()):
            print("skipped a step: the gradient is not finite", flush=True)
            self.gradients.zero_()
            return
        self._adam(gradient[:self.vector_end], rates.adam, count)
        self._muon(gradient, rates.muon)
        self.weights.copy_(self.master)
        self.gradients.zero_()

    def _muon(self, gradient: torch.Tensor, rate: float) -> None:
        """`gradient` becomes the update; where a process makes a part of it, the rest is zero until all are added up."""
        for index, (start, end, (rows, columns)) in enumerate(self.groups):
            g, m = gradient[start:end], self.momentum[start:end]
            m.lerp_(g, 1 - self.MOMENTUM)
            ahead = g.lerp(m, self.MOMENTUM).view(-1, rows, columns)
            mine = slice((self.rank + index) % self.ranks, None, self.ranks)
            g.zero_().view(-1, rows, columns)[mine] = orthogonal(ahead[mine])
        if self.ranks > 1:
            dist.all_reduce(gradient[self.vector_end:])
        for start, end, (rows, columns) in self.groups:
            scale = rate * math.sqrt(max(1.0, rows / columns))
            self.master[start:end].mul_(1 - rate * self.DECAY).sub_(gradient[start:end], alpha=scale)

    def _adam(self, gradient: torch.Tensor, rate: float, count: int) -> None:
        m, v = self.momentum[:self.vector_end], self.square
        m.lerp_(gradient, 1 - self.BETAS[0])
        v.lerp_(gradient * gradient, 1 - self.BETAS[1])
        root = (v / (1 - self.BETAS[1] ** count)).sqrt_().add_(self.EPS)
        self.master[:self.vector_end].addcdiv_(m / (1 - self.BETAS[0] ** count), root, value=-rate)

    def named_masters(self) -> dict[str, torch.Tensor]:
        """Copies of the f32 masters by parameter name, on the CPU."""
        out, offset = {}, 0
        for name, p in self.order:
            out[name] = self.master[offset:offset + p.numel()].view(p.shape).to("cpu", copy=True)
            offset += p.numel()
        return out

    def load_masters(self, named: dict[str, torch.Tensor]) -> list[str]:
        """Fills the masters that `named` has; returns the names it lacks."""
        offset, missing = 0, []
        for name, p in self.order:
            if name in named:
                self.master[offset:offset + p.numel()] = named[name].flatten().float()
            else:
                missing.append(name)
            offset += p.numel()
        self.weights.copy_(self.master)
        return missing

    def state(self) -> dict[str, torch.Tensor]:
        return {"master": self.master, "momentum": self.momentum, "square": self.square}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
        self.weights.copy_(self.master)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Newton-Schulz, five steps: each matrix of the batch to about the nearest semi-orthogonal one."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices / (matrices.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    x = x.to(NUMBER)
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    for _ in range(5):
        s = torch.bmm(x, x.transpose(1, 2))
        x = a * x + torch.bmm(b * s + c * torch.bmm(s, s), x)
    return (x.transpose(1, 2) if tall else x).float()
