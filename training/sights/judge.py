#!/usr/bin/env python3
"""Answers the held-out sets with an exported model, through `binocle ask`, and writes accuracy by kind.

    python3 training/sights/judge.py --model DIRECTORY --binocle build/dev/bin/binocle --out judged [--seed 1] [--images 100]

OUT/SET has the set's files, answers.jsonl and score.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

from generate import ABOUT, FILES, SETS, write
from score import read_about, score, shown


def answers(binocle: Path, model: Path, requests: Path) -> dict[str, str]:
    run = subprocess.run([binocle, "ask", "--model", model, "--requests", requests], stdout=subprocess.PIPE, text=True, check=True)
    return {line["id"]: line["answer"] for line in map(json.loads, run.stdout.splitlines())}


def judge(binocle: Path, model: Path, folder: Path, name: str, seed: int, images: int) -> dict[str, dict[str, float]]:
    """One set's table; everything it comes from is in `folder` afterwards, score.json last."""
    write(name, seed, images, folder)
    questions, said = [], {}
    for file in FILES:
        lines = (folder / file).read_text(encoding="utf-8").splitlines()
        questions += map(json.loads, lines)
        said |= answers(binocle, model, folder / file) if lines else {}
    (folder / "answers.jsonl").write_text("".join(json.dumps({"id": i, "answer": a}) + "\n" for i, a in said.items()))
    table = score(questions, said, read_about(folder / ABOUT))
    (folder / "score.json").write_text(json.dumps(table, indent=2) + "\n")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="Judges an exported model on the held-out sets.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--binocle", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--images", type=int, default=100)
    args = parser.parse_args()
    for name in args.sets:
        table = judge(args.binocle, args.model, args.out / name, name, args.seed, args.images)
        print(f"## {name}, seed {args.seed}, {args.images} pictures\n\n{shown(table)}\n", flush=True)


if __name__ == "__main__":
    main()
