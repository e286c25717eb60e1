"""Compares `binocle eval run` with lmms-eval and VLMEvalKit, which ask the same over HTTP.

    python -m venv V && V/bin/pip install -r tools/reference/harness_requirements.txt
    V/bin/pip install --no-deps lmms-eval==0.7.3
    V/bin/python tools/reference/harness_parity.py PROGRAM --work DIR [--vlmevalkit CHECKOUT]
        [--images N] [--blur RADIUS] [--seed N]

PROGRAM is `binocle`, CHECKOUT VLMEvalKit's sources (the commit below). DIR must not be there yet.

Three parts. The same model, data, prompts and settings: every answer and every score must be the
same. Given answers, sentences among them, from a stand-in for the server: each harness' score must
be that of the scorer of ours that has its rule. No server: how each program ends. Exits 1 when
something differs.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.server
import importlib.metadata
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas

import harness_data as data

VLMEVALKIT = "e8e78f05f3080fe28154f2130321f17951c3be94"
MODEL = "binocle-tiny"
READY_SECONDS, RUN_SECONDS = 60, 900

Answers = dict[str, str]  # by question_id


class Outcome:
    """What one program made of one form: exit status, answers, and scores by our names."""

    def __init__(self, status: int, answers: Answers, scores: dict[str, float]):
        self.status, self.answers, self.scores = status, answers, scores


def quiet_environment(**more: str) -> dict[str, str]:
    offline = {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    return {**os.environ, **offline, "OMP_NUM_THREADS": "1", **more}


def run(command: list[Any], log: Path, **options: Any) -> int:
    with open(log, "ab") as out:
        words = [str(word) for word in command]
        return subprocess.run(
            words, stdout=out, stderr=out, timeout=RUN_SECONDS, **options
        ).returncode


# --- Who answers ---------------------------------------------------------------------------------


@contextlib.contextmanager
def served(program: Path, work: Path) -> Iterator[str]:
    """`binocle serve` on loopback; gives HOST:PORT."""
    ports, log = work / "ports.json", open(work / "serve.log", "wb")
    command = [
        program,
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--port-file",
        ports,
    ]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        end = time.monotonic() + READY_SECONDS
        while not ports.exists():
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{program} serve is not ready: {(work / 'serve.log').read_text()}")
            time.sleep(0.05)
        yield f"127.0.0.1:{json.loads(ports.read_text())['http']}"
    finally:
        process.terminate()
        process.wait()
        log.close()


# Answers of one kind of person: in a word, and in sentences that POPE's scripts read differently.
WAYS = (
    "{word}",
    "{Word}.",
    "{Word}, as far as I can see.",
    "The answer is {word}.",
    "{WORD}",
    "I think {word}.",
)


def given_answer(question: str) -> str:
    digest = hashlib.sha256(question.encode()).digest()
    word = ("yes", "no")[digest[0] % 2]
    return WAYS[digest[1] % len(WAYS)].format(word=word, Word=word.capitalize(), WORD=word.upper())


class StandIn(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = body["messages"][-1]["content"]
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": given_answer(text)},
        }
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        reply = {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": MODEL,
            "choices": [choice],
            "usage": usage,
        }
        content = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def stood_in() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def closed_address() -> str:
    """An address where nobody listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{other.getsockname()[1]}"


# --- Who asks ------------------------------------------------------------------------------------


def run_binocle(program: Path, work: Path, form: str, out: Path, *more: Any) -> Outcome:
    task = work / "tasks" / f"parity_{form}.json"
    status = run(
        [program, "eval", "run", task, "--data", work / "data", "--out", out, *more],
        work / "binocle.log",
    )
    results = list(out.glob("*_results.json"))
    if not results:
        return Outcome(status, {}, {})
    told = json.loads(results[0].read_text())["binocle"]["tasks"][f"parity_{form}"]
    (samples,) = out.glob(f"*_samples_parity_{form}.jsonl")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    scores = {
        name: summary["score"]
        for name, summary in told["scorers"].items()
        if summary["score"] is not None
    }
    if form == "pope" and scores:
        for scorer in ("pope_lmms", "pope_vlmeval"):
            scores |= {
                f"{scorer}.{name}": told["scorers"][scorer][name]
                for name in ("precision", "recall", "f1")
            }
    scores |= {"samples": told["samples"], "answered": told["answered"], "failed": told["failed"]}
    return Outcome(
        status,
        {str(line["id"]): line["prediction"] for line in lines if "error" not in line},
        scores,
    )


