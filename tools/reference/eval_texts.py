"""Scores of short answers by the public programs, for eval_parity.py."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import string
import types
from typing import Any, Optional

import numpy as np

from eval_scripts import Line, Scores, Scripts, attempt, folder, one, without_prints

# --- VQA -----------------------------------------------------------------------------------------


def vqa_official(scripts: Scripts, lines: list[Line]) -> Scores:
    source = without_prints(
        scripts.path("GT-Vision-Lab+VQA/PythonEvaluationTools/vqaEvaluation/vqaEval.py").read_text()
    )
    space: dict[str, Any] = {}
    exec(compile(source, "vqaEval.py", "exec"), space)
    scores: Scores = []
    for line in lines:
        entry = {
            "answers": [{"answer": a, "answer_id": i} for i, a in enumerate(line["references"])],
            "question_type": "",
            "answer_type": "",
        }
        truth = types.SimpleNamespace(qa={0: entry}, getQuesIds=lambda: [0])
        result = types.SimpleNamespace(qa={0: {"answer": line["prediction"]}})
        evaluation = space["VQAEval"](truth, result, n=12)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
        scores.append(evaluation.accuracy["overall"] / 100)
    return scores


def vqa_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    process = scripts.lmms("tasks/vqav2/utils.py").vqav2_process_results
    docs = [
        {
            "answers": [{"answer": a, "answer_id": i} for i, a in enumerate(line["references"])],
            "question_id": 0,
        }
        for line in lines
    ]
    return [
        one(process(doc, [line["prediction"]])["exact_match"])
        for doc, line in zip(docs, lines, strict=True)
    ]


def textvqa_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    process = scripts.lmms("tasks/textvqa/utils.py").textvqa_process_results
    return [
        one(
            process({"answers": list(line["references"]), "question_id": 0}, [line["prediction"]])[
                "exact_match"
            ]
        )
        for line in lines
    ]


def textvqa_m4c(scripts: Scripts, lines: list[Line], path: str) -> Scores:
    evaluator = scripts.script(path).TextVQAAccuracyEvaluator()
    module = scripts.script(path)
    module.tqdm = lambda items: items
    return [
        one(
            evaluator.eval_pred_list(
                [{"pred_answer": line["prediction"], "gt_answers": line["references"]}]
            )
        )
        for line in lines
    ]


def textvqa_llava(scripts: Scripts, lines: list[Line]) -> Scores:
    return textvqa_m4c(scripts, lines, "haotian-liu+LLaVA/llava/eval/m4c_evaluator.py")


def textvqa_mmf(scripts: Scripts, lines: list[Line]) -> Scores:
    return textvqa_m4c(scripts, lines, "facebookresearch+mmf/mmf/utils/m4c_evaluators.py")


# --- Short answers -------------------------------------------------------------------------------


def anls_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    """The function alone: its file registers metrics with the whole package."""
    tree = ast.parse((scripts.lmms_folder / "api/metrics.py").read_text())
    tree.body = [n for n in tree.body if getattr(n, "name", "") in ("anls", "levenshtein_distance")]
    for node in tree.body:
        node.decorator_list = []
    space: dict[str, Any] = {}
    exec(compile(tree, "metrics.py", "exec"), space)
    return [one(space["anls"](line["references"], [line["prediction"]])["anls"]) for line in lines]


def anls_rrc(scripts: Scripts, lines: list[Line]) -> Scores:
    """The Robust Reading Competition's script, as InternVL ships it."""
    module = scripts.script("OpenGVLab+InternVL/internvl_chat/eval/vqa/infographicsvqa_eval.py")
    with folder() as at:
        data = [
            {"questionId": i, "question": "", "answers": line["references"]}
            for i, line in enumerate(lines)
        ]
        (at / "gt.json").write_text(json.dumps({"data": data, "dataset_name": "x"}))
        (at / "sub.json").write_text(
            json.dumps(
                [{"questionId": i, "answer": line["prediction"]} for i, line in enumerate(lines)]
            )
        )
        parameters = types.SimpleNamespace(answer_types=False, anls_threshold=0.5)
        result = module.evaluate_method(str(at / "gt.json"), str(at / "sub.json"), parameters)
    return [one(result["per_sample_result"][str(i)]["score"]) for i in range(len(lines))]


