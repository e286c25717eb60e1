"""What only training needs: the per-patch classifiers and the oracle's visual tokens. Not exported."""

from __future__ import annotations

import torch
from torch import nn

from world import objects
from .shape import Design, grid, sincos

# Per-patch object classes: background, objects, shapes, signs, labels.
OBJECT_CLASS = {name: 1 + i for i, name in enumerate(objects.NAMES + objects.SHAPES)}
SIGN_CLASS, LABEL_CLASS = len(OBJECT_CLASS) + 1, len(OBJECT_CLASS) + 2
CLASSES = LABEL_CLASS + 1
COLOUR_CLASS = {name: i for i, name in enumerate(objects.COLOUR_NAMES)}
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
LETTERS = 1 + 2 * len(CHARACTERS)  # 0: none; each character twice: within a word, and as its first
PLACES = 26  # of a letter in its panel's text, blanks not counted
PRESENCE = len(OBJECT_CLASS) + 2


def letter_class(character: str, starts: bool) -> int:
    return 1 + 2 * CHARACTERS.index(character) + starts


class PatchHeads(nn.Module):
    """Linear readouts of a tower's patch features; of the anchor also what its class token says is there."""

    def __init__(self, width: int, presence: bool):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.object = nn.Linear(width, CLASSES)
        self.colour = nn.Linear(width, len(COLOUR_CLASS))
        self.centre, self.middle = nn.Linear(width, 2), nn.Linear(width, 2)
        self.letters, self.place = LetterHeads(width), nn.Linear(width, PLACES)
        self.presence = nn.Linear(width, PRESENCE) if presence else None


class LetterHeads(nn.Module):
    """The first and the second letter of a patch, left to right."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = nn.Linear(width, LETTERS), nn.Linear(width, LETTERS)


class VisualHeads(nn.Module):
    """Letters off the visual tokens: they are a small part of the oracle tokens' variance, and imitation alone left
    words in the augmenting tower."""

    def __init__(self, width: int):
        super().__init__()
        self.norm, self.letters, self.place = nn.LayerNorm(width), LetterHeads(width), nn.Linear(width, PLACES)
        self.object = nn.Linear(width, CLASSES)


class Oracle(nn.Module):
    """Visual tokens from ground truth: what a perfect tower could say about each patch of the visual grid."""

    def __init__(self, design: Design):
        super().__init__()
        w = design.width
        self.object, self.colour = nn.Embedding(CLASSES, w), nn.Embedding(len(COLOUR_CLASS) + 1, w)
        self.first, self.second = nn.Embedding(LETTERS, w), nn.Embedding(LETTERS, w)
        self.place = nn.Embedding(PLACES + 1, w)
        self.middle = nn.Embedding(2, w)  # one patch of each thing says "here I am": what counting needs
        self.here, self.centre = nn.Linear(64, w, bias=False), nn.Linear(64, w, bias=False)
        self.register_buffer("code", sincos(grid(design.side), 64, 16.0), persistent=False)
        for table in (self.object, self.colour, self.first, self.second, self.place, self.middle):
            nn.init.normal_(table.weight, std=0.06)
        for linear in (self.here, self.centre):
            nn.init.normal_(linear.weight, std=0.012)

    def forward(self, labels: dict[str, torch.Tensor]) -> torch.Tensor:
        """labels: object, colour, first, second, place, middle [B, n]; centre [B, n, 2] in 0..1 -> [B, n, D]."""
        colour = labels["colour"].masked_fill(labels["colour"] < 0, len(COLOUR_CLASS))
        place = labels["place"].masked_fill(labels["place"] < 0, PLACES)
        dtype = self.here.weight.dtype
        centre = self.centre(sincos(labels["centre"], 64, 16.0).to(dtype))
        seen = (labels["object"] > 0)[..., None]
        return (self.object(labels["object"]) + self.colour(colour) + self.first(labels["first"])
                + self.second(labels["second"]) + self.place(place) + self.middle(labels["middle"])
                + self.here(self.code.to(dtype)) + centre * seen)
