"""What only training needs: the per-patch classifiers and the oracle's visual tokens. Not exported."""

from __future__ import annotations

import torch
from torch import nn

from scenes import world
from .shape import LM_WIDTH, VISUAL, ANCHOR, grid, sincos

# Per-patch object classes: background, emoji, shape names, the sign.
EMOJI_CLASS = {name: 1 + i for i, name in enumerate(world.EMOJI_NAMES)}
SHAPE_CLASS = {name: 1 + len(world.EMOJI_NAMES) + i for i, name in enumerate(world.SHAPES)}
SIGN_CLASS = 1 + len(world.EMOJI_NAMES) + len(world.SHAPES)
OBJECTS = SIGN_CLASS + 1
COLOUR_CLASS = {name: i for i, name in enumerate(world.COLOUR_NAMES)}
WORD_CLASS = {word: i for i, word in enumerate(world.WORDS)}
KIND_CLASS = {kind: i for i, kind in enumerate(world.KINDS)}
PRESENCE = len(world.KINDS) + 1  # the last: a sign
LETTERS = 27  # 0: none
LETTER_PLACES = 8


class PatchHeads(nn.Module):
    """Linear readouts of a tower's patch features."""

    def __init__(self, width: int, reads: bool):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.object = nn.Linear(width, OBJECTS)
        self.colour = nn.Linear(width, len(COLOUR_CLASS))
        self.centre = nn.Linear(width, 2)
        self.reads = reads
        if reads:
            self.letter, self.place = nn.Linear(width, LETTERS), nn.Linear(width, LETTER_PLACES)
            self.word = nn.Linear(width, len(WORD_CLASS))
        else:
            self.presence, self.middle = nn.Linear(width, PRESENCE), nn.Linear(width, 2)


class WordHead(nn.Module):
    """Reads the sign's word off the visual tokens.

    Words are a small part of the oracle tokens' variance: imitation alone left them in the augmenting tower.
    """

    def __init__(self, width: int):
        super().__init__()
        self.norm, self.word = nn.LayerNorm(width), nn.Linear(width, len(WORD_CLASS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.word(self.norm(x))


class Oracle(nn.Module):
    """Visual tokens from ground truth: what a perfect tower could say about each of the anchor's patches."""

    def __init__(self) -> None:
        super().__init__()
        self.object = nn.Embedding(OBJECTS, LM_WIDTH)
        self.colour = nn.Embedding(len(COLOUR_CLASS) + 1, LM_WIDTH)  # the last: no colour
        self.word = nn.Embedding(len(WORD_CLASS) + 1, LM_WIDTH)  # the last: no word
        self.middle = nn.Embedding(2, LM_WIDTH)  # one patch of each thing says "here I am": what counting needs
        self.here = nn.Linear(64, LM_WIDTH, bias=False)
        self.centre = nn.Linear(64, LM_WIDTH, bias=False)
        self.register_buffer("code", sincos(grid(ANCHOR.side), 64, 16.0), persistent=False)
        for table in (self.object, self.colour, self.word, self.middle):
            nn.init.normal_(table.weight, std=0.06)
        for linear in (self.here, self.centre):
            nn.init.normal_(linear.weight, std=0.012)

    def forward(self, labels: dict[str, torch.Tensor]) -> torch.Tensor:
        """labels: object, colour, word, middle [B, n]; centre [B, n, 2] in 0..1 -> [B, n, D]."""
        b = labels["object"].shape[0]
        colour = labels["colour"].masked_fill(labels["colour"] < 0, len(COLOUR_CLASS))
        word = labels["word"].masked_fill(labels["word"] < 0, len(WORD_CLASS))
        dtype = self.here.weight.dtype
        centre = self.centre(sincos(labels["centre"], 64, 16.0).to(dtype))
        seen = (labels["object"] > 0)[..., None]
        return (self.object(labels["object"]) + self.colour(colour) + self.word(word) + self.middle(labels["middle"])
                + self.here(self.code.to(dtype)).expand(b, VISUAL, -1) + centre * seen)
