#!/usr/bin/env python3
"""Runs the default model's whole training, and then what it is compared with: whatever is next, two processes side by side. Cut it
at any time and run it again: it goes on where the last saved states are.

    python training/sights/plan.py                     # until the model is trained
    python training/sights/plan.py --ablations         # and the models of other designs
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
from dataclasses import dataclass, replace
from pathlib import Path

from learn import joint  # noqa: F401  its stages join STAGES
from learn.stages import STAGES
from nets.number import DEVICE

HERE = Path(__file__).resolve().parent
CORES = 2


@dataclass(frozen=True)
class Step:
    """A stage of a run, how long, and what it waits for."""

    run: str
    stage: str
    steps: int
    after: tuple[str, ...] = ()
    cores: int = 1
    cooldown: float = 0.4
    design: str = "default"
    seed: int = 0
    batch: int = 0  # 0: the stage's own
    parents: tuple[str, ...] = ("default",)  # runs; the first that has a parent gives it
    frozen: bool = False  # the towers

    @property
    def place(self) -> str:
        """Its folder in RUNS."""
        return f"{self.run}/{self.stage}"


PARENTS = ("default/anchor", "default/augment", "default/decoder")
# Core-minutes on an idle machine: anchor 43, augment 82, decoder 107, join 400. README.md has the reasons.
PLAN = (Step("default", "anchor", 2600), Step("default", "augment", 3400), Step("default", "decoder", 2600),
        Step("default", "join", 3600, PARENTS, cores=2, cooldown=0.5))
# What the default is compared with, one budget for all; a seed is that of what is new and of the scenes. Encoders stay as they were trained alone.
FUSIONS = ("default", "anchor", "augment", "add", "channel_concat", "interleave")
ALIGNERS = {"stock": "stock", "vo": "default", "vo_ffn": "vo_ffn", "none": "none"}  # runs, and their designs
SEEDS = (1, 2)
_SHORT = Step("", "join", 150, PARENTS, cooldown=0.5, batch=24, frozen=True)
# Each aligner has a decoder of its own to begin with: one that learnt with another would have to learn anew.
ABLATIONS = (*(replace(_SHORT, run=f"{f}-{seed}", design=f, seed=seed) for seed in SEEDS for f in FUSIONS),
             *(Step(f"{run}-decoder", "decoder", 300, design=design) for run, design in ALIGNERS.items()),
             *(replace(_SHORT, run=f"{run}-{seed}", design=design, seed=seed, after=(*PARENTS[:2], f"{run}-decoder/decoder"),
                       parents=(f"{run}-decoder", "default")) for seed in SEEDS for run, design in ALIGNERS.items()))


def reached(runs: Path, step: Step) -> dict:
    """The last line of a step's log; {"step": 0} before the first."""
    log = runs / step.place / "log.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return json.loads(lines[-1]) if lines else {"step": 0, "cpu": 0.0}


def saved_all(runs: Path, step: Step) -> bool:
    """train.py saves at its last step after it has written that step's log line."""
    folder = runs / step.place
    log, weights = folder / "log.jsonl", folder / "weights.pt"
    return reached(runs, step)["step"] >= step.steps and weights.exists() and weights.stat().st_mtime >= log.stat().st_mtime - 1


def command(step: Step, runs: Path) -> list[str]:
    if DEVICE == "cpu":
        shared = ["--ranks", str(step.cores), "--batch", str(step.batch)]
    else:  # one process trains on the GPU with all ranks' pictures; the machine's cores make them
        batch = (step.batch or STAGES[step.stage].batch) * step.cores
        shared = ["--batch", str(batch), "--workers", str(max(1, (os.cpu_count() or 1) * step.cores // CORES))]
    return [sys.executable, str(HERE / "train.py"), "--stage", step.stage, "--steps", str(step.steps), *shared,
            "--cooldown", str(step.cooldown), "--design", step.design, "--seed", str(step.seed), "--runs", str(runs / step.run),
            *(["--frozen-towers"] if step.frozen else []), "--parents", *(str(runs / parent) for parent in step.parents)]


def taken(runs: Path, step: Step) -> bool:
    """Whether a process that this plan did not start writes the step: one that outlived an earlier plan."""
    lock = runs / step.place / "lock"
    if not lock.exists():
        return False
    with open(lock, encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def start(step: Step, runs: Path) -> subprocess.Popen:
    (runs / step.place).mkdir(parents=True, exist_ok=True)
    with open(runs / step.place / "out.txt", "a", encoding="utf-8") as out:
        return subprocess.Popen(command(step, runs), stdout=out, stderr=out, stdin=subprocess.DEVNULL)


def follow(runs: Path, plan: tuple[Step, ...]) -> None:
    """Starts steps as cores and their parents allow, until all are done. One that fails is tried again in a minute."""
    running: dict[Step, subprocess.Popen] = {}
    resting: dict[Step, float] = {}
    while True:
        for step, process in list(running.items()):
            if process.poll() is not None:
                del running[step]
                if process.returncode:
                    print(f"{step.place} ended with {process.returncode}; again in a minute", flush=True)
                    resting[step] = time.time() + 60
        at_work = {*running, *(s for s in plan if s not in running and taken(runs, s))}
        done = {s for s in plan if s not in at_work and saved_all(runs, s)}
        if len(done) == len(plan):
            return
        ready = {s.place for s in done}
        for step in plan:
            if step in done | at_work or not set(step.after) <= ready:
                continue
            if resting.get(step, 0) > time.time() or sum(s.cores for s in at_work) + step.cores > CORES:
                break  # nobody overtakes it, or a step of two cores would never have both
            running[step] = start(step, runs)
            at_work.add(step)
            print(f"{time.strftime('%F %T')} {step.place} from step {reached(runs, step)['step']}", flush=True)
        time.sleep(5)


def status(runs: Path, plan: tuple[Step, ...]) -> str:
    """Where each step stands, and its accuracies over the last that were logged."""
    rows = []
    for step in plan:
        line = reached(runs, step)
        rows.append(f"{step.place}: {line['step']} of {step.steps} steps, {line.get('cpu', 0) / 60:.1f} core-minutes"
                    + (", running" if taken(runs, step) else ""))
        rest = {k: v for k, v in line.items() if k not in ("step", "pictures", "cpu", "wall")}
        rows += ["  " + " ".join(f"{k} {v:.3g}" for k, v in rest.items())] if rest else []
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs the default model's training, or says where it stands.")
    parser.add_argument("--runs", type=Path, default=HERE.parent / "runs")
    parser.add_argument("--ablations", action="store_true", help="and then the models of other designs")
    parser.add_argument("--share", type=float, default=1.0, help="of each stage's steps, where there is less time; more may be asked for later")
    parser.add_argument("--steps", nargs="+", default=[], metavar="STAGE=N", help="steps of the model's stages, one by one")
    parser.add_argument("--status", action="store_true")
    args = parser.parse_args()
    chosen = {stage: int(steps) for stage, _, steps in (text.partition("=") for text in args.steps)}
    if unknown := chosen.keys() - {step.stage for step in PLAN}:
        parser.error(f"--steps has {', '.join(unknown)}, expected some of {', '.join(step.stage for step in PLAN)}")
    plan = tuple(replace(step, steps=chosen.get(step.stage, round(step.steps * args.share))) for step in PLAN)
    plan += ABLATIONS if args.ablations else ()
    if args.status:
        print(status(args.runs, plan))
        return
    args.runs.mkdir(parents=True, exist_ok=True)
    with open(args.runs / "plan.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(f"a plan is already running in {args.runs}") from None
        follow(args.runs, plan)


if __name__ == "__main__":
    main()
