"""What exists: named objects with categories, coloured shapes, and the combinations kept from training."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

SHAPES = ("circle", "square", "triangle", "star", "diamond", "cross", "ring", "heart")
COLOURS = {
    "red": (214, 30, 36), "orange": (248, 132, 16), "yellow": (252, 220, 36), "green": (34, 146, 58),
    "turquoise": (52, 202, 196), "blue": (34, 78, 208), "purple": (124, 44, 168), "pink": (250, 140, 190),
    "brown": (120, 72, 34), "black": (26, 26, 28), "grey": (134, 134, 138), "white": (250, 250, 250),
}
COLOUR_NAMES = tuple(COLOURS)
# What a category is a part of: a bird is an animal, whatever else it is called.
WIDER = {"bird": "animal", "sea creature": "animal", "insect": "animal", "fruit": "food", "vegetable": "food"}
# A person may well call these animals or clothes: never asked about as if they were not.
ARGUABLE = {"spider": "animal insect", "snail": "animal", "scorpion": "animal insect", "worm": "animal insect",
            "mermaid": "animal sea_creature person", "statue": "person building", "snowman": "person", "robot": "person machine",
            "ghost": "person", "alien": "person", "doll": "person", "ferris wheel": "building vehicle machine",
            "parachute": "vehicle", "tent": "building", "flying saucer": "vehicle", "nest": "food animal",
            "crystal ball": "ball", "watch": "machine clothes", "clock": "machine", "roller skate": "vehicle clothes",
            "ice skate": "vehicle clothes", "backpack": "clothes", "boxing glove": "clothes", "cup": "food drink",
            "pan": "food tool", "teapot": "food", "wine glass": "drink", "bottle": "drink", "seashell": "animal",
            "coconut": "ball", "sun": "ball", "globe": "ball", "planet": "ball", "tennis racket": "ball",
            "abacus": "machine", "island": "plant", "candle": "tool", "bell": "instrument", "skull": "person animal",
            "bone": "food", "gear": "machine", "dragon": "person", "leaf": "plant", "mushroom": "plant"}
ASKABLE = ("animal", "bird", "insect", "fruit", "vegetable", "food", "plant", "vehicle", "building", "instrument",
           "ball", "person")  # categories clear enough to be counted and denied
UNNAMED = ("thing", "drink")  # too vague to be an answer
HELD_OUT_PERCENT = 10

_PLURALS = {"mouse": "mice", "fish": "fish", "sheep": "sheep", "deer": "deer", "bison": "bison", "shrimp": "shrimp",
            "squid": "squid", "tooth": "teeth", "foot": "feet", "leaf": "leaves", "knife": "knives", "dice": "dice",
            "snowman": "snowmen", "jellyfish": "jellyfish", "scarf": "scarves",
            "person": "people", "clothes": "clothes", "furniture": "furniture"}
_ES = ("potato", "mango", "volcano", "tornado")


@dataclass(frozen=True)
class Kind:
    """A sort of object: a named one (`colour` is empty) or a coloured shape."""

    name: str
    colour: str = ""

    @property
    def label(self) -> str:
        """The name used in questions and answers: "cat", "red circle"."""
        return f"{self.colour} {self.name}" if self.colour else self.name

    @property
    def is_shape(self) -> bool:
        return bool(self.colour)

    @property
    def category(self) -> str:
        return "shape" if self.colour else CATEGORY[self.name]


def _table() -> dict[str, tuple[str, str]]:
    """Name -> (category, character)."""
    rows: dict[str, tuple[str, str]] = {}
    for line in (Path(__file__).parent / "objects.txt").read_text(encoding="utf-8").splitlines():
        category, items = line.split(": ", 1)
        for item in items.split(", "):
            name, character = item.rsplit(" ", 1)
            rows[name] = (category, character)
    return rows


OBJECTS = _table()
NAMES = tuple(OBJECTS)
CATEGORY = {name: category for name, (category, _) in OBJECTS.items()}
CHARACTER = {name: character for name, (_, character) in OBJECTS.items()}
CATEGORIES = tuple(dict.fromkeys(CATEGORY.values()))
BY_CATEGORY = {c: tuple(n for n in NAMES if CATEGORY[n] == c) for c in CATEGORIES}
OBJECT_KINDS = tuple(Kind(name) for name in NAMES)
SHAPE_KINDS = tuple(Kind(shape, colour) for shape in SHAPES for colour in COLOUR_NAMES)
KINDS = OBJECT_KINDS + SHAPE_KINDS


def belongs(kind: Kind, category: str) -> bool | None:
    """Whether a thing is one of a category; None where people may disagree."""
    if category in ARGUABLE.get(kind.name, "").replace("_", " "):
        return None
    return category in (kind.category, WIDER.get(kind.category))


def plural(name: str) -> str:
    """The plural of a name, or of a label: only its last word changes."""
    head, _, last = name.rpartition(" ")
    if last in _PLURALS:
        last = _PLURALS[last]
    elif last in _ES or last.endswith(("s", "x", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{head} {last}".strip()


def with_article(label: str) -> str:
    """"cat" -> "a cat", "orange circle" -> "an orange circle"; "a unicorn" by its sound."""
    vowel = label[0] in "aeiou" and not label.startswith("uni")
    return ("an " if vowel or label.startswith("hourglass") else "a ") + label


def _bucket(text: str) -> int:
    """0..99. CRC-32 rather than hash(): the same on every machine and Python version."""
    return zlib.crc32(text.encode()) % 100


def held_out_shape(kind: Kind) -> bool:
    """Whether training shows this colour of a shape nowhere."""
    return kind.is_shape and _bucket(f"shape|{kind.label}") < HELD_OUT_PERCENT


@lru_cache(maxsize=None)
def held_out(kind: Kind, backdrop: str) -> bool:
    """Whether training never shows this: some colours of shapes at all, some objects on some backdrops."""
    return held_out_shape(kind) or _bucket(f"{kind.label}|{backdrop}") < HELD_OUT_PERCENT


@lru_cache(maxsize=None)
def held_out_word(word: str) -> bool:
    return _bucket(f"word|{word}") < HELD_OUT_PERCENT
