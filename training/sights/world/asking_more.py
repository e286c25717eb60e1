"""The kinds that take two steps: comparing, choosing, denying, refusing, describing, asking on."""

from __future__ import annotations

from collections import Counter

from . import objects
from .asking import Asker, two
from .facts import Facts, LARGER, kind_of
from .objects import plural, with_article
from .phrases import CATEGORY_ARTICLES, TOWARDS
from .questions import Question, Turn, compose, turn
from .scene import CELLS, PANEL_ID


class KeenAsker(Asker):
    def compare(self) -> Question | None:
        return self._numbers() if self.rng.random() < 0.4 else self._sizes() or self._numbers()

    def _sizes(self) -> Question | None:
        f, rng = self.facts, self.rng
        order = sorted(range(len(f.things)), key=lambda i: -f.sides[i])
        panels = max((max(p.width, p.height) for p in f.panels), default=0)
        if len(order) > 1 and f.sides[order[0]] >= LARGER * max(f.sides[order[1]], panels) and rng.random() < 0.3:
            top = order[0]
            return Question("compare", [turn(rng, "biggest", {}, f.label(top), (top + 1,))])
        pairs = [(a, b) for a in f.unique for b in f.unique if f.sides[a] >= LARGER * f.sides[b] and f.areas[a] > f.areas[b]]
        if not pairs:
            return None
        big, small = rng.choice(pairs)
        a, b = (big, small) if rng.random() < 0.5 else (small, big)
        parts = {"x": (f.label(a), (a + 1,)), "y": (f.label(b), (b + 1,))}
        phrase = rng.choice(("bigger", "bigger", "smaller", "bigger check"))
        if phrase == "bigger check":
            return Question("compare", [turn(rng, phrase, parts, "yes" if a == big else "no", (a + 1,))])
        chosen = big if phrase == "bigger" else small
        return Question("compare", [turn(rng, phrase, parts, f.label(chosen), (chosen + 1,))])

    def _numbers(self) -> Question | None:
        f, rng = self.facts, self.rng
        names = sorted(f.owners)
        pairs = [(a, b) for a in names for b in names
                 if len(f.owners[a]) > len(f.owners[b]) and not set(f.owners[a]) & set(f.owners[b])]
        if not pairs:
            return None
        more, fewer = rng.choice(pairs)
        x, y = (more, fewer) if rng.random() < 0.5 else (fewer, more)
        parts = {"xs": (plural(x), f.owners[x]), "ys": (plural(y), f.owners[y])}
        if rng.random() < 0.5:
            return Question("compare", [turn(rng, "more", parts, "yes" if x == more else "no", f.owners[x])])
        return Question("compare", [turn(rng, "more which", parts, plural(more), f.owners[more])])

    def related(self) -> Question | None:
        """A property of what is found through another thing."""
        f, rng = self.facts, self.rng
        found = self.beside(shapes_only=True)
        if found and rng.random() < 0.7:
            of, towards, there = found
            parts = {"s": ("shape", ()), "d": (rng.choice(TOWARDS[towards]), ()), "x": self.thing(of)}
            return Question("related", [turn(rng, "colour beside", parts, f.things[there].kind.colour, (there + 1,))])
        found = self.beside()
        if not found or f.things[found[2]].kind.category in objects.UNNAMED:
            return None
        of, towards, there = found
        parts = {"d": (rng.choice(TOWARDS[towards]), ()), "x": self.thing(of)}
        return Question("related", [turn(rng, "category beside", parts, f.things[there].kind.category, (there + 1,))])

    def odd(self) -> Question | None:
        f, rng = self.facts, self.rng
        total = len(f.things)
        if total < 3:
            return None
        for i in f.unique:
            rest = {f.label(j) for j in range(total) if j != i}
            if len(rest) == 1:
                return Question("odd", [turn(rng, "odd", {}, f.label(i), (i + 1,))])
        options = []
        for category in objects.ASKABLE:
            inside = f.members(category)
            if inside is not None and len(inside) == total - 1:
                outside = next(i for i in range(total) if i + 1 not in inside)
                options.append((category, outside, inside))
        if not options:
            return None
        category, outside, inside = rng.choice(options)
        parts = {"c": (CATEGORY_ARTICLES.get(category) or with_article(category), inside)}
        return Question("odd", [turn(rng, "odd category", parts, f.label(outside), (outside + 1,))])

    def choice(self) -> Question | None:
        f, rng = self.facts, self.rng
        if rng.random() < 0.4:
            name = rng.choice(sorted(f.owners))
            other = self.absent()
            while name.split(" ")[-1] == other or other.split(" ")[-1] == name:
                other = self.absent()  # a triangle or a red triangle?
            there, other = (with_article(name), f.owners[name]), (with_article(other), ())
            x, y = (there, other) if rng.random() < 0.5 else (other, there)
            return Question("choice", [turn(rng, "or", {"x": x, "y": y}, there[0], f.owners[name])])
        found = self.in_cell()
        if found and found[1] != "nothing" and rng.random() < 0.5:
            cell, label, owner = found
            phrase, parts = "letter cell", {"c": (cell, owner)}
        else:
            label = rng.choice(sorted({f.label(i) for i in range(len(f.things))}))
            phrase, parts, owner = "letter exist", {}, f.owners[label]
        options = self._different(label)
        options.insert(rng.randrange(4), label)
        parts |= {str(i + 1): (name, owner if name == label else ()) for i, name in enumerate(options)}
        return Question("choice", [turn(rng, phrase, parts, "ABCD"[options.index(label)], owner)])

    def _different(self, label: str) -> list[str]:
        """Three names of what is not there."""
        out: list[str] = []
        while len(out) < 3:
            name = self.absent()
            if name not in out and name != label:
                out.append(name)
        return out

    def negation(self) -> Question | None:
        f, rng, draw = self.facts, self.rng, self.rng.random()
        if draw < 0.5:
            there = rng.random() < 0.5
            name = rng.choice(sorted(f.owners)) if there else self.absent()
            owners = f.owners.get(name, ())
            return Question("negation", [turn(rng, "no", {"x": (name, owners)}, "no" if there else "yes", owners)])
        shapes = [i for i, t in enumerate(f.things) if t.kind.is_shape and len(f.owners[t.kind.name]) == 1]
        if shapes and draw < 0.8:
            i = rng.choice(shapes)
            kind = f.things[i].kind
            colour = kind.colour if rng.random() < 0.5 else rng.choice(objects.COLOUR_NAMES)
            phrase = rng.choice(("not colour", "is colour"))
            yes = (colour == kind.colour) == (phrase == "is colour")
            parts = {"x": (kind.name, (i + 1,)), "c": (colour, ())}
            return Question("negation", [turn(rng, phrase, parts, "yes" if yes else "no", (i + 1,))])
        names = sorted(f.owners)
        if len(names) < 2:
            return None
        missing, shown = self.absent(), rng.sample(names, 2)
        options = shown + [missing]
        rng.shuffle(options)
        parts = {str(i + 1): (with_article(n), f.owners.get(n, ())) for i, n in enumerate(options)}
        return Question("negation", [turn(rng, "absent of", parts, with_article(missing))])

    def refuse(self) -> Question | None:
        """A question whose subject is not there; the answer says so."""
        f, rng = self.facts, self.rng
        if not f.panels and rng.random() < 0.25:
            return Question("refuse", [turn(rng, "read", {"p": ("sign", ())}, "there is no sign")])
        name = self.absent()
        nothing = "there is no " + name
        present = rng.choice(sorted(f.owners))
        phrases = ["where", "category" if not kind_of(name).is_shape else "where", "read label", "beside"]
        if name in objects.SHAPES:
            phrases += ["colour"] * 4
        phrase = rng.choice(phrases)
        parts = {"x": (name, ()), "y": (present, f.owners[present]), "d": (rng.choice(TOWARDS[rng.choice(list(TOWARDS))]), ())}
        return Question("refuse", [turn(rng, phrase, parts, nothing)])

    def caption(self) -> Question:
        """What is there by kind, the most numerous first; then signs."""
        f = self.facts
        groups = Counter(f.label(i) for i in f.reading_order())
        items = []
        for name, n in groups.most_common():
            items.append((with_article(name) if n == 1 else f"{n} {plural(name)}", f.owners[name]))
        if f.signs:
            owners = tuple(PANEL_ID + n for n in f.signs)
            items.append(("a sign" if len(f.signs) == 1 else f"{len(f.signs)} signs", owners))
        return Question("caption", [self._list("caption", items)])

    def describe(self) -> Question:
        """Everything in reading order, with what is written on it."""
        f, items = self.facts, []
        for i in f.reading_order():
            text = with_article(f.label(i))
            items.append((text + (" with a label" if i in f.labels else ""), (i + 1,)))
        for n in f.signs:
            items.append((with_article(f.panels[n].colour + " sign"), (PANEL_ID + n,)))
        return Question("describe", [self._list("describe", items)])

    def _list(self, phrase: str, items: list[tuple[str, tuple[int, ...]]]) -> Turn:
        text, refs = "", []
        for k, (item, owners) in enumerate(items):
            if k:
                last = k == len(items) - 1
                text += " and " if last else ", "
                refs += [owners] if last else []
            text += item
            refs += [owners] * len(item.split(" "))
        return Turn(compose(self.rng, phrase, {})[0], text, [], refs)

    def dialogue(self) -> Question | None:
        """A second question that says "it"."""
        f, rng = self.facts, self.rng
        options = [i for i in f.unique if f.cell(i) is not None or i in f.labels]
        if not options:
            return None
        i = rng.choice(options)
        owner, label, kind = (i + 1,), f.label(i), f.things[i].kind
        if kind.is_shape and len(f.owners[kind.name]) == 1 and rng.random() < 0.6:
            first = turn(rng, "exist", self.naming(kind.name, owner), "yes", owner)
            return two(first, turn(rng, "it colour", {}, kind.colour, owner))
        first = turn(rng, "exist", self.naming(label, owner), "yes", owner)
        if f.closest(i) is not None and rng.random() < 0.3:
            first = turn(rng, "closest", {"x": self.thing(i)}, f.label(f.closest(i)), (f.closest(i) + 1,))
            i = f.closest(i)
            if i not in f.unique or (f.cell(i) is None and i not in f.labels):
                return None
            owner = (i + 1,)
        if i in f.labels and (f.cell(i) is None or rng.random() < 0.5):
            n = f.labels[i]
            return two(first, turn(rng, "it label", {}, f.panels[n].text, (PANEL_ID + n,), n))
        return two(first, turn(rng, "it where", {}, CELLS[f.cell(i)], owner))


def ask(facts: Facts, rng, pool: tuple[str, ...], plenty: bool = False) -> list[Question]:
    """About sixteen questions of all kinds, none of them twice in other words."""
    a = KeenAsker(facts, rng, pool)
    made = [a.exist("yes"), a.exist("no"), a.exist(rng.choice(("yes", "no"))), a.what(), a.what(), a.category(), a.colour(),
            a.count(), a.count(), a.where(), a.relation(), a.compare(), a.read(), a.read(), a.related(), a.odd(), a.choice(),
            a.negation(), a.refuse(), a.caption() if rng.random() < 0.5 else a.describe(), a.dialogue()]
    unique: dict[tuple, Question] = {}
    for q in made:
        if q is not None:
            about = tuple(owners for t in q.turns for _, owners in t.refs) or q.prompt
            unique.setdefault((q.kind, about, q.answer), q)
    return list(unique.values())
