"""Questions about a scene, with their answers and with what each word refers to.

The references (`refs`, `answer_refs`) are ground truth for the training's attention loss; they never reach the model.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from . import world
from .render import SIGN_ID
from .scene import Scene, Sign, Thing
from .world import Kind, plural, with_article

KIND_ORDER = ("exist", "what", "colour", "count", "where", "relation", "say", "describe")
DOMINANCE = 1.6  # how dominant one axis must be before a direction is asked about
MIN_OFFSET = 26

_PHRASES = {
    "exist": ("Is there {x}?", "Is there {x} in the picture?", "Can you see {x}?"),
    "cell": ("What is in the {x}?", "What can you see in the {x}?", "Which thing is in the {x}?"),
    "neighbour": ("What is {d} the {x}?", "What can you see {d} the {x}?"),
    "colour": ("What colour is the {x}?", "Which colour is the {x}?", "What is the colour of the {x}?"),
    "count": ("How many {x} are there?", "How many {x} can you see?", "Count the {x}."),
    "where": ("Where is the {x}?", "Where can you see the {x}?", "In which part of the picture is the {x}?"),
    "relation": ("Where is the {x} relative to the {y}?", "Relative to the {y}, where is the {x}?",
                 "Seen from the {y}, where is the {x}?"),
    "say": ("What does the sign say?", "What is written in the picture?", "Which word can you read?"),
    "describe": ("Describe the picture.", "What do you see?", "List everything in the picture."),
}
_TOWARDS = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}


@dataclass
class Question:
    """One question. Owner ids are those of the owner map: i + 1 for thing i, SIGN_ID for the sign."""

    kind: str
    prompt: str
    answer: str
    refs: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)  # (last word of a name, owners)
    answer_refs: list[tuple[int, ...]] = field(default_factory=list)  # owners, one entry for each answer word


def _compose(rng: random.Random, phrase: str, parts: dict[str, tuple[str, tuple[int, ...]]]):
    """Fills a phrase; returns the text and, for every part that refers to owners, the index of its last word."""
    words, refs = [], []
    for word in rng.choice(_PHRASES[phrase]).split(" "):
        name = word.strip("{}?.,")
        if word.startswith("{"):
            text, owners = parts[name]
            words.extend((text + word[len(name) + 2:]).split(" "))
            if owners:
                refs.append((len(words) - 1, owners))
        else:
            words.append(word)
    return " ".join(words), refs


def _ask(rng, kind: str, phrase: str, parts, answer: str, owners: tuple[int, ...] = ()) -> Question:
    prompt, refs = _compose(rng, phrase, parts)
    return Question(kind, prompt, answer, refs, [owners] * len(answer.split(" ")))


class Asker:
    """All the questions that one scene can be asked, with random choices among them."""

    def __init__(self, scene: Scene, rng: random.Random):
        self.scene, self.rng = scene, rng
        self.owners: dict[str, tuple[int, ...]] = {}  # label, or bare shape name -> owner ids
        for i, thing in enumerate(scene.things):
            for name in {thing.kind.label, thing.kind.name}:
                self.owners[name] = self.owners.get(name, ()) + (i + 1,)
        self.unique = [thing for thing in scene.things if len(self.owners[thing.kind.label]) == 1]

    def _part(self, name: str, text: str = "") -> tuple[str, tuple[int, ...]]:
        return (text or name, self.owners.get(name, ()))

    def exist(self, answer: str) -> Question:
        if self.rng.random() < 0.06:
            return self._exist_text()
        if answer == "yes":
            name = self.rng.choice(sorted(self.owners))
        else:
            name = self._absent()
        return _ask(self.rng, "exist", "exist", {"x": self._part(name, with_article(name))}, answer,
                    self.owners.get(name, ()))

    def _exist_text(self) -> Question:
        owners = (SIGN_ID,) if self.scene.sign else ()
        return _ask(self.rng, "exist", "exist", {"x": ("a sign", owners)}, "yes" if owners else "no", owners)

    def _absent(self) -> str:
        """A name that is not in the scene: half of them plausible (a near miss of something that is)."""
        while True:
            thing: Thing = self.rng.choice(self.scene.things)
            if self.rng.random() < 0.5:
                kind = self.rng.choice(world.SHAPE_KINDS if self.rng.random() < 0.45 else world.EMOJI_KINDS)
                name = kind.label if self.rng.random() < 0.85 else kind.name
            elif thing.kind.is_shape:
                other = self.rng.choice((Kind(thing.kind.name, self.rng.choice(world.COLOUR_NAMES)),
                                         Kind(self.rng.choice(world.SHAPES), thing.kind.colour)))
                name = other.label
            else:
                name = self.rng.choice(_category(thing.kind.name))
            if name not in self.owners:
                return name

    def what_in_cell(self, empty: bool) -> Question | None:
        taken = {thing.cell: i for i, thing in enumerate(self.scene.things)}
        if empty:
            cells = [c for c in range(9) if c not in taken and not (self.scene.sign and c in self.scene.sign.cells)]
            if not cells:
                return None
            return _ask(self.rng, "what", "cell", {"x": (world.CELLS[self.rng.choice(cells)], ())}, "nothing")
        cell = self.rng.choice(sorted(taken))
        owner = (taken[cell] + 1,)
        label = self.scene.things[taken[cell]].kind.label
        return _ask(self.rng, "what", "cell", {"x": (world.CELLS[cell], owner)}, label, owner)

    def what_next(self) -> Question | None:
        """The only thing in one direction from a named thing."""
        options = []
        for thing in self.unique:
            for direction in world.DIRECTIONS:
                if self.scene.sign and _direction(self.scene.sign, thing) == direction:
                    continue  # the sign would be as good an answer
                found = [i for i, other in enumerate(self.scene.things)
                         if other is not thing and _direction(other, thing) == direction]
                if len(found) == 1:
                    options.append((thing, direction, found[0]))
        if not options:
            return None
        thing, direction, index = self.rng.choice(options)
        parts = {"x": self._part(thing.kind.label), "d": (_TOWARDS[direction], ())}
        return _ask(self.rng, "what", "neighbour", parts, self.scene.things[index].kind.label, (index + 1,))

    def colours(self, most: int) -> list[Question]:
        shapes = [t.kind for t in self.scene.things if t.kind.is_shape and len(self.owners[t.kind.name]) == 1]
        self.rng.shuffle(shapes)
        return [_ask(self.rng, "colour", "colour", {"x": self._part(kind.name)}, kind.colour, self.owners[kind.name])
                for kind in shapes[:most]]

    def count(self) -> Question:
        draw = self.rng.random()
        if draw < 0.10:
            name = self._absent()
        elif draw < 0.75:  # mostly names with more than one bearer, or "1" would answer nearly everything
            several = [name for name, owners in self.owners.items() if len(owners) > 1]
            name = self.rng.choice(sorted(several or self.owners))
        else:
            name = self.rng.choice(sorted(self.owners))
        owners = self.owners.get(name, ())
        words = name.split(" ")
        text = " ".join(words[:-1] + [plural(words[-1])])
        return _ask(self.rng, "count", "count", {"x": (text, owners)}, str(len(owners)), owners)

    def where(self, most: int) -> list[Question]:
        chosen = self.rng.sample(self.unique, min(most, len(self.unique)))
        return [_ask(self.rng, "where", "where", {"x": self._part(t.kind.label)}, world.CELLS[t.cell],
                     self.owners[t.kind.label]) for t in chosen]

    def relation(self) -> Question | None:
        pairs = [(a, b) for a in self.unique for b in self.unique if a is not b and _direction(a, b)]
        if not pairs:
            return None
        a, b = self.rng.choice(pairs)
        parts = {"x": self._part(a.kind.label), "y": self._part(b.kind.label)}
        return _ask(self.rng, "relation", "relation", parts, _direction(a, b), self.owners[a.kind.label])

    def say(self) -> Question:
        sign = self.scene.sign
        return _ask(self.rng, "say", "say", {}, sign.word if sign else "nothing", (SIGN_ID,) if sign else ())

    def describe(self) -> Question:
        items = [(with_article(t.kind.label), i + 1) for i, t in enumerate(self.scene.things)]
        if self.scene.sign:
            items.append(("the word " + self.scene.sign.word, SIGN_ID))
        text, refs = "", []
        for k, (item, owner) in enumerate(items):
            if k:
                last = k == len(items) - 1
                text += " and " if last else ", "
                refs += [(owner,)] if last else []
            text += item
            refs += [(owner,)] * len(item.split(" "))
        prompt, _ = _compose(self.rng, "describe", {})
        return Question("describe", prompt, text, [], refs)


def _category(name: str) -> tuple[str, ...]:
    for group in (world.ANIMALS, world.FOOD, world.VEHICLES):
        if name in group:
            return group
    return world.EMOJI_NAMES[49:]


def _direction(a: Thing | Sign, b: Thing) -> str:
    """Where a is relative to b, or "" when neither axis dominates clearly."""
    dx, dy = a.x - b.x, a.y - b.y
    if abs(dx) >= MIN_OFFSET and abs(dx) > DOMINANCE * abs(dy):
        return "left" if dx < 0 else "right"
    if abs(dy) >= MIN_OFFSET and abs(dy) > DOMINANCE * abs(dx):
        return "above" if dy < 0 else "below"
    return ""


def ask(scene: Scene, rng: random.Random) -> list[Question]:
    """About twelve questions, none of them twice in other words."""
    asker = Asker(scene, rng)
    made: list[Question | None] = [asker.exist("yes"), asker.exist("no"), asker.exist(rng.choice(("yes", "no")))]
    made += [asker.what_in_cell(empty=rng.random() < 0.12), asker.what_in_cell(empty=False), asker.what_next()]
    made += asker.colours(2) + [asker.count(), asker.count()] + asker.where(2)
    made += [asker.relation(), asker.relation()]
    if scene.sign or rng.random() < 0.5:
        made.append(asker.say())
    made.append(asker.describe())
    unique: dict[tuple, Question] = {}
    for question in made:
        if question is not None:
            about = tuple(owners for _, owners in question.refs) or question.prompt
            unique.setdefault((question.kind, about, question.answer), question)
    return list(unique.values())
