"""From a scene to pixels, and to the map that says which thing owns each pixel."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from . import world
from .scene import Scene, Sign, Thing

SUPERSAMPLE = 4
SIGN_ID = 254  # in the owner map; things are 1, 2, ...; 0 is the background


@lru_cache(maxsize=None)
def _emoji_bitmap(name: str) -> Image.Image:
    """The font's own bitmap (it has one size only, 109), cropped to what is drawn and made square."""
    font = ImageFont.truetype(world.EMOJI_FONT, 109, layout_engine=ImageFont.Layout.BASIC)
    canvas = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).text((10, 10), world.emoji_characters()[name], font=font, embedded_color=True)
    drawn = canvas.crop(canvas.getbbox())
    side = max(drawn.size)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(drawn, ((side - drawn.width) // 2, (side - drawn.height) // 2))
    return square


@lru_cache(maxsize=None)
def _emoji_sprite(name: str, size: int) -> Image.Image:
    return _emoji_bitmap(name).resize((size, size), Image.LANCZOS)


@lru_cache(maxsize=None)
def _shape_mask(shape: str, size: int, turn: int) -> Image.Image:
    """Coverage (mode L) of a shape that fills a size x size box, turned by `turn` degrees."""
    big = size * SUPERSAMPLE
    mask = Image.new("L", (big, big), 0)
    draw = ImageDraw.Draw(mask)
    edge = big * 0.06
    if shape in ("circle", "ring"):
        draw.ellipse((edge, edge, big - edge, big - edge), fill=255)
        if shape == "ring":
            inner = big * 0.30
            draw.ellipse((inner, inner, big - inner, big - inner), fill=0)
        turn = 0
    else:
        draw.polygon([(big * x, big * y) for x, y in _outline(shape)], fill=255)
    if turn:
        mask = mask.rotate(turn, Image.BICUBIC)
    return mask.resize((size, size), Image.LANCZOS)


@lru_cache(maxsize=None)
def _outline(shape: str) -> tuple[tuple[float, float], ...]:
    """A polygon in the unit square."""
    if shape == "square":
        return ((.14, .14), (.86, .14), (.86, .86), (.14, .86))
    if shape == "triangle":
        return ((.5, .08), (.95, .88), (.05, .88))
    if shape == "diamond":
        return ((.5, .02), (.84, .5), (.5, .98), (.16, .5))
    if shape == "cross":
        a, b, c, d = .06, .35, .65, .94
        return ((b, a), (c, a), (c, b), (d, b), (d, c), (c, c), (c, d), (b, d), (b, c), (a, c), (a, b), (b, b))
    if shape == "star":
        corners = []
        for i in range(10):
            radius, angle = (.48, .19)[i % 2], math.pi * i / 5
            corners.append((.5 + radius * math.sin(angle), .52 - radius * math.cos(angle)))
        return tuple(corners)
    if shape == "heart":
        points = []
        for i in range(48):
            t = 2 * math.pi * i / 48
            y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
            points.append((.5 + 16 * math.sin(t) ** 3 / 36, .47 - y / 36))
        return tuple(points)
    raise ValueError(f"no outline for {shape}")


@lru_cache(maxsize=None)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(world.FONTS[name], size, layout_engine=ImageFont.Layout.BASIC)


def sign_letters(sign: Sign) -> tuple[int, list[tuple[str, float, float, float, float]]]:
    """The text size that fits the panel, and each letter with its box (left, top, right, bottom)."""
    size = sign.text_size
    text = sign.word.upper()
    while _font(sign.font, size).getlength(text) > sign.width - 10:
        size -= 1
    font = _font(sign.font, size)
    left = sign.x - font.getlength(text) / 2
    cap = size * 0.72
    boxes = []
    for i, letter in enumerate(text):
        a, b = font.getlength(text[:i]), font.getlength(text[:i + 1])
        boxes.append((letter, left + a, sign.y - cap / 2, left + b, sign.y + cap / 2))
    return size, boxes


def render(scene: Scene) -> Image.Image:
    """The picture (RGB, 192 x 192)."""
    picture = background(scene.background, scene.background_seed)
    if scene.sign:
        _draw_sign(picture, scene.sign)
    for thing in scene.things:
        _draw_thing(picture, thing)
    return picture


def owner_map(scene: Scene) -> np.ndarray:
    """Which thing owns each pixel (uint8): 0 the background, i + 1 thing i, SIGN_ID the sign's panel."""
    owner = Image.new("L", (world.SIZE, world.SIZE), 0)
    if scene.sign:
        owner.paste(SIGN_ID, scene.sign.box)
    for index, thing in enumerate(scene.things):
        owner.paste(index + 1, thing.box[:2], _solid(thing.kind, thing.size, thing.turn))
    return np.asarray(owner)


def _draw_thing(picture: Image.Image, thing: Thing) -> None:
    left, top = thing.box[:2]
    if not thing.kind.is_shape:
        sprite = _emoji_sprite(thing.kind.name, thing.size)
        picture.paste(sprite, (left, top), sprite)
        return
    base = world.COLOURS[thing.kind.colour]
    fill = tuple(max(0, min(255, c + t)) for c, t in zip(base, thing.tint))
    rim = (245, 245, 245) if sum(base) < 200 else (70, 70, 70)
    # The same mask one pixel larger on each side, underneath: a rim keeps white on white visible.
    picture.paste(rim, (left - 1, top - 1), _shape_mask(thing.kind.name, thing.size + 2, thing.turn))
    picture.paste(fill, (left, top), _shape_mask(thing.kind.name, thing.size, thing.turn))


@lru_cache(maxsize=None)
def _solid(kind: world.Kind, size: int, turn: int) -> Image.Image:
    mask = _shape_mask(kind.name, size, turn) if kind.is_shape else _emoji_sprite(kind.name, size).getchannel("A")
    return mask.point(_HALF)


_HALF = [255 if value > 127 else 0 for value in range(256)]


def _draw_sign(picture: Image.Image, sign: Sign) -> None:
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = sign.box
    draw.rounded_rectangle((left, top, right - 1, bottom - 1), radius=6, fill=sign.panel, outline=sign.ink, width=2)
    size, letters = sign_letters(sign)
    font = _font(sign.font, size)
    text = sign.word.upper()
    ink = font.getbbox(text)  # capitals: centred by what is drawn, not by the font's line box
    draw.text((letters[0][1], sign.y - (ink[1] + ink[3]) / 2), text, font=font, fill=sign.ink)


_GRID_Y, _GRID_X = np.mgrid[0:world.SIZE, 0:world.SIZE].astype(np.float32)


def background(kind: str, seed: int) -> Image.Image:
    """One of the eight kinds. NumPy's RandomState: its streams are frozen, so a seed means the same in every version."""
    rng = np.random.RandomState(seed % (1 << 32))
    a = rng.randint(60, 236, 3).astype(np.float32)
    b = np.clip(a + rng.choice([-1, 1]) * rng.randint(18, 60) + rng.randint(-25, 26, 3), 30, 250).astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    along = _GRID_X * math.cos(angle) + _GRID_Y * math.sin(angle)
    if kind == "plain":
        mix = np.zeros_like(along)
    elif kind == "gradient":
        mix = (along - along.min()) / (along.max() - along.min())
    elif kind == "stripes":
        mix = (np.mod(along, rng.randint(14, 34)) < rng.randint(5, 12)).astype(np.float32)
    elif kind == "checks":
        step = rng.randint(10, 28)
        mix = ((_GRID_X // step + _GRID_Y // step) % 2).astype(np.float32)
    elif kind == "dots":
        step, radius = rng.randint(14, 28), rng.uniform(2.5, 5.5)
        mix = (np.hypot(_GRID_X % step - step / 2, _GRID_Y % step - step / 2) < radius).astype(np.float32)
    elif kind == "noise":
        mix = rng.rand(world.SIZE, world.SIZE).astype(np.float32)
    elif kind == "clouds":
        coarse = Image.fromarray((rng.rand(7, 7) * 255).astype(np.uint8))
        mix = np.asarray(coarse.resize((world.SIZE, world.SIZE), Image.BICUBIC), np.float32) / 255
    elif kind == "waves":
        across = _GRID_Y * math.cos(angle) - _GRID_X * math.sin(angle)
        mix = 0.5 + 0.5 * np.sin((along + 7 * np.sin(across / rng.uniform(9, 18))) / rng.uniform(4, 9))
    else:
        raise ValueError(f"no background {kind}")
    pixels = a + (b - a) * mix[:, :, None]
    return Image.fromarray(pixels.astype(np.uint8))
