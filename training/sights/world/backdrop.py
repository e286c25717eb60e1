"""Backgrounds: grey maps drawn once, coloured by a palette for each scene; some are two maps that meet at a horizon.

NumPy's RandomState throughout: its streams are frozen, so a seed means the same in every version.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from . import SIZE

MAP = 300  # a map's side: a scene shows a random crop
VARIANTS = 3
TEXTURES = ("plain", "gradient", "stripes", "checks", "dots", "speckle", "clouds", "waves", "marble", "wood", "bricks",
            "tiles", "grass", "fabric", "paper", "concrete", "bokeh", "leaves")
VIEWS = {"meadow": ("clouds", "grass"), "beach": ("clouds", "speckle"), "sea": ("clouds", "waves"),
         "hills": ("gradient", "leaves"), "street": ("bricks", "concrete"), "room": ("stripes", "wood"),
         "kitchen": ("tiles", "marble"), "table": ("bokeh", "wood")}  # above and below a horizon
KINDS = TEXTURES + tuple(VIEWS)
_HUES = {  # what a photograph of it would show: two colours that a palette is drawn near
    "wood": ((150, 105, 62), (205, 160, 110)), "bricks": ((150, 82, 64), (196, 132, 108)),
    "grass": ((74, 118, 52), (136, 170, 84)), "leaves": ((52, 92, 50), (120, 150, 82)),
    "concrete": ((128, 128, 126), (176, 176, 172)), "paper": ((214, 206, 188), (240, 236, 226)),
    "marble": ((176, 174, 178), (238, 236, 238)), "sky": ((112, 160, 214), (222, 234, 246)),
    "sand": ((198, 174, 128), (228, 208, 166)), "water": ((40, 94, 138), (96, 152, 184))}
_SKIES = ("meadow", "beach", "sea", "hills")


def _fractal(rng: np.random.RandomState, octaves: int, stretch: float = 1.0) -> np.ndarray:
    """Smooth noise in 0..1; `stretch` > 1 lengthens it along x."""
    total, weight = np.zeros((MAP, MAP), np.float32), 1.0
    for octave in range(octaves):
        cells = 3 * 2 ** octave
        coarse = Image.fromarray((rng.rand(cells, max(2, int(cells / stretch))) * 255).astype(np.uint8))
        total += weight * np.asarray(coarse.resize((MAP, MAP), Image.BICUBIC), np.float32)
        weight *= 0.55
    return (total - total.min()) / (total.max() - total.min())


def _draw(kind: str, rng: np.random.RandomState) -> np.ndarray:
    """A map in 0..1."""
    y, x = np.mgrid[0:MAP, 0:MAP].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    step = rng.randint(14, 34)
    if kind == "plain":
        return 0.5 + 0.02 * rng.randn(MAP, MAP)
    if kind == "gradient":
        return (along - along.min()) / (along.max() - along.min())
    if kind == "stripes":
        return (np.mod(along, step) < step * rng.uniform(.3, .6)).astype(np.float32)
    if kind == "checks":
        return ((along // step + across // step) % 2).astype(np.float32)
    if kind == "dots":
        return (np.hypot(along % step - step / 2, across % step - step / 2) < step * rng.uniform(.15, .3)).astype(np.float32)
    if kind == "speckle":
        return 0.6 * rng.rand(MAP, MAP) + 0.4 * _fractal(rng, 5)
    if kind == "clouds":
        return _fractal(rng, 5, 1.7)
    if kind == "waves":
        return 0.5 + 0.35 * np.sin((y + 6 * np.sin(x / rng.uniform(16, 30))) / rng.uniform(3, 7)) * _fractal(rng, 3) + 0.15 * rng.rand(MAP, MAP)
    if kind == "marble":
        return 0.5 + 0.5 * np.sin(along / 22 + 9 * _fractal(rng, 5))
    if kind == "wood":
        return 0.5 + 0.3 * np.sin(y / rng.uniform(3, 6) + 8 * _fractal(rng, 3, 6.0)) + 0.2 * _fractal(rng, 6, 12.0)
    if kind in ("bricks", "tiles"):
        return _masonry(kind, rng, x, y)
    if kind in ("grass", "leaves"):
        noise = Image.fromarray((255 * rng.rand(MAP, MAP)).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.2 if kind == "grass" else 3))
        sharp = np.asarray(noise, np.float32)
        return 0.7 * (sharp - sharp.min()) / np.ptp(sharp) + 0.3 * _fractal(rng, 3)
    if kind == "fabric":
        return 0.5 + 0.2 * np.sin(along * 1.3) + 0.2 * np.sin(across * 1.3) + 0.1 * rng.rand(MAP, MAP)
    if kind == "paper":
        return 0.7 * _fractal(rng, 6) + 0.3 * rng.rand(MAP, MAP)
    if kind == "concrete":
        return 0.5 * _fractal(rng, 6) + 0.5 * rng.rand(MAP, MAP)
    return _bokeh(rng, x, y)


def _masonry(kind: str, rng: np.random.RandomState, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    height, width = (rng.randint(11, 18), rng.randint(26, 40)) if kind == "bricks" else (rng.randint(24, 40),) * 2
    row = y // height
    shifted = x + (row % 2) * width / 2 if kind == "bricks" else x
    joint = (y % height < 2) | (shifted % width < 2)
    shade = np.mod(np.sin(row * 12.9 + (shifted // width) * 78.2) * 4375.5, 1)
    return np.where(joint, 1.0, 0.15 + 0.4 * shade + 0.1 * rng.rand(MAP, MAP))


def _bokeh(rng: np.random.RandomState, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Blurred discs: what lies out of focus."""
    total = 0.3 * _fractal(rng, 3)
    for _ in range(40):
        cx, cy, radius = rng.rand() * MAP, rng.rand() * MAP, rng.uniform(10, 34)
        total += rng.uniform(.1, .35) * np.clip((radius - np.hypot(x - cx, y - cy)) / 3, 0, 1)
    return total / total.max()


