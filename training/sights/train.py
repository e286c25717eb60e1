#!/usr/bin/env python3
"""Trains one stage; run it again to resume it exactly.

    python training/sights/train.py --stage anchor --steps 1500

State lies in RUNS/STAGE: state.pt (to resume), weights.pt (f32 masters by name, for the next stage and for export),
log.jsonl (the learning curve, with CPU seconds). A longer or shorter --steps may be given when resuming: the rate is
constant until the cooldown, so only the start of the cooldown moves.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two OpenMP threads collapse as soon as anything else runs

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from learn.feed import batches
from learn.flat import FlatModel, Rates
from learn import joint  # noqa: F401  its stages join STAGES
from learn.stages import STAGES, Stage, gather
from nets.number import DEVICE, NUMBER
from nets.shape import DESIGNS

HERE = Path(__file__).resolve().parent
WARM_UP = 40
SAVE_SECONDS = 150


@dataclass
class Options:
    stage: str
    steps: int
    design: str
    cooldown: float
    batch: int
    ranks: int
    workers: int
    seed: int
    runs: Path
    parents: list[Path]
    frozen_towers: bool
    model: Path | None
    rest: Path | None
    tokenizer: Path

    @property
    def folder(self) -> Path:
        return self.runs / self.stage


def rate_factor(step: int, steps: int, cooldown: float) -> float:
    """Linear warm-up, over a tenth of a short run, constant, linear to zero over the last `cooldown` of the steps."""
    warm_up = max(1, min(WARM_UP, steps // 10))
    return max(0.0, min((step + 1) / warm_up, 1.0, (steps - step) / max(1.0, cooldown * steps)))


class Log:
    """Means of what the steps reported, one line every `EVERY` steps."""

    EVERY = 20

    def __init__(self, path: Path):
        self.path, self.sums = path, {}

    def add(self, report: dict[str, float]) -> None:
        for key, value in report.items():
            if value == value:
                total, n = self.sums.get(key, (0.0, 0))
                self.sums[key] = (total + value, n + 1)

    def write(self, **more: float) -> None:
        line = {**more, **{key: round(total / n, 4) for key, (total, n) in self.sums.items()}}
        with open(self.path, "a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
        self.sums = {}


def save(folder: Path, flat: FlatModel, frozen: dict[str, torch.Tensor], progress: dict) -> None:
    """Each file whole or not at all: a killed run loses at most SAVE_SECONDS."""
    for name, content in (("state.pt", {"flat": flat.state(), **progress}),
                          ("weights.pt", {**frozen, **flat.named_masters()})):
        torch.save(content, folder / (name + ".new"))
        os.replace(folder / (name + ".new"), folder / name)


def words_of(options: Options):
    """The vocabulary, for the stages with questions."""
    if not options.tokenizer.exists():
        return None
    from learn.text import Words
    return Words(options.tokenizer)


def weights_to_begin_with(options: Options, stage: Stage) -> dict[str, torch.Tensor]:
    """Those of the parents, or of a whole model, whose answers count from the first step."""
    if not options.model:
        return gather(options.parents or [options.runs], type(stage))
    from export import trained
    stage.align = 0
    return trained(options.model, options.rest, {n: p.shape for n, p in stage.named_parameters()}, stage.design)


def prepare(options: Options, rank: int) -> tuple[Stage, FlatModel, dict[str, torch.Tensor]]:
    """The stage with its parents' weights, its flat parameters, and what stays frozen."""
    torch.manual_seed(options.seed)
    stage = STAGES[options.stage](DESIGNS[options.design], words_of(options))
    for module in stage.modules():  # residual branches start silent
        for name in ("out", "fc2", "down"):
            if isinstance(getattr(module, name, None), torch.nn.Linear):
                torch.nn.init.zeros_(getattr(module, name).weight)
    stage.align = min(stage.align, options.steps // 4)
    if options.frozen_towers:
        stage.freeze_towers()
    stage.to(DEVICE)
    inherited = weights_to_begin_with(options, stage)
    flat = FlatModel(stage, rank, options.ranks)
    flat.load_masters(inherited)
    frozen = {n: p for n, p in stage.named_parameters() if not p.requires_grad}
    for name, p in frozen.items():
        p.data = inherited[name].to(DEVICE, NUMBER)
    return stage, flat, frozen


def resume(folder: Path, flat: FlatModel) -> dict:
    """Loads state.pt where there is one; the progress so far."""
    if not (folder / "state.pt").exists():
        return {"step": 0, "cpu": 0.0, "wall": 0.0}
    progress = torch.load(folder / "state.pt", map_location="cpu")
    flat.load_state(progress.pop("flat"))
    return progress


def average_gradients(flat: FlatModel, ranks: int) -> None:
    if ranks > 1:
        total = flat.gradients.float()
        dist.all_reduce(total)
        flat.gradients.copy_(total / ranks)


class Clocks:
    """CPU seconds of all ranks and wall seconds, from the stage's beginning."""

    def __init__(self, progress: dict, ranks: int):
        self.base, self.ranks = progress, ranks
        self.cpu, self.wall = time.process_time(), time.time()

    def read(self) -> dict[str, float]:
        used = torch.tensor([time.process_time() - self.cpu])
        if self.ranks > 1:
            dist.all_reduce(used)
        return {"cpu": round(self.base["cpu"] + used.item(), 1),
                "wall": round(self.base["wall"] + time.time() - self.wall, 1)}


def run(rank: int, options: Options, until: int | None = None) -> None:
    """Trains to the last step, or as if cut after step `until`."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    folder = options.folder
    stage, flat, frozen = prepare(options, rank)
    progress = resume(folder, flat)
    size = options.batch or stage.batch
    stream = options.stage if not options.seed else f"{options.stage} seed {options.seed}"
    if options.model:  # scenes that it has not been shown
        stream += f" from {hashlib.sha256((options.model / 'model.safetensors').read_bytes()).hexdigest()}"
    log, clocks, saved = Log(folder / "log.jsonl"), Clocks(progress, options.ranks), time.time()
    parent = os.getppid()
    end = until or options.steps
    if progress["step"] >= end:  # as after a kill between the last line of the log and its weights
        save(folder, flat, frozen, progress)
        return
    steps = range(progress["step"], end)
    made = batches(lambda step: stage.make(stream, (step * options.ranks + rank) * size, size, step), steps, options.workers)
    for step, batch in zip(steps, made):
        if os.getppid() != parent and options.ranks > 1:
            raise SystemExit("the starting process is gone: two runs must never write one folder")
        loss, report = stage.loss(batch.to(DEVICE), step)
        loss.backward()
        average_gradients(flat, options.ranks)
        factor = rate_factor(step, options.steps, options.cooldown)
        flat.step(Rates(stage.rates.muon * factor, stage.rates.adam * factor), step + 1)
        log.add({"loss": loss.item(), **report})
        last = step + 1 == end
        if (step + 1) % Log.EVERY and not last:
            continue
        now = clocks.read()
        if rank == 0:
            log.write(step=step + 1, pictures=(step + 1) * size * options.ranks, **now)
            if last or time.time() - saved > SAVE_SECONDS:
                save(folder, flat, frozen, {"step": step + 1, **now})
                saved = time.time()


def _ranked(rank: int, options: Options, meeting: str) -> None:
    dist.init_process_group("gloo", init_method="file://" + meeting, rank=rank, world_size=options.ranks)
    run(rank, options)
    dist.destroy_process_group()


def parse() -> Options:
    parser = argparse.ArgumentParser(description="Trains one stage of a model.")
    parser.add_argument("--stage", choices=sorted(STAGES), required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--design", choices=sorted(DESIGNS), default="default")
    parser.add_argument("--cooldown", type=float, default=0.4, help="share of the steps over which the rate falls to 0")
    parser.add_argument("--batch", type=int, default=0, help="pictures a step and process (0: the stage's own)")
    parser.add_argument("--ranks", type=int, default=1, help="data-parallel processes, one thread each")
    parser.add_argument("--workers", type=int, default=0, help="processes that make the batches (0: the one that trains)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=HERE.parent / "runs/default")
    parser.add_argument("--parents", type=Path, nargs="+", default=[],
                        help="the runs whose towers and decoder `join` starts from, each from the first that has it (RUNS)")
    parser.add_argument("--frozen-towers", action="store_true", help="`join` leaves the towers as they are")
    parser.add_argument("--tokenizer", type=Path, default=HERE / "tokenizer/tokenizer.model")
    parser.add_argument("--model", type=Path, help="a directory of export.py that `join` goes on from, in place of parents")
    parser.add_argument("--rest", type=Path, help="what export.py --rest wrote beside it")
    options = Options(**vars(parser.parse_args()))
    if (options.model is None) != (options.rest is None) or (options.model and options.stage != "join"):
        parser.error("--model and --rest go together, and with --stage join")
    if options.frozen_towers and options.stage != "join":
        parser.error("--frozen-towers goes with --stage join")
    return options


def claim(folder: Path):
    """Keeps two runs from writing one folder, for as long as this process or a rank of it lives."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / "lock", "w", encoding="utf-8")  # noqa: SIM115  held until the end
    os.set_inheritable(lock.fileno(), True)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise SystemExit(f"a run is already writing {folder}") from None
    return lock


def main() -> None:
    options = parse()
    lock = claim(options.folder)
    if options.ranks == 1:
        run(0, options)
        lock.close()
        return
    meeting = options.folder / f"meeting.{os.getpid()}"
    mp.spawn(_ranked, args=(options, str(meeting.resolve())), nprocs=options.ranks)


if __name__ == "__main__":
    main()
