"""Compares `binocle eval score` with the programs whose rules it follows, line by line, on
generated and adversarial answers.

    python -m venv V && V/bin/pip install -r tools/reference/eval_requirements.txt
    V/bin/pip install --no-deps lmms-eval==0.7.3
    V/bin/python tools/reference/eval_parity.py PROGRAM --scripts DIR [--lines N] [--seed S]
        [--only SCORER …] [--write-goldens]

PROGRAM is `binocle`. DIR holds the authors' files as DIR/<owner>+<name>/<path>, at the commits in
eval_scripts.py; a comparison whose file is missing is reported as skipped. They run as they are:
imported, or executed with files of their own form, or, where a file needs a whole model to be
imported, its functions alone. Exits 1 when a score differs that no line of KNOWN explains.

--write-goldens writes tests/golden/eval/<scorer>.jsonl: some of the lines, with the other program's
score, for eval_test.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import random
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import eval_answers as answers
import eval_choices as choices
import eval_texts as texts
from eval_scripts import TOTALS, Line, MissingScript, Scores, Scripts

warnings.filterwarnings("ignore")
ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/eval"
GOLDEN_LINES = 60

# --- What is compared ----------------------------------------------------------------------------


def is_odd_vqa(line: Line) -> bool:
    return len({r.replace("\n", " ").replace("\t", " ").strip() for r in line["references"]}) == 1


def has_many_commas(line: Line) -> bool:
    return any(re.search(r"\d,,+\d", text) for text in [line["prediction"], *line["references"]])


def half(line: Line) -> bool:
    def similarity(reference: str) -> float:
        a, b = (" ".join(t.strip().lower().split()) for t in (line["prediction"], reference))
        from anls.metrics.dist import levenshtein_distance

        return 1 - (levenshtein_distance(a, b) / max(len(a), len(b)) if a or b else 0)

    return max(similarity(r) for r in line["references"]) == 0.5


def lengthens(line: Line) -> bool:
    """Upper case is what PyPI's anls takes lengths of, and ß has two characters there."""
    return any(len(t.upper()) != len(t) for t in [line["prediction"], *line["references"]])


def blank_around(line: Line) -> bool:
    return line["prediction"] != line["prediction"].strip()


def is_misspelled(line: Line) -> bool:
    return any(
        word in line["prediction"].lower() for word in ("solider", "knive", "phon", "televison")
    )


# Scorer, reference -> which lines may differ, and why.
KNOWN: dict[tuple[str, str], tuple[Callable[[Line], bool], str]] = {
    ("vqa_v2", "vqa_lmms"): (
        lambda line: is_odd_vqa(line) or has_many_commas(line),
        "lmms-eval normalises also where all references are the same; several commas are one",
    ),
    ("anls", "anls_package"): (
        lambda line: half(line) or lengthens(line),
        "PyPI's anls drops exactly 0.5 and counts upper-case characters",
    ),
    ("gqa", "gqa_lmms"): (
        lambda line: "İ" in str(line),
        "numpy cuts a text that grows in lower case, which İ does",
    ),
    ("chair", "chair_official"): (
        lambda line: is_misspelled(line) or "grandchildren" in line["prediction"].lower(),
        "misspelled words of the published list; inflect has no singular of grandchildren",
    ),
    ("relaxed_accuracy", "relaxed_vlmeval"): (
        blank_around,
        "VLMEvalKit takes blanks off the prediction first",
    ),
}

