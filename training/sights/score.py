#!/usr/bin/env python3
"""Scores answers against questions.jsonl: exact match per kind beside what always giving the commonest answer would get.

    python3 training/sights/score.py --questions SET/*.jsonl --answers answers.jsonl [--json score.json]

Descriptions and captions are also scored by object recall and CHAIR_i over objects and shapes: mentions are matched one
to one, so naming a thing more often than it is there is a hallucination. Some kinds are shown by part as well: words of
3 to 8 letters, numbers, counts by size, colours where shapes are many.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path

from world import objects
from world.questions import KIND_ORDER

GOALS = {"exist": .95, "what": .85, "colour": .92, "count": .80, "where": .85, "relation": .85, "compare": .85, "read: words": .80}
_SINGULAR = {objects.plural(k.label): k.label for k in objects.KINDS}


def mentions(description: str) -> Counter[str]:
    """The objects a description or caption names; signs are left out."""
    found: Counter[str] = Counter()
    for part in re.split(r", | and ", description.strip()):
        part = part.removesuffix(" with a label")
        several = re.fullmatch(r"(\d+) (.+)", part)
        name, times = (_SINGULAR.get(several[2], several[2]), int(several[1])) if several else (re.sub(r"^an? ", "", part), 1)
        if name and not name.endswith(("sign", "signs")):
            found[name] += times
    return found


def parts(q: dict) -> list[str]:
    """The rows of the table that a question counts in."""
    kind, answer = q["kind"], q["answer"]
    if kind == "read":
        if answer.isdigit():
            return [kind, "read: numbers"]
        return [kind, "read: words"] if answer.isalpha() and 3 <= len(answer) <= 8 else [kind, "read: other"]
    if kind == "count" and answer.isdigit():
        return [kind, "count: 0 to 3" if int(answer) < 4 else "count: 4 to 8" if int(answer) < 9 else "count: more"]
    return [kind]


def score(questions: list[dict], answers: dict[str, str]) -> dict[str, dict[str, float]]:
    rows: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KIND_ORDER}
    for q in questions:
        for part in parts(q):
            rows.setdefault(part, []).append((q["answer"], answers.get(q["id"], "").strip()))
    table: dict[str, dict[str, float]] = {}
    for kind, pairs in sorted(rows.items(), key=lambda r: (KIND_ORDER.index(r[0].split(":")[0]), r[0])):
        if pairs:
            commonest = Counter(right for right, _ in pairs).most_common(1)[0][1]
            table[kind] = {"n": len(pairs), "accuracy": sum(a == b for a, b in pairs) / len(pairs), "majority": commonest / len(pairs)}
    for kind in ("caption", "describe"):
        there = named = found = 0
        for right, said in rows[kind]:
            truth, guess = mentions(right), mentions(said)
            there, named, found = there + truth.total(), named + guess.total(), found + (truth & guess).total()
        if there:
            table[kind] |= {"recall": found / there, "chair_i": (named - found) / max(1, named)}
    return table


def shown(table: dict[str, dict[str, float]]) -> str:
    """The table in Markdown."""
    out = ["| kind | n | exact | majority | goal |", "| --- | ---: | ---: | ---: | ---: |"]
    for kind, line in table.items():
        goal = f"{GOALS[kind]:.2f}" if kind in GOALS else ""
        out.append(f"| {kind} | {line['n']} | {line['accuracy']:.3f} | {line['majority']:.3f} | {goal} |")
    for kind in ("caption", "describe"):
        if kind in table:
            out.append(f"\n{kind}: object recall {table[kind]['recall']:.3f}, CHAIR_i {table[kind]['chair_i']:.3f}")
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description="Scores answers against questions.jsonl.")
    parser.add_argument("--questions", type=Path, required=True, nargs="+")
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    questions = [json.loads(line) for file in args.questions for line in file.read_text(encoding="utf-8").splitlines()]
    lines = [json.loads(line) for line in args.answers.read_text(encoding="utf-8").splitlines()]
    table = score(questions, {line["id"]: line["answer"] for line in lines})
    print(shown(table))
    if args.json:
        args.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