def run_lmms(work: Path, form: str, address: str, out: Path, retries: int = 3) -> Outcome:
    model = f"model={MODEL},base_url=http://{address}/v1,api_key=none,num_concurrent=8"
    model += f",max_retries={retries},retry_backoff_s=0.1"
    command = [
        sys.executable,
        "-m",
        "lmms_eval",
        "--model",
        "openai",
        "--model_args",
        model,
        "--tasks",
        f"parity_{form}",
        "--include_path",
        work / "lmms",
        "--output_path",
        out,
        "--log_samples",
        "--batch_size",
        "1",
    ]
    status = run(
        command, work / "lmms.log", env=quiet_environment(HF_HOME=str(work / "hf")), cwd=work
    )
    results = list(out.rglob("*_results.json"))
    if not results:
        return Outcome(status, {}, {})
    told = json.loads(results[0].read_text())["results"][f"parity_{form}"]
    (samples,) = out.rglob(f"*_samples_parity_{form}.jsonl")
    answers = {}
    for line in samples.read_text().splitlines():
        sample = json.loads(line)
        answer = sample["filtered_resps"]
        answers[str(sample["doc_id"] + 1)] = answer[0] if isinstance(answer, list) else answer
    names = {
        "pope_accuracy": "pope_lmms",
        "pope_precision": "pope_lmms.precision",
        "pope_recall": "pope_lmms.recall",
        "pope_f1_score": "pope_lmms.f1",
        "exact_match": "textvqa",
    }
    scores = {ours: told[f"{name},none"] for name, ours in names.items() if f"{name},none" in told}
    return Outcome(status, answers, scores)


def stand_in_packages(work: Path) -> Path:
    """A folder for PYTHONPATH with what VLMEvalKit imports for tasks that are not run here."""
    folder = work / "stand_in"
    folder.mkdir(exist_ok=True)
    # math-verify wants another antlr4 than latex2sympy2.
    (folder / "math_verify.py").write_text("def __getattr__(name):\n    return None\n")
    return folder


def run_vlmeval(
    work: Path, form: str, address: str, out: Path, checkout: Path, retries: int = 3
) -> Outcome:
    name = data.VLMEVAL_NAMES[form]
    model = {
        "class": "GPT4V",
        "model": MODEL,
        "api_base": f"http://{address}/v1/chat/completions",
        "key": "none",
        "temperature": 0,
        "max_tokens": data.MAX_NEW_TOKENS,
        "retry": retries,
        "wait": 0.1,
        "timeout": 60,
    }
    dataset = {
        "class": "ImageYORNDataset" if form == "pope" else "ImageVQADataset",
        "dataset": name,
    }
    config = work / f"vlmeval-{out.name}.json"
    config.write_text(json.dumps({"model": {MODEL: model}, "data": {name: dataset}}))
    command = [
        sys.executable,
        "run.py",
        "--config",
        config,
        "--work-dir",
        out,
        "--api-nproc",
        "8",
        "--judge",
        "exact_matching",
        "--retry",
        retries,
    ]
    environment = quiet_environment(
        LMUData=str(work / "vlmeval"),
        PRED_FORMAT="tsv",
        EVAL_FORMAT="csv",
        PYTHONPATH=str(stand_in_packages(work)),
    )
    status = run(command, work / "vlmeval.log", env=environment, cwd=checkout)
    predictions = [path for path in out.rglob(f"{MODEL}_{name}.tsv") if not path.is_symlink()]
    scores = list(out.rglob(f"*_{name}{'_score' if form == 'pope' else '_acc'}.csv"))
    if not predictions or not scores:
        return Outcome(status, {}, {})
    table = pandas.read_csv(predictions[0], sep="\t", dtype=str, keep_default_na=False)
    answers = dict(zip(table["index"], table["prediction"], strict=True))
    told = pandas.read_csv(scores[0]).iloc[0]
    names = {
        "acc": "pope_vlmeval",
        "precision": "pope_vlmeval.precision",
        "recall": "pope_vlmeval.recall",
        "Overall": "pope_vlmeval.f1",
    }
    if form == "vqa":
        names = {"Overall": "textvqa"}
    scores = {ours: float(told[theirs]) / 100 for theirs, ours in names.items()}
    return Outcome(status, answers, scores)


# --- The three parts -----------------------------------------------------------------------------


class Report:
    def __init__(self) -> None:
        self.failures: list[str] = []

    def check(self, what: str, ok: bool, detail: str = "") -> None:
        print(f"  {'same' if ok else 'DIFFERS'}  {what}{'  ' + detail if detail else ''}")
        if not ok:
            self.failures.append(what)

    def compare(self, what: str, ours: Outcome, theirs: Outcome) -> None:
        different = [
            key
            for key in ours.answers
            if ours.answers[key].strip() != theirs.answers.get(key, "").strip()
        ]
        first = ""
        if different:
            key = different[0]
            first = f"first: {key}: {ours.answers[key]!r}, {theirs.answers.get(key)!r}"
        same = not different and len(ours.answers) == len(theirs.answers)
        self.check(f"{what}: {len(ours.answers)} answers", same, first)
        if not theirs.scores:
            self.check(f"{what}: a score", False, f"exit status {theirs.status}")
        for name, value in theirs.scores.items():
            wanted = ours.scores[name]
            self.check(
                f"{what}: {name} {value:.6f}", abs(value - wanted) < 1e-9, f"ours {wanted:.6f}"
            )


