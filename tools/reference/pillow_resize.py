"""Goldens of Pillow's resize and of the slow image processors: pillow_resize.py --out DIR.

Inputs are pictures.noise_picture(width, height, seed), which C++ repeats; outputs are CRC-32 sums
of the [H, W, 3] bytes with eight sample bytes, and a few complete small outputs.
"""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import BitImageProcessor, CLIPImageProcessor, LlavaImageProcessor

from common import GOLDEN, setup, write_compact_json, write_tensors
from pictures import noise_picture

FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
# fmt: off
# (width, height): edges, long strips, odd numbers; 40 together.
SIZES = [
    (1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (1, 7), (7, 1), (5, 2), (4, 9), (13, 8), (31, 1),
    (1, 31), (17, 23), (33, 32), (61, 83), (64, 64), (70, 70), (71, 70), (69, 141), (100, 100),
    (99, 37), (130, 70), (127, 255), (140, 140), (141, 141), (199, 50), (224, 224), (225, 300),
    (256, 31), (300, 201), (333, 97), (336, 336), (401, 12), (512, 384), (640, 9), (45, 720),
    (1000, 3), (3, 1000), (4000, 30), (30, 4000),
]
# fmt: on
MAX_OUTPUT = 700_000  # pixels


def shortest_edge(width: int, height: int, size: int) -> tuple[int, int]:
    """(width, height) with the short side at size and the long side at int(size * long / short)."""
    short, long = min(width, height), max(width, height)
    other = int(size * long / short)
    return (size, other) if width <= height else (other, size)


def targets(width: int, height: int) -> list[tuple[int, int]]:
    wanted = [
        shortest_edge(width, height, 70),
        (70, 70),
        (33, 47),
        (width, 19),
        (23, height),
        (2 * width + 1, 2 * height + 1),
    ]
    return [t for t in dict.fromkeys(wanted) if t[0] * t[1] <= MAX_OUTPUT]


def summary(data: bytes) -> list[Any]:
    """[crc32, hex of the bytes at i * (n - 1) // 7 for i in 0..7]."""
    picks = [data[i * (len(data) - 1) // 7] for i in range(8)]
    return [zlib.crc32(data), bytes(picks).hex()]


def resize_rows() -> list[list[Any]]:
    rows = []
    for seed, (width, height) in enumerate(SIZES):
        picture = noise_picture(width, height, seed)
        for size in targets(width, height):
            sums = [
                summary(picture.resize(size, resample=code).tobytes()) for code in FILTERS.values()
            ]
            rows.append([width, height, seed, *size, sums])
    return rows


def small_outputs() -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """Complete outputs of a few small cases, to print the first difference."""
    info, tensors = [], {}
    for seed, (source, size) in enumerate(
        [((7, 5), (11, 3)), ((23, 17), (8, 8)), ((3, 2), (9, 10))]
    ):
        for name, code in FILTERS.items():
            picture = noise_picture(*source, seed)
            key = f"resize.{seed}.{name}"
            tensors[key] = torch.from_numpy(np.array(picture.resize(size, resample=code)))
            info.append(
                {"tensor": key, "source": [*source, seed], "target": list(size), "filter": code}
            )
    return info, tensors


def expand2square(picture: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    """LLaVA's image_aspect_ratio "pad": on a square of the long side; offsets round down."""
    side = max(picture.size)
    square = Image.new(picture.mode, (side, side), colour)
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def processors() -> dict[str, Any]:
    square = {"height": 70, "width": 70}
    imagenet = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    return {
        "clip": CLIPImageProcessor(size={"shortest_edge": 70}, crop_size=square),
        "clip_odd_crop": CLIPImageProcessor(
            size={"shortest_edge": 70}, crop_size={"height": 57, "width": 64}
        ),
        "clip_crop_larger": CLIPImageProcessor(
            size={"shortest_edge": 41}, crop_size={"height": 64, "width": 57}
        ),
        "clip_exact": CLIPImageProcessor(
            size={"height": 42, "width": 56}, do_center_crop=False, resample=2
        ),
        "clip_no_resize": CLIPImageProcessor(
            do_resize=False, crop_size={"height": 33, "width": 34}
        ),
        "dinov2": BitImageProcessor(
            size={"shortest_edge": 93}, crop_size={"height": 84, "width": 84}, **imagenet
        ),
        "llava_pad": CLIPImageProcessor(size={"shortest_edge": 70}, crop_size=square),
    }


def prepare(name: str, processor: Any, picture: Image.Image) -> Image.Image:
    """llava_pad: LLaVA's own steps; LlavaImageProcessor(do_pad=True) must agree."""
    if name != "llava_pad":
        return picture
    padded = expand2square(picture, tuple(int(x * 255) for x in processor.image_mean))
    other = LlavaImageProcessor(
        do_pad=True, do_resize=False, do_center_crop=False, do_rescale=False, do_normalize=False
    )
    theirs = other(
        picture, input_data_format="channels_last", data_format="channels_last", return_tensors="np"
    )["pixel_values"][0]
    assert np.array_equal(np.array(padded), theirs)
    return padded


def processor_rows() -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """Height 1 and 3 would be read as channels first, so the layout is always given."""
    rows, tensors = [], {}
    sizes = [
        (61, 83),
        (130, 70),
        (70, 70),
        (71, 70),
        (99, 37),
        (4, 9),
        (1, 1),
        (31, 1),
        (3, 3),
        (333, 97),
        (45, 720),
        (141, 141),
        (225, 300),
    ]
    for name, processor in processors().items():
        for seed, (width, height) in enumerate(sizes):
            picture = prepare(name, processor, noise_picture(width, height, seed))
            common = {"input_data_format": "channels_last", "return_tensors": "np"}
            raw = processor(
                picture, do_rescale=False, do_normalize=False, data_format="channels_last", **common
            )["pixel_values"][0]
            done = processor(picture, data_format="channels_first", **common)["pixel_values"][0]
            assert raw.dtype == np.uint8 and done.dtype == np.float32
            rows.append(
                {
                    "processor": name,
                    "source": [width, height, seed],
                    "height": raw.shape[0],
                    "width": raw.shape[1],
                    "u8": summary(raw.tobytes()),
                    "f32_crc32": zlib.crc32(done.tobytes()),
                }
            )
            if seed == 0 and name in ("clip_no_resize", "clip_exact"):
                tensors[f"pixels.{name}"] = torch.from_numpy(done)
    return rows, tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    args = parser.parse_args()
    setup()
    outputs, tensors = small_outputs()
    rows, pixels = processor_rows()
    folder = args.out / "pixels"
    write_tensors(folder / "reference.safetensors", tensors | pixels)
    write_compact_json(
        folder / "resize.json",
        {
            "filters": FILTERS,
            "rows_are": [
                "width",
                "height",
                "seed",
                "out_width",
                "out_height",
                "[crc32, eight bytes] per filter, in the order above",
            ],
            "rows": resize_rows(),
            "outputs": outputs,
        },
    )
    settings = {name: p.to_dict() for name, p in processors().items()}
    write_compact_json(folder / "processors.json", {"processors": settings, "rows": rows})


if __name__ == "__main__":
    main()
