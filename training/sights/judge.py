#!/usr/bin/env python3
"""Answers the held-out sets with an exported model, through `binocle ask`, and writes accuracy by kind.

    python3 training/sights/judge.py --model DIRECTORY --binocle build/dev/bin/binocle --out judged [--seed 1] [--images 100]
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

from generate import FILES, SETS, write
from score import score, shown


def answers(binocle: Path, model: Path, requests: Path) -> dict[str, str]:
    run = subprocess.run([binocle, "ask", "--model", model, "--requests", requests], stdout=subprocess.PIPE, text=True, check=True)
    return {line["id"]: line["answer"] for line in map(json.loads, run.stdout.splitlines())}


def judge(args: argparse.Namespace, name: str) -> str:
    """One set's table; its files and score.json stay in OUT/SET."""
    folder = args.out / name
    write(name, args.seed, args.images, folder)
    questions, said = [], {}
    for file in FILES:
        lines = (folder / file).read_text(encoding="utf-8").splitlines()
        questions += map(json.loads, lines)
        said |= answers(args.binocle, args.model, folder / file) if lines else {}
    table = score(questions, said)
    (folder / "score.json").write_text(json.dumps(table, indent=2) + "\n")
    return f"## {name}, seed {args.seed}, {args.images} pictures\n\n{shown(table)}\n"


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
        print(judge(args, name), flush=True)


if __name__ == "__main__":
    main()
