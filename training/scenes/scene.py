"""Sampling a scene: which things, where, how large, on what background. No pixels here."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from . import world
from .world import Kind

CELL = world.SIZE // 3
EMOJI_SIZES = (36, 40, 44, 48, 52, 56)
SIGN_SHARE = 0.62
TOUCH = 6  # neighbours may come this close before their boxes overlap by more than a few pixels


@dataclass
class Thing:
    """One emoji or shape; `x`, `y` is its centre and `size` the side of its box, in pixels."""

    kind: Kind
    x: int
    y: int
    size: int
    tint: tuple[int, int, int] = (0, 0, 0)  # what is added to a shape's colour
    turn: int = 0  # degrees, shapes only

    @property
    def cell(self) -> int:
        """0..8, row by row."""
        return min(self.y // CELL, 2) * 3 + min(self.x // CELL, 2)

    @property
    def box(self) -> tuple[int, int, int, int]:
        half = self.size // 2
        return (self.x - half, self.y - half, self.x - half + self.size, self.y - half + self.size)


@dataclass
class Sign:
    """A panel two cells wide with a word on it."""

    word: str
    font: str
    x: int
    y: int
    width: int
    height: int
    text_size: int
    panel: tuple[int, int, int]
    ink: tuple[int, int, int]
    cells: tuple[int, int]

    @property
    def box(self) -> tuple[int, int, int, int]:
        left, top = self.x - self.width // 2, self.y - self.height // 2
        return (left, top, left + self.width, top + self.height)


@dataclass
class Scene:
    """Everything the picture shows, which is also the ground truth of its questions."""

    background: str
    background_seed: int
    things: list[Thing] = field(default_factory=list)  # in reading order
    sign: Sign | None = None

    @property
    def font(self) -> str:
        return self.sign.font if self.sign else ""


def sample_scene(rng: random.Random, split: str) -> Scene:
    """A scene of the "train" split (no held-out combination) or the "test" split (at least one, where it can)."""
    background = rng.choice(world.BACKGROUNDS)
    scene = Scene(background, rng.randrange(1 << 30))
    free = list(range(9))
    if rng.random() < SIGN_SHARE:
        scene.sign = _sample_sign(rng)
        free = [cell for cell in free if cell not in scene.sign.cells]
    count = rng.choices((1, 2, 3, 4, 5, 6), weights=(6, 14, 22, 24, 20, 14))[0]
    kinds = _sample_kinds(rng, count, background, scene.font, split)
    cells = sorted(rng.sample(free, count))
    rng.shuffle(kinds)
    scene.things = [_place(rng, kind, cell) for kind, cell in zip(kinds, cells)]
    return scene


def _sample_sign(rng: random.Random) -> Sign:
    row, first = rng.randrange(3), rng.randrange(2)
    cells = (row * 3 + first, row * 3 + first + 1)
    width, height = rng.randrange(104, 123), rng.randrange(36, 49)
    x = first * CELL + CELL + rng.randint(-2, 2)
    y = row * CELL + CELL // 2 + rng.randint(-6, 6)
    light = rng.random() < 0.6
    pale = tuple(rng.randrange(205, 256) for _ in range(3))
    deep = tuple(rng.randrange(0, 70) for _ in range(3))
    panel, ink = (pale, deep) if light else (deep, pale)
    return Sign(rng.choice(world.WORDS), rng.choice(world.FONT_NAMES), x, y, width, height,
                rng.randrange(24, 33), panel, ink, cells)


def _sample_kinds(rng: random.Random, count: int, background: str, font: str, split: str) -> list[Kind]:
    """`count` kinds, often with repeats and near misses: those make counting and colour questions mean something."""
    def allowed(kind: Kind) -> bool:
        return split == "test" or not world.held_out(kind, background, font)

    def draw(pool: tuple[Kind, ...]) -> Kind:
        while True:
            kind = rng.choice(pool)
            if allowed(kind):
                return kind

    kinds: list[Kind] = []
    if split == "test":
        rare = [kind for kind in world.KINDS if world.held_out(kind, background, font)]
        if rare:
            emoji = [kind for kind in rare if not kind.is_shape]
            kinds.append(rng.choice(emoji if emoji and rng.random() < 0.55 else rare))
    repeats = rng.choices((1, 2, 3, 4), weights=(40, 25, 20, 15))[0]
    while len(kinds) < count:
        if kinds and sum(kind == kinds[0] for kind in kinds) < repeats:
            kinds.append(kinds[0])
            continue
        shapes = [kind for kind in kinds if kind.is_shape]
        if shapes and rng.random() < 0.3:
            kinds.append(_near_miss(rng, rng.choice(shapes), allowed))
        else:
            kinds.append(draw(world.SHAPE_KINDS if rng.random() < 0.45 else world.EMOJI_KINDS))
    return kinds


def _near_miss(rng: random.Random, kind: Kind, allowed) -> Kind:
    """The same shape in another colour, or another shape in the same colour."""
    while True:
        if rng.random() < 0.5:
            near = Kind(kind.name, rng.choice(world.COLOUR_NAMES))
        else:
            near = Kind(rng.choice(world.SHAPES), kind.colour)
        if allowed(near):
            return near


def _place(rng: random.Random, kind: Kind, cell: int) -> Thing:
    size = rng.choice(EMOJI_SIZES) if not kind.is_shape else rng.randrange(34, 55)
    slack = min(13, (CELL + TOUCH - size) // 2)
    x = _inside(cell % 3 * CELL + CELL // 2 + rng.randint(-slack, slack), size)
    y = _inside(cell // 3 * CELL + CELL // 2 + rng.randint(-slack, slack), size)
    if not kind.is_shape:
        return Thing(kind, x, y, size)
    tint = tuple(rng.randint(-14, 14) for _ in range(3))
    return Thing(kind, x, y, size, tint, rng.randint(-12, 12))


def _inside(centre: int, size: int) -> int:
    """Moves a centre so that the whole box is in the picture."""
    half = size // 2 + 1
    return max(half, min(world.SIZE - half, centre))
