#!/usr/bin/env python3
"""Writes scenes and questions about them in POPE's form: the data of the task scenes_pope.

    python3 tools/eval/scenes_pope.py --seed 7 --images 500 --out FOLDER

Like POPE, six questions a picture: three about objects that are there, where there are so many, the others about objects that are not.
FOLDER/0000.png … and FOLDER/pope.jsonl, {"question_id", "image", "text", "label"} a line. Needs what training/generate.py needs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))
from generate import scene_stream  # noqa: E402
from scenes import world  # noqa: E402
from scenes.questions import Asker  # noqa: E402
from scenes.render import render  # noqa: E402
from scenes.scene import Scene  # noqa: E402

QUESTIONS = 6


def names_of(scene: Scene, rng: random.Random) -> list[tuple[str, bool]]:
    """Six different names and whether they are in the scene, those that are first."""
    asker = Asker(scene, rng)
    present = sorted(asker.owners)
    chosen = [(name, True) for name in rng.sample(present, min(QUESTIONS // 2, len(present)))]
    absent: list[str] = []
    while len(chosen) + len(absent) < QUESTIONS:
        name = asker._absent()  # half of them near misses of what is there
        if name not in absent:
            absent.append(name)
    return chosen + [(name, False) for name in absent]


def lines_of(scene: Scene, image: str, first_id: int, rng: random.Random) -> list[dict[str, Any]]:
    return [{"question_id": first_id + i, "image": image, "text": f"Is there {world.with_article(name)} in the picture?",
             "label": "yes" if there else "no"} for i, (name, there) in enumerate(names_of(scene, rng))]


def write(seed: int, images: int, out: Path) -> int:
    out.mkdir(parents=True, exist_ok=True)
    rng, stream, total = random.Random(f"binocle pope {seed}"), scene_stream(seed, "test"), 0
    with open(out / "pope.jsonl", "w", encoding="utf-8") as file:
        for index in range(images):
            scene, _ = next(stream)
            name = f"{index:04d}.png"
            render(scene).save(out / name)
            for line in lines_of(scene, name, total + 1, rng):
                file.write(json.dumps(line) + "\n")
            total += QUESTIONS
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes scenes and questions about them in POPE's form.")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.images < 0:
        parser.error(f"--images is {args.images}, expected 0 or more")
    print(f"{args.images} pictures and {write(args.seed, args.images, args.out)} questions in {args.out}")


if __name__ == "__main__":
    main()
