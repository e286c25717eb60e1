"""Compares `binocle eval score` with the programs whose rules it follows, on generated and adversarial answers, line by line.

    python -m venv V && V/bin/pip install -r tools/reference/eval_requirements.txt && V/bin/pip install --no-deps lmms-eval==0.7.3
    V/bin/python tools/reference/eval_parity.py PROGRAM --scripts DIR [--lines N] [--seed S] [--only SCORER …] [--write-goldens]

PROGRAM is `binocle`. DIR holds the authors' files as DIR/<owner>+<name>/<path>, at the commits in SCRIPTS; a comparison whose file is
missing is reported as skipped. They run as they are: imported, or executed with files of their own form, or, where a file needs a whole
model to be imported, its functions alone. Exits 1 when a score differs that no line of KNOWN explains.

--write-goldens writes tests/golden/eval/<scorer>.jsonl: some of the lines, with the other program's score, for eval_test.
"""

from __future__ import annotations

import argparse
import ast
import collections
import contextlib
import importlib.util
import io
import json
import math
import random
import re
import subprocess
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import eval_answers as answers
import numpy as np

warnings.filterwarnings("ignore")
ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/eval"
GOLDEN_LINES = 60
Line = dict[str, Any]
# What a reference gives for each line: a score, or None where it cannot say (it stopped, or drew lots).
Scores = list[float | None]

SCRIPTS = {
    "GT-Vision-Lab+VQA": "a013f0043c1e2cdc995922dfe257f7149aa9af06",
    "facebookresearch+mmf": "b0ffc7fba39f210f833c127362146aec01a2f259",
    "haotian-liu+LLaVA": "c121f0432da27facab705978f83c4ada465e46fd",
    "AoiDragon+POPE": "08d957b917e5a378a2f99d35b6293c536a66298b",
    "shikiw+OPERA": "61426efe4e2e53207f32d9112a86ba5f8364d1d9",
    "DAMO-NLP-SG+VCD": "d6568ff81b8fd306a49e630df44f2db5c2300191",
    "MMMU-Benchmark+MMMU": "bb0b95a945998d91dfef37e969e07d49d1139438",
    "OpenGVLab+InternVL": "2410d1dbf208f0e799459aff9376e5747dbf41a2",
    "open-compass+VLMEvalKit": "e8e78f05f3080fe28154f2130321f17951c3be94",
    "LisaAnne+Hallucination": "6e4d33c4bedf6dfcd24c61bf527f40714717be47",
    "hasanar1f+PAINT": "2a9e8f821536531adcc03807f3850a3ab6231443",
}


class MissingScript(Exception):
    pass


class Scripts:
    """The authors' files and lmms-eval's task files."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        spec = importlib.util.find_spec("lmms_eval")
        self.lmms_folder = Path(spec.submodule_search_locations[0]) if spec else None
        self.loaded: dict[Path, types.ModuleType] = {}
        if self.lmms_folder:  # the package's own __init__ wants every dependency; its task files do not
            for name in ("lmms_eval", "lmms_eval.tasks", "lmms_eval.tasks._task_utils", "lmms_eval.api"):
                package = types.ModuleType(name)
                package.__path__ = [str(self.lmms_folder.parent / name.replace(".", "/"))]
                sys.modules[name] = package

    def path(self, relative: str) -> Path:
        path = self.folder / relative if self.folder else None
        if not path or not path.exists():
            raise MissingScript(relative)
        return path

    def module(self, path: Path) -> types.ModuleType:
        if path not in self.loaded:
            spec = importlib.util.spec_from_file_location("eval_" + re.sub(r"\W", "_", str(path)), path)
            self.loaded[path] = importlib.util.module_from_spec(spec)
            with contextlib.suppress(ImportError):
                from loguru import logger

                logger.remove()
            spec.loader.exec_module(self.loaded[path])
        return self.loaded[path]

    def script(self, relative: str) -> types.ModuleType:
        return self.module(self.path(relative))

    def lmms(self, relative: str) -> types.ModuleType:
        if not self.lmms_folder:
            raise MissingScript("lmms-eval")
        return self.module(self.lmms_folder / relative)

    def functions(self, relative: str, names: set[str], **known: Any) -> types.SimpleNamespace:
        """Some top-level functions and classes of a file whose imports are not to be had."""
        tree = ast.parse(without_prints(self.path(relative).read_text(encoding="utf-8")))
        tree.body = [n for n in tree.body if getattr(n, "name", None) in names]
        space = {"re": re, "np": np, "Optional": None, **known}
        exec(compile(tree, relative, "exec"), space)
        return types.SimpleNamespace(**{name: space[name] for name in names})

    def run(self, relative: str, *arguments: str) -> str:
        command = [sys.executable, str(self.path(relative)), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def without_prints(source: str) -> str:
    """Python 2's print statements, which are all that keeps two of the files from running."""
    return re.sub(r"^(\s*)print [^(].*$", r"\1pass", source, flags=re.MULTILINE)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def one(value: Any) -> float | None:
    """A score as a number; None where there is none."""
    return None if value is None else float(value)


