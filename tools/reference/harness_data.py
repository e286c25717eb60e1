"""The data of harness_parity.py: scenes with questions in POPE's and in TextVQA's form, once in the
form of each program.

    WORK/data/pictures/0000.jpg …                              what every program shows the model
    WORK/data/parity_*.jsonl, WORK/tasks/*.json                for binocle
    WORK/lmms/parity_*.{parquet,yaml}, functions.py            for lmms-eval
    WORK/vlmeval/POPE_parity.tsv, TextVQA_parity.tsv           for VLMEvalKit

VLMEvalKit sends every picture as JPEG of Pillow's default quality. Its file has the picture before
that step, and those of the others the picture after it, so that all three show the same pixels.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import random
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "training"), str(ROOT / "tools/eval")]
from generate import scene_stream  # noqa: E402
from scenes.render import render  # noqa: E402
from scenes_pope import lines_of  # noqa: E402

QUESTIONS = 6  # about a picture, in either form
# What follows a question. VLMEvalKit adds the text of "vqa" to every VQA task, so that it cannot do
# "vqa_plain", the prompt that the model was trained on.
SENTENCE = "\nAnswer the question using a single word or phrase."
SUFFIXES = {"pope": "", "vqa": SENTENCE, "vqa_plain": ""}
MAX_NEW_TOKENS = 16
ANNOTATORS = 10
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

Row = dict[str, Any]


def said(answer: str, rng: random.Random) -> str:
    """An annotator's way of giving an answer: what normalisers take away, or not."""
    ways = [answer] * 4 + [answer.capitalize(), f"the {answer}", f"{answer}.", f" {answer}"]
    if answer.isdigit() and int(answer) < len(NUMBERS):
        ways += [NUMBERS[int(answer)]] * 2
    return rng.choice(ways)


def references(answer: str, others: list[str], rng: random.Random) -> list[str]:
    """Ten annotators, of whom none to nine are wrong."""
    wrong = rng.choice((0, 0, 0, 1, 2, 4, 7, 8, 9))
    return [said(rng.choice(others) if i < wrong else answer, rng) for i in range(ANNOTATORS)]


def make_rows(
    seed: int, images: int, blur: float, pictures: Path
) -> tuple[dict[str, list[Row]], dict[str, bytes]]:
    """The rows of both forms, and the PNG of every picture by its name."""
    pictures.mkdir(parents=True)
    rng, stream = random.Random(f"harness parity {seed}"), scene_stream(seed, "test")
    pope: list[Row] = []
    vqa: list[Row] = []
    pngs: dict[str, bytes] = {}
    for index in range(images):
        scene, asked = next(stream)
        name = f"{index:04d}.jpg"
        picture = render(scene).convert("RGB").filter(ImageFilter.GaussianBlur(blur))
        png = io.BytesIO()
        picture.save(png, format="PNG")
        pngs[name] = png.getvalue()
        Image.open(io.BytesIO(pngs[name])).save(pictures / name, format="JPEG")
        pope += lines_of(scene, name, len(pope) + 1, rng)
        short = [question for question in asked if question.kind != "describe"]
        for question in rng.sample(short, min(QUESTIONS, len(short))):
            others = [other.answer for other in short if other.answer != question.answer] or [
                "nothing"
            ]
            vqa.append(
                {
                    "question_id": len(vqa) + 1,
                    "image": name,
                    "question": question.prompt,
                    "answers": references(question.answer, others, rng),
                }
            )
    return {"pope": pope, "vqa": vqa, "vqa_plain": vqa}, pngs


# --- binocle -------------------------------------------------------------------------------------


def task(form: str) -> Row:
    asks, wants = (
        ("text", {"answer": "label"}) if form == "pope" else ("question", {"references": "answers"})
    )
    pope = {
        "scorer": "pope_lmms",
        "also_scorers": ["pope_llava", "pope_opera", "pope_vcd", "pope_vlmeval"],
    }
    return {
        "schema": 1,
        "name": f"parity_{form}",
        "version": "1",
        "description": f"harness_parity.py: scenes in the form of {form}",
        "data": {
            "format": "jsonl",
            "files": [f"parity_{form}.jsonl"],
            "how_to_get": "harness_parity.py",
        },
        "columns": {"id": "question_id", "question": asks, **wants},
        "images": {"form": "path", "column": "image", "folder": "pictures"},
        "prompts": {"default": {"text": "{question}" + SUFFIXES[form], "source": "VLMEvalKit"}},
        **(pope if form == "pope" else {"scorer": "textvqa", "also_scorers": ["vqa_v2"]}),
        "generation": {"max_new_tokens": MAX_NEW_TOKENS, "temperature": 0, "stops": []},
    }


