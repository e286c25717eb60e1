"""Answers: the decoder alone on oracle tokens, and everything together."""

from __future__ import annotations

import torch

from nets.bridge import Bridge
from nets.decoder import Decoder
from nets.heads import Oracle, PatchHeads, VisualHeads
from nets.vit import Tower
from world import words as W
from world.asking_more import ask
from world.facts import Facts
from world.pairs import ask_pair
from . import answers, losses
from .data import Batch, see
from .flat import Rates
from .stages import STAGES, Stage
from .text import collate, pack, pair_codes

PAIRS_EVERY = 3  # steps


class AskingStage(Stage):
    """A stage whose batches have questions; every third step also about pairs of pictures."""

    towers: tuple[str, ...] = ()

    def make(self, stream, first, size, step) -> Batch:
        batch, seen = see(stream, first, size, self.design, self.towers)
        codes = batch.labels["visual"]["codes"]
        if self.design.fusion == "interleave":
            codes = codes.repeat_interleave(2, dim=1)
        facts = [Facts(sight) for sight, _ in seen]
        n = self.design.visual
        lines = [pack(self.words, ask(f, rng, W.TRAIN_WORDS), i, n + 1) for i, (f, (_, rng)) in enumerate(zip(facts, seen))]
        batch.text = collate(sum(lines, []), codes)
        if step % PAIRS_EVERY == 0:
            lines = [pack(self.words, ask_pair(facts[i], facts[i + 1], seen[i][1]), i // 2, 2 * n + 1)
                     for i in range(0, size - 1, 2)]
            batch.pairs = collate(sum(lines, []), pair_codes(codes))
        return batch

    def ask(self, visual: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        loss, report = answers.answer(self.decoder, visual, batch.text)
        if batch.pairs is not None:
            n = visual.shape[0] // 2 * 2
            two = visual[:n].reshape(n // 2, 2 * visual.shape[1], -1)
            more, other = answers.answer(self.decoder, two, batch.pairs)
            loss = loss + 0.4 * more
            report["pair"] = other["pair"]
        return loss, report


class DecoderStage(AskingStage):
    """The decoder on visual tokens made from ground truth: it learns to bind before there is anything to see."""

    rates = Rates(muon=0.012, adam=2e-3)
    batch = 16

    def __init__(self, design, words):
        super().__init__(design, words)
        self.decoder, self.oracle = Decoder(design, words.pieces), Oracle(design)

    def loss(self, batch, step):
        visual = self.oracle(batch.labels["visual"])
        if self.design.fusion == "interleave":
            visual = visual.repeat_interleave(2, dim=1)
        return self.ask(visual, batch)


class JoinStage(AskingStage):
    """Everything. For `align` steps the projector only learns to imitate the oracle; then answers count."""

    rates = Rates(muon=0.012, adam=1e-3)
    batch = 12
    align = 300
    parents = ("anchor", "augment", "decoder")

    def __init__(self, design, words):
        super().__init__(design, words)
        self.towers = design.uses
        for tower in design.uses:
            shape = getattr(design, tower)
            self.add_module(tower, Tower(shape))
            self.add_module(tower + "_heads", PatchHeads(shape.width, presence=tower == "anchor"))
        self.bridge, self.visual_heads = Bridge(design), VisualHeads(design.width)
        self.decoder, self.oracle = Decoder(design, words.pieces), Oracle(design)
        self.register_buffer("near", losses.neighbourhood(design), persistent=False)
        for p in self.oracle.parameters():
            p.requires_grad_(False)
        self.frozen = False

    def freeze_towers(self) -> None:
        """They stay as the parents have them, and so do their readouts."""
        self.frozen = True
        for tower in self.towers:
            for part in (tower, tower + "_heads"):
                getattr(self, part).requires_grad_(False)

    def see(self, pixels: dict[str, torch.Tensor]):
        """Each tower's features and class token, the visual tokens, and FtZ's attention."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            seen = {tower: getattr(self, tower)(pixels[tower]) for tower in self.towers}
        a, b = (seen[t][0] if t in seen else None for t in ("anchor", "augment"))
        return seen, *self.bridge(a, b)

    def loss(self, batch, step):
        seen, visual, fusion = self.see(batch.pixels)
        sight, report = 0.0, {}
        for tower, (features, summary) in () if self.frozen else seen.items():
            part, told = losses.patch_loss(getattr(self, tower + "_heads"), features, summary, batch.labels[tower],
                                           getattr(self.design, tower).side)
            sight, report = sight + part, {**report, **{tower[:2] + "_" + k: v for k, v in told.items()}}
        labels, target = batch.labels["visual"], self.oracle(batch.labels["visual"]).float()
        if self.design.fusion == "interleave":
            labels = {k: v.repeat_interleave(2, dim=1) for k, v in labels.items() if v.shape[1] == target.shape[1]}
            target = target.repeat_interleave(2, dim=1)
        imitate = (visual.float() - target).pow(2).mean() / target.var()
        tokens, told = losses.visual_loss(self.visual_heads, visual, labels)
        report |= {"imitate": imitate.item(), **{"v_" + k: v for k, v in told.items()}}
        local = losses.fusion_loss(fusion, self.near, self.design.fusion_heads) if fusion is not None else 0.0
        if step < self.align:
            return sight + 3 * imitate + tokens + 0.3 * local, report
        answered, more = self.ask(visual, batch)
        return answered + 0.5 * (sight + tokens) + 0.3 * imitate + 0.05 * local, {**report, **more}


STAGES |= {"decoder": DecoderStage, "join": JoinStage}
