"""Fresh random checkpoints of every family, dumped through transformers, compared by the program.

    parity_sweep.py PROGRAM [--seed S]... [--only NAME ...] [--dtype f32|f16|bf16]...

PROGRAM is build/dev/bin/binocle. Nothing is kept. Each case of make_checkpoints.py is drawn anew
with every seed (default: 11 and 12) in the types that it has there, and once more with its weights
in every --dtype, but for Binocle cases, which mix all three. A request whose two best logits come
nearer than 2e-3 at one of its 64 steps is drawn again with another prompt: float noise may decide
there; where no prompt will do, another checkpoint is drawn. The exit status is 1 where anything
differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import pictures
from checkpoints_hf import TEXTS, TOWERS
from common import DTYPES, setup, write_tensors
from dump import STEPS, tower_dump, write
from golden import FILLERS, MIN_MARGIN
from make_checkpoints import all_cases, write_checkpoint
from model_dump import Pictures, Wishes, dump_model
from reference_models import Request

TOLERANCE = 1e-4
DRAWS = 8  # of a checkpoint


class NoPromptWillDo(Exception):
    """Two best logits are too near in all of them."""


def prompt_ids(start: int, count: int, attempt: int) -> list[int]:
    return [1] + [(start + 11 * attempt + i * i * 7 + i * 29) % 328 + 3 for i in range(count - 1)]


def requests_for(name: str, images: list[str], attempt: int) -> list[Request]:
    """A picture within a text, and two; or ids, a few and more than any window holds."""
    if name in TEXTS:
        rows = [{"id": "short", "prompt_token_ids": prompt_ids(5, 6, attempt)}]
        rows.append({"id": "long", "prompt_token_ids": prompt_ids(77, 90, attempt)})
        return [row | {"images": [], "prompt_format": "ids"} for row in rows]
    words = FILLERS[attempt % len(FILLERS)] + " again" * (attempt // len(FILLERS))
    one, two = f"Look at the {words}: <image> What is it?", f"The {words} <image> and <image>?"
    return [
        {"id": "one", "images": images[:1], "prompt": one, "prompt_format": "raw"},
        {"id": "two", "images": images[1:3], "prompt": two, "prompt_format": "raw"},
    ]


def dumped(folder: Path, name: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """A dump whose requests keep their margins."""
    wishes = Wishes(STEPS, "f32", 1 << 30)
    for attempt in range(48):
        found = Pictures()
        files = [] if name in TEXTS else sorted(folder.parent.glob("images/*.png"))
        images = [found.add(path) for path in files]
        tensors, info = dump_model(folder, requests_for(name, images, attempt), found, wishes)
        if all(request["min_margin"] >= MIN_MARGIN for request in info["requests"]):
            return tensors, info
    raise NoPromptWillDo(name)


def recast(folder: Path, dtype: str) -> bool:
    """The same checkpoint with its weights rounded to dtype; False where there is nothing to do."""
    changed = False
    for path in folder.glob("*.safetensors"):
        tensors = load_file(str(path))
        changed |= any(t.dtype != DTYPES[dtype] for t in tensors.values())
        write_tensors(path, {k: t.to(DTYPES[dtype]) for k, t in tensors.items()})
    return changed


def largest(report: dict[str, Any], *names: str) -> float:
    values = [s["relative"] for s in report["stages"] if s["stage"] in names]
    return max(values, default=0.0)


def compare(program: str, folder: Path, name: str, title: str) -> bool:
    dump = folder.parent / f"{name}.dump"
    write(dump, *(tower_dump(folder) if name in TOWERS else dumped(folder, name)))
    command = [program, "parity", str(folder), str(dump), "--json", "--threads", "1"]
    command += ["--tolerance", str(TOLERANCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        print(f"{title:44} {done.stderr.strip()}", flush=True)
        return False
    report = json.loads(done.stdout)
    tokens = [s for s in report["stages"] if s["stage"] == "tokens"]
    same = sum(s["compared"] - int(s["absolute"]) for s in tokens)
    vision = largest(report, "anchor", "augment", "fused", "projected")
    layers = largest(report, "embeddings", "layer", "final norm")
    verdict = "agrees" if report["agrees"] else f"DIFFERS: {report['first_difference']}"
    print(
        f"{title:44} {vision:9.1e} {layers:9.1e} {largest(report, 'logits'):9.1e} "
        f"{same:4}/{sum(s['compared'] for s in tokens):<4} {verdict}",
        flush=True,
    )
    return report["agrees"]


def drawn_and_compared(program: str, folder: Path, name: str, seed: int) -> bool:
    for draw in range(DRAWS):
        write_checkpoint(name, folder.parent, seed + 1000 * draw)
        try:
            return compare(program, folder, name, f"{name} (seed {seed + 1000 * draw})")
        except NoPromptWillDo:
            pass
    raise RuntimeError(f"{name}: no prompt keeps its margins in {DRAWS} checkpoints")


def shared_by(cases: list[str]) -> list[str]:
    """Cases whose weights others link to or name."""
    shared = []
    if any(name.startswith("binocle_") for name in cases):
        shared = ["binocle_base", "binocle_ftz"]
    if any(name.startswith("assembled_") for name in cases):
        shared += list(TOWERS)
    return shared


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--only", nargs="*", help="cases; all by default")
    parser.add_argument("--dtype", choices=tuple(DTYPES), action="append")
    args = parser.parse_args()
    setup()
    cases = [name for name in args.only or all_cases() if name != "binocle_base"]
    print(f"{'case':44} {'vision':>9} {'layers':>9} {'logits':>9} {'tokens':>9}")
    count = wrong = 0
    for seed in args.seed or [11, 12]:
        with tempfile.TemporaryDirectory(prefix="binocle-parity-") as root:
            pictures.write_pngs(Path(root) / "images")
            for shared in shared_by(cases):
                write_checkpoint(shared, Path(root), seed)
            for name in cases:
                folder = Path(root) / name
                count += 1
                wrong += not drawn_and_compared(args.program, folder, name, seed)
                for dtype in args.dtype or []:
                    mixed = name.startswith(("binocle_", "assembled_"))
                    if mixed or not recast(folder, dtype):
                        continue
                    title = f"{name} (seed {seed}, {dtype})"
                    try:
                        wrong += not compare(args.program, folder, name, title)
                        count += 1
                    except NoPromptWillDo:
                        print(f"{title:44} left out: no prompt keeps its margins", flush=True)
    print(f"{count} checkpoints, {wrong} differ")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
