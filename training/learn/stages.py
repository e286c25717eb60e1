"""What each stage trains and its loss on one batch."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from nets.bridge import Bridge
from nets.decoder import Decoder
from nets.heads import Oracle, PatchHeads, WordHead
from nets.shape import ANCHOR, AUGMENT, LM_WIDTH, VISUAL
from nets.vit import Tower
from . import losses
from .data import Batch, Words, make_batch
from .flat import Rates


class Stage(nn.Module):
    """A part of the model, the views it needs, its peak rates, and `loss`."""

    views = ""
    rates = Rates(muon=0.02, adam=2e-3)
    batch = 48

    def loss(self, batch: Batch, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        raise NotImplementedError

    def make(self, name: str, first: int, size: int, words: Words | None) -> Batch:
        return make_batch(name, first, size, words, self.views)


class AnchorStage(Stage):
    views = "anchor"

    def __init__(self, words: Words):
        super().__init__()
        self.anchor, self.anchor_heads = Tower(ANCHOR), PatchHeads(ANCHOR.width, reads=False)

    def loss(self, batch, step):
        return losses.patch_loss(self.anchor_heads, *self.anchor(batch.anchor), batch.anchor_labels, ANCHOR.side)


class AugmentStage(Stage):
    views = "augment"
    batch = 32

    def __init__(self, words: Words):
        super().__init__()
        self.augment, self.augment_heads = Tower(AUGMENT), PatchHeads(AUGMENT.width, reads=True)

    def loss(self, batch, step):
        return losses.patch_loss(self.augment_heads, *self.augment(batch.augment), batch.augment_labels, AUGMENT.side)


def ask(decoder: Decoder, visual: torch.Tensor, text) -> tuple[torch.Tensor, dict[str, float]]:
    """Answer loss plus the attention loss."""
    hidden, attentions = decoder(visual, text.tokens, text.positions, text.mask)
    logits = decoder.logits(hidden[text.targets[0], text.targets[1]])
    answer, report = losses.answer_loss(logits, text)
    look, looks = losses.attention_loss(attentions, text, VISUAL)
    return answer + 0.3 * look, {"answer": answer.item(), **report, **looks}


class DecoderStage(Stage):
    """The decoder on visual tokens made from ground truth: it learns to bind before there is anything to see."""

    views = "text"
    rates = Rates(muon=0.012, adam=2e-3)
    batch = 16

    def __init__(self, words: Words):
        super().__init__()
        self.decoder, self.oracle = Decoder(words.pieces), Oracle()

    def loss(self, batch, step):
        return ask(self.decoder, self.oracle(batch.anchor_labels), batch.text)


class JoinStage(Stage):
    """Everything. For `ALIGN` steps the projector only learns to imitate the oracle; then answers count."""

    views = "anchor augment text"
    rates = Rates(muon=0.012, adam=1e-3)
    batch = 10
    ALIGN = 200

    def __init__(self, words: Words):
        super().__init__()
        self.anchor, self.anchor_heads = Tower(ANCHOR), PatchHeads(ANCHOR.width, reads=False)
        self.augment, self.augment_heads = Tower(AUGMENT), PatchHeads(AUGMENT.width, reads=True)
        self.bridge, self.bridge_heads = Bridge(), WordHead(LM_WIDTH)
        self.decoder, self.oracle = Decoder(words.pieces), Oracle()
        for p in self.oracle.parameters():
            p.requires_grad_(False)

    def see(self, batch: Batch):
        a, summary = self.anchor(batch.anchor)
        b, other = self.augment(batch.augment)
        return (a, summary), (b, other), self.bridge(a, b)

    def loss(self, batch, step):
        a, b, (visual, fusion) = self.see(batch)
        seen_a, report_a = losses.patch_loss(self.anchor_heads, *a, batch.anchor_labels, ANCHOR.side)
        seen_b, report_b = losses.patch_loss(self.augment_heads, *b, batch.augment_labels, AUGMENT.side)
        target = self.oracle(batch.anchor_labels).float()
        imitate = (visual.float() - target).pow(2).mean() / target.var()
        local = losses.fusion_loss(fusion)
        word, read = losses.word_loss(self.bridge_heads, visual, batch.anchor_labels)
        report = {"imitate": imitate.item(), "word": read, "fusion": local.item(), **{"a_" + k: v for k, v in report_a.items()},
                  **{"b_" + k: v for k, v in report_b.items()}}
        if step < self.ALIGN:
            return seen_a + seen_b + 3 * imitate + word + 0.3 * local, report
        answers, more = ask(self.decoder, visual, batch.text)
        return answers + 0.5 * (seen_a + seen_b + word) + 0.3 * imitate + 0.05 * local, {**report, **more}

    def make(self, name, first, size, words):
        return make_batch(name, first, size, words, self.views)


STAGES: dict[str, type[Stage]] = {"anchor": AnchorStage, "augment": AugmentStage, "decoder": DecoderStage,
                                  "join": JoinStage}
PARENTS = {"join": ("anchor", "augment", "decoder")}


def gather(runs: Path, stage: str) -> dict[str, torch.Tensor]:
    """The parents' weights, by name."""
    named: dict[str, torch.Tensor] = {}
    for parent in PARENTS.get(stage, ()):
        named.update(torch.load(runs / parent / "weights.pt"))
    return named
