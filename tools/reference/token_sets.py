"""Which patches modulation boosts, from the anchor tower's own attention (output_attentions), and
at which visual tokens those patches are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from intervention_options import Modulate
from reference_models import BinocleReference, LlavaReference, ReferenceModel

CLASS_TOKEN_TOWERS = ("clip_vision_model", "dinov2", "dinov2_with_registers")


@dataclass
class TokenSets:
    """Patches of one image. slack: the smallest relative gap of any choice of them."""

    local: list[int]
    summary: list[int]
    spatial: list[int]
    scores: dict[str, torch.Tensor] = field(default_factory=dict)  # [P] each
    slack: float = float("inf")

    @property
    def boosted(self) -> list[int]:
        return sorted((set(self.local) | set(self.spatial)) - set(self.summary))


def largest(scores: torch.Tensor, count: int) -> list[int]:
    """Indices of the `count` largest; of equal ones the lower index first."""
    return sorted(torch.sort(scores, descending=True, stable=True).indices[:count].tolist())


def gap(scores: torch.Tensor, count: int) -> float:
    """Relative distance between the last one in and the first one out."""
    if not 0 < count < len(scores):
        return float("inf")
    ordered = scores.sort(descending=True).values
    return float((ordered[count - 1] - ordered[count]) / ordered[count].abs())


def outliers(scores: torch.Tensor) -> tuple[float, float]:
    """(fraction of values above Q3 + 1.5 IQR, relative distance of the nearest value from it)."""
    values = scores.double().numpy()
    q1, q3 = np.percentile(values, [25, 75])
    fence = q3 + 1.5 * (q3 - q1)
    return float((values > fence).sum() / len(values)), float(np.abs(values / fence - 1).min())


def leading_tower(model: ReferenceModel) -> tuple[str, torch.nn.Module]:
    """The tower whose tokens the language model gets, with its role: the anchor, but where fusion is the augmenting tower alone."""
    if isinstance(model, LlavaReference):
        return "anchor", model.model.vision_tower
    assert isinstance(model, BinocleReference)
    role = "augment" if model.model.config["fusion_config"]["type"] == "augment" else "anchor"
    return role, model.model.towers[role]


def received(attention: torch.Tensor, patches: int) -> torch.Tensor:
    """[H, T, T] -> what each patch gets from all tokens: mean over heads, sum over queries."""
    return attention.mean(0).sum(0)[-patches:]


def token_sets(tower: torch.nn.Module, pixels: torch.Tensor, modulate: Modulate) -> TokenSets:
    attentions = [a[0] for a in tower(pixels[None], output_attentions=True).attentions]
    side = tower.config.patch_size
    patches = (pixels.shape[1] // side) * (pixels.shape[2] // side)
    has_class = tower.config.model_type in CLASS_TOKEN_TOWERS

    def asked_by_class(attention: torch.Tensor) -> torch.Tensor:
        return attention[:, 0, -patches:].sum(0) if has_class else received(attention, patches)

    scores = {
        "local": asked_by_class(attentions[0]),
        "summary": asked_by_class(attentions[-2]),
        "spatial": received(attentions[0], patches),
    }
    fraction, slack = outliers(scores["summary"])
    counts = {
        "local": int(modulate.local * patches),
        "summary": int(patches * fraction),
        "spatial": int(modulate.spatial * patches),
    }
    chosen = {name: largest(scores[name], count) for name, count in counts.items()}
    slack = min(slack, *(gap(scores[name], count) for name, count in counts.items()))
    return TokenSets(**chosen, scores=scores, slack=slack)


def patch_places(config: dict[str, Any], patches: int) -> list[int]:
    """Index, among the visual tokens of one image, of every patch of the leading tower."""
    fusion = config.get("fusion_config", {"type": "anchor"})["type"]
    leading = config.get("augment_config" if fusion == "augment" else "anchor_config", config)
    skipped = int(leading.get("vision_feature_select_strategy", "default") == "full")
    step = 2 if fusion == "interleave" else 1
    return [step * (skipped + p) for p in range(patches)]
