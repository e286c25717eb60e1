"""Bitmaps of things at any size and angle, from pyramids that are drawn once."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from . import clipart, objects

EMOJI_FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
SKETCH_FONT = "/usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf"
LEVELS = (136, 96, 68, 48, 34, 24)
SUPERSAMPLE = 4
SMALLEST_SKETCH = 34  # thinner lines vanish
# Symbola lacks these, draws them too sparsely, or as something else.
UNSKETCHED = frozenset("""rhino caterpillar bank stadium chick tangerine brain monitor basketball cap snowman statue ticket
watch lizard frog carrot chili canoe sled spoon egg drop comet box laptop kiwi tornado sandal volcano satellite unicorn bikini""".split()) | {"fishing rod", "game controller"}


@lru_cache(maxsize=1)
def emoji_font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(EMOJI_FONT, 109, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1)
def sketch_font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(SKETCH_FONT, 180, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=None)
def can_sketch(name: str) -> bool:
    character = objects.CHARACTER[name]
    if len(character) > 1 or name in UNSKETCHED:
        return False
    return bytes(sketch_font().getmask(character)) != bytes(sketch_font().getmask("\U0010FFFF"))


def _pyramid(bitmap: Image.Image) -> tuple[Image.Image, ...]:
    """The bitmap with its longer side at each of LEVELS; premultiplied where it has alpha."""
    out = []
    for side in LEVELS:
        k = side / max(bitmap.size)
        size = (max(1, round(bitmap.width * k)), max(1, round(bitmap.height * k)))
        level = bitmap.resize(size, Image.LANCZOS)
        out.append(level.convert("RGBa") if level.mode == "RGBA" else level)
    return tuple(out)


@lru_cache(maxsize=None)
def _emoji(name: str) -> tuple[Image.Image, ...]:
    canvas = Image.new("RGBA", (190, 190), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((15, 15), objects.CHARACTER[name], font=emoji_font(), embedded_color=True)
    return _pyramid(canvas.crop(canvas.getbbox()))


def _filled(lines: Image.Image) -> Image.Image:
    """What the lines enclose: all that cannot be reached from the corner."""
    free = np.asarray(lines) < 100
    outside = np.zeros_like(free)
    outside[0, 0] = True
    while True:
        grown = outside.copy()
        grown[1:] |= outside[:-1]
        grown[:-1] |= outside[1:]
        grown[:, 1:] |= outside[:, :-1]
        grown[:, :-1] |= outside[:, 1:]
        grown &= free
        if (grown == outside).all():
            return Image.fromarray(np.where(outside, 0, 255).astype(np.uint8), "L")
        outside = grown


@lru_cache(maxsize=None)
def _sketch(name: str) -> tuple[tuple[Image.Image, ...], tuple[Image.Image, ...]]:
    """Pyramids of the lines and of the silhouette with its holes filled."""
    canvas = Image.new("L", (300, 300), 0)
    ImageDraw.Draw(canvas).text((40, 30), objects.CHARACTER[name], font=sketch_font(), fill=255)
    lines = canvas.filter(ImageFilter.MaxFilter(5))  # as thick as a crayon's
    solid = ImageChops.lighter(lines, _filled(lines.reduce(3)).resize(lines.size, Image.BILINEAR))
    box = lines.getbbox()
    return _pyramid(lines.crop(box)), _pyramid(solid.crop(box))


@lru_cache(maxsize=None)
def _shape(shape: str) -> tuple[Image.Image, ...]:
    big = 136 * SUPERSAMPLE
    mask = Image.new("L", (big, big), 0)
    draw = ImageDraw.Draw(mask)
    if shape in ("circle", "ring"):
        draw.ellipse((0, 0, big - 1, big - 1), fill=255)
        if shape == "ring":
            inner = big * 0.27
            draw.ellipse((inner, inner, big - inner, big - inner), fill=0)
    else:
        draw.polygon([(big * x, big * y) for x, y in _outline(shape)], fill=255)
    return _pyramid(mask.crop(mask.getbbox()))


@lru_cache(maxsize=None)
def _outline(shape: str) -> tuple[tuple[float, float], ...]:
    """A polygon in the unit square."""
    if shape == "square":
        return ((.06, .06), (.94, .06), (.94, .94), (.06, .94))
    if shape == "triangle":
        return ((.5, .05), (.97, .9), (.03, .9))
    if shape == "diamond":
        return ((.5, .0), (.84, .5), (.5, 1.), (.16, .5))
    if shape == "cross":
        a, b, c, d = .04, .35, .65, .96
        return ((b, a), (c, a), (c, b), (d, b), (d, c), (c, c), (c, d), (b, d), (b, c), (a, c), (a, b), (b, b))
    if shape == "star":
        spokes = [((.5, .2)[i % 2], math.pi * i / 5) for i in range(10)]
        return tuple((.5 + r * math.sin(a), .52 - r * math.cos(a)) for r, a in spokes)
    turns = [2 * math.pi * i / 60 for i in range(60)]
    heart = [(16 * math.sin(t) ** 3, 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t))
             for t in turns]
    return tuple((.5 + x / 34, .47 - y / 34) for x, y in heart)


@lru_cache(maxsize=None)
def _clip(name: str, variant: int) -> tuple[Image.Image, ...]:
    return _pyramid(clipart.bitmap(name, variant))


def _turned(pyramid: tuple[Image.Image, ...], size: int, turn: int, flip: bool) -> Image.Image:
    """One affine resampling from the smallest level that is not smaller than `size`."""
    level = next((im for im in reversed(pyramid) if max(im.size) >= size), pyramid[0])
    k = max(level.size) / size
    w, h = level.width / k, level.height / k
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    ow, oh = math.ceil(abs(w * c) + abs(h * s)) + 6, math.ceil(abs(w * s) + abs(h * c)) + 6
    m = -1.0 if flip else 1.0
    a, b, d, e = m * k * c, -m * k * s, k * s, k * c
    cx, cy = level.width / 2, level.height / 2
    matrix = (a, b, cx - a * ow / 2 - b * oh / 2, d, e, cy - d * ow / 2 - e * oh / 2)
    return level.transform((ow, oh), Image.AFFINE, matrix, resample=Image.BILINEAR)


def _brightness(colour: tuple[int, int, int]) -> float:
    return 0.30 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


@lru_cache(maxsize=20000)
def sprite(kind: objects.Kind, style: str, size: int, turn: int, flip: bool) -> tuple[Image.Image, ...]:
    """An object's (RGB, mask); a sketch's (lines, silhouette); a shape's (mask, wider mask for the rim)."""
    if kind.is_shape:
        turn = 0 if kind.name in ("circle", "ring") else turn
        inner = _turned(_shape(kind.name), size, turn, False)
        rim = inner.filter(ImageFilter.MaxFilter(3)) if size < 60 else inner.filter(ImageFilter.MaxFilter(5))
        return inner, rim
    if style == "sketch":
        lines, solid = _sketch(kind.name)
        return _turned(lines, size, turn, flip), _turned(solid, size, turn, flip)
    pyramid = _clip(kind.name, int(style[4:])) if style.startswith("clip") else _emoji(kind.name)
    drawn = _turned(pyramid, size, turn, flip).convert("RGBA")
    colours, mask = drawn.convert("RGB"), drawn.getchannel("A")
    if style == "grey":
        return colours.convert("L").convert("RGB"), mask
    if style == "rimmed":
        rim = Image.new("RGB", mask.size, (26, 24, 28))
        rim.paste(colours, (0, 0), mask)
        return rim, mask.filter(ImageFilter.MaxFilter(3))
    return colours, mask


def paste(picture: Image.Image, thing, corner: tuple[int, int]) -> Image.Image:
    """Draws a thing with its upper left corner there; returns what it covers (L)."""
    parts = sprite(thing.kind, thing.style, thing.size, thing.turn, thing.flip)
    if thing.kind.is_shape:
        fill = tuple(max(0, min(255, c + t)) for c, t in zip(objects.COLOURS[thing.kind.colour], thing.tint))
        picture.paste((238, 238, 238) if _brightness(fill) < 70 else (52, 52, 54), corner, parts[1])
        picture.paste(fill, corner, parts[0])
        return parts[1]
    if thing.style == "sketch":
        picture.paste(thing.tint, corner, parts[1])
        picture.paste((24, 22, 26), corner, parts[0])
        return ImageChops.lighter(parts[0], parts[1])
    picture.paste(parts[0], corner, parts[1])
    return parts[1]


def extent(thing) -> tuple[int, int]:
    """Width and height of the bitmap."""
    return sprite(thing.kind, thing.style, thing.size, thing.turn, thing.flip)[0].size
