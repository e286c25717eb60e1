"""Test pictures: a noise formula that C++ repeats exactly, and three small PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

U32 = np.uint64(0xFFFFFFFF)


def hash_grid(height: int, width: int, channels: int, seed: int) -> np.ndarray:
    """uint32 hashes h(y, x, c), [height, width, channels]. All arithmetic is modulo 2^32:

    h  = x·374761393 + y·668265263 + c·2246822519 + seed·3266489917
    h ^= h >> 15;  h *= 2246822519;  h ^= h >> 13;  h *= 3266489917;  h ^= h >> 16
    """
    y, x, c = np.meshgrid(
        np.arange(height, dtype=np.uint64),
        np.arange(width, dtype=np.uint64),
        np.arange(channels, dtype=np.uint64),
        indexing="ij",
    )
    h = x * np.uint64(374761393) + y * np.uint64(668265263) + c * np.uint64(2246822519)
    h = (h + np.uint64(seed) * np.uint64(3266489917)) & U32
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(2246822519)) & U32
    h ^= h >> np.uint64(13)
    h = (h * np.uint64(3266489917)) & U32
    h ^= h >> np.uint64(16)
    return h.astype(np.uint32)


def noise_picture(width: int, height: int, seed: int) -> Image.Image:
    """An RGB picture whose bytes are h(y, x, c) & 255."""
    return Image.fromarray((hash_grid(height, width, 3, seed) & 255).astype(np.uint8))


def noise_pixels(height: int, width: int, seed: int) -> torch.Tensor:
    """Tower input [1, 3, height, width]: (h(y, x, c) & 65535) / 16384 - 2, exact in f32."""
    h = (hash_grid(height, width, 3, seed) & 0xFFFF).astype(np.float32)
    return torch.from_numpy(h / 16384 - 2).permute(2, 0, 1)[None].contiguous()


def scene(width: int, height: int, seed: int) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack(
        [(x * 255) // width, (y * 255) // height, ((x + y) // 8 * 24 + 40 * seed) % 256], -1
    )
    picture = Image.fromarray(base.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    left, top = width // 5 + 3 * seed, height // 4 + seed
    draw.rectangle(
        [left, top, left + width // 3, top + height // 3],
        fill=(250 - 90 * seed, 40, 60 + 80 * seed),
    )
    draw.polygon(
        [(width - 8, 6), (width - 3, height // 2), (width // 2, height // 3)], fill=(10, 200, 90)
    )
    draw.ellipse([width // 6, height // 2, width // 2, height - 5], fill=(30 + 60 * seed, 90, 230))
    return picture


def write_pngs(folder: Path) -> None:
    """Plain RGB, no EXIF, no alpha: every view of the picture is the same."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (width, height) in enumerate([(61, 83), (130, 70), (70, 70)]):
        scene(width, height, seed).save(folder / f"scene_{width}x{height}.png", optimize=True)
