#!/usr/bin/env python3
"""Scores answers against questions.jsonl: exact match per kind beside what always giving the commonest answer would get.

    python3 training/sights/score.py --questions SET/{questions,pairs,dialogues}.jsonl --answers answers.jsonl [--about SET/about.jsonl] [--json score.json]

Descriptions and captions are also scored by object recall and CHAIR_i over objects and shapes: mentions are matched one
to one, so naming a thing more often than it is there is a hallucination. Some kinds are shown by part as well: words of
3 to 8 letters, numbers, counts by size, what is named by sort; with --about also objects that are there and absent, and colours by whose they are.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path

from world import objects
from world.questions import KIND_ORDER

GOALS = {"exist": .95, "what: objects": .85, "colour: shapes": .92, "count: 1 to 8": .80, "where": .85, "relation": .85, "compare": .85,
         "read: words": .80}
NEVER_SHOWN = "any kind: never shown"  # questions about what training showed nowhere, or not so
_SINGULAR = {objects.plural(k.label): k.label for k in objects.KINDS}


def named(description: str) -> list[tuple[str, int, int, int]]:
    """The objects a description or caption names: a name, how many of it, and where its words begin and end; signs are left out."""
    found, at = [], 0
    for part in re.split(r", | and ", description.strip()):
        begin = description.index(part, at)
        at = begin + len(part)
        words = part.removesuffix(" with a label")
        several = re.fullmatch(r"(\d{1,2}) (.+)", words)
        name = several[2] if several else re.sub(r"^an? ", "", words)
        if name and not name.endswith(("sign", "signs")):
            end = begin + len(words)
            found.append((_SINGULAR.get(name, name) if several else name, int(several[1]) if several else 1, end - len(name), end))
    return found


def mentions(description: str) -> Counter[str]:
    """How often each object is named."""
    found: Counter[str] = Counter()
    for name, times, _, _ in named(description):
        found[name] += times
    return found


def parts(q: dict, about: dict | None = None) -> list[str]:
    """The rows of the table that a question counts in. `about`: its line of about.jsonl."""
    about = about or {}
    return _parts(q, about.get("about", "")) + [NEVER_SHOWN] * about.get("held_out", False)


def _parts(q: dict, about: str) -> list[str]:
    kind, answer = q["kind"], q["answer"]
    if kind == "exist" and about == "objects":
        return [kind, "exist: objects", "exist: objects there" if answer == "yes" else "exist: objects absent"]
    if kind == "what":
        return [kind, "what: nothing" if answer == "nothing" else "what: objects" if answer in objects.CATEGORY else "what: shapes"]
    if kind == "colour" and about:
        return [kind, f"colour: {about}"]
    if kind == "read":
        if answer.isdigit():
            return [kind, "read: numbers"]
        return [kind, "read: words"] if answer.isalpha() and 3 <= len(answer) <= 8 else [kind, "read: other"]
    if kind == "count" and answer.isdigit():
        small = ["count: 1 to 8"] if 1 <= int(answer) <= 8 else []
        return [kind, *small, "count: 0 to 3" if int(answer) < 4 else "count: 4 to 8" if int(answer) < 9 else "count: more"]
    return [kind]


def place(part: str) -> tuple[int, str]:
    """To sort rows by: kinds in their order, each before its parts."""
    kind = part.split(":")[0]
    return (KIND_ORDER.index(kind) if kind in KIND_ORDER else len(KIND_ORDER), part)


def score(questions: list[dict], answers: dict[str, str], about: dict[str, dict] | None = None) -> dict[str, dict[str, float]]:
    about = about or {}
    rows: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KIND_ORDER}
    for q in questions:
        for part in parts(q, about.get(q["id"])):
            rows.setdefault(part, []).append((q["answer"], answers.get(q["id"], "").strip()))
    table: dict[str, dict[str, float]] = {}
    for kind, pairs in sorted(rows.items(), key=lambda r: place(r[0])):
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


def read_about(path: Path) -> dict[str, dict]:
    return {line["id"]: line for line in map(json.loads, path.read_text(encoding="utf-8").splitlines())}


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
    parser.add_argument("--about", type=Path, help="about.jsonl of the set, for what the questions do not say themselves")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    questions = [json.loads(line) for file in args.questions for line in file.read_text(encoding="utf-8").splitlines()]
    lines = [json.loads(line) for line in args.answers.read_text(encoding="utf-8").splitlines()]
    about = read_about(args.about) if args.about else {}
    table = score(questions, {line["id"]: line["answer"] for line in lines}, about)
    print(shown(table))
    if args.json:
        args.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
