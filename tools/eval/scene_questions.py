"""Scenes of training/generate.py for the scripts beside this file, sharp or blurred."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter

ROOT = Path(__file__).resolve().parents[2]


def scene_questions(work: Path, seed: int, images: int, blur: float) -> list[dict[str, Any]]:
    """The questions about `images` scenes, each with its picture's `path`. blur: radius of a Gaussian in pixels, by which a model that
    knows its world begins to name what is not there; 0 for none. What is in `work` already is not made again."""
    folder = work / f"scenes-{seed}-{images}"
    if not (folder / "questions.jsonl").exists():
        command = [sys.executable, ROOT / "training" / "generate.py", "--seed", seed, "--images", images, "--out", folder]
        subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr)
    questions = [json.loads(line) for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    for question in questions:
        path = folder / question["image"]
        if blur > 0:
            sharp, path = path, work / f"blur-{blur:g}" / folder.name / question["image"]
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                with Image.open(sharp) as picture:
                    picture.convert("RGB").filter(ImageFilter.GaussianBlur(blur)).save(path)
        question["path"], question["seed"] = str(path.resolve()), seed
    return questions
