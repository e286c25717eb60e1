"""From a scene to pixels, and to the map that says which thing owns each pixel."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from . import SIZE
from .backdrop import backdrop
from .scene import PANEL_ID, Panel, Scene
from .sprites import extent, paste
from .words import font

FAINT = 24.0  # mean difference from what lies behind, of 255, under which a thing is too hard to see
HIDDEN = 0.60  # the least part of a thing that must stay visible


@dataclass
class Sight:
    """A scene as it looks: what training and questions start from."""

    scene: Scene
    picture: Image.Image  # RGB
    owner: np.ndarray  # uint8 [SIZE, SIZE]
    boxes: list[tuple[int, int, int, int]]  # of each thing's visible part


@lru_cache(maxsize=1)
def _noise() -> np.ndarray:
    return np.random.RandomState(5).normal(0, 1, (SIZE + 64, SIZE + 64, 3)).astype(np.float32)


def shown(panel: Panel) -> list[str]:
    """The lines as drawn."""
    return [{"upper": str.upper, "lower": str.lower, "title": str.title}[panel.case](line) for line in panel.lines]


def letters(panel: Panel) -> list[tuple[str, float, float, float, float]]:
    """Each character (as in `panel.text`, in capitals) with its box (left, top, right, bottom); blanks have none."""
    face, out = font(panel.font, panel.text_size), []
    for (left, middle), line in zip(_line_places(panel), shown(panel)):
        cap = panel.text_size * 0.72
        for i, letter in enumerate(line):
            a, b = face.getlength(line[:i]), face.getlength(line[:i + 1])
            if letter != " ":
                out.append((letter.upper(), left + a, middle - cap / 2, left + b, middle + cap / 2))
    return out


def line_pitch(size: int) -> float:
    return size * 1.12 + 1


def _line_places(panel: Panel) -> list[tuple[float, float]]:
    """Left edge and vertical middle of each line."""
    face, lines = font(panel.font, panel.text_size), shown(panel)
    pitch = line_pitch(panel.text_size)
    top = panel.y - pitch * (len(lines) - 1) / 2
    return [(panel.x - face.getlength(line) / 2, top + i * pitch) for i, line in enumerate(lines)]


def _draw_panel(picture: Image.Image, panel: Panel) -> None:
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = panel.box
    if panel.post:
        draw.rectangle((panel.x - 2, bottom, panel.x + 2, min(SIZE, bottom + 40)), fill=(112, 100, 92))
    draw.rounded_rectangle((left, top, right - 1, bottom - 1), radius=4, fill=panel.fill, outline=panel.ink,
                           width=1 if panel.height < 24 else 2)
    face = font(panel.font, panel.text_size)
    _, cap_top, _, cap_bottom = face.getbbox("H")  # centred by capitals, not by the font's line box
    for (x, y), line in zip(_line_places(panel), shown(panel)):
        draw.text((x, y - (cap_top + cap_bottom) / 2), line, font=face, fill=panel.ink)


def _strokes(picture: Image.Image, seed: int) -> None:
    """Clutter: strokes and specks that are nobody's business, and too thin to be taken for a shape."""
    rng, draw = random.Random(seed), ImageDraw.Draw(picture)
    for _ in range(rng.randint(4, 24)):
        x, y = rng.randrange(SIZE), rng.randrange(SIZE)
        colour = tuple(rng.randrange(30, 230) for _ in range(3))
        reach, width = (40, rng.randint(1, 3)) if rng.random() < 0.7 else (3, 2)
        draw.line((x, y, x + rng.randint(-reach, reach), y + rng.randint(-reach, reach)), fill=colour, width=width)


def _compose(scene: Scene) -> tuple[Image.Image, Image.Image, list[int], list[float]]:
    """The picture before its finish, the owner map, each thing's own pixels, and how far it stands out."""
    picture, owner = backdrop(scene.backdrop, scene.backdrop_seed), Image.new("L", (SIZE, SIZE), 0)
    if scene.finish.clutter:
        _strokes(picture, scene.finish.clutter)
    areas, contrasts = [], []
    for panel in (p for p in scene.panels if p.owner < 0):
        _draw_panel(picture, panel)
        owner.paste(PANEL_ID + scene.panels.index(panel), panel.box)
    for index, thing in enumerate(scene.things):
        w, h = extent(thing)
        corner = (thing.x - w // 2, thing.y - h // 2)
        box = (corner[0], corner[1], corner[0] + w, corner[1] + h)
        before = np.asarray(picture.crop(box), np.int16)
        cover = paste(picture, thing, corner)
        after = np.asarray(picture.crop(box), np.int16)
        owner.paste(index + 1, corner, cover.point(_HALF))
        inside = np.asarray(cover) > 127
        areas.append(int(inside.sum()))
        contrasts.append(float(np.abs(after - before).max(-1)[inside].mean()) if areas[-1] else 0.0)
    for number, panel in enumerate(scene.panels):
        if panel.owner >= 0:
            _draw_panel(picture, panel)
            owner.paste(PANEL_ID + number, panel.box)
    return picture, owner, areas, contrasts


_HALF = [255 if value > 127 else 0 for value in range(256)]


def _finish(picture: Image.Image, scene: Scene) -> Image.Image:
    f = scene.finish
    if f.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(f.blur))
    if f.noise or f.gain != 1.0 or f.shift:
        pixels = np.asarray(picture, np.float32) * np.float32(f.gain) + np.float32(f.shift)
        if f.noise:
            k = scene.backdrop_seed % 64
            pixels = pixels + np.float32(f.noise) * _noise()[k:k + SIZE, 64 - k:64 - k + SIZE]
        picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if f.quality:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=f.quality)
        picture = Image.open(stream).convert("RGB")
    return picture


def _drop(scene: Scene, bad: set[int]) -> None:
    """Takes things out, with the labels they bear."""
    keep = [i for i in range(len(scene.things)) if i not in bad]
    new = {old: i for i, old in enumerate(keep)}
    scene.things = [scene.things[i] for i in keep]
    scene.panels = [p for p in scene.panels if p.owner < 0 or p.owner in new]
    for panel in scene.panels:
        panel.owner = new.get(panel.owner, -1)


def look(scene: Scene) -> Sight:
    """Draws the scene. Things that turn out too hidden or too faint are first taken out of it, so that every question
    about what is left can be answered by looking."""
    while True:
        picture, owner, areas, contrasts = _compose(scene)
        ids = np.asarray(owner)
        seen = np.bincount(ids.ravel(), minlength=256)
        bad = {i for i, (area, contrast) in enumerate(zip(areas, contrasts))
               if seen[i + 1] < HIDDEN * area or seen[i + 1] < 60 or contrast < FAINT}
        if not bad:
            break
        _drop(scene, bad)
    return Sight(scene, _finish(picture, scene), ids, [_visible(ids, i + 1) for i in range(len(scene.things))])


def _visible(ids: np.ndarray, owner: int) -> tuple[int, int, int, int]:
    mine = ids == owner
    xs, ys = np.flatnonzero(mine.any(0)), np.flatnonzero(mine.any(1))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1
