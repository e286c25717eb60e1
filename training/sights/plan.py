#!/usr/bin/env python3
"""Runs the default model's whole training: whatever stage is next, two processes side by side. Cut it at any time and
run it again: it goes on where the last saved states are.

    python training/sights/plan.py                     # until the model is trained
    python training/sights/plan.py --status            # where it stands
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORES = 2


@dataclass(frozen=True)
class Step:
    """A stage, how long, and what it waits for."""

    stage: str
    steps: int
    after: tuple[str, ...] = ()
    cores: int = 1
    cooldown: float = 0.4


# Core-minutes on an idle machine: anchor 43, augment 82, decoder 107, join 400. README.md has the reasons.
PLAN = (Step("anchor", 2600), Step("augment", 3400), Step("decoder", 2600),
        Step("join", 3600, ("anchor", "augment", "decoder"), cores=2, cooldown=0.5))


def reached(runs: Path, stage: str) -> dict:
    """The last line of a stage's log; {"step": 0} before the first."""
    log = runs / stage / "log.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return json.loads(lines[-1]) if lines else {"step": 0, "cpu": 0.0}


def saved_all(runs: Path, step: Step) -> bool:
    """train.py saves at its last step after it has written that step's log line."""
    folder = runs / step.stage
    log, weights = folder / "log.jsonl", folder / "weights.pt"
    return reached(runs, step.stage)["step"] >= step.steps and weights.exists() and weights.stat().st_mtime >= log.stat().st_mtime - 1


def command(step: Step, runs: Path) -> list[str]:
    return [sys.executable, str(HERE / "train.py"), "--stage", step.stage, "--steps", str(step.steps), "--ranks",
            str(step.cores), "--cooldown", str(step.cooldown), "--runs", str(runs)]


def taken(runs: Path, stage: str) -> bool:
    """Whether a process that this plan did not start writes the stage: one that outlived an earlier plan."""
    lock = runs / stage / "lock"
    if not lock.exists():
        return False
    with open(lock, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def start(step: Step, runs: Path) -> subprocess.Popen:
    (runs / step.stage).mkdir(parents=True, exist_ok=True)
    with open(runs / step.stage / "out.txt", "a", encoding="utf-8") as out:
        return subprocess.Popen(command(step, runs), stdout=out, stderr=out, stdin=subprocess.DEVNULL)


def follow(runs: Path) -> None:
    """Starts stages as cores and their parents allow, until all are done. A stage that fails is tried again in a minute."""
    running: dict[str, tuple[Step, subprocess.Popen]] = {}
    resting: dict[str, float] = {}
    while True:
        for stage, (_, process) in list(running.items()):
            if process.poll() is not None:
                del running[stage]
                if process.returncode:
                    print(f"{stage} ended with {process.returncode}; again in a minute", flush=True)
                    resting[stage] = time.time() + 60
        others = [s for s in PLAN if s.stage not in running and taken(runs, s.stage)]
        at_work = {*running, *(s.stage for s in others)}
        done = {s.stage for s in PLAN if s.stage not in at_work and saved_all(runs, s)}
        if len(done) == len(PLAN):
            return
        for step in PLAN:
            busy = sum(s.cores for s in (*others, *(s for s, _ in running.values())))
            if (step.stage not in done | at_work | set(running) and set(step.after) <= done
                    and busy + step.cores <= CORES and resting.get(step.stage, 0) < time.time()):
                running[step.stage] = (step, start(step, runs))
                print(f"{time.strftime('%F %T')} {step.stage} from step {reached(runs, step.stage)['step']}", flush=True)
        time.sleep(5)


def status(runs: Path) -> str:
    """Where each stage stands, and its accuracies over the last logged steps."""
    rows = []
    for step in PLAN:
        line = reached(runs, step.stage)
        rows.append(f"{step.stage}: {line['step']} of {step.steps} steps, {line.get('cpu', 0) / 60:.1f} core-minutes"
                    + (", running" if taken(runs, step.stage) else ""))
        rest = {k: v for k, v in line.items() if k not in ("step", "pictures", "cpu", "wall")}
        rows += ["  " + " ".join(f"{k} {v:.3g}" for k, v in rest.items())] if rest else []
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs the default model's training, or says where it stands.")
    parser.add_argument("--runs", type=Path, default=HERE.parent / "runs/default")
    parser.add_argument("--status", action="store_true")
    args = parser.parse_args()
    if args.status:
        print(status(args.runs))
        return
    args.runs.mkdir(parents=True, exist_ok=True)
    with open(args.runs / "plan.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(f"a plan is already running in {args.runs}") from None
        follow(args.runs)


if __name__ == "__main__":
    main()
