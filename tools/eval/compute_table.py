#!/usr/bin/env python3
"""What fewer bits do to a model's answers on generated scenes: accuracy with paired intervals, and the divergence of its distributions.

    tools/eval/compute_table.py --program build/release/bin/binocle --model models/binocle-tiny --work DIR \\
        [--seeds 7001 7002 7003 7004 7005] [--images 30] [--kinds bf16 int8 int4]

The scenes are those of intervention_table.py. KL is Σ p·ln(p/q) of the first token's distribution, p of f32 and q of the kind, over the whole
vocabulary; "same answer" counts texts that are equal. Runs that are already in DIR are not repeated. Needs what intervention_table.py needs.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
from pathlib import Path

import numpy as np
from intervention_table import RESAMPLES, ROOT, counts_by_picture, figures
from scene_questions import scene_questions


def asked(args: argparse.Namespace, kind: str, seed: int, questions: list[dict], name: str, **options: object) -> list[dict]:
    path = args.work / f"{kind}-{seed}-{len(questions)}-{name}.jsonl"
    if not path.exists():
        lines = [json.dumps({"id": q["id"], "images": [q["path"]], "prompt": q["prompt"], **options}) + "\n" for q in questions]
        requests = args.work / "requests.jsonl"
        requests.write_text("".join(lines), encoding="utf-8")
        command = [args.program, "ask", "--model", args.model, "--compute", kind, "--requests", requests]
        path.write_bytes(subprocess.run(list(map(str, command)), check=True, capture_output=True).stdout)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def distribution(answer: dict) -> dict[int, float]:
    return {token: value for token, value in answer["logprobs"][0]}


def divergence(p: dict[int, float], q: dict[int, float]) -> float:
    return sum(math.exp(value) * (value - q[token]) for token, value in p.items() if token in q)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "binocle-tiny")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7001, 7002, 7003, 7004, 7005])
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--kinds", nargs="+", default=["bf16", "int8", "int4"])
    parser.add_argument("--vocabulary", type=int, default=1152, help="of the model: how many log-probabilities are asked for")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    scenes = {seed: scene_questions(args.work, seed, args.images, 0) for seed in args.seeds}
    print(f"{args.images * len(args.seeds)} pictures, {sum(map(len, scenes.values()))} questions, seeds {', '.join(map(str, args.seeds))}\n")
    print("| compute | accuracy | difference to f32 | same answer | KL mean | KL 99 % | KL max |\n|---|---|---|---|---|---|---|")
    truth: dict[int, tuple[list[dict], list[dict]]] = {}
    plain: np.ndarray | None = None
    for kind in ["f32", *args.kinds]:
        rows: list[np.ndarray] = []
        same, kl = [], []
        for seed, questions in scenes.items():
            answers = asked(args, kind, seed, questions, "answers", max_new_tokens=80)
            firsts = asked(args, kind, seed, questions, "first", max_new_tokens=1, logprobs=args.vocabulary)
            truth.setdefault(seed, (answers, firsts))
            rows += list(counts_by_picture(questions, answers).values())
            same += [a["answer"] == b["answer"] for a, b in zip(answers, truth[seed][0])]
            kl += [divergence(distribution(p), distribution(q)) for p, q in zip(truth[seed][1], firsts)]
        counts = np.array(rows)
        plain = counts if plain is None else plain
        accuracy, of_plain = (100 * figures(c.sum(0))[0] for c in (counts, plain))
        picks = np.random.default_rng(1).integers(0, len(counts), (RESAMPLES, len(counts)))
        low, high = np.percentile(100 * (figures(counts[picks].sum(1))[:, 0] - figures(plain[picks].sum(1))[:, 0]), [2.5, 97.5])
        values = [f"{np.mean(kl):.2e}", f"{np.percentile(kl, 99):.2e}", f"{np.max(kl):.2e}"] if kind != "f32" else ["", "", ""]
        difference = f"{accuracy - of_plain:+.2f} [{low:+.2f}, {high:+.2f}]" if kind != "f32" else ""
        print(f"| {kind} | {accuracy:.2f} % | {difference} | {100 * np.mean(same):.1f} % | " + " | ".join(values) + " |", flush=True)


if __name__ == "__main__":
    main()
