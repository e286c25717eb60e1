#!/usr/bin/env python3
"""Exports every trained run, has the runtime answer the held-out sets, and times it: what report.py reads. Finished parts are kept.

    python training/sights/measure.py --binocle build/release/bin/binocle [--runs training/runs] [--seed 2026] [--images 200]

RUNS/NAME gets model/, judged-SEED-IMAGES/SET/ and bench.json; what is older than its weights is made anew. With --only, those runs alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

import torch

from export import export_run
from generate import SETS
from judge import judge
from nets.shape import DESIGNS
from plan import ABLATIONS, PLAN, saved_all
from report import judged_folder

TOKENIZER = Path(__file__).resolve().parent / "tokenizer"
ROUNDS = 5  # runs take turns, so that a slow hour of the machine meets all


def newer(made: Path, source: Path) -> bool:
    return made.exists() and made.stat().st_mtime > source.stat().st_mtime


def bench(binocle: Path, model: Path) -> dict:
    command = [binocle, "bench", "model", "--model", model, "--compute", "bf16", "--text-tokens", "12", "--decode-tokens", "8",
               "--batch", "1", "--rounds", "5", "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures every trained run.")
    parser.add_argument("--binocle", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path(__file__).resolve().parent.parent / "runs")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--only", nargs="+", help="names of runs")
    args = parser.parse_args()
    steps = [s for s in (PLAN[-1], *ABLATIONS) if s.stage == "join" and saved_all(args.runs, s) and (not args.only or s.run in args.only)]
    for step in steps:
        folder, weights = args.runs / step.run, args.runs / step.place / "weights.pt"
        export_run(torch.load(weights), folder / "model", DESIGNS[step.design], step.run, TOKENIZER)
        for name in SETS:
            judged = judged_folder(folder, args.seed, args.images) / name
            if not newer(judged / "score.json", weights):
                judge(args.binocle, folder / "model", judged, name, args.seed, args.images)
                print(step.run, name, flush=True)
    timed: dict[str, list[dict]] = {step.run: [] for step in steps}
    for _ in range(ROUNDS):
        for run, rounds in timed.items():
            rounds.append(bench(args.binocle, args.runs / run / "model"))
    for run, rounds in timed.items():
        (args.runs / run / "bench.json").write_text(json.dumps(rounds, indent=1) + "\n")


if __name__ == "__main__":
    main()
