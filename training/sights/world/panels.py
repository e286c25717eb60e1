"""Signs and labels: what is written on them, how large, and where they find room."""

from __future__ import annotations

import random

from . import SIZE, words
from .objects import COLOURS, COLOUR_NAMES
from .scene import Panel, Thing
from .words import font

PITCH = 7.4  # the least mean distance between letters, in pixels: seldom more than two meet in one visual token of 16
WIDEST = SIZE - 8


def _colours(rng: random.Random) -> tuple[str, tuple[int, int, int], tuple[int, int, int]]:
    """A panel's colour by name and by value, and an ink that stands out on it."""
    name = "white" if rng.random() < 0.35 else rng.choice(COLOUR_NAMES)
    fill = tuple(max(0, min(255, c + rng.randint(-8, 8))) for c in COLOURS[name])
    bright = 0.30 * fill[0] + 0.59 * fill[1] + 0.11 * fill[2] > 135
    ink = tuple(rng.randrange(0, 48) for _ in range(3)) if bright else tuple(rng.randrange(222, 256) for _ in range(3))
    return name, fill, ink


def _text(rng: random.Random, pool: tuple[str, ...], short: bool) -> tuple[list[str], bool]:
    """Lines in lower case, and whether they may be drawn in lower case."""
    draw = rng.random()
    if draw < 0.52:
        word = rng.choice(pool)
        return [word if not short or len(word) <= 7 else rng.choice([w for w in pool if len(w) <= 6])], True
    if draw < 0.64:
        return [words.invented(rng).lower()], False
    if draw < 0.86:
        return [words.number(rng)], False
    if draw < 0.92:
        return [words.plate(rng).lower()], False
    if short:
        return [rng.choice(pool)], True
    return _long(rng, pool), True


def _long(rng: random.Random, pool: tuple[str, ...]) -> list[str]:
    """Two to four words on one to three lines."""
    chosen = words.phrase(rng, pool, rng.choices((2, 3, 4), weights=(50, 30, 20))[0])
    if len(chosen) == 2:
        return [" ".join(chosen)] if rng.random() < 0.5 and sum(map(len, chosen)) <= 12 else chosen
    return [" ".join(chosen[:2]), *chosen[2:]] if rng.random() < 0.5 or len(chosen) == 4 else chosen


def _panel(rng: random.Random, lines: list[str], lower: bool, size: int) -> Panel | None:
    """A panel that its text fills, with the text made smaller until it fits; None if that is too small."""
    case = rng.choices(("upper", "title", "lower"), weights=(70, 15, 15))[0] if lower else "upper"
    path = rng.choice(words.FONTS)
    name, fill, ink = _colours(rng)
    panel = Panel([line.upper() for line in lines], path, 0, 0, 0, 0, size, name, fill, ink, case=case)
    from .render import line_pitch, shown
    while True:
        face = font(path, panel.text_size)
        width = max(face.getlength(line) for line in shown(panel))
        margin = max(5, panel.text_size // 3)
        fits = width + 2 * margin <= WIDEST
        if fits or panel.text_size <= 9:
            break
        panel.text_size -= 1
    if not fits or width / max(map(len, lines)) < PITCH:
        return None
    panel.width = int(width) + 2 * margin
    panel.height = int(line_pitch(panel.text_size) * len(lines)) + margin
    return panel


SIGN_SIZES = (11, 12, 13, 14, 15, 16, 18, 20, 22, 25, 28, 32, 38, 46)


def place_sign(rng: random.Random, pool: tuple[str, ...], long: bool, taken, largest: int = SIGN_SIZES[-1]) -> Panel | None:
    """A sign with letters of at most `largest` pixels, with room for it, or None."""
    lines, lower = (_long(rng, pool), True) if long else _text(rng, pool, short=False)
    sign = _panel(rng, lines, lower, rng.choice([size for size in SIGN_SIZES if size <= largest]))
    if sign is None or sign.height > SIZE // 2:
        return None
    for _ in range(8):
        sign.x = rng.randint(sign.width // 2 + 2, SIZE - (sign.width + 1) // 2 - 2)
        sign.y = rng.randint(sign.height // 2 + 2, SIZE - (sign.height + 1) // 2 - 2)
        if not _meets(sign.box, taken):
            sign.post = len(lines) == 1 and rng.random() < 0.2
            return sign
    return None


def label_for(rng: random.Random, thing: Thing, box, pool: tuple[str, ...]) -> Panel | None:
    """A label for a thing of that box, not yet placed."""
    if thing.size < 30:
        return None
    lines, lower = _text(rng, pool, short=True)
    return _panel(rng, lines, lower, rng.choice((11, 12, 13, 14, 16, 18, 20)))


def place_label(label: Panel, box, taken) -> bool:
    """Puts it at the thing's lower edge, over a little of it, if nothing else is there."""
    label.x = max(label.width // 2 + 1, min(SIZE - (label.width + 1) // 2 - 1, (box[0] + box[2]) // 2))
    label.y = box[3] + label.height // 2 - max(2, (box[3] - box[1]) // 12)
    inside = label.box[3] < SIZE - 1
    return inside and abs(label.x - (box[0] + box[2]) // 2) < (box[2] - box[0]) // 2 and not _meets(label.box, taken)


def _meets(box, others) -> bool:
    return any(min(box[2], o[2]) + 3 > max(box[0], o[0]) and min(box[3], o[3]) + 3 > max(box[1], o[1])
               for o in others)
