"""Scores of yes-or-no answers, choices and captions by the public programs, for eval_parity.py."""

from __future__ import annotations

import ast
import collections
import contextlib
import copy
import io
import json
import os
import re
import string
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from eval_scripts import TOTALS, Line, MissingScript, Scores, Scripts, folder, one

# --- Yes or no -----------------------------------------------------------------------------------


def pope_official(scripts: Scripts, lines: list[Line]) -> Scores:
    source = scripts.path("AoiDragon+POPE/evaluate.py").read_text()
    with folder() as at:
        (at / "a").write_text(
            "".join(json.dumps({"answer": line["prediction"]}) + "\n" for line in lines)
        )
        (at / "l").write_text(
            "".join(json.dumps({"label": line["answer"]}) + "\n" for line in lines)
        )
        source = source.replace("ans_file = ''", f"ans_file = {str(at / 'a')!r}").replace(
            "label_file = ''", f"label_file = {str(at / 'l')!r}"
        )
        space: dict[str, Any] = {}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, "evaluate.py", "exec"), space)
    totals = {
        "tp": space["TP"],
        "fp": space["FP"],
        "tn": space["TN"],
        "fn": space["FN"],
        "accuracy": space["acc"],
        "precision": space["precision"],
        "recall": space["recall"],
        "f1": space["f1"],
        "yes_ratio": space["yes_ratio"],
    }
    TOTALS["pope_llava"] = totals
    return [
        one(a["answer"] == line["answer"]) for a, line in zip(space["answers"], lines, strict=True)
    ]