@lru_cache(maxsize=None)
def _maps(kind: str) -> tuple[Image.Image, ...]:
    out = []
    for variant in range(VARIANTS):
        rng = np.random.RandomState(1000 * KINDS.index(kind) + variant)
        out.append(Image.fromarray((np.clip(_draw(kind, rng), 0, 1) * 255).astype(np.uint8), "L"))
    return tuple(out)


def _palette(hues: str, rng: np.random.RandomState) -> list[int]:
    """256 colours between two, each near what the material shows, or anything of moderate contrast."""
    if hues in _HUES and rng.rand() < 0.8:
        a, b = (np.float32(c) + rng.randint(-16, 17, 3) for c in _HUES[hues])
    else:
        a = rng.randint(50, 230, 3).astype(np.float32)
        b = a + rng.choice([-1, 1]) * rng.randint(14, 64) + rng.randint(-26, 27, 3)
    mix = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    return np.clip(a + (b - a) * mix, 12, 248).astype(np.uint8).ravel().tolist()


def _texture(kind: str, hues: str, rng: np.random.RandomState) -> Image.Image:
    grey = _maps(kind)[rng.randint(VARIANTS)]
    left, top = rng.randint(MAP - SIZE + 1), rng.randint(MAP - SIZE + 1)
    crop = grey.crop((left, top, left + SIZE, top + SIZE))
    if rng.rand() < 0.5:
        crop = crop.transpose(Image.FLIP_LEFT_RIGHT)
    crop.putpalette(_palette(hues, rng))
    return crop.convert("RGB")


def backdrop(kind: str, seed: int) -> Image.Image:
    """The picture (RGB) with nothing in it."""
    rng = np.random.RandomState(seed % (1 << 32))
    if kind in TEXTURES:
        return _texture(kind, kind, rng)
    above, below = VIEWS[kind]
    hues = {"beach": "sand", "sea": "water"}.get(kind, below)
    picture = _texture(above, "sky" if kind in _SKIES else above, rng)
    ground = _texture(below, hues, rng)
    horizon = rng.randint(int(SIZE * .35), int(SIZE * .7))
    picture.paste(ground.crop((0, horizon, SIZE, SIZE)), (0, horizon))
    return picture
