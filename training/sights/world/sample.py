"""Sampling scenes: how many things, which, where, how large; and the held-out sets, each a recipe of its own."""

from __future__ import annotations

import random
from dataclasses import dataclass

from . import SIZE, clipart, objects, words
from .backdrop import KINDS as BACKDROPS
from .objects import COLOUR_NAMES, Kind, held_out
from .panels import SIGN_SIZES, label_for, place_label, place_sign
from .scene import Finish, Scene, Thing
from .sprites import SMALLEST_SKETCH, can_sketch, extent

SMALLEST, LARGEST = 18, 124
SMALL_LETTERS = 14  # of signs where everything is small
LABEL_SHARE, SIGN_SHARE = 0.28, 0.42
SKETCH_SHARE = 0.13
COLOUR_TELLS = ("fruit", "vegetable", "food", "ball", "plant")  # a grey peach might be an apple


@dataclass(frozen=True)
class Recipe:
    """What a set of scenes is made of."""

    held_out: str = "never"  # or "always", one at least in every scene
    style: str = ""  # how all objects are drawn; "": as in training
    sizes: tuple[int, int] | None = None
    texts: str = "mixed"  # or "long"
    backdrops: tuple[str, ...] = BACKDROPS


RECIPES = {"train": Recipe(), "in_style": Recipe(), "unseen": Recipe(held_out="always"),
           "clip_art": Recipe(style="clip"), "small_far": Recipe(sizes=(SMALLEST, 27)), "long_text": Recipe(texts="long")}


