#!/usr/bin/env python3
"""Writes the tables of docs/default_model.md from what measure.py left: accuracy by kind and set, fusions, aligners.

    python3 training/sights/report.py [--runs training/runs] [--seed 2026] [--images 200] [--page docs/default_model.md]

A table stands between <!-- NAME --> and <!-- end NAME --> and is written anew; the words around it are the page's own.
Intervals hold 95 % of 2,000 resamplings of the pictures; a difference is taken picture by picture, both seeds together. They say how sure the pictures make
a number, and not how far another seed of training would be from it: each seed's mean stands beside.
Needs NumPy.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cost import multiplications
from generate import ABOUT, FILES, SETS
from score import GOALS, parts, place, read_about, score

HERE = Path(__file__).resolve().parent
RESAMPLINGS = 2000
FUSIONS = ("default", "anchor", "augment", "add", "channel_concat", "interleave")  # runs of plan.py, each with a number behind it
ALIGNERS = ("stock", "vo", "vo_ffn", "none")
# Rows that a comparison shows: of which set, and of which kinds there (none: the mean over all kinds).
COLUMNS = {"all kinds": ("in_style", None), "reading": ("in_style", ("read",)), "small and far": ("small_far", None),
           "small things": ("small_far", ("exist", "what", "count", "where", "colour")), "long text": ("long_text", ("read",)), "unseen": ("unseen", None), "clip art": ("clip_art", None)}


@dataclass
class Judged:
    """Right and asked by picture [pictures] for each kind, and the questions with what was said."""

    pictures: int
    right: dict[str, np.ndarray] = field(default_factory=dict)
    asked: dict[str, np.ndarray] = field(default_factory=dict)
    questions: list[dict] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)


def judged_folder(run: Path, seed: int, images: int) -> Path:
    """Where measure.py has a run's answers to held-out sets of so many pictures."""
    return run / f"judged-{seed}-{images}"


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read(folder: Path) -> Judged:
    """A picture is where a question's id begins; one about two pictures counts for the second."""
    questions, about = [q for file in FILES for q in lines(folder / file)], read_about(folder / ABOUT)
    out = Judged(1 + max(int(q["id"].split("-")[0]) for q in questions), questions=questions,
                 said={a["id"]: a["answer"].strip() for a in lines(folder / "answers.jsonl")})
    for q in questions:
        at, right = int(q["id"].split("-")[0]), out.said.get(q["id"], "") == q["answer"]
        for part in parts(q, about.get(q["id"])):
            for counts, more in ((out.right, right), (out.asked, True)):
                counts.setdefault(part, np.zeros(out.pictures))[at] += more
    return out


def judged_whole(folder: Path) -> bool:
    return all((folder / name / "score.json").exists() for name in SETS)


def read_all(folder: Path) -> dict[str, Judged]:
    return {name: read(folder / name) for name in SETS}


def kinds_of(judged: Judged) -> tuple[str, ...]:
    return tuple(kind for kind in judged.asked if ":" not in kind)


def drawn(pictures: int, seed: int) -> np.ndarray:
    """[RESAMPLINGS + 1, pictures]: how often each picture counts; once each in the first row."""
    rng = np.random.default_rng(seed)
    return np.concatenate([np.ones((1, pictures)), rng.multinomial(pictures, np.full(pictures, 1 / pictures), RESAMPLINGS)])


def accuracies(judged: Judged, kinds: tuple[str, ...] | None, seed: int = 0) -> np.ndarray:
    """[RESAMPLINGS + 1]: the mean of the kinds' accuracies, the first of all pictures. A drawing that has no question of a kind leaves it out.
    Sets of different pictures are drawn with different seeds, models on the same pictures with the same."""
    weights = drawn(judged.pictures, seed)
    each = []
    for kind in kinds or kinds_of(judged):
        if kind in judged.asked:
            right, asked = weights @ judged.right[kind], weights @ judged.asked[kind]
            each.append(np.divide(right, asked, out=np.full(len(asked), np.nan), where=asked > 0))
    return np.nanmean(each, axis=0)


def interval(values: np.ndarray, scale: float = 1, digits: int = 3, sign: bool = False) -> str:
    low, high = np.percentile(values[1:], (2.5, 97.5))
    shown = [f"{v * scale:{'+' if sign else ''}.{digits}f}" for v in (values[0], low, high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] + ["---:"] * (len(head) - 1), *rows])


def accuracy_table(model: dict[str, Judged]) -> str:
    """Kinds down, sets across, of one model."""
    names = sorted({kind for judged in model.values() for kind in judged.asked}, key=place)
    rows = []
    for kind in names:
        cells = [interval(accuracies(model[s], (kind,))) if kind in model[s].asked else "" for s in SETS]
        goal = f"{GOALS[kind]:.2f}" if kind in GOALS else ""
        questions = int(model["in_style"].asked[kind].sum()) if kind in model["in_style"].asked else 0
        rows.append([kind, str(questions), *cells, goal])
    rows.append(["all kinds", "", *(interval(accuracies(model[s], None)) for s in SETS), ""])
    style = accuracies(model["in_style"], None)
    rows.append(["all kinds, points from in style", "", "",
                 *(interval(accuracies(model[s], None, 1 + i) - style, 100, 1, sign=True) for i, s in enumerate(SETS) if s != "in_style"), ""])
    return markdown(["kind", "questions in style", *(s.replace("_", " ") for s in SETS), "asked for"], rows)


