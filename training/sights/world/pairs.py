"""Questions about two pictures."""

from __future__ import annotations

from .facts import Facts
from .objects import plural, with_article
from .phrases import PAIR_PHRASES
from .questions import Question, turn

SECOND = 100000  # added to the owner ids of the second picture


class PairAsker:
    def __init__(self, first: Facts, second: Facts, rng):
        self.facts, self.rng = (first, second), rng
        self.shared = sorted(set(first.owners) & set(second.owners))

    def owners(self, name: str) -> tuple[int, ...]:
        first, second = (f.owners.get(name, ()) for f in self.facts)
        return first + tuple(o + SECOND for o in second)

    def _turn(self, phrase: str, name: str, answer: str) -> Question:
        owners = self.owners(name)
        parts = {"x": (with_article(name), owners), "xs": (plural(name), owners)} if name else {}
        return Question("pair", [turn(self.rng, phrase, parts, answer, owners, phrases=PAIR_PHRASES)])

    def _somewhere(self) -> str | None:
        """A name that is in one picture and surely not in the other."""
        names = [n for a, b in (self.facts, self.facts[::-1]) for n in sorted(a.owners) if b.absent(n)]
        return self.rng.choice(names) if names else None

    def which(self) -> Question | None:
        name = self._somewhere()
        return name and self._turn("which has", name, "the first" if name in self.facts[0].owners else "the second")

    def one(self) -> Question | None:
        side = self.rng.randrange(2)
        name = self._somewhere()
        return name and self._turn(("first", "second")[side], name, "yes" if name in self.facts[side].owners else "no")

    def both(self) -> Question | None:
        if self.shared and self.rng.random() < 0.6:
            return self._turn("both", self.rng.choice(self.shared), "yes")
        name = self._somewhere()
        return name and self._turn("both", name, "no")

    def count(self) -> Question:
        side = self.rng.randrange(2)
        name = self.rng.choice(sorted(self.facts[side].owners))
        return self._turn(("count first", "count second")[side], name, str(len(self.facts[side].owners[name])))

    def more(self) -> Question | None:
        counts = {n: tuple(len(f.owners.get(n, ())) for f in self.facts) for n in {**self.facts[0].owners, **self.facts[1].owners}}
        names = sorted(n for n, (a, b) in counts.items() if a != b and min(a, b) > 0)
        if not names:
            return None
        name = self.rng.choice(names)
        return self._turn("more", name, "the first" if counts[name][0] > counts[name][1] else "the second")

    def common(self) -> Question | None:
        labels = [{t.kind.label for t in f.things} for f in self.facts]
        shared = labels[0] & labels[1]
        if len(shared) > 1:
            return None
        if not shared and all(f.panels for f in self.facts):
            return None  # both have a sign or a label
        if not shared:
            return self._turn("shared", "", "nothing") if self.rng.random() < 0.15 else None
        return self._turn("shared", "", next(iter(shared)))


def ask_pair(first: Facts, second: Facts, rng) -> list[Question]:
    """About five questions."""
    a = PairAsker(first, second, rng)
    made = [a.which(), a.one(), a.one(), a.both(), a.count(), a.more(), a.common()]
    unique: dict[tuple, Question] = {}
    for q in made:
        if q is not None:
            unique.setdefault((q.prompt, q.answer), q)
    return list(unique.values())