def attempt(function: Callable[[], Any]) -> float | None:
    try:
        return one(function())
    except (ZeroDivisionError, ValueError):
        return None


# --- VQA -----------------------------------------------------------------------------------------


def vqa_official(scripts: Scripts, lines: list[Line]) -> Scores:
    source = without_prints(scripts.path("GT-Vision-Lab+VQA/PythonEvaluationTools/vqaEvaluation/vqaEval.py").read_text())
    space: dict[str, Any] = {}
    exec(compile(source, "vqaEval.py", "exec"), space)
    scores: Scores = []
    for line in lines:
        entry = {"answers": [{"answer": a, "answer_id": i} for i, a in enumerate(line["references"])], "question_type": "", "answer_type": ""}
        truth = types.SimpleNamespace(qa={0: entry}, getQuesIds=lambda: [0])
        result = types.SimpleNamespace(qa={0: {"answer": line["prediction"]}})
        evaluation = space["VQAEval"](truth, result, n=12)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.evaluate()
        scores.append(evaluation.accuracy["overall"] / 100)
    return scores


def vqa_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    process = scripts.lmms("tasks/vqav2/utils.py").vqav2_process_results
    docs = [{"answers": [{"answer": a, "answer_id": i} for i, a in enumerate(line["references"])], "question_id": 0} for line in lines]
    return [one(process(doc, [line["prediction"]])["exact_match"]) for doc, line in zip(docs, lines, strict=True)]


def textvqa_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    process = scripts.lmms("tasks/textvqa/utils.py").textvqa_process_results
    return [one(process({"answers": list(line["references"]), "question_id": 0}, [line["prediction"]])["exact_match"]) for line in lines]


def textvqa_m4c(scripts: Scripts, lines: list[Line], path: str) -> Scores:
    evaluator = scripts.script(path).TextVQAAccuracyEvaluator()
    module = scripts.script(path)
    module.tqdm = lambda items: items
    return [one(evaluator.eval_pred_list([{"pred_answer": line["prediction"], "gt_answers": line["references"]}])) for line in lines]


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
        data = [{"questionId": i, "question": "", "answers": line["references"]} for i, line in enumerate(lines)]
        (at / "gt.json").write_text(json.dumps({"data": data, "dataset_name": "x"}))
        (at / "sub.json").write_text(json.dumps([{"questionId": i, "answer": line["prediction"]} for i, line in enumerate(lines)]))
        parameters = types.SimpleNamespace(answer_types=False, anls_threshold=0.5)
        result = module.evaluate_method(str(at / "gt.json"), str(at / "sub.json"), parameters)
    return [one(result["per_sample_result"][str(i)]["score"]) for i in range(len(lines))]


