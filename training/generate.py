#!/usr/bin/env python3
"""Writes pictures and questions with exact answers: the held-out test distribution, unless --split train.

    python3 training/generate.py --seed 7 --images 200 --out /tmp/scenes

OUT/0000.png ... (RGB, 192 x 192) and OUT/questions.jsonl, one object a line:
{"id": "0000-03", "image": "0000.png", "prompt": "...", "answer": "...", "kind": "what"}.
The same arguments give the same questions everywhere, and the same pixels with the same Pillow and FreeType.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

from scenes.questions import Question, ask
from scenes.render import render
from scenes.scene import Scene, sample_scene


def scene_stream(seed: int, split: str) -> Iterator[tuple[Scene, list[Question]]]:
    """Endless scenes with their questions. Each split has its own streams: seed 1 of one is not seed 1 of the other."""
    rng = random.Random(f"binocle {split} {seed}")
    while True:
        scene = sample_scene(rng, split)
        yield scene, ask(scene, rng)


def write(seed: int, images: int, out: Path, split: str) -> int:
    """Writes `images` pictures and their questions; returns how many questions."""
    out.mkdir(parents=True, exist_ok=True)
    stream, total = scene_stream(seed, split), 0
    with open(out / "questions.jsonl", "w", encoding="utf-8") as lines:
        for index in range(images):
            scene, questions = next(stream)
            name = f"{index:04d}.png"
            render(scene).save(out / name)
            for number, q in enumerate(questions):
                line = {"id": f"{index:04d}-{number:02d}", "image": name, "prompt": q.prompt,
                        "answer": q.answer, "kind": q.kind}
                lines.write(json.dumps(line) + "\n")
            total += len(questions)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes scenes and questions about them.")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", choices=("test", "train"), default="test",
                        help="train leaves out the held-out combinations; test shows one in nearly every scene")
    args = parser.parse_args()
    if args.images < 0:
        parser.error(f"--images is {args.images}, expected 0 or more")
    total = write(args.seed, args.images, args.out, args.split)
    print(f"{args.images} pictures and {total} questions in {args.out}")


if __name__ == "__main__":
    main()
