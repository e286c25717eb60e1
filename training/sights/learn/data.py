"""From generated scenes to tensors: pixels of both views, per-patch labels, packed questions."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image

from nets.number import NUMBER
from nets.shape import Design
from world import VERSION
from world.render import Sight, look
from world.sample import sample
from . import labels as L

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def sight_at(stage: str, index: int) -> tuple[Sight, random.Random]:
    """Scene number `index` of a stage's stream, and the generator to go on with. Seeded each by itself, so that a
    resumed run sees the same scenes; never empty."""
    for again in range(100):
        rng = random.Random(f"binocle sights {VERSION} stage {stage} {index} {again}")
        sight = look(sample(rng, "train"))
        if sight.scene.things:
            return sight, rng
    raise RuntimeError(f"scene {index} of {stage}: nothing can be seen in a hundred tries")


def pixels(picture: Image.Image, size: int, mean, std) -> np.ndarray:
    """[3, size, size] as the processors make them: Pillow's bicubic, 1/255, normalised."""
    if picture.width != size:
        picture = picture.resize((size, size), Image.BICUBIC)
    x = np.asarray(picture, np.float32) * np.float32(1 / 255)
    return ((x - np.float32(mean)) / np.float32(std)).transpose(2, 0, 1)


def view(picture: Image.Image, tower: str, design: Design) -> np.ndarray:
    if tower == "anchor":
        return pixels(picture, design.anchor.image, CLIP_MEAN, CLIP_STD)
    return pixels(picture, design.augment.image, IMAGENET_MEAN, IMAGENET_STD)


@dataclass
class Batch:
    pixels: dict[str, torch.Tensor] = field(default_factory=dict)  # view -> [B, 3, S, S]
    labels: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)  # tower, or "visual" -> classes
    text: object = None  # packed questions, one sequence a picture
    pairs: object = None  # packed questions about each two pictures

    def to(self, device) -> "Batch":
        def move(x):
            if isinstance(x, torch.Tensor):
                return x.to(device, non_blocking=True)
            return {k: move(v) for k, v in x.items()}
        return Batch(move(self.pixels), move(self.labels), self.text and self.text.to(device),
                     self.pairs and self.pairs.to(device))


def _stack(rows: list[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}


def see(stage: str, first: int, size: int, design: Design, towers: tuple[str, ...]):
    """Scenes first .. first + size - 1 of a stage's stream: a batch without questions, and the scenes with their generators.

    `towers`: whose pixels and labels to make; the visual grid's labels are always there.
    """
    seen = [sight_at(stage, index) for index in range(first, first + size)]
    batch = Batch()
    sides = {tower: getattr(design, tower).side for tower in towers}
    for side in {design.side, *sides.values()}:
        rows = [{**L.patch_labels(sight, side), "presence": L.presence(sight)} for sight, _ in seen]
        made = _stack(rows)
        for name in [t for t in towers if sides[t] == side] + (["visual"] if side == design.side else []):
            batch.labels[name] = made
    for tower in towers:
        made = np.stack([view(sight.picture, tower, design) for sight, _ in seen])
        batch.pixels[tower] = torch.from_numpy(made).to(NUMBER)
    return batch, seen