def anls_vlmeval(scripts: Scripts, lines: list[Line]) -> Scores:
    at = scripts.functions("open-compass+VLMEvalKit/vlmeval/dataset/utils/vqa_eval.py", {"anls_compute", "levenshtein_distance"})
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
    evaluator = scripts.script("facebookresearch+mmf/mmf/utils/m4c_evaluators.py").STVQAANLSEvaluator()

    def score(line: Line) -> Any:
        references = [" ".join(r.split()) for r in line["references"]]
        return evaluator.eval_pred_list([{"pred_answer": " ".join(line["prediction"].split()), "gt_answers": references}])

    return [attempt(lambda line=line: score(line)) for line in lines]


def relaxed_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    match = scripts.lmms("tasks/chartqa/utils.py").relaxed_correctness
    return [one(any(match(line["prediction"], r) for r in line["references"])) for line in lines]


def relaxed_vlmeval(scripts: Scripts, lines: list[Line]) -> Scores:
    from typing import Optional

    at = scripts.functions("open-compass+VLMEvalKit/vlmeval/dataset/utils/vqa_eval.py", {"relaxed_correctness"}, Optional=Optional)
    return [one(any(at.relaxed_correctness(r, line["prediction"].strip()) for r in line["references"])) for line in lines]


def exact_vlmeval(scripts: Scripts, lines: list[Line]) -> Scores:
    names = {"process_line", "process_answer", "anls_compute", "levenshtein_distance", "relaxed_correctness"}
    from typing import Optional

    at = scripts.functions("open-compass+VLMEvalKit/vlmeval/dataset/utils/vqa_eval.py", names, Optional=Optional, istype=lambda s, t: True)
    return [one(max(at.process_line({"answer": repr(line["references"]), "prediction": line["prediction"]}, "accuracy")["match"])) for line in lines]


def gqa_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    import string

    tree = ast.parse((scripts.lmms_folder / "api/metrics.py").read_text())
    tree.body = [n for n in tree.body if getattr(n, "name", "") == "exact_match_hf_evaluate"]
    space: dict[str, Any] = {"np": np, "re": re, "string": string}
    exec(compile(tree, "metrics.py", "exec"), space)
    match = space["exact_match_hf_evaluate"]
    return [
        one(any(match([line["prediction"]], [r], ignore_case=True, ignore_punctuation=True)["exact_match"] for r in line["references"]))
        for line in lines
    ]


def gqa_llava(scripts: Scripts, lines: list[Line]) -> Scores:
    """LLaVA's conversion as a program; the official script compares with ==."""
    with folder() as at:
        (at / "in.jsonl").write_text("".join(json.dumps({"question_id": i, "text": line["prediction"]}) + "\n" for i, line in enumerate(lines)))
        scripts.run("haotian-liu+LLaVA/scripts/convert_gqa_for_eval.py", "--src", str(at / "in.jsonl"), "--dst", str(at / "out.json"))
        converted = json.loads((at / "out.json").read_text())
    return [one(c["prediction"] in line["references"]) for c, line in zip(converted, lines, strict=True)]


# --- Yes or no -----------------------------------------------------------------------------------


def pope_official(scripts: Scripts, lines: list[Line]) -> Scores:
    source = scripts.path("AoiDragon+POPE/evaluate.py").read_text()
    with folder() as at:
        (at / "a").write_text("".join(json.dumps({"answer": line["prediction"]}) + "\n" for line in lines))
        (at / "l").write_text("".join(json.dumps({"label": line["answer"]}) + "\n" for line in lines))
        source = source.replace("ans_file = ''", f"ans_file = {str(at / 'a')!r}").replace("label_file = ''", f"label_file = {str(at / 'l')!r}")
        space: dict[str, Any] = {}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, "evaluate.py", "exec"), space)
    totals = {"tp": space["TP"], "fp": space["FP"], "tn": space["TN"], "fn": space["FN"], "accuracy": space["acc"], "precision": space["precision"],
              "recall": space["recall"], "f1": space["f1"], "yes_ratio": space["yes_ratio"]}  # fmt: skip
    TOTALS["pope_llava"] = totals
    return [one(a["answer"] == line["answer"]) for a, line in zip(space["answers"], lines, strict=True)]