# Scorer -> (how lines are made, references; the first one's scores become goldens).
COMPARISONS: dict[
    str, tuple[Callable[[random.Random], Line], list[Callable[[Scripts, list[Line]], Scores]]]
] = {
    "vqa_v2": (answers.vqa, [texts.vqa_official, texts.vqa_lmms]),
    "textvqa": (answers.vqa, [texts.textvqa_lmms, texts.textvqa_llava, texts.textvqa_mmf]),
    "anls": (answers.short, [texts.anls_mmf, texts.anls_package]),
    "anls_raw": (answers.short, [texts.anls_rrc, texts.anls_lmms, texts.anls_vlmeval]),
    "relaxed_accuracy": (answers.numeric, [texts.relaxed_lmms, texts.relaxed_vlmeval]),
    "exact_match": (answers.short, [texts.exact_vlmeval]),
    "gqa": (answers.short, [texts.gqa_lmms]),
    "gqa_official": (answers.short, [texts.gqa_llava]),
    "mmmu_open": (answers.open_question, [choices.mmmu_open, choices.mmmu_open_lmms]),
    "pope_llava": (answers.yes_no, [choices.pope_official, choices.pope_llava]),
    "pope_opera": (answers.yes_no, [choices.pope_opera]),
    "pope_vcd": (answers.yes_no, [choices.pope_vcd]),
    "pope_lmms": (answers.yes_no, [choices.pope_lmms]),
    "pope_vlmeval": (answers.yes_no, [choices.pope_vlmeval]),
    "mme": (answers.yes_no, [choices.mme_official]),
    "mme_lmms": (answers.yes_no, [choices.mme_lmms]),
    "mmbench_letter": (answers.choice, [choices.mmbench_lmms]),
    "mmbench_vlmeval": (answers.choice, [choices.mmbench_vlmeval]),
    "mmmu_mc": (answers.choice, [choices.mmmu_official]),
    "mmmu_mc_lmms": (answers.choice, [choices.mmmu_lmms]),
    "seed_letter": (answers.choice, [choices.seed_lmms]),
    "choice_rank": (answers.losses, [choices.rank_numpy]),
    "scienceqa": (answers.choice, [choices.scienceqa_llava]),
    "scienceqa_lmms": (answers.choice, [choices.scienceqa_lmms]),
    "chair": (None, [choices.chair_official, choices.chair_released]),
}


