"""Questions about a sight, with their answers and with what each word refers to.

The references (`refs`, `answer_refs`, `spells`) are ground truth for the training's attention loss; they never reach
the model.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from .phrases import PHRASES

KIND_ORDER = ("exist", "what", "category", "colour", "count", "where", "relation", "compare", "read", "related", "odd",
              "choice", "negation", "refuse", "caption", "describe", "dialogue", "pair")


@dataclass
class Turn:
    """One question and its answer. Owner ids are those of the owner map."""

    prompt: str
    answer: str
    refs: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)  # (last word of a name, owners)
    answer_refs: list[tuple[int, ...]] = field(default_factory=list)  # owners, one entry for each answer word
    spells: int = -1  # the panel whose letters the answer's capitals are


@dataclass
class Question:
    kind: str
    turns: list[Turn]
    about: str = ""  # a part of its kind: "objects" of "exist"

    @property
    def prompt(self) -> str:
        return self.turns[-1].prompt

    @property
    def answer(self) -> str:
        return self.turns[-1].answer


Part = tuple[str, tuple[int, ...]]  # a name, and what it names


def compose(rng: random.Random, phrase: str, parts: dict[str, Part], phrases=PHRASES) -> tuple[str, list]:
    """Fills a phrase; the text and, for every part that refers to owners, the index of its last word."""
    words, refs = [], []
    fitting = [p for p in phrases[phrase] if all("{" + n + "}" in "".join(parts_of(parts)) for n in holes(p))]
    for word in rng.choice(fitting).split(" "):
        if not word.startswith("{"):
            words.append(word)
            continue
        name, rest = word[1:].split("}")
        text, owners = parts[name]
        words.extend((text + rest).split(" "))
        if owners:
            refs.append((len(words) - 1, owners))
    return " ".join(words), refs


def holes(phrase: str) -> list[str]:
    return [piece.split("}")[0] for piece in phrase.split("{")[1:]]


def parts_of(parts: dict[str, Part]) -> list[str]:
    return ["{" + name + "}" for name in parts]


def turn(rng, phrase: str, parts: dict[str, Part], answer: str, owners: tuple[int, ...] = (), spells: int = -1,
         phrases=PHRASES) -> Turn:
    prompt, refs = compose(rng, phrase, parts, phrases)
    return Turn(prompt, answer, refs, [owners] * len(answer.split(" ")), spells)
