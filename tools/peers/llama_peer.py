"""llama.cpp's turn: llama-bench on a GGUF of the language model's shape. No picture here."""

import json
import pathlib
import subprocess
import tempfile

from peers.turns import peak_of

DTYPES = {"bf16": "bf16", "int8": "q8_0", "int4": "q4_0"}


def bench_program(build):
    """llama-bench of a build folder."""
    for path in (pathlib.Path(build) / "bin" / "llama-bench", pathlib.Path(build) / "llama-bench"):
        if path.is_file():
            return path.resolve()
    raise SystemExit(
        f"bench_peers: {build} has no bin/llama-bench; --llama-cpp takes a build folder"
    )


def run(program, model, plan, options):
    call = [
        program,
        "-m",
        model,
        "-t",
        str(plan["threads"]),
        "-r",
        str(plan["calls"]),
        "-o",
        "json",
    ]
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([*call, *options], stdout=out, stderr=subprocess.DEVNULL)
        status, peak = peak_of(process)
        if status != 0:
            raise RuntimeError(f"llama-bench: status {status}, options {' '.join(options)}")
        out.seek(0)
        return json.load(out)[0], peak


def turn(program, model, plan):
    prompt = plan["prompt_tokens"]
    # It warms up by itself and does not tell what the first call or loading took.
    prefill, peak = run(program, model, plan, ["-p", str(prompt), "-n", "0"])
    steps = plan["decode_tokens"]
    decode, decode_peak = run(
        program, model, plan, ["-p", "0", "-n", str(steps), "-d", str(prompt)]
    )
    return {
        "peak_bytes": max(peak, decode_peak),
        "version": f"{prefill['build_number']} ({prefill['build_commit']})",
        "stages": {
            "prefill": {"seconds": prompt / prefill["avg_ts"]},
            "decode": {"seconds": 1 / decode["avg_ts"]},
        },
    }