def write_binocle(work: Path, rows: dict[str, list[Row]]) -> None:
    (work / "tasks").mkdir()
    for form, lines in rows.items():
        (work / "tasks" / f"parity_{form}.json").write_text(json.dumps(task(form), indent=2))
        (work / "data" / f"parity_{form}.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines)
        )


# --- lmms-eval -----------------------------------------------------------------------------------

# Its own functions for POPE and TextVQA; the question of the latter as VQAv2's gives it, which
# changes no letter.
FUNCTIONS = """from lmms_eval.tasks.pope.utils import *
from lmms_eval.tasks.textvqa.utils import textvqa_process_results
from lmms_eval.tasks.vqav2.utils import vqav2_doc_to_text, vqav2_doc_to_visual


def textvqa_score(doc, results):
    return {"exact_match": textvqa_process_results(doc, results)["exact_match"]}
"""

HEAD = """task: parity_{form}
dataset_path: parquet
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: generate_until
generation_kwargs:
  max_new_tokens: {max_new_tokens}
  temperature: 0
lmms_eval_specific_kwargs:
  default: {{pre_prompt: "", post_prompt: {suffix}}}
metadata:
  - version: 0.0
"""

POPE = """doc_to_visual: !function functions.pope_doc_to_visual
doc_to_text: !function functions.pope_doc_to_text
doc_to_target: answer
process_results: !function functions.pope_process_results
metric_list:
  - {metric: pope_accuracy, aggregation: !function functions.pope_aggregate_accuracy}
  - {metric: pope_precision, aggregation: !function functions.pope_aggregate_precision}
  - {metric: pope_recall, aggregation: !function functions.pope_aggregate_recall}
  - {metric: pope_f1_score, aggregation: !function functions.pope_aggregate_f1_score}
"""

VQA = """doc_to_visual: !function functions.vqav2_doc_to_visual
doc_to_text: !function functions.vqav2_doc_to_text
doc_to_target: question_id
process_results: !function functions.textvqa_score
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
"""


def write_lmms(work: Path, rows: dict[str, list[Row]]) -> None:
    import datasets

    folder = work / "lmms"
    folder.mkdir()
    (folder / "functions.py").write_text(FUNCTIONS)
    for form, lines in rows.items():
        columns: dict[str, list[Any]] = {"question_id": [line["question_id"] for line in lines]}
        columns["image"] = [str(work / "data/pictures" / line["image"]) for line in lines]
        features = {"question_id": datasets.Value("int64"), "image": datasets.Image()}
        columns["question"] = [line["text" if form == "pope" else "question"] for line in lines]
        features["question"] = datasets.Value("string")
        if form == "pope":
            columns["answer"], features["answer"] = (
                [line["label"] for line in lines],
                datasets.Value("string"),
            )
        else:
            columns["answers"] = [line["answers"] for line in lines]
            features["answers"] = datasets.Sequence(datasets.Value("string"))
        table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
        file = folder / f"parity_{form}.parquet"
        table.to_parquet(str(file))
        head = HEAD.format(
            form=form, file=file, max_new_tokens=MAX_NEW_TOKENS, suffix=json.dumps(SUFFIXES[form])
        )
        (folder / f"parity_{form}.yaml").write_text(head + (POPE if form == "pope" else VQA))


# --- VLMEvalKit ----------------------------------------------------------------------------------

# It chooses the score by a part of the name.
VLMEVAL_NAMES = {"pope": "POPE_parity", "vqa": "TextVQA_parity"}


def write_vlmeval(work: Path, rows: dict[str, list[Row]], pngs: dict[str, bytes]) -> None:
    folder = work / "vlmeval"
    folder.mkdir()
    for form, lines in ((form, rows[form]) for form in VLMEVAL_NAMES):
        with open(folder / f"{VLMEVAL_NAMES[form]}.tsv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t")
            writer.writerow(
                ["index", "image", "question", "answer", *(["category"] if form == "pope" else [])]
            )
            for line in lines:
                image = base64.b64encode(pngs[line["image"]]).decode()
                if form == "pope":
                    writer.writerow(
                        [
                            line["question_id"],
                            image,
                            line["text"],
                            line["label"].capitalize(),
                            "scenes",
                        ]
                    )
                else:
                    writer.writerow(
                        [line["question_id"], image, line["question"], repr(line["answers"])]
                    )


def write_data(work: Path, seed: int, images: int, blur: float) -> dict[str, list[Row]]:
    rows, pngs = make_rows(seed, images, blur, work / "data/pictures")
    write_binocle(work, rows)
    write_lmms(work, rows)
    write_vlmeval(work, rows, pngs)
    return rows
