"""What each stage trains and its loss on one batch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from nets.heads import PatchHeads
from nets.shape import Design
from nets.vit import Tower
from . import losses
from .data import Batch, see
from .flat import Rates


class Stage(nn.Module):
    """A part of the model, its peak rates, and `loss`."""

    rates = Rates(muon=0.02, adam=2e-3)
    batch = 32
    align = 0  # steps without questions, of a stage that has some; a quarter of a short run
    parents: tuple[str, ...] = ()

    def __init__(self, design: Design, words):
        super().__init__()
        self.design, self.words = design, words

    def make(self, stream: str, first: int, size: int, step: int) -> Batch:
        raise NotImplementedError

    def loss(self, batch: Batch, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        raise NotImplementedError


class TowerStage(Stage):
    """One tower alone, on what its patches show."""

    tower = ""

    def make(self, stream, first, size, step):
        return see(stream, first, size, self.design, (self.tower,))[0]

    def loss(self, batch, step):
        features, summary = getattr(self, self.tower)(batch.pixels[self.tower])
        side = getattr(self.design, self.tower).side
        return losses.patch_loss(getattr(self, self.tower + "_heads"), features, summary, batch.labels[self.tower], side)


class AnchorStage(TowerStage):
    tower = "anchor"

    def __init__(self, design, words):
        super().__init__(design, words)
        self.anchor, self.anchor_heads = Tower(design.anchor), PatchHeads(design.anchor.width, presence=True)


class AugmentStage(TowerStage):
    tower = "augment"

    def __init__(self, design, words):
        super().__init__(design, words)
        self.augment, self.augment_heads = Tower(design.augment), PatchHeads(design.augment.width, presence=False)


STAGES: dict[str, type[Stage]] = {"anchor": AnchorStage, "augment": AugmentStage}


def gather(runs: list[Path], stage: type[Stage]) -> dict[str, torch.Tensor]:
    """The parents' weights, by name, each from the first run that has it."""
    named: dict[str, torch.Tensor] = {}
    for parent in stage.parents:
        found = next((run for run in runs if (run / parent / "weights.pt").exists()), runs[-1])
        named.update(torch.load(found / parent / "weights.pt", map_location="cpu"))
    return named