def anls_vlmeval(scripts: Scripts, lines: list[Line]) -> Scores:
    at = scripts.functions(
        "open-compass+VLMEvalKit/vlmeval/dataset/utils/vqa_eval.py",
        {"anls_compute", "levenshtein_distance"},
    )
    scores: Scores = []
    for line in lines:
        best = 1 - min(at.anls_compute(r, line["prediction"]) for r in line["references"])
        scores.append(0.0 if best < 0.5 else best)
    return scores


def anls_package(scripts: Scripts, lines: list[Line]) -> Scores:
    """PyPI's anls, which drops exactly 0.5."""
    from anls import anls_score

    return [one(anls_score(line["prediction"], line["references"])) for line in lines]


def anls_mmf(scripts: Scripts, lines: list[Line]) -> Scores:
    """ST-VQA's evaluator; texts with single blanks, because it leaves blanks within as they are."""
    evaluator = scripts.script(
        "facebookresearch+mmf/mmf/utils/m4c_evaluators.py"
    ).STVQAANLSEvaluator()

    def score(line: Line) -> Any:
        references = [" ".join(r.split()) for r in line["references"]]
        return evaluator.eval_pred_list(
            [{"pred_answer": " ".join(line["prediction"].split()), "gt_answers": references}]
        )

    return [attempt(lambda line=line: score(line)) for line in lines]


def relaxed_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    match = scripts.lmms("tasks/chartqa/utils.py").relaxed_correctness
    return [one(any(match(line["prediction"], r) for r in line["references"])) for line in lines]


def relaxed_vlmeval(scripts: Scripts, lines: list[Line]) -> Scores:
    at = scripts.functions(
        "open-compass+VLMEvalKit/vlmeval/dataset/utils/vqa_eval.py",
        {"relaxed_correctness"},
        Optional=Optional,
    )
    return [
        one(any(at.relaxed_correctness(r, line["prediction"].strip()) for r in line["references"]))
        for line in lines
    ]


def exact_vlmeval(scripts: Scripts, lines: list[Line]) -> Scores:
    names = {
        "process_line",
        "process_answer",
        "anls_compute",
        "levenshtein_distance",
        "relaxed_correctness",
    }
    at = scripts.functions(
        "open-compass+VLMEvalKit/vlmeval/dataset/utils/vqa_eval.py",
        names,
        Optional=Optional,
        istype=lambda s, t: True,
    )
    return [
        one(
            max(
                at.process_line(
                    {"answer": repr(line["references"]), "prediction": line["prediction"]},
                    "accuracy",
                )["match"]
            )
        )
        for line in lines
    ]


def gqa_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    tree = ast.parse((scripts.lmms_folder / "api/metrics.py").read_text())
    tree.body = [n for n in tree.body if getattr(n, "name", "") == "exact_match_hf_evaluate"]
    space: dict[str, Any] = {"np": np, "re": re, "string": string}
    exec(compile(tree, "metrics.py", "exec"), space)
    match = space["exact_match_hf_evaluate"]
    return [
        one(
            any(
                match([line["prediction"]], [r], ignore_case=True, ignore_punctuation=True)[
                    "exact_match"
                ]
                for r in line["references"]
            )
        )
        for line in lines
    ]


def gqa_llava(scripts: Scripts, lines: list[Line]) -> Scores:
    """LLaVA's conversion as a program; the official script compares with ==."""
    with folder() as at:
        (at / "in.jsonl").write_text(
            "".join(
                json.dumps({"question_id": i, "text": line["prediction"]}) + "\n"
                for i, line in enumerate(lines)
            )
        )
        scripts.run(
            "haotian-liu+LLaVA/scripts/convert_gqa_for_eval.py",
            "--src",
            str(at / "in.jsonl"),
            "--dst",
            str(at / "out.json"),
        )
        converted = json.loads((at / "out.json").read_text())
    return [
        one(c["prediction"] in line["references"]) for c, line in zip(converted, lines, strict=True)
    ]
