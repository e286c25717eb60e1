#!/usr/bin/env python3
"""What interventions do to a model's answers on generated scenes: a table with paired confidence intervals.

    tools/eval/intervention_table.py --program build/release/bin/binocle --model models/binocle-tiny --work DIR \\
        [--seeds 7001 7002 7003 7004 7005] [--images 30] [--blur 0] [--var-fixed dims=204,tau=3]

For every seed the scenes of training/generate.py are asked about once without interventions and once with each setting. Intervals are
of the difference to the plain run: 95 %, bootstrap over pictures of all seeds. Runs that are already in DIR are not repeated.
Needs numpy and what training/generate.py needs.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "training"))
from scene_questions import scene_questions  # noqa: E402
from score import mentions  # noqa: E402

RESAMPLES = 2000


def settings(var_fixed: str) -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = {"plain": {}}
    for p in (0.3, 0.6, 0.9):
        for rho in (0.3, 0.5, 0.8):
            table[f"VAR p={p} ρ={rho}"] = {"var": f"p={p},rho={rho},{var_fixed}"}
    for alpha in (0.3, 0.7, 1.5):
        for beta in (0.1, 0.4, 0.8):
            table[f"modulation α={alpha} β={beta}"] = {"modulate": f"alpha={alpha},beta={beta}"}
    for alpha in (0.2, 0.5):
        table[f"PAI α={alpha}"] = {"pai": f"alpha={alpha}"}
    table["guidance γ=1.1"] = {"guidance": "gamma=1.1"}
    table["PAI α=0.5 + guidance γ=1.1"] = {"pai": "alpha=0.5", "guidance": "gamma=1.1"}
    table["modulation α=0.7 β=0.4 + guidance γ=1.1"] = {"modulate": "alpha=0.7,beta=0.4", "guidance": "gamma=1.1"}
    table["VCD α=1 β=0.1"] = {"vcd": "alpha=1,beta=0.1,steps=500"}
    table["VCD α=0.5 β=0.1"] = {"vcd": "alpha=0.5,beta=0.1,steps=500"}
    return table


@dataclass
class Data:
    program: Path
    model: Path
    work: Path
    blur: float

    def answers(self, seed: int, questions: list[dict], options: dict[str, str], name: str) -> list[dict]:
        path = self.work / f"answers-{seed}-{len(questions)}-blur{self.blur:g}-{name}.jsonl"
        if not path.exists():
            asked = [
                {"id": q["id"], "images": [q["path"]], "prompt": q["prompt"], "max_new_tokens": 80} | options
                for q in questions
            ]
            requests = self.work / "requests.jsonl"
            requests.write_text("".join(json.dumps(a) + "\n" for a in asked), encoding="utf-8")
            done = subprocess.run([str(self.program), "ask", "--model", str(self.model), "--requests", str(requests)], check=True, capture_output=True)
            path.write_bytes(done.stdout)
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def four_grams_repeat(text: str) -> bool:
    words = text.split()
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return bool(grams) and len(set(grams)) < 0.5 * len(grams)


COLUMNS = ("asked", "right", "true_yes", "false_yes", "false_no", "captions", "bad_captions", "named", "wrong", "there", "found", "words", "loops")


def counts_by_picture(questions: list[dict], answers: list[dict]) -> dict[tuple[int, str], np.ndarray]:
    """What every figure is made of, summed over a picture's questions."""
    table: dict[tuple[int, str], Counter] = {}
    for question, answer in zip(questions, answers):
        c = table.setdefault((question["seed"], question["image"]), Counter())
        said, right = answer["answer"].strip(), question["answer"]
        c["asked"] += 1
        c["right"] += said == right
        if question["kind"] == "exist":
            yes = said.lower().startswith("yes")
            c["true_yes"] += yes and right == "yes"
            c["false_yes"] += yes and right == "no"
            c["false_no"] += not yes and right == "yes"
        if question["kind"] == "describe":
            truth, guess = mentions(right), mentions(said)
            hits = (truth & guess).total()
            c["captions"] += 1
            c["bad_captions"] += guess.total() > hits
            c["named"] += guess.total()
            c["wrong"] += guess.total() - hits
            c["there"] += truth.total()
            c["found"] += hits
            c["words"] += len(re.findall(r"\S+", said))
            c["loops"] += four_grams_repeat(said)
    return {picture: np.array([c[name] for name in COLUMNS], dtype=float) for picture, c in table.items()}


def figures(sums: np.ndarray) -> np.ndarray:
    """[..., 13] -> accuracy, F1, CHAIR_s, CHAIR_i, recall, words, repetition."""
    s = {name: sums[..., i] for i, name in enumerate(COLUMNS)}
    f1 = 2 * s["true_yes"] / np.maximum(1, 2 * s["true_yes"] + s["false_yes"] + s["false_no"])
    captions = np.maximum(1, s["captions"])
    return np.stack(
        [s["right"] / s["asked"], f1, s["bad_captions"] / captions, s["wrong"] / np.maximum(1, s["named"]), s["found"] / np.maximum(1, s["there"]),
         s["words"] / captions, s["loops"] / captions],
        axis=-1,
    )


def interval(counts: np.ndarray, plain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of the difference, pictures drawn with replacement, the same draw on both sides."""
    random = np.random.default_rng(1)
    picks = random.integers(0, len(counts), (RESAMPLES, len(counts)))
    differences = figures(counts[picks].sum(1)) - figures(plain[picks].sum(1))
    low, high = np.percentile(differences, [2.5, 97.5], axis=0)
    return low, high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "binocle-tiny")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7001, 7002, 7003, 7004, 7005])
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--blur", type=float, default=0, help="radius of a Gaussian over every picture")
    parser.add_argument("--var-fixed", default="dims=204,tau=3", help="what all VAR settings share")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    data = Data(args.program, args.model, args.work, args.blur)
    scenes = {seed: scene_questions(args.work, seed, args.images, args.blur) for seed in args.seeds}
    total = sum(len(q) for q in scenes.values())
    print(f"{len(args.seeds)} seeds ({', '.join(map(str, args.seeds))}), {args.images * len(args.seeds)} pictures, {total} questions. ±: 95 % of the difference to plain.\n")
    print("| setting | accuracy | yes/no F1 | CHAIR_s | CHAIR_i | recall | words | repetition |\n|---|---|---|---|---|---|---|---|")
    plain: np.ndarray | None = None
    for index, (name, options) in enumerate(settings(args.var_fixed).items()):
        rows: list[np.ndarray] = []
        for seed, questions in scenes.items():
            slug = "-".join(f"{k}_{v}" for k, v in options.items()).replace("=", "").replace(",", "_") or "plain"
            answers = data.answers(seed, questions, options, slug)
            rows += list(counts_by_picture(questions, answers).values())
        counts = np.array(rows)
        plain = counts if plain is None else plain
        values = figures(counts.sum(0))
        low, high = interval(counts, plain)
        cells = []
        for i, value in enumerate(values):
            digits = 1 if i == 5 else 3
            cells.append(f"{value:.{digits}f}" + ("" if index == 0 else f" [{low[i]:+.{digits}f}, {high[i]:+.{digits}f}]"))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
