"""Interventions on attention, applied to the explicit scores and weights of stock LLaMA layers.

Inside `steered(layers, steering)` the eager attention of transformers' LLaMA is replaced by
`attention` below: the same products in the same order, with the changes of docs/interventions.md
before the softmax (scores) and after it (weights). A hook on every layer's first norm, whose input
is the input of the layer, finds the sinks. Positions are absolute, so that a run with a key/value
cache and one that computes the whole sequence again see the same rows and keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.models.llama import modeling_llama

from intervention_options import Layers, Var

# --- VAR, the paper's form ------------------------------------------------------------------------


def phi(x: torch.Tensor, dims: Iterable[int], epsilon: float = 0.0) -> torch.Tensor:
    """max over dims |x[d]| / rms(x), for rows x [T, D]. No learned gain."""
    mean_square = x.float().pow(2).mean(-1, keepdim=True)
    normed = x.float().abs() / torch.sqrt(mean_square + epsilon)
    return normed[:, list(dims)].amax(-1)


def paper_sinks(x: torch.Tensor, var: Var, positions: torch.Tensor, prompt: int) -> torch.Tensor:
    return phi(x, var.dims) >= var.tau


@dataclass
class Masses:
    """Attention of every row on the visual keys, on those that are no sinks, and on all sinks."""

    visual: torch.Tensor  # [H, Q], as are all
    plain: torch.Tensor  # visual keys that are no sinks
    visual_sinks: torch.Tensor
    sinks: torch.Tensor

    @classmethod
    def of(cls, weights: torch.Tensor, visual: torch.Tensor, sinks: torch.Tensor) -> Masses:
        def total(keys: torch.Tensor) -> torch.Tensor:
            return weights[..., keys].sum(-1)

        return cls(total(visual), total(visual & ~sinks), total(visual & sinks), total(sinks))


def paper_heads(m: Masses, var: Var, visual_keys: int) -> torch.Tensor:
    """How far, relatively, each (head, row) lies above the nearer threshold; kept where >= 0."""
    above_mass = m.visual / var.mass - 1
    above_ratio = m.plain / m.visual / var.rho - 1
    return torch.minimum(above_mass, torch.nan_to_num(above_ratio, nan=-1.0))


def paper_rows(positions: torch.Tensor, visual: torch.Tensor) -> torch.Tensor:
    """Rows at no image position. visual covers every key, and rows are keys too."""
    return ~visual[positions]


def paper_share(p: float) -> float:
    return p


# --- VAR as released: one function for each difference --------------------------------------------


def release_sinks(x: torch.Tensor, var: Var, positions: torch.Tensor, prompt: int) -> torch.Tensor:
    """1: the mean square is raised, the test is strict, and only tokens of the prompt count."""
    return (phi(x, var.dims, 1e-6) > var.tau) & (positions < prompt)


def release_heads(m: Masses, var: Var, visual_keys: int) -> torch.Tensor:
    """2: rho bounds the share of the visual sinks."""
    share = m.visual_sinks / (m.visual + visual_keys * 1e-6)
    return torch.minimum(m.visual / var.mass - 1, 1 - share / var.rho)


def release_share(p: float) -> float:
    """3: p is what the sinks keep."""
    return 1 - p


def release_rows(positions: torch.Tensor, visual: torch.Tensor) -> torch.Tensor:
    """4: rows behind the last image position."""
    places = visual.nonzero()
    return positions > places[-1] if len(places) else torch.zeros_like(positions, dtype=torch.bool)


# 5, the default of the layers, is in intervention_options.Var.filled.


@dataclass(frozen=True)
class Rules:
    """Which form each part of VAR has; `compat` sets all of them."""

    sinks: str = "paper"
    heads: str = "paper"
    share: str = "paper"
    rows: str = "paper"

    @classmethod
    def of(cls, compat: str) -> Rules:
        return cls(compat, compat, compat, compat)


SINKS = {"paper": paper_sinks, "release": release_sinks}
HEADS = {"paper": paper_heads, "release": release_heads}
SHARE = {"paper": paper_share, "release": release_share}
ROWS = {"paper": paper_rows, "release": release_rows}


def spread(
    weights: torch.Tensor, visual: torch.Tensor, sinks: torch.Tensor, m: Masses, share: float
) -> torch.Tensor:
    """Takes `share` of every sink's weight and gives it to the visual keys that are no sinks, in
    proportion: every row keeps its sum."""
    changed = weights.clone()
    changed[..., sinks] = (1 - share) * weights[..., sinks]
    gain = 1 + share * m.sinks / m.plain
    plain = visual & ~sinks
    changed[..., plain] = weights[..., plain] * gain[..., None]
    return changed


@dataclass
class VarSteering:
    """VAR over one sequence. visual: the prompt's image positions."""

    var: Var  # filled
    visual: torch.Tensor  # [prompt]
    rules: Rules = field(default_factory=Rules)
    sinks: dict[int, torch.Tensor] = field(default_factory=dict)  # layer -> [keys so far]
    counts: dict[str, int] = field(default_factory=dict)
    counted: dict[int, int] = field(default_factory=dict)  # layer -> rows already in counts
    margins: dict[str, float] = field(default_factory=dict)
    trace: dict[str, dict[int, torch.Tensor]] | None = None  # filled in at prefill, where given

    def layer_input(self, layer: int, x: torch.Tensor, past: int) -> None:
        positions = torch.arange(past, past + len(x))
        found = SINKS[self.rules.sinks](x, self.var, positions, len(self.visual))
        earlier = self.sinks.get(layer, found)[:past]
        self.sinks[layer] = torch.cat([earlier, found])
        if self.acts(layer):
            self.note("sink", phi(x, self.var.dims) / self.var.tau - 1)
        if self.trace is not None and len(x) == len(self.visual):
            self.trace["phi"][layer] = phi(x, self.var.dims)

    def acts(self, layer: int) -> bool:
        return self.var.layers[0] <= layer <= self.var.layers[1]

    def note(self, decision: str, slack: torch.Tensor) -> None:
        """Keeps the smallest relative distance of any decision from its threshold."""
        smallest = slack.abs().amin().item() if slack.numel() else float("inf")
        self.margins[decision] = min(self.margins.get(decision, float("inf")), smallest)

    def change_weights(
        self, layer: int, weights: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """weights [H, Q, K] -> the same with the rows and heads that qualify redistributed."""
        if not self.acts(layer):
            return weights
        sinks = self.sinks[layer]
        visual = torch.nn.functional.pad(self.visual, (0, len(sinks) - len(self.visual)))
        m = Masses.of(weights, visual, sinks)
        if self.trace is not None and positions[-1] == len(self.visual) - 1:
            rows = (m.visual[:, -1], m.plain[:, -1], m.sinks[:, -1])
            self.trace["masses"][layer] = torch.stack(rows, -1)
        rows = ROWS[self.rules.rows](positions, visual)
        if self.rules.heads == "release" and not (visual & sinks).any():
            return weights
        above = HEADS[self.rules.heads](m, self.var, int(visual.sum()))
        visible = rows & (positions > first(visual))
        self.note("head", above[:, visible])
        self.count(m, above, visible & (positions >= self.counted.get(layer, 0)))
        self.counted[layer] = int(positions[-1]) + 1
        keep = (above >= 0) & (m.plain > 1e-30) & rows
        share = SHARE[self.rules.share](self.var.p)
        changed = spread(weights, visual, sinks, m, share)
        return torch.where(keep[..., None], changed, weights)

    def count(self, m: Masses, above: torch.Tensor, rows: torch.Tensor) -> None:
        """Decisions over the (head, row) pairs of text that sees a picture."""
        heavy = (m.visual >= self.var.mass)[:, rows]
        kept = (above >= 0)[:, rows]
        fired = kept & (m.sinks > 1e-4)[:, rows]
        for name, value in {
            "below_mass": ~heavy,
            "mass_without_ratio": heavy & ~kept,
            "kept": kept,
            "kept_with_sinks": fired,
        }.items():
            self.counts[name] = self.counts.get(name, 0) + int(value.sum())


def first(visual: torch.Tensor) -> int:
    places = visual.nonzero()
    return int(places[0]) if len(places) else len(visual)


# --- changes of scores ----------------------------------------------------------------------------


@dataclass
class ScoreSteering:
    """s_j + g_j c_h |s_j| in some layers, for the rows that are the last one of their step."""

    gains: torch.Tensor  # g [prompt]
    layers: Layers
    first_row: int  # the prompt's last row, or the one after it (start=decode)
    head_factors: torch.Tensor | None = None  # c [L, H]; None: all 1

    def change_scores(
        self, layer: int, scores: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """scores [H, Q, K], before the mask. In a run without a cache every row from first_row on
        was the last one once."""
        if not self.layers[0] <= layer <= self.layers[1]:
            return scores
        gains = torch.nn.functional.pad(self.gains, (0, scores.shape[-1] - len(self.gains)))
        factor = 1.0 if self.head_factors is None else self.head_factors[layer][:, None, None]
        changed = scores + gains * factor * scores.abs()
        return torch.where((positions >= self.first_row)[:, None], changed, scores)


# --- stock layers with both -----------------------------------------------------------------------


@dataclass
class Steering:
    """What changes the attention of one sequence. Empty: stock attention, bit for bit."""

    var: VarSteering | None = None
    scores: ScoreSteering | None = None
    past: int = 0  # keys that the cache held before this forward call

    def attention(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """In place of transformers' eager_attention_forward; one sequence at a time."""
        assert query.shape[0] == 1
        keys = modeling_llama.repeat_kv(key, module.num_key_value_groups)
        values = modeling_llama.repeat_kv(value, module.num_key_value_groups)
        positions = torch.arange(keys.shape[-2] - query.shape[-2], keys.shape[-2])
        scores = torch.matmul(query, keys.transpose(2, 3)) * scaling
        if self.scores is not None:
            scores = self.scores.change_scores(module.layer_idx, scores[0], positions)[None]
        if attention_mask is not None:
            scores = scores + attention_mask[..., : keys.shape[-2]]
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32)
        if self.var is not None:
            weights = self.var.change_weights(module.layer_idx, weights[0], positions)[None]
        return torch.matmul(weights, values).transpose(1, 2).contiguous(), weights


@contextmanager
def steered(layers: torch.nn.ModuleList, steering: Steering) -> Iterator[None]:
    """Stock decoder layers under `steering`; afterwards everything is as before."""

    def watch(index: int) -> Any:
        def hook(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            if steering.var is not None:
                steering.var.layer_input(index, args[0][0], steering.past)

        return hook

    stock = modeling_llama.eager_attention_forward
    handles = [
        layer.input_layernorm.register_forward_pre_hook(watch(i)) for i, layer in enumerate(layers)
    ]
    modeling_llama.eager_attention_forward = steering.attention
    try:
        yield
    finally:
        modeling_llama.eager_attention_forward = stock
        for handle in handles:
            handle.remove()
