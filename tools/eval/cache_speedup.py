#!/usr/bin/env python3
"""How much faster a run is with the image and prefix caches than without, and whether the answers are the same.

    python3 tools/eval/scenes_pope.py --seed 7 --images 100 --out /tmp/pope
    python3 tools/eval/cache_speedup.py build/release/bin/binocle scenes_pope --data /tmp/pope [--rounds 5] [binocle eval run's options]

Both sides take turns; seconds are of asking alone (times_0_of_1.jsonl), without loading the model. `--image-cache 0` turns both caches off: a
prompt's beginning is known by its picture, and a picture that is not kept is a new one every time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SIDES = {"caches": [], "caches off": ["--image-cache", "0"]}


def run_once(command: list[str], out: Path) -> tuple[dict, bytes]:
    """What the run says of its time, and its samples."""
    subprocess.run([*command, "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
    times = json.loads((out / "times_0_of_1.jsonl").read_text(encoding="utf-8"))
    (samples,) = out.glob("*_samples_*.jsonl")
    return times, samples.read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description="Times a run with caches and without.")
    parser.add_argument("program")
    parser.add_argument("task")
    parser.add_argument("--data", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    args, options = parser.parse_known_args()
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    told, answers = {}, set()
    with tempfile.TemporaryDirectory(prefix="binocle-") as work:
        for number in range(args.rounds):
            for side, more in SIDES.items():
                command = [args.program, "eval", "run", args.task, "--data", args.data, *options, *more]
                times, samples = run_once(command, Path(work) / f"{side.replace(' ', '_')}-{number}")
                seconds[side].append(times["seconds"])
                told[side] = times
                answers.add(samples)
    for side in SIDES:
        times, took = told[side], sorted(seconds[side])
        print(f"{side}: median {statistics.median(took):.2f} s ({took[0]:.2f} to {took[-1]:.2f}), {times['answered']} answers, "
              f"{times['image_hits']} of {times['images']} pictures and {times['prefix_tokens']} of {times['prompt_tokens']} prompt tokens cached")
    ratio = statistics.median(seconds["caches off"]) / statistics.median(seconds["caches"])
    print(f"{ratio:.2f} times as fast; answers {'the same' if len(answers) == 1 else 'DIFFER'}")
    sys.exit(0 if len(answers) == 1 else 1)


if __name__ == "__main__":
    main()
