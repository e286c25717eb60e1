#!/usr/bin/env python3
"""Does the grounding signal tell hallucinated objects from real ones?

    tools/eval/grounding_auroc.py --program build/release/bin/binocle --model models/binocle-tiny --work DIR [--seeds …] [--images 300] [--blur 0]

Scenes of training/generate.py are described with --grounding. An object that a description names more often than it is there is
hallucinated, the last mentions first. A mention's signal is the mean grounding of its tokens. Prints the AUROC of *low* grounding for
hallucinated mentions with its 95 % interval (bootstrap over pictures). Needs numpy, sentencepiece and what training/generate.py needs.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import sentencepiece

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "training"))
from scene_questions import scene_questions  # noqa: E402
from score import mentions  # noqa: E402

RESAMPLES = 2000
SEPARATORS = re.compile(r", | and ")


def describe(program: Path, model: Path, work: Path, seed: int, images: int, blur: float) -> list[tuple[dict, dict]]:
    questions = [q for q in scene_questions(work, seed, images, blur) if q["kind"] == "describe"]
    path = work / f"grounding-{seed}-{images}-blur{blur:g}.jsonl"
    if not path.exists():
        asked = [
            {"id": q["id"], "images": [q["path"]], "prompt": q["prompt"], "max_new_tokens": 80, "grounding": True}
            for q in questions
        ]
        requests = work / "grounding-requests.jsonl"
        requests.write_text("".join(json.dumps(a) + "\n" for a in asked), encoding="utf-8")
        done = subprocess.run([str(program), "ask", "--model", str(model), "--requests", str(requests)], check=True, capture_output=True)
        path.write_bytes(done.stdout)
    return list(zip(questions, map(json.loads, path.open(encoding="utf-8"))))


def spans(text: str) -> list[tuple[str, int, int]]:
    """The objects that a description names, with their characters."""
    found, at = [], 0
    for part in SEPARATORS.split(text):
        begin = text.index(part, at)
        at = begin + len(part)
        name = re.sub(r"^(an?|the) ", "", part.strip())
        if name and not name.startswith("word"):
            start = text.index(name, begin)
            found.append((name, start, start + len(name)))
    return found


def mention_signals(question: dict, answer: dict, pieces: sentencepiece.SentencePieceProcessor) -> tuple[list[float], list[float]]:
    """(of hallucinated mentions, of real ones)."""
    text, ends = "", []
    for i in range(len(answer["token_ids"])):
        text = pieces.decode(answer["token_ids"][: i + 1])
        ends.append(len(text))
    text = text.strip()
    left = Counter(mentions(question["answer"]))
    wrong, right = [], []
    for name, begin, end in spans(text):
        tokens = [g for g, before, after in zip(answer["grounding"], [0, *ends], ends) if after > begin and before < end]
        if not tokens:
            continue
        left[name] -= 1
        (right if left[name] >= 0 else wrong).append(float(np.mean(tokens)))
    return wrong, right


def auroc(wrong: np.ndarray, right: np.ndarray) -> float:
    """The chance that a hallucinated mention has less grounding than a real one; ties count half."""
    right = np.sort(right)
    below = len(right) - np.searchsorted(right, wrong, side="right")
    ties = np.searchsorted(right, wrong, side="right") - np.searchsorted(right, wrong, side="left")
    return float((below + 0.5 * ties).sum() / (len(wrong) * len(right)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "binocle-tiny")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7001, 7002, 7003, 7004, 7005])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--blur", type=float, default=0, help="radius of a Gaussian over every picture")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(args.model / "tokenizer.model"))
    pictures = [
        mention_signals(question, answer, pieces)
        for seed in args.seeds
        for question, answer in describe(args.program, args.model, args.work, seed, args.images, args.blur)
    ]
    wrong = np.concatenate([np.array(w) for w, _ in pictures])
    right = np.concatenate([np.array(r) for _, r in pictures])
    if len(wrong) == 0:
        print(f"{len(pictures)} descriptions, {len(right)} mentions, none hallucinated: there is nothing to tell apart")
        return
    random = np.random.default_rng(1)
    draws = []
    for _ in range(RESAMPLES):
        picked = [pictures[i] for i in random.integers(0, len(pictures), len(pictures))]
        w = np.array([x for p in picked for x in p[0]])
        if len(w) > 0:
            draws.append(auroc(w, np.array([x for p in picked for x in p[1]])))
    low, high = np.percentile(draws, [2.5, 97.5])
    print(
        f"{len(pictures)} descriptions, {len(right) + len(wrong)} mentions, {len(wrong)} hallucinated; mean grounding {wrong.mean():.3f} of "
        f"hallucinated, {right.mean():.3f} of real ones; AUROC {auroc(wrong, right):.3f} [{low:.3f}, {high:.3f}]"
    )


if __name__ == "__main__":
    main()