def pope_llava(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.script("haotian-liu+LLaVA/llava/eval/eval_pope.py")
    texts = [{"text": line["prediction"]} for line in lines]
    with folder() as at:
        (at / "l").write_text("".join(json.dumps({"label": line["answer"]}) + "\n" for line in lines))
        with contextlib.redirect_stdout(io.StringIO()):
            module.eval_pope(texts, str(at / "l"))
    return [one(t["text"] == line["answer"]) for t, line in zip(texts, lines, strict=True)]


def pope_opera(scripts: Scripts, lines: list[Line]) -> Scores:
    record = scripts.functions("shikiw+OPERA/pope_eval.py", {"recorder"}).recorder
    said = record([line["prediction"] for line in lines], [])
    return [one(("yes" if s else "no") == line["answer"]) for s, line in zip(said, lines, strict=True)]


def pope_vcd(scripts: Scripts, lines: list[Line]) -> Scores:
    """A program that prints totals: it runs on each line between two whose scores are known."""
    path = "DAMO-NLP-SG+VCD/experiments/eval/eval_pope.py"
    source = re.sub(r"from tqdm import tqdm", "", scripts.path(path).read_text())
    code = compile(source, path, "exec")

    def run(batch: list[Line]) -> dict[str, Any]:
        with folder() as at:
            (at / "g").write_text("".join(json.dumps({"question_id": i, "label": line["answer"]}) + "\n" for i, line in enumerate(batch)))
            (at / "a").write_text("".join(json.dumps({"question_id": i, "text": line["prediction"]}) + "\n" for i, line in enumerate(batch)))
            arguments, sys.argv = sys.argv, ["x", "--gt_files", str(at / "g"), "--gen_files", str(at / "a")]
            space: dict[str, Any] = {}
            with contextlib.redirect_stdout(io.StringIO()):
                exec(code, space)
            sys.argv = arguments
        return space

    right = {"prediction": "yes", "answer": "yes"}
    whole = run(lines)
    TOTALS["pope_vcd"] = {"tp": whole["true_pos"], "fp": whole["false_pos"], "tn": whole["true_neg"], "fn": whole["false_neg"], "accuracy": whole["accuracy"],
                          "precision": whole["precision"], "recall": whole["recall"], "f1": whole["f1"], "yes_ratio": whole["yes_proportion"]}  # fmt: skip
    return [one(round(2 * run([right, line])["accuracy"]) - 1) for line in lines]


def pope_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.lmms("tasks/pope/utils.py")
    results = [module.pope_process_results({"answer": line["answer"], "question_id": i}, [line["prediction"]]) for i, line in enumerate(lines)]
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
    clean = scripts.functions("open-compass+VLMEvalKit/vlmeval/smp/misc.py", {"process_punctuation"}).process_punctuation
    path = "open-compass+VLMEvalKit/vlmeval/dataset/utils/yorn.py"
    extract = scripts.functions(path, {"YOrN_Extraction"}, process_punctuation=clean).YOrN_Extraction
    said = [extract(line["prediction"]) for line in lines]
    tree = ast.parse(scripts.path(path).read_text())
    rating = next(node for node in tree.body if getattr(node, "name", "") == "POPE_rating")
    tree.body = [node for node in rating.body if getattr(node, "name", "") == "cal_f1_score"]
    space: dict[str, Any] = {}
    exec(compile(tree, path, "exec"), space)
    f1, precision, recall = space["cal_f1_score"](np.array([line["answer"] == "yes" for line in lines]) * 1, np.array([s == "Yes" for s in said]) * 1)
    TOTALS["pope_vlmeval"] = {"f1": f1, "precision": precision, "recall": recall}
    return [one(s.lower() == line["answer"]) for s, line in zip(said, lines, strict=True)]


PERCEPTION = "existence count position color posters celebrity scene landmark artwork OCR".split()
COGNITION = "commonsense_reasoning numerical_calculation text_translation code_reasoning".split()


def mme_official(scripts: Scripts, lines: list[Line]) -> Scores:
    """MME's calculation.py, as InternVL ships it: its function on each line, and the program on all of them."""
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
    return [one(calculate.parse_pred_ans(line["prediction"].lower()) == line["answer"]) for line in lines]


def mme_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.lmms("tasks/mme/utils.py")
    results = [
        module.mme_process_results({"answer": line["answer"], "category": line["category"], "question_id": line["group"]}, [line["prediction"]])
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
        scores.append(one(evaluator.can_infer(line["prediction"].strip(), choices) == line["answer"]))
    return scores


def mmbench_vlmeval(scripts: Scripts, lines: list[Line]) -> Scores:
    import copy
    import os
    import string

    path = "open-compass+VLMEvalKit/vlmeval/utils/matching_util.py"
    verbose = re.compile(re.search(r'_VERBOSE_ANSWER_RE = re.compile\(r"(.*)"\)', scripts.path(path).read_text()).group(1))
    names = {"can_infer", "can_infer_option", "can_infer_text"}
    infer = scripts.functions(path, names, cp=copy, os=os, string=string, _VERBOSE_ANSWER_RE=verbose).can_infer
    return [one(infer(line["prediction"], dict(zip("ABCD", line["options"], strict=False))) == line["answer"]) for line in lines]


def no_lots(module: types.ModuleType) -> None:
    """Where the script would draw an option at random it finds none."""
    module.random = types.SimpleNamespace(choice=lambda _: None, seed=lambda _: None)


def mmmu_choice(module: types.ModuleType, parse: Callable[..., Any], lines: list[Line]) -> Scores:
    no_lots(module)
    scores: Scores = []
    for line in lines:
        letters = [chr(65 + i) for i in range(len(line["options"]))]
        scores.append(one(parse(line["prediction"], letters, dict(zip(letters, line["options"], strict=True))) == line["answer"]))
    return scores


def mmmu_official(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.script("MMMU-Benchmark+MMMU/mmmu/utils/eval_utils.py")
    return mmmu_choice(module, module.parse_multi_choice_response, lines)


def mmmu_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.lmms("tasks/_task_utils/mmmu_mcq_utils.py")
    return mmmu_choice(module, module.parse_mmmu_multi_choice_response, lines)


def mmmu_open(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.script("MMMU-Benchmark+MMMU/mmmu/utils/eval_utils.py")
    return [one(module.eval_open(line["references"], module.parse_open_response(line["prediction"]))) for line in lines]


def seed_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    module = scripts.lmms("tasks/seedbench/utils.py")
    scores: Scores = []
    for line in lines:
        result = module.seed_process_result({"answer": line["answer"], "data_type": "image", "question_id": 0}, [line["prediction"]])
        scores.append(one(module.seed_aggregation_result([result["seed_all"]])))
    return scores


def rank_numpy(scripts: Scripts, lines: list[Line]) -> Scores:
    """As SEED-Bench's eval.py does: the first of the options sorted by loss."""
    return [one("ABCD"[np.argsort(np.array(line["losses"]), kind="stable")[0]] == line["answer"]) for line in lines]


def scienceqa_llava(scripts: Scripts, lines: list[Line]) -> Scores:
    with folder() as at:
        ids = [str(i) for i in range(len(lines))]
        problems = {i: {"choices": line["options"], "answer": ord(line["answer"]) - 65} for i, line in zip(ids, lines, strict=True)}
        (at / "pid_splits.json").write_text(json.dumps({"test": ids}))
        (at / "problems.json").write_text(json.dumps(problems))
        rows = [{"question_id": i, "text": line["prediction"], "prompt": "<image>"} for i, line in zip(ids, lines, strict=True)]
        (at / "r.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        scripts.run("haotian-liu+LLaVA/llava/eval/eval_science_qa.py", "--base-dir", str(at), "--result-file", str(at / "r.jsonl"),
                    "--output-file", str(at / "o.json"), "--output-result", str(at / "res.json"))  # fmt: skip
        results = json.loads((at / "res.json").read_text())["results"]
    return [one(results[i] == problems[i]["answer"]) for i in ids]


def scienceqa_lmms(scripts: Scripts, lines: list[Line]) -> Scores:
    process = scripts.lmms("tasks/scienceqa/utils.py").sqa_process_results
    return [one(process({"choices": line["options"], "answer": ord(line["answer"]) - 65}, [line["prediction"]])["exact_match"]) for line in lines]


# --- Captions ------------------------------------------------------------------------------------


def chair_class(scripts: Scripts) -> Any:
    """CHAIR as its authors have it, with NLTK's tokenizer; inflect stands for pattern's singularize, which no registry has."""
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
    space = scripts.functions("LisaAnne+Hallucination/utils/chair.py", {"CHAIR"}, nltk=nltk, singularize=singularize,
                              open=lambda _: synonyms.open())  # fmt: skip
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


# --- What is compared ----------------------------------------------------------------------------

# Totals that a reference gave for its lines, by scorer; compared with the summary.
TOTALS: dict[str, dict[str, float]] = {}


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
    return any(word in line["prediction"].lower() for word in ("solider", "knive", "phon", "televison"))


# Scorer, reference -> which lines may differ, and why.
KNOWN: dict[tuple[str, str], tuple[Callable[[Line], bool], str]] = {
    ("vqa_v2", "vqa_lmms"): (
        lambda line: is_odd_vqa(line) or has_many_commas(line),
        "lmms-eval normalises also where all references are the same, and takes several commas for one",
    ),
    ("anls", "anls_package"): (lambda line: half(line) or lengthens(line), "PyPI's anls drops exactly 0.5 and counts upper-case characters"),
    ("gqa", "gqa_lmms"): (lambda line: "İ" in str(line), "numpy cuts a text that grows in lower case, which İ does"),
    ("chair", "chair_official"): (is_misspelled, "the published list has misspelled words as well"),
    ("relaxed_accuracy", "relaxed_vlmeval"): (blank_around, "VLMEvalKit takes blanks off the prediction first"),
}

# Scorer -> (how lines are made, references; the first one's scores become goldens).
COMPARISONS: dict[str, tuple[Callable[[random.Random], Line], list[Callable[[Scripts, list[Line]], Scores]]]] = {
    "vqa_v2": (answers.vqa, [vqa_official, vqa_lmms]),
    "textvqa": (answers.vqa, [textvqa_lmms, textvqa_llava, textvqa_mmf]),
    "anls": (answers.short, [anls_mmf, anls_package]),
    "anls_raw": (answers.short, [anls_rrc, anls_lmms, anls_vlmeval]),
    "relaxed_accuracy": (answers.numeric, [relaxed_lmms, relaxed_vlmeval]),
    "exact_match": (answers.short, [exact_vlmeval]),
    "gqa": (answers.short, [gqa_lmms]),
    "gqa_official": (answers.short, [gqa_llava]),
    "mmmu_open": (answers.open_question, [mmmu_open]),
    "pope_llava": (answers.yes_no, [pope_official, pope_llava]),
    "pope_opera": (answers.yes_no, [pope_opera]),
    "pope_vcd": (answers.yes_no, [pope_vcd]),
    "pope_lmms": (answers.yes_no, [pope_lmms]),
    "pope_vlmeval": (answers.yes_no, [pope_vlmeval]),
    "mme": (answers.yes_no, [mme_official]),
    "mme_lmms": (answers.yes_no, [mme_lmms]),
    "mmbench_letter": (answers.choice, [mmbench_lmms]),
    "mmbench_vlmeval": (answers.choice, [mmbench_vlmeval]),
    "mmmu_mc": (answers.choice, [mmmu_official]),
    "mmmu_mc_lmms": (answers.choice, [mmmu_lmms]),
    "seed_letter": (answers.choice, [seed_lmms]),
    "choice_rank": (answers.losses, [rank_numpy]),
    "scienceqa": (answers.choice, [scienceqa_llava]),
    "scienceqa_lmms": (answers.choice, [scienceqa_lmms]),
    "chair": (None, [chair_official, chair_released]),
}


def make_lines(scorer: str, make: Any, reference: Any, scripts: Scripts, count: int, seed: int) -> list[Line]:
    rng = random.Random(f"{scorer} {seed}")
    if reference is chair_released:
        return [{"id": i, "prediction": s["caption"], "objects": s["mscoco_gt_words"]} for i, s in enumerate(paint(scripts)["sentences"])]
    if make is None:
        terms, names = chair_terms(scripts), chair_names(scripts)
        return [{"id": i, **answers.caption(rng, terms, names)} for i in range(count)]
    lines = [{"id": i, **make(rng)} for i in range(count)]
    if scorer.startswith("mme"):
        categories = PERCEPTION + COGNITION
        for i, line in enumerate(lines[: len(lines) // 2 * 2]):
            if scorer == "mme":  # its files hold one answer a line, after a tab
                line["prediction"] = re.sub(r"[\t\n\r]", " ", line["prediction"])
            line.update({"category": categories[i // 2 % len(categories)], "group": f"{i // 2:06}"})
        return lines[: len(lines) // 2 * 2]
    return lines


def ours(program: str, scorer: str, lines: list[Line]) -> tuple[list[Line], Line]:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    run = subprocess.run([program, "eval", "score", "--scorer", scorer, "-"], input=text.encode(), capture_output=True, check=False)
    if run.returncode != 0:
        sys.exit(run.stderr.decode())
    scored = [json.loads(line) for line in run.stdout.decode().split("\n") if line]
    return scored[:-1], scored[-1]["summary"]


def same(a: float, b: float) -> bool:
    return a == b or math.isclose(a, b, rel_tol=0, abs_tol=1e-9)


def compare_totals(scorer: str, summary: Line) -> list[str]:
    wanted = TOTALS.pop(scorer, {})
    return [f"{scorer}: {k} is {summary[k]}, the reference has {v}" for k, v in wanted.items() if not same(summary[k] or 0, v)]


def compare(program: str, scorer: str, reference: Any, lines: list[Line], scripts: Scripts) -> tuple[Scores, list[str]]:
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
                problems.append(f"{scorer}: {reference.__name__} gives {want}, ours {json.dumps(line, ensure_ascii=False)}")
    problems += compare_totals(scorer, summary)
    print(f"{scorer:18} {reference.__name__:18} {len(lines):6} lines, mean {summary['score']:.4f}, "
          f"{len(problems)} differ{f', {explained} explained: {why}' if explained else ''}{f', {unsaid} that it stops at' if unsaid else ''}")  # fmt: skip
    return wanted, problems


def compare_released(program: str, scripts: Scripts) -> list[str]:
    """CHAIR's totals on the released captions, within what another way to singulars may change."""
    lines = make_lines("chair", None, chair_released, scripts, 0, 0)
    _, summary = ours(program, "chair", lines)
    overall = paint(scripts)["overall_metrics"]
    pairs = [("chair_s", "CHAIRs"), ("chair_i", "CHAIRi"), ("recall", "Recall"), ("precision", "Precision"), ("f1", "F1")]
    print("chair, released captions: " + ", ".join(f"{a} {summary[a]:.4f} ({overall[b]:.4f})" for a, b in pairs))
    return [f"chair: {a} is {summary[a]}, released {overall[b]}" for a, b in pairs if abs(summary[a] - overall[b]) > 0.003]


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--scripts", type=Path)
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--write-goldens", action="store_true")
    args = parser.parse_args()
    scripts = Scripts(args.scripts)
    problems: list[str] = []
    for scorer, (make, references) in COMPARISONS.items():
        if args.only and scorer not in args.only:
            continue
        for reference in references:
            try:
                if reference is chair_released:
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