def pope_llava(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.script("haotian-liu+LLaVA/llava/eval/eval_pope.py")
    texts = [{"text": line["prediction"]} for line in lines]
    with folder() as at:
        (at / "l").write_text(
            "".join(json.dumps({"label": line["answer"]}) + "\n" for line in lines)
        )
        with contextlib.redirect_stdout(io.StringIO()):
            module.eval_pope(texts, str(at / "l"))
    return [one(t["text"] == line["answer"]) for t, line in zip(texts, lines, strict=True)]


def pope_opera(scripts: Scripts, lines: list[Line]) -> Scores:
    record = scripts.functions("shikiw+OPERA/pope_eval.py", {"recorder"}).recorder
    said = record([line["prediction"] for line in lines], [])
    return [
        one(("yes" if s else "no") == line["answer"]) for s, line in zip(said, lines, strict=True)
    ]


def pope_vcd(scripts: Scripts, lines: list[Line]) -> Scores:
    """A program that prints totals: it runs on each line between two whose scores are known."""
    path = "DAMO-NLP-SG+VCD/experiments/eval/eval_pope.py"
    source = re.sub(r"from tqdm import tqdm", "", scripts.path(path).read_text())
    code = compile(source, path, "exec")

    def run(batch: list[Line]) -> dict[str, Any]:
        with folder() as at:
            (at / "g").write_text(
                "".join(
                    json.dumps({"question_id": i, "label": line["answer"]}) + "\n"
                    for i, line in enumerate(batch)
                )
            )
            (at / "a").write_text(
                "".join(
                    json.dumps({"question_id": i, "text": line["prediction"]}) + "\n"
                    for i, line in enumerate(batch)
                )
            )
            arguments, sys.argv = (
                sys.argv,
                ["x", "--gt_files", str(at / "g"), "--gen_files", str(at / "a")],
            )
            space: dict[str, Any] = {}
            with contextlib.redirect_stdout(io.StringIO()):
                exec(code, space)
            sys.argv = arguments
        return space

    right = {"prediction": "yes", "answer": "yes"}
    whole = run(lines)
    TOTALS["pope_vcd"] = {
        "tp": whole["true_pos"],
        "fp": whole["false_pos"],
        "tn": whole["true_neg"],
        "fn": whole["false_neg"],
        "accuracy": whole["accuracy"],
        "precision": whole["precision"],
        "recall": whole["recall"],
        "f1": whole["f1"],
        "yes_ratio": whole["yes_proportion"],
    }
    return [one(round(2 * run([right, line])["accuracy"]) - 1) for line in lines]


def pope_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.lmms("tasks/pope/utils.py")
    results = [
        module.pope_process_results(
            {"answer": line["answer"], "question_id": i}, [line["prediction"]]
        )
        for i, line in enumerate(lines)
    ]
    accuracy = [r["pope_accuracy"] for r in results]
    TOTALS["pope_lmms"] = {
        "accuracy": module.pope_aggregate_accuracy(accuracy),
        "precision": module.pope_aggregate_precision(accuracy),
        "recall": module.pope_aggregate_recall(accuracy),
        "f1": module.pope_aggregate_f1_score(accuracy),
        "wanted_yes_ratio": module.pope_aggregate_yes_ratio(accuracy),
    }
    return [one(r["score"]) for r in accuracy]


def pope_vlmeval(scripts: Scripts, lines: list[Line]) -> Scores:
    clean = scripts.functions(
        "open-compass+VLMEvalKit/vlmeval/smp/misc.py", {"process_punctuation"}
    ).process_punctuation
    path = "open-compass+VLMEvalKit/vlmeval/dataset/utils/yorn.py"
    extract = scripts.functions(
        path, {"YOrN_Extraction"}, process_punctuation=clean
    ).YOrN_Extraction
    said = [extract(line["prediction"]) for line in lines]
    tree = ast.parse(scripts.path(path).read_text())
    rating = next(node for node in tree.body if getattr(node, "name", "") == "POPE_rating")
    tree.body = [node for node in rating.body if getattr(node, "name", "") == "cal_f1_score"]
    space: dict[str, Any] = {}
    exec(compile(tree, path, "exec"), space)
    f1, precision, recall = space["cal_f1_score"](
        np.array([line["answer"] == "yes" for line in lines]) * 1,
        np.array([s == "Yes" for s in said]) * 1,
    )
    TOTALS["pope_vlmeval"] = {"f1": f1, "precision": precision, "recall": recall}
    return [one(s.lower() == line["answer"]) for s, line in zip(said, lines, strict=True)]


PERCEPTION = "existence count position color posters celebrity scene landmark artwork OCR".split()
COGNITION = "commonsense_reasoning numerical_calculation text_translation code_reasoning".split()


def mme_official(scripts: Scripts, lines: list[Line]) -> Scores:
    """MME's calculation.py, as InternVL ships it: its function on each line, and the program on
    all of them."""
    path = "OpenGVLab+InternVL/internvl_chat/eval/mme/calculation.py"
    module = scripts.script(path)
    calculate = module.calculate_metrics()
    with folder() as at:
        for category in PERCEPTION + COGNITION:
            rows = [line for line in lines if line["category"] == category]
            rows.sort(key=lambda line: line["group"])
            text = "".join(f"{r['group']}\tq\t{r['answer']}\t{r['prediction']}\n" for r in rows)
            (at / f"{category}.txt").write_text(text, encoding="utf-8")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            calculate.process_result(str(at))
    totals = [float(x) for x in re.findall(r"total score: (\S+)", out.getvalue())]
    TOTALS["mme"] = {"perception": totals[0], "cognition": totals[1]}
    return [
        one(calculate.parse_pred_ans(line["prediction"].lower()) == line["answer"])
        for line in lines
    ]


def mme_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.lmms("tasks/mme/utils.py")
    results = [
        module.mme_process_results(
            {"answer": line["answer"], "category": line["category"], "question_id": line["group"]},
            [line["prediction"]],
        )
        for line in lines
    ]
    by_key: dict[str, list[Any]] = collections.defaultdict(list)
    for result in results:
        for key, value in result.items():
            by_key[key].append(value)
    TOTALS["mme_lmms"] = {
        "perception": module.mme_aggregate_results(by_key["mme_perception_score"]),
        "cognition": module.mme_aggregate_results(by_key["mme_cognition_score"]),
    }
    return [one(next(iter(r.values()))["score"]) for r in results]


# --- Choices -------------------------------------------------------------------------------------


def mmbench_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    evaluator = scripts.lmms("tasks/mmbench/mmbench_evals.py").MMBench_Evaluator()
    scores: Scores = []
    for line in lines:
        choices = dict(zip("ABCD", line["options"], strict=False))
        scores.append(
            one(evaluator.can_infer(line["prediction"].strip(), choices) == line["answer"])
        )
    return scores


def mmbench_vlmeval(scripts: Scripts, lines: list[Line]) -> Scores:
    path = "open-compass+VLMEvalKit/vlmeval/utils/matching_util.py"
    verbose = re.compile(
        re.search(
            r'_VERBOSE_ANSWER_RE = re.compile\(r"(.*)"\)', scripts.path(path).read_text()
        ).group(1)
    )
    names = {"can_infer", "can_infer_option", "can_infer_text"}
    infer = scripts.functions(
        path, names, cp=copy, os=os, string=string, _VERBOSE_ANSWER_RE=verbose
    ).can_infer
    return [
        one(
            infer(line["prediction"], dict(zip("ABCD", line["options"], strict=False)))
            == line["answer"]
        )
        for line in lines
    ]


def no_lots(module: types.ModuleType) -> None:
    """Where the script would draw an option at random it finds none."""
    module.random = types.SimpleNamespace(choice=lambda _: None, seed=lambda _: None)


def mmmu_choice(module: types.ModuleType, parse: Callable[..., Any], lines: list[Line]) -> Scores:
    no_lots(module)
    scores: Scores = []
    for line in lines:
        letters = [chr(65 + i) for i in range(len(line["options"]))]
        scores.append(
            one(
                parse(line["prediction"], letters, dict(zip(letters, line["options"], strict=True)))
                == line["answer"]
            )
        )
    return scores


def mmmu_official(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.script("MMMU-Benchmark+MMMU/mmmu/utils/eval_utils.py")
    return mmmu_choice(module, module.parse_multi_choice_response, lines)


def mmmu_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.lmms("tasks/_task_utils/mmmu_mcq_utils.py")
    return mmmu_choice(module, module.parse_mmmu_multi_choice_response, lines)


def mmmu_open(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.script("MMMU-Benchmark+MMMU/mmmu/utils/eval_utils.py")
    return [
        one(module.eval_open(line["references"], module.parse_open_response(line["prediction"])))
        for line in lines
    ]


def mmmu_open_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    if not scripts.lmms_folder:
        raise MissingScript("lmms-eval")
    path = str(scripts.lmms_folder / "tasks/mmmu/utils.py")
    names = {"parse_open_response", "eval_open", "normalize_str", "extract_numbers", "check_is_number"}
    rules = scripts.functions(path, names)
    return [
        one(rules.eval_open(line["references"], rules.parse_open_response(line["prediction"])))
        for line in lines
    ]


def seed_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.lmms("tasks/seedbench/utils.py")
    scores: Scores = []
    for line in lines:
        result = module.seed_process_result(
            {"answer": line["answer"], "data_type": "image", "question_id": 0}, [line["prediction"]]
        )
        scores.append(one(module.seed_aggregation_result([result["seed_all"]])))
    return scores


def rank_numpy(scripts: Scripts, lines: list[Line]) -> Scores:
    """As SEED-Bench's eval.py does: the first of the options sorted by loss."""
    return [
        one("ABCD"[np.argsort(np.array(line["losses"]), kind="stable")[0]] == line["answer"])
        for line in lines
    ]


def scienceqa_llava(scripts: Scripts, lines: list[Line]) -> Scores:
    with folder() as at:
        ids = [str(i) for i in range(len(lines))]
        problems = {
            i: {"choices": line["options"], "answer": ord(line["answer"]) - 65}
            for i, line in zip(ids, lines, strict=True)
        }
        (at / "pid_splits.json").write_text(json.dumps({"test": ids}))
        (at / "problems.json").write_text(json.dumps(problems))
        rows = [
            {"question_id": i, "text": line["prediction"], "prompt": "<image>"}
            for i, line in zip(ids, lines, strict=True)
        ]
        (at / "r.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        scripts.run(
            "haotian-liu+LLaVA/llava/eval/eval_science_qa.py",
            "--base-dir",
            str(at),
            "--result-file",
            str(at / "r.jsonl"),
            "--output-file",
            str(at / "o.json"),
            "--output-result",
            str(at / "res.json"),
        )
        results = json.loads((at / "res.json").read_text())["results"]
    return [one(results[i] == problems[i]["answer"]) for i in ids]


def scienceqa_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    process = scripts.lmms("tasks/scienceqa/utils.py").sqa_process_results
    return [
        one(
            process(
                {"choices": line["options"], "answer": ord(line["answer"]) - 65},
                [line["prediction"]],
            )["exact_match"]
        )
        for line in lines
    ]


# --- Captions ------------------------------------------------------------------------------------


def chair_class(scripts: Scripts) -> Any:
    """CHAIR as its authors have it, with NLTK's tokenizer; inflect stands for pattern's
    singularize, which no registry has."""
    import inflect
    from nltk.tokenize.destructive import NLTKWordTokenizer

    engine = inflect.engine()
    known = {w for term in chair_terms(scripts) for w in term.split()}

    def singularize(word: str) -> str:
        if word in known or not word.isalpha():
            return word
        return engine.singular_noun(word) or word

    nltk = types.SimpleNamespace(word_tokenize=NLTKWordTokenizer().tokenize)
    synonyms = scripts.path("LisaAnne+Hallucination/data/synonyms.txt")
    space = scripts.functions(
        "LisaAnne+Hallucination/utils/chair.py",
        {"CHAIR"},
        nltk=nltk,
        singularize=singularize,
        open=lambda _: synonyms.open(),
    )
    return space.CHAIR([], "")


def chair_terms(scripts: Scripts) -> list[str]:
    rows = scripts.path("LisaAnne+Hallucination/data/synonyms.txt").read_text().splitlines()
    return sorted({term.strip() for row in rows for term in row.split(",") if term.strip()})


def chair_names(scripts: Scripts) -> list[str]:
    rows = scripts.path("LisaAnne+Hallucination/data/synonyms.txt").read_text().splitlines()
    return [row.split(",")[0].strip() for row in rows if row.strip()]


def chair_official(scripts: Scripts, lines: list[Line]) -> Scores:
    chair = chair_class(scripts)
    scores: Scores = []
    for line in lines:
        _, named, _, _ = chair.caption_to_words(line["prediction"])
        line["named"] = [n.strip() for n in named]
        scores.append(one(not any(n not in line["objects"] for n in line["named"])))
    return scores


def chair_released(scripts: Scripts, lines: list[Line]) -> Scores:
    """Results that the authors of PAINT released with 500 captions, from NLTK."""
    scores: Scores = []
    for sentence in paint(scripts)["sentences"]:
        scores.append(one(sentence["metrics"]["CHAIRs"] == 0))
    return scores


def paint(scripts: Scripts) -> Any:
    return json.loads(scripts.path("hasanar1f+PAINT/results/outputs.json").read_text())