def same_model(report: Report, args: argparse.Namespace) -> None:
    print("the same model")
    with served(args.program, args.work) as address:
        for form in data.SUFFIXES:
            ours = run_binocle(args.program, args.work, form, args.work / f"ours-{form}")
            print(f"  binocle {form}: " + json.dumps(ours.scores))
            report.compare(
                f"lmms-eval {form}",
                ours,
                run_lmms(args.work, form, address, args.work / f"out-lmms-{form}"),
            )
            if args.vlmevalkit and form in data.VLMEVAL_NAMES:
                out = args.work / f"out-vlmeval-{form}"
                report.compare(
                    f"VLMEvalKit {form}",
                    ours,
                    run_vlmeval(args.work, form, address, out, args.vlmevalkit),
                )


def given_answers(
    report: Report, args: argparse.Namespace, rows: dict[str, list[data.Row]]
) -> None:
    print("given answers")
    answered = args.work / "given.jsonl"
    answers = {str(row["question_id"]): given_answer(row["text"]) for row in rows["pope"]}
    with open(answered, "w") as file:
        for row in rows["pope"]:
            key = str(row["question_id"])
            line = {"id": key, "prediction": answers[key], "answer": row["label"]}
            file.write(json.dumps(line) + "\n")
    scores: dict[str, float] = {}
    for scorer in ("pope_llava", "pope_opera", "pope_vcd", "pope_lmms", "pope_vlmeval"):
        command = [args.program, "eval", "score", "--scorer", scorer, answered]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        summary = json.loads(output.splitlines()[-1])["summary"]
        scores[scorer] = summary["score"]
        scores |= {f"{scorer}.{name}": summary[name] for name in ("precision", "recall", "f1")}
    accuracies = {name: round(value, 4) for name, value in scores.items() if "." not in name}
    print("  binocle: " + json.dumps(accuracies))
    ours = Outcome(0, answers, scores)
    with stood_in() as address:
        report.compare(
            "lmms-eval", ours, run_lmms(args.work, "pope", address, args.work / "given-lmms")
        )
        if args.vlmevalkit:
            report.compare(
                "VLMEvalKit",
                ours,
                run_vlmeval(
                    args.work, "pope", address, args.work / "given-vlmeval", args.vlmevalkit
                ),
            )


def no_server(report: Report, args: argparse.Namespace) -> None:
    print("no server")
    address = closed_address()
    ours = run_binocle(
        args.program,
        args.work,
        "pope",
        args.work / "dead-ours",
        "--server",
        address,
        "--model",
        MODEL,
        "--attempts",
        "2",
    )
    print(f"  binocle: exit status {ours.status}, {json.dumps(ours.scores)}")
    report.check("binocle ends with 1 and gives no score", ours.status == 1 and not ours.scores)
    theirs = {"lmms-eval": run_lmms(args.work, "pope", address, args.work / "dead-lmms", 1)}
    if args.vlmevalkit:
        theirs["VLMEvalKit"] = run_vlmeval(
            args.work, "pope", address, args.work / "dead-vlmeval", args.vlmevalkit, 1
        )
    for name, outcome in theirs.items():
        print(f"  {name}: exit status {outcome.status}, {json.dumps(outcome.scores)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Compares binocle eval run with public harnesses over HTTP."
    )
    parser.add_argument("program", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--vlmevalkit", type=Path)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--blur", type=float, default=1.5)
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()
    args.work = args.work.absolute()
    args.program = args.program.absolute()
    args.vlmevalkit = args.vlmevalkit and args.vlmevalkit.absolute()
    args.work.mkdir(parents=True)
    rows = data.write_data(args.work, args.seed, args.images, args.blur)
    versions = [
        subprocess.run([args.program, "--version"], capture_output=True, text=True).stdout.strip()
    ]
    versions += [
        f"{name} {importlib.metadata.version(name)}"
        for name in ("lmms-eval", "openai", "datasets", "pillow")
    ]
    print(", ".join(versions + ([f"VLMEvalKit {VLMEVALKIT[:12]}"] if args.vlmevalkit else [])))
    questions = ", ".join(f"{form} {len(lines)} questions" for form, lines in rows.items())
    print(f"seed {args.seed}, {args.images} pictures: {questions}")
    report = Report()
    same_model(report, args)
    given_answers(report, args, rows)
    no_server(report, args)
    for failure in report.failures:
        print(f"DIFFERS: {failure}", file=sys.stderr)
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    main()
