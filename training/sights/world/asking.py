"""The plainer kinds of question: what is there, where, how many, in which colour."""

from __future__ import annotations

import random

from . import objects
from .facts import Facts, kind_of
from .objects import Kind, plural, with_article
from .phrases import CATEGORY_ARTICLES, TOWARDS
from .questions import Part, Question, Turn, turn
from .scene import CELLS, PANEL_ID

MANY_SHAPES = 4  # in a picture, from which on colours are easily taken from the wrong one


class Asker:
    """Random choices among the questions that a sight can be asked; None where it cannot be asked such a one."""

    def __init__(self, facts: Facts, rng: random.Random, pool: tuple[str, ...]):
        self.facts, self.rng, self.pool = facts, rng, pool  # pool: words that may be asked for

    def part(self, name: str, text: str = "") -> Part:
        return (text or name, self.facts.owners.get(name, ()))

    def thing(self, index: int) -> Part:
        return (self.facts.name(index), (index + 1,))

    def naming(self, name: str, owners: tuple[int, ...] = ()) -> dict[str, Part]:
        """Both "a cat" and "cats"."""
        article = CATEGORY_ARTICLES.get(name) or with_article(name)
        return {"x": (article, owners), "xs": (plural(name), owners)}

    def absent(self) -> str:
        """A name that is not in the scene: a near miss, a neighbour in kind, or any."""
        f, rng = self.facts, self.rng
        while True:
            kind = rng.choice(f.things).kind
            draw = rng.random()
            if draw < 0.4:
                other = rng.choice(objects.OBJECT_KINDS if rng.random() < 0.65 else objects.SHAPE_KINDS)
            elif kind.is_shape:
                other = rng.choice((Kind(kind.name, rng.choice(objects.COLOUR_NAMES)), Kind(rng.choice(objects.SHAPES), kind.colour)))
            else:
                other = Kind(rng.choice(objects.BY_CATEGORY[kind.category]))
            if objects.held_out_shape(other):
                continue
            name = other.name if other.is_shape and rng.random() < 0.3 else other.label
            if f.absent(name):
                return name

    def exist(self, answer: str) -> Question | None:
        f, rng = self.facts, self.rng
        draw = rng.random()
        if draw < 0.1:
            return self._exist_category(answer)
        if draw < 0.16:
            return self._exist_text(answer)
        if answer == "yes" and not f.things:
            return None
        name = rng.choice(sorted(f.owners)) if answer == "yes" else self.absent()
        owners = f.owners.get(name, ())
        about = "shapes" if kind_of(name).is_shape or name in objects.SHAPES else "objects"
        return Question("exist", [turn(rng, "exist", self.naming(name, owners), answer, owners)], about)

    def _exist_category(self, answer: str) -> Question | None:
        options = [c for c in objects.ASKABLE if (m := self.facts.members(c)) is not None and bool(m) == (answer == "yes")]
        if not options:
            return None
        category = self.rng.choice(options)
        owners = self.facts.members(category)
        return Question("exist", [turn(self.rng, "exist", self.naming(category, owners), answer, owners)])

    def _exist_text(self, answer: str) -> Question | None:
        f = self.facts
        words = [(n, p.text) for n, p in enumerate(f.panels) if p.text.isalpha()]
        if words and self.rng.random() < 0.6:
            number, word = self.rng.choice(words)
            if answer == "no":
                word = self.rng.choice(self.pool).upper()
                if any(word in p.text for p in f.panels):
                    return None
            owners = (PANEL_ID + number,) if answer == "yes" else ()
            return Question("exist", [turn(self.rng, "exist word", {"w": (word, owners)}, answer, owners)])
        if bool(f.signs) != (answer == "yes"):
            return None
        if answer == "no" and f.panels:
            return None  # is a label a sign?
        owners = tuple(PANEL_ID + n for n in f.signs)
        return Question("exist", [turn(self.rng, "exist", self.naming("sign", owners), answer, owners)])

    def what(self) -> Question | None:
        f, rng = self.facts, self.rng
        if len(f.things) == 1 and not f.panels and rng.random() < 0.5:
            return Question("what", [turn(rng, "this", {}, f.label(0), (1,))])
        made = [self._in_cell, self._in_cell, self._beside, self._beside, self._closest, self._bearer]
        rng.shuffle(made)
        return next((q for q in (make() for make in made) if q), None)

    def in_cell(self) -> tuple[str, str, tuple[int, ...]] | None:
        """A cell's name, what is there, and its owner."""
        f = self.facts
        options = []
        for cell, name in enumerate(CELLS):
            inside = [i for i in range(len(f.things)) if f.cell(i) == cell]
            touching = f.touching(cell)
            if len(inside) == 1 and touching in ([], [inside[0] + 1]):
                options.append((name, f.label(inside[0]), (inside[0] + 1,)))
            elif not inside and self.rng.random() < 0.08 and f.empty(cell):
                options.append((name, "nothing", ()))
        return self.rng.choice(options) if options else None

    def _in_cell(self) -> Question | None:
        found = self.in_cell()
        if not found:
            return None
        cell, label, owner = found
        return Question("what", [turn(self.rng, "cell", {"c": (cell, owner)}, label, owner)])

    def beside(self, shapes_only: bool = False) -> tuple[int, str, int] | None:
        """A unique thing, a direction, and the only thing there; no panel may be there too."""
        f, options = self.facts, []
        for i in f.unique:
            for towards in TOWARDS:
                there = f.in_direction(i, towards, shapes_only)
                if len(there) == 1:
                    options.append((i, towards, there[0]))
        return self.rng.choice(options) if options else None

    def _beside(self) -> Question | None:
        found = self.beside()
        if not found:
            return None
        of, towards, there = found
        parts = {"x": self.thing(of), "d": (self.rng.choice(TOWARDS[towards]), ())}
        return Question("what", [turn(self.rng, "beside", parts, self.facts.label(there), (there + 1,))])

    def _closest(self) -> Question | None:
        pairs = [(i, near) for i in self.facts.unique if (near := self.facts.closest(i)) is not None]
        if not pairs:
            return None
        i, near = self.rng.choice(pairs)
        return Question("what", [turn(self.rng, "closest", {"x": self.thing(i)}, self.facts.label(near), (near + 1,))])

    def _bearer(self) -> Question | None:
        f = self.facts
        options = [(i, n) for i, n in f.labels.items() if sum(p.text == f.panels[n].text for p in f.panels) == 1]
        if not options:
            return None
        i, n = self.rng.choice(options)
        phrase = "bearer word" if f.panels[n].text.isalpha() and self.rng.random() < 0.33 else "bearer"
        return Question("what", [turn(self.rng, phrase, {"w": (f.panels[n].text, (PANEL_ID + n,))}, f.label(i), (i + 1,))])

    def category(self) -> Question | None:
        f = self.facts
        clear = [i for i in f.unique if not f.things[i].kind.is_shape and f.things[i].kind.category not in objects.UNNAMED]
        if not clear:
            return None
        i = self.rng.choice(clear)
        return Question("category", [turn(self.rng, "category", {"x": self.thing(i)}, f.things[i].kind.category, (i + 1,))])

    def colour(self) -> Question | None:
        f = self.facts
        shapes = [i for i, t in enumerate(f.things) if t.kind.is_shape and len(f.owners[t.kind.name]) == 1]
        options = [(f.things[i].kind.name, f.things[i].kind.colour, i + 1) for i in shapes] * 2
        if len(f.signs) == 1:
            options.append(("sign", f.panels[f.signs[0]].colour, PANEL_ID + f.signs[0]))
        options += [(f"label of the {f.name(i)}", f.panels[n].colour, PANEL_ID + n) for i, n in f.labels.items() if i in f.unique]
        if not options:
            return None
        name, colour, owner = self.rng.choice(options)
        about = "signs" if owner >= PANEL_ID else "shapes" if sum(t.kind.is_shape for t in f.things) < MANY_SHAPES else "many shapes"
        return Question("colour", [turn(self.rng, "colour", {"x": (name, (owner,))}, colour, (owner,))], about)

    def count(self) -> Question | None:
        f, rng, draw = self.facts, self.rng, self.rng.random()
        if draw < 0.1:
            name, owners = self.absent(), ()
        elif draw < 0.28:
            name, owners = self._group()
        else:  # mostly names with more than one bearer, or "1" would answer nearly everything
            several = [n for n, o in f.owners.items() if len(o) > 1]
            name = rng.choice(sorted(several if several and draw < 0.86 else f.owners))
            owners = f.owners[name]
        if name is None:
            return None
        return Question("count", [turn(rng, "count", {"xs": (plural(name), owners)}, str(len(owners)), owners)])

    def _group(self) -> tuple[str | None, tuple[int, ...]]:
        """Shapes, shapes of a colour, or a category."""
        f = self.facts
        shapes = tuple(i + 1 for i, t in enumerate(f.things) if t.kind.is_shape)
        options = [("shape", shapes)] if shapes else []
        for colour in {f.things[i - 1].kind.colour for i in shapes}:
            options.append((colour + " shape", tuple(i for i in shapes if f.things[i - 1].kind.colour == colour)))
        options += [(c, m) for c in objects.ASKABLE if (m := f.members(c))]
        return self.rng.choice(sorted(options)) if options else (None, ())

    def where(self) -> Question | None:
        f = self.facts
        options = [(f.name(i), f.cell(i), i + 1) for i in f.unique if f.cell(i) is not None]
        if not options:
            return None
        name, cell, owner = self.rng.choice(options)
        return Question("where", [turn(self.rng, "where", {"x": (name, (owner,))}, CELLS[cell], (owner,))])

    def relation(self) -> Question | None:
        f, rng = self.facts, self.rng
        pairs = [(a, b) for a in f.unique for b in f.unique if a != b and f.direction(a, b)]
        if not pairs:
            return None
        a, b = rng.choice(pairs)
        towards = f.direction(a, b)
        parts = {"x": self.thing(a), "y": self.thing(b)}
        if rng.random() < 0.65:
            return Question("relation", [turn(rng, "relation", parts, towards, (a + 1,))])
        asked = towards if rng.random() < 0.5 else rng.choice([d for d in TOWARDS if d != towards])
        parts["d"] = (rng.choice(TOWARDS[asked]), ())
        return Question("relation", [turn(rng, "relation check", parts, "yes" if asked == towards else "no", (a + 1,))])

    def read(self) -> Question | None:
        f, rng = self.facts, self.rng
        if not f.panels:
            return None
        number = rng.randrange(len(f.panels))
        panel = f.panels[number]
        owner = (PANEL_ID + number,)
        if len(f.panels) == 1 and rng.random() < 0.4:
            sort = "number" if panel.text.isdigit() else "word" if panel.text.isalpha() else "any"
            phrase, parts = "read " + (sort if rng.random() < 0.5 else "any"), {}
        elif panel.owner >= 0:
            if panel.owner not in f.unique:
                return None
            phrase, parts = "read label", {"x": self.thing(panel.owner)}
        else:
            name = f.sign_name(number)
            if not name:
                return None
            phrase, parts = "read", {"p": (name, owner)}
        return Question("read", [turn(rng, phrase, parts, panel.text, owner, number)])


def two(first: Turn, second: Turn) -> Question:
    return Question("dialogue", [first, second])
