"""What the tests of `binocle eval run` share: data of the task `scenes` with pictures that the standard library draws."""

import json
import random
import shutil
import tempfile
import unittest
import zlib
from pathlib import Path

from program import png, run

QUESTIONS = ("Is there a dog?", "How many circles are there?", "Where is the square?", "What do you see?", "Is there a sign?", "Describe the picture.")
ANSWERS = ("no", "0", "centre", "a square", "no", "a square")
SIDE = 48


def picture(generator):
    """Coloured blocks."""
    rows = b""
    for _ in range(4):
        blocks = b"".join(bytes(generator.randrange(256) for _ in range(3)) * (SIDE // 4) for _ in range(4))
        rows += (b"\0" + blocks) * (SIDE // 4)
    return png(SIDE, SIDE, zlib.compress(rows))


def write_scenes(folder, pictures, questions=len(QUESTIONS)):
    """questions.jsonl, as training/generate.py writes it, with its pictures."""
    folder.mkdir(parents=True)
    generator = random.Random(1)
    lines = []
    for number in range(pictures):
        name = f"{number:04d}.png"
        (folder / name).write_bytes(picture(generator))
        for index in range(questions):
            lines.append({"id": f"{number:04d}-{index:02d}", "image": name, "prompt": QUESTIONS[index], "answer": ANSWERS[index], "kind": f"k{index % 3}"})
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


class PlainRuns:
    """Runs without options over a set of write_scenes, each made once and copied to whoever reads it: what a run writes names no folder."""

    made = {}

    @classmethod
    def copy(cls, pictures, questions, out):
        if (pictures, questions) not in cls.made:
            folder = tempfile.TemporaryDirectory(prefix="binocle-")
            unittest.addModuleCleanup(folder.cleanup)
            data, made = write_scenes(Path(folder.name) / "data", pictures, questions), Path(folder.name) / "made"
            result = run("eval", "run", "scenes", "--data", data, "--out", made, seconds=60)
            if result.status != 0:
                raise AssertionError(result.stderr)
            cls.made[pictures, questions] = made
        shutil.copytree(cls.made[pictures, questions], out)
        return out


def final_files(folder):
    """The files at the end of a run, by name; journals and times are not among them."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and not path.name.startswith(("journal_", "times_"))}


def journal_lines(folder):
    """All sample lines of a folder's journals."""
    return [json.loads(line) for path in sorted(folder.glob("journal_*")) for line in path.read_text().splitlines()[1:]]
