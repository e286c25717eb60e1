#!/usr/bin/env python3
"""Scores answers against questions.jsonl: exact match per kind beside what always giving the commonest answer would get.

    python3 training/score.py --questions scenes/questions.jsonl --answers answers.jsonl [--json score.json]

`words` is `say` without the pictures that have no sign. Descriptions are also scored by object recall and CHAIR_i over
emoji and shapes: mentions are matched one to one, so naming a thing more often than it is there is a hallucination.
Standard library only.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path

KINDS = ("exist", "what", "colour", "count", "where", "relation", "say", "words", "describe")
GOALS = {"exist": .94, "what": .78, "colour": .88, "count": .75, "where": .75, "relation": .70, "words": .50}


def mentions(description: str) -> Counter[str]:
    """The objects a description names; signs are left out."""
    parts = re.split(r", | and ", description.strip())
    names = [re.sub(r"^(an?|the) ", "", part.strip()) for part in parts]
    return Counter(name for name in names if name and not name.startswith("word"))


def score(questions: list[dict], answers: dict[str, str]) -> dict[str, dict[str, float]]:
    rows: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KINDS}
    for q in questions:
        pair = (q["answer"], answers.get(q["id"], "").strip())
        rows[q["kind"]].append(pair)
        if q["kind"] == "say" and q["answer"] != "nothing":
            rows["words"].append(pair)
    table: dict[str, dict[str, float]] = {}
    for kind, pairs in rows.items():
        if pairs:
            commonest = Counter(right for right, _ in pairs).most_common(1)[0][1]
            table[kind] = {"n": len(pairs), "accuracy": sum(a == b for a, b in pairs) / len(pairs),
                           "majority": commonest / len(pairs)}
    there = named = found = 0
    for right, said in rows["describe"]:
        truth, guess = mentions(right), mentions(said)
        there, named, found = there + truth.total(), named + guess.total(), found + (truth & guess).total()
    if there:
        table["describe"] |= {"recall": found / there, "chair_i": (named - found) / max(1, named)}
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="Scores answers against questions.jsonl.")
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    questions = [json.loads(line) for line in args.questions.read_text(encoding="utf-8").splitlines()]
    lines = [json.loads(line) for line in args.answers.read_text(encoding="utf-8").splitlines()]
    table = score(questions, {line["id"]: line["answer"] for line in lines})
    print("| kind | n | exact | majority | goal |\n| --- | ---: | ---: | ---: | ---: |")
    for kind, row in table.items():
        goal = f"{GOALS[kind]:.2f}" if kind in GOALS else ""
        print(f"| {kind} | {row['n']} | {row['accuracy']:.3f} | {row['majority']:.3f} | {goal} |")
    if "describe" in table:
        print(f"\ndescribe: object recall {table['describe']['recall']:.3f}, CHAIR_i {table['describe']['chair_i']:.3f}")
    if args.json:
        args.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
