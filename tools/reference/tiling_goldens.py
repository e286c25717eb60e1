"""Makes tests/golden/tiling.json: how many visual tokens pictures of many sizes have in public models that see them in tiles, by transformers'
processors. [[width, height, tokens], ...] for the resolutions of a model."""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import transformers

from common import GOLDEN, setup, write_compact_json

ONE_VISION = [[h, w] for h in range(384, 2305, 384) for w in range(384, 2305, 384)]
NEXT = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]


def sizes(seed: int) -> list[tuple[int, int]]:
    """Of cameras and screens, near the tiles' sizes, anything, and strips."""
    draw = random.Random(seed)
    found = [(640, 480), (480, 640), (1920, 1080), (1080, 1920), (4032, 3024), (336, 336), (1, 1)]
    found += [(1, 5000), (5000, 1), (2, 97), (97, 2), (50, 3000), (3000, 50)]
    found += [(draw.randint(1, 3000), draw.randint(1, 3000)) for _ in range(200)]
    for side in (336, 384):
        found += [
            (side * draw.randint(1, 6) + draw.randint(-2, 2), side * draw.randint(1, 6))
            for _ in range(60)
        ]
    found += [(draw.randint(1, 60), draw.randint(400, 6000)) for _ in range(30)]
    return found


def counter(kind: str, resolutions: list[list[int]], side: int, **settings: Any) -> Any:
    """The processor's own count, without a tokenizer."""
    processor_class = getattr(transformers, kind + "Processor")
    processor = processor_class.__new__(processor_class)
    images = getattr(transformers, kind + "ImageProcessor")(image_grid_pinpoints=resolutions)
    for name, value in ({"image_processor": images} | settings).items():
        setattr(processor, name, value)
    return lambda width, height: processor._get_number_of_features(height, width, side, side)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    args = parser.parse_args()
    setup()
    # The count of LLaVA-NeXT has the class token, which strategy "default" drops.
    in_next = counter("LlavaNext", NEXT, 336, patch_size=14, num_additional_image_tokens=0)
    in_one_vision = counter(
        "LlavaOnevision", ONE_VISION, 384, num_image_tokens=729, vision_aspect_ratio="anyres_max_9"
    )
    models = [
        {"name": "llava-next", "side": 336, "patches": 24, "max_views": 0, "resolutions": NEXT},
        {
            "name": "llava-onevision",
            "side": 384,
            "patches": 27,
            "max_views": 9,
            "resolutions": ONE_VISION,
        },
    ]
    for model, count in zip(models, (in_next, in_one_vision)):
        model["pictures"] = [[w, h, count(w, h)] for w, h in sizes(model["side"])]
    write_compact_json(args.out / "tiling.json", {"models": models})


if __name__ == "__main__":
    main()