class Sampler:
    """One scene of a recipe."""

    def __init__(self, rng: random.Random, recipe: Recipe):
        self.rng, self.recipe = rng, recipe
        self.scene = Scene(rng.choice(recipe.backdrops), rng.randrange(1 << 30))
        self.boxes: list[tuple[int, int, int, int]] = []
        self.panel_boxes: list[tuple[int, int, int, int]] = []
        self.crowded = rng.random() < 0.3  # things may hide a part of each other

    def run(self) -> Scene:
        rng, scene = self.rng, self.scene
        if rng.random() < (1.0 if self.recipe.texts == "long" else SIGN_SHARE):
            self._sign()
            if rng.random() < 0.2:
                self._sign()
        kinds = self._kinds(rng.choices(range(1, 13), weights=(7, 10, 13, 14, 13, 11, 9, 7, 6, 4, 3, 3))[0])
        low, high = self._sizes(len(kinds))
        if rng.random() < 0.12 and not self.recipe.sizes:
            self._ground(kinds)
        else:
            for kind in kinds:
                self._put(kind, rng.randint(low, high))
        scene.finish = self._finish()
        return scene

    def _sizes(self, count: int) -> tuple[int, int]:
        if self.recipe.sizes:
            return self.recipe.sizes
        high = LARGEST if count <= 2 else 92 if count <= 4 else 66 if count <= 7 else 52
        low = 44 if count <= 2 else 32 if count <= 4 else 26
        if self.rng.random() < 0.2:  # some scenes are far away
            low, high = SMALLEST, max(30, high // 2)
        return low, high

    def _allowed(self, kind: Kind) -> bool:
        if self.recipe.style == "clip" and not kind.is_shape and not clipart.drawable(kind.name):
            return False
        return self.recipe.held_out != "never" or not held_out(kind, self.scene.backdrop)

    def _draw(self, pool) -> Kind:
        while True:
            kind = self.rng.choice(pool)
            if self._allowed(kind):
                return kind

    def _rare(self) -> Kind | None:
        rare = [k for k in objects.KINDS if held_out(k, self.scene.backdrop)]
        return self.rng.choice(rare) if rare else None

    def _kinds(self, count: int) -> list[Kind]:
        """Often with repeats, near misses and a common category: those make questions mean something."""
        rng, kinds = self.rng, []
        if self.recipe.held_out == "always":
            kinds += [k for k in (self._rare(),) if k]
        repeats = rng.choices((1, 2, 3, 4, 5, 6, 7, 8), weights=(40, 16, 13, 10, 8, 6, 4, 3))[0]
        theme = rng.choice(objects.CATEGORIES) if rng.random() < 0.3 else ""
        shapes = 1.0 if rng.random() < 0.07 else 0.3
        while len(kinds) < count:
            if kinds and sum(k == kinds[0] for k in kinds) < repeats:
                kinds.append(kinds[0])
            elif any(k.is_shape for k in kinds) and rng.random() < 0.3:
                kinds.append(self._near_miss(rng.choice([k for k in kinds if k.is_shape])))
            elif rng.random() < shapes:
                kinds.append(self._draw(objects.SHAPE_KINDS))
            elif theme and rng.random() < 0.75:
                kinds.append(self._themed(theme))
            else:
                kinds.append(self._draw(objects.OBJECT_KINDS))
        rng.shuffle(kinds)
        return kinds

    def _themed(self, theme: str) -> Kind:
        pool = [k for k in map(Kind, objects.BY_CATEGORY[theme]) if self._allowed(k)]
        return self.rng.choice(pool) if pool else self._draw(objects.OBJECT_KINDS)

    def _near_miss(self, kind: Kind) -> Kind:
        """The same shape in another colour, or another shape in the same colour."""
        while True:
            near = (Kind(kind.name, self.rng.choice(COLOUR_NAMES)) if self.rng.random() < 0.5
                    else Kind(self.rng.choice(objects.SHAPES), kind.colour))
            if self._allowed(near):
                return near

    def _thing(self, kind: Kind, size: int) -> Thing:
        rng = self.rng
        if kind.is_shape:
            tint = tuple(rng.randint(-12, 12) for _ in range(3))
            return Thing(kind, 0, 0, max(size * 7 // 8, 16), rng.randint(-14, 14) // 2 * 2, False, "shape", tint)
        style = "emoji"
        if self.recipe.style == "clip":
            style = f"clip{rng.randrange(len(clipart.table()[kind.name]))}"
        elif rng.random() < SKETCH_SHARE and can_sketch(kind.name) and size >= SMALLEST_SKETCH:
            style = "sketch"
        elif rng.random() < 0.12:  # for a name to mean more than one bitmap
            style = rng.choice(("rimmed", "rimmed" if kind.category in COLOUR_TELLS else "grey"))
        turn = rng.randint(-4, 4) * 3 if rng.random() < 0.6 else rng.randint(-14, 14) * 3
        tint = tuple(rng.randint(110, 255) for _ in range(3)) if rng.random() < 0.7 else (252, 252, 250)
        return Thing(kind, 0, 0, size, turn, rng.random() < 0.5, style, tint)

    def _put(self, kind: Kind, size: int, middle: int | None = None) -> None:
        """A free place for it, in 14 tries; then it is left out."""
        thing = self._thing(kind, size)
        w, h = extent(thing)
        if w > SIZE - 4 or h > SIZE - 4:
            return
        for _ in range(14):
            thing.x = self.rng.randint(w // 2 + 1, SIZE - (w + 1) // 2 - 1)
            thing.y = self.rng.randint(h // 2 + 1, SIZE - (h + 1) // 2 - 1)
            if middle is not None:
                thing.y = max(h // 2 + 1, min(SIZE - (h + 1) // 2 - 1, middle - h // 2 + self.rng.randint(-6, 6)))
            box = (thing.x - w // 2, thing.y - h // 2, thing.x - w // 2 + w, thing.y - h // 2 + h)
            label = label_for(self.rng, thing, box, self._text_pool()) if self.rng.random() < LABEL_SHARE else None
            if self._free(box, self.boxes, 0.36 if self.crowded else 0.05) and self._free(box, self.panel_boxes, 0.02) and (
                    label is None or place_label(label, box, self.boxes + self.panel_boxes)):
                break
        else:
            return
        self.scene.things.append(thing)
        self.boxes.append(box)
        if label:
            label.owner = len(self.scene.things) - 1
            self.scene.panels.append(label)
            self.panel_boxes.append(label.box)

    @staticmethod
    def _free(box, others, most: float) -> bool:
        """Whether the box covers at most that share of the smaller of itself and each other."""
        area = (box[2] - box[0]) * (box[3] - box[1])
        for o in others:
            w, h = min(box[2], o[2]) - max(box[0], o[0]), min(box[3], o[3]) - max(box[1], o[1])
            if w > 0 and h > 0 and w * h > most * min(area, (o[2] - o[0]) * (o[3] - o[1])):
                return False
        return True

    def _text_pool(self) -> tuple[str, ...]:
        return words.HELD_OUT_WORDS if self.recipe.held_out == "always" else words.TRAIN_WORDS

    def _sign(self) -> None:
        largest = SMALL_LETTERS if self.recipe.sizes else SIGN_SIZES[-1]
        sign = place_sign(self.rng, self._text_pool(), self.recipe.texts == "long", self.panel_boxes, largest)
        if sign:
            self.scene.panels.append(sign)
            self.panel_boxes.append(sign.box)

    def _ground(self, kinds: list[Kind]) -> None:
        """A plane seen from above: what stands lower in the picture is nearer and larger."""
        for foot in sorted(self.rng.randint(90, SIZE - 4) for _ in kinds):
            self._put(kinds[len(self.boxes) % len(kinds)], int(SMALLEST + (foot - 90) * 0.5), foot)

    def _finish(self) -> Finish:
        rng = self.rng
        small = min([t.size for t in self.scene.things] + [p.text_size * 2 for p in self.scene.panels], default=60)
        f = Finish()
        if rng.random() < 0.25:
            f.blur = round(rng.uniform(0.3, 0.5 if small < 30 else 1.1), 2)
        if rng.random() < 0.25:
            f.noise = rng.randint(3, 10)
        if rng.random() < 0.4:
            f.quality = rng.randint(45 if small < 30 else 28, 92)
        if rng.random() < 0.4:
            f.gain, f.shift = round(rng.uniform(.88, 1.12), 2), rng.randint(-10, 10)
        f.clutter = rng.randrange(1, 1 << 30) if rng.random() < 0.2 else 0
        return f


def sample(rng: random.Random, name: str) -> Scene:
    """A scene of one of RECIPES."""
    return Sampler(rng, RECIPES[name]).run()