def make_lines(
    scorer: str, make: Any, reference: Any, scripts: Scripts, count: int, seed: int
) -> list[Line]:
    rng = random.Random(f"{scorer} {seed}")
    if reference is choices.chair_released:
        return [
            {"id": i, "prediction": s["caption"], "objects": s["mscoco_gt_words"]}
            for i, s in enumerate(choices.paint(scripts)["sentences"])
        ]
    if make is None:
        terms, names = choices.chair_terms(scripts), choices.chair_names(scripts)
        return [{"id": i, **answers.caption(rng, terms, names)} for i in range(count)]
    lines = [{"id": i, **make(rng)} for i in range(count)]
    if scorer.startswith("mme"):
        categories = choices.PERCEPTION + choices.COGNITION
        for i, line in enumerate(lines[: len(lines) // 2 * 2]):
            if scorer == "mme":  # its files hold one answer a line, after a tab
                line["prediction"] = re.sub(r"[\t\n\r]", " ", line["prediction"])
            line.update({"category": categories[i // 2 % len(categories)], "group": f"{i // 2:06}"})
        return lines[: len(lines) // 2 * 2]
    return lines


def ours(program: str, scorer: str, lines: list[Line]) -> tuple[list[Line], Line]:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    run = subprocess.run(
        [program, "eval", "score", "--scorer", scorer, "-"],
        input=text.encode(),
        capture_output=True,
        check=False,
    )
    if run.returncode != 0:
        sys.exit(run.stderr.decode())
    scored = [json.loads(line) for line in run.stdout.decode().split("\n") if line]
    return scored[:-1], scored[-1]["summary"]


def same(a: float, b: float) -> bool:
    return a == b or math.isclose(a, b, rel_tol=0, abs_tol=1e-9)


def compare_totals(scorer: str, summary: Line) -> list[str]:
    wanted = TOTALS.pop(scorer, {})
    return [
        f"{scorer}: {k} is {summary[k]}, the reference has {v}"
        for k, v in wanted.items()
        if not same(summary[k] or 0, v)
    ]


def compare(
    program: str, scorer: str, reference: Any, lines: list[Line], scripts: Scripts
) -> tuple[Scores, list[str]]:
    """What the reference gave, and what is wrong."""
    wanted = reference(scripts, [json.loads(json.dumps(line)) for line in lines])
    scored, summary = ours(program, scorer, lines)
    explains, why = KNOWN.get((scorer, reference.__name__), (lambda _: False, ""))
    problems, explained, unsaid = [], 0, 0
    for line, score, want in zip(scored, (s["score"] for s in scored), wanted, strict=True):
        if want is None:
            unsaid += 1
        elif not same(score, want):
            if explains(line):
                explained += 1
            else:
                problems.append(
                    f"{scorer}: {reference.__name__} gives {want}, ours {json.dumps(line)}"
                )
    problems += compare_totals(scorer, summary)
    notes = [f"{len(lines):6} lines", f"mean {summary['score']:.4f}", f"{len(problems)} differ"]
    if explained:
        notes.append(f"{explained} explained: {why}")
    if unsaid:
        notes.append(f"{unsaid} that it stops at")
    print(f"{scorer:18} {reference.__name__:18} {', '.join(notes)}")
    return wanted, problems


def compare_released(program: str, scripts: Scripts) -> list[str]:
    """CHAIR's totals on the released captions, within what another way to singulars may change."""
    lines = make_lines("chair", None, choices.chair_released, scripts, 0, 0)
    _, summary = ours(program, "chair", lines)
    overall = choices.paint(scripts)["overall_metrics"]
    pairs = [
        ("chair_s", "CHAIRs"),
        ("chair_i", "CHAIRi"),
        ("recall", "Recall"),
        ("precision", "Precision"),
        ("f1", "F1"),
    ]
    print(
        "chair, released captions: "
        + ", ".join(f"{a} {summary[a]:.4f} ({overall[b]:.4f})" for a, b in pairs)
    )
    return [
        f"chair: {a} is {summary[a]}, released {overall[b]}"
        for a, b in pairs
        if abs(summary[a] - overall[b]) > 0.003
    ]


def write_golden(scorer: str, lines: list[Line], wanted: Scores) -> None:
    """Lines of every score, short ones, spread over the file."""
    by_score: dict[float, list[Line]] = collections.defaultdict(list)
    for line, score in zip(lines, wanted, strict=True):
        if score is not None and len(json.dumps(line)) < 300:
            by_score[score].append({**line, "score": score})
    chosen: list[Line] = []
    while len(chosen) < GOLDEN_LINES and any(by_score.values()):
        for score in sorted(by_score):
            if by_score[score] and len(chosen) < GOLDEN_LINES:
                chosen.append(by_score[score].pop(0))
    GOLDEN.mkdir(parents=True, exist_ok=True)
    chosen.sort(key=lambda line: line["id"])
    (GOLDEN / f"{scorer}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in chosen))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program")
    parser.add_argument("--scripts", type=Path)
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--write-goldens", action="store_true")
    args = parser.parse_args()
    if args.lines < 500:
        parser.error("--lines: at least 500; some programs stop where a category is empty")
    scripts = Scripts(args.scripts)
    problems: list[str] = []
    for scorer, (make, references) in COMPARISONS.items():
        if args.only and scorer not in args.only:
            continue
        for reference in references:
            try:
                if reference is choices.chair_released:
                    problems += compare_released(args.program, scripts)
                    continue
                lines = make_lines(scorer, make, reference, scripts, args.lines, args.seed)
                wanted, found = compare(args.program, scorer, reference, lines, scripts)
            except MissingScript as missing:
                print(f"{scorer:18} {reference.__name__:18} skipped: no {missing}")
                continue
            problems += found
            if args.write_goldens and reference is references[0]:
                write_golden(scorer, lines, wanted)
    print("\n".join(problems[:50]))
    print(f"{len(problems)} unexplained differences")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