def caption_table(model: dict[str, Judged]) -> str:
    rows = []
    for name, judged in model.items():
        table = score(judged.questions, judged.said)
        for kind in ("caption", "describe"):
            if "recall" in table.get(kind, {}):
                rows.append([f"{kind}, {name.replace('_', ' ')}", f"{table[kind]['recall']:.3f}", f"{table[kind]['chair_i']:.3f}"])
    return markdown(["", "objects named", "CHAIR_i"], rows) if rows else ""


def together(seeds: list[dict[str, Judged]], column: str) -> np.ndarray:
    """The mean of a design's seeds, drawn with the same pictures."""
    name, kinds = COLUMNS[column]
    return np.mean([accuracies(seed[name], kinds) for seed in seeds], axis=0)


def runs_of(runs: Path, sets: tuple[int, int], design: str) -> list[Path]:
    """The measured runs of a design, one for each seed."""
    return sorted(p for p in runs.glob(f"{design}-[0-9]") if (p / "bench.json").exists() and judged_whole(judged_folder(p, *sets)))


def kinds_table(runs: Path, sets: tuple[int, int], pairs: tuple[tuple[str, str], ...]) -> str:
    """Kinds down, in points how far the first design of a pair is from the second, in style."""
    found = {d: [read(judged_folder(p, *sets) / "in_style") for p in runs_of(runs, sets, d)] for pair in pairs for d in pair}
    pairs = tuple(pair for pair in pairs if all(found[d] for d in pair))
    if not pairs:
        return ""
    kinds = sorted({kind for judged in found.values() for one in judged for kind in kinds_of(one)}, key=place)

    def mean(design: str, kind: str) -> np.ndarray:
        return np.mean([accuracies(judged, (kind,)) for judged in found[design]], axis=0)

    rows = [[kind, *(interval(mean(a, kind) - mean(b, kind), 100, 1, sign=True) for a, b in pairs)] for kind in kinds]
    named = {"default": "ftz"}
    return markdown(["kind", *(f"{named.get(a, a)} from {named.get(b, b)}, points" for a, b in pairs)], rows)


def first_token(bench: list[dict]) -> float:
    """Milliseconds from a picture and a question to the first token: the median of the rounds' medians."""
    return float(np.median([s["milliseconds"]["median"] for b in bench for s in b["stages"] if s["stage"] == "picture"]))


def comparison(runs: Path, sets: tuple[int, int], designs: tuple[str, ...], beside: str, relative: bool) -> str:
    """Designs down: the first number is a design's accuracy, the second how far in points it is from `beside`."""
    found = {d: runs_of(runs, sets, d) for d in designs}
    if not found[beside]:
        return ""
    judged = {d: [read_all(judged_folder(p, *sets)) for p in paths] for d, paths in found.items() if paths}
    costs = {d: multiplications(json.loads((found[d][0] / "model/config.json").read_text())) for d in judged}
    rows = []
    for design, seeds in judged.items():
        cells = []
        for column in COLUMNS:
            own, other = together(seeds, column), together(judged[beside], column)
            cells.append(f"{own[0]:.3f}" if design == beside else f"{own[0]:.3f}, {interval(own - other, 100, 1, sign=True)}")
        milliseconds = np.mean([first_token(json.loads((p / "bench.json").read_text())) for p in found[design]])
        cost, whole = costs[design], costs[beside]
        each = " ".join(f"{accuracies(seed['in_style'], None)[0]:.3f}" for seed in seeds)
        rows.append([design.replace("default", "ftz"), each, *cells, str(cost.visual_tokens), f"{cost.total / 1e9:.2f}",
                     *([f"{cost.prefill / whole.prefill:.2f}"] if relative else []), f"{milliseconds:.1f}"])
    return markdown(["", "each seed, all kinds", *COLUMNS, "visual tokens", "G multiplications", *(["of stock's prefill"] if relative else []), "first token, ms"],
                    rows)


def replace_table(page: str, name: str, table: str) -> str:
    form = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.S)
    if len(form.findall(page)) != 1:
        raise SystemExit(f"the page has no place for the table {name!r}, expected <!-- {name} --> and <!-- end {name} --> once")
    return form.sub(lambda m: f"{m[1]}{table}\n{m[2]}", page)


def tables(runs: Path, sets: tuple[int, int]) -> dict[str, str]:
    """Those for which there are whole runs. `sets`: the seed of the sets, and their pictures."""
    out: dict[str, str] = {"fusions": comparison(runs, sets, FUSIONS, "anchor", relative=False),
                           "aligners": comparison(runs, sets, ALIGNERS, "stock", relative=True),
                           "kinds": kinds_table(runs, sets, (("default", "anchor"), ("vo", "stock")))}
    folder = judged_folder(runs / "default", *sets)
    if judged_whole(folder):
        model = read_all(folder)
        out |= {"accuracy": accuracy_table(model), "captions": caption_table(model)}
    return {name: table for name, table in out.items() if table}


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes the tables of the default model's page.")
    parser.add_argument("--runs", type=Path, default=HERE.parent / "runs")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--page", type=Path, default=HERE.parents[1] / "docs/default_model.md")
    args = parser.parse_args()
    page = args.page.read_text(encoding="utf-8")
    made = tables(args.runs, (args.seed, args.images))
    for name, table in made.items():
        page = replace_table(page, name, table)
    args.page.write_text(page, encoding="utf-8")
    print(f"{', '.join(made) or 'no table'} in {args.page}")


if __name__ == "__main__":
    main()
