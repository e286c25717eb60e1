"""Binocle's turn: a process of `binocle bench model --json`."""

import json
import subprocess
import tempfile

from peers.turns import peak_of

STAGES = ("encode", "prefill", "decode", "picture", "picture_again", "second_question")
MACHINE = ("read_rate", "f32_rate", "bf16_rate", "int8_rate")


def command(program, model, kind, plan, options=()):
    return [
        program, "bench", "model", "--json", "--model", model, "--compute", kind,
        "--threads", str(plan["threads"]), "--rounds", str(plan["calls"]), "--batch", "1",
        "--prompt-tokens", str(plan["prompt_tokens"]), "--text-tokens", str(plan["text_tokens"]),
        "--decode-tokens", str(plan["decode_tokens"]), *options,
    ]  # fmt: skip


def turn(program, model, kind, plan, options=()):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        call = [str(word) for word in command(program, model, kind, plan, options)]
        process = subprocess.Popen(call, stdout=out, stderr=errors)
        status, peak = peak_of(process)
        out.seek(0)
        errors.seek(0)
        if status != 0:
            raise RuntimeError(f"binocle bench model: status {status}: {errors.read().decode()}")
        return parsed(json.load(out), peak)


def parsed(bench, peak):
    stages = {
        s["stage"]: {
            "first": s["first_milliseconds"] / 1000,
            "seconds": s["milliseconds"]["median"] / 1000,
        }
        for s in bench["stages"]
        if s["stage"] in STAGES
    }
    return {
        "load_seconds": bench["load_milliseconds"] / 1000,
        "peak_bytes": peak,
        "stages": stages,
        "machine": {rate: bench[rate]["median"] for rate in MACHINE},
        "bench": bench,
    }


def version(program):
    return subprocess.run(
        [program, "--version"], capture_output=True, check=True, text=True
    ).stdout.strip()
