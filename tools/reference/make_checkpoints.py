"""Writes every tiny checkpoint: make_checkpoints.py --out DIR [--seed S] [--only NAME ...]."""

from __future__ import annotations

import argparse
from pathlib import Path

import checkpoints_assembled as assembled
import checkpoints_binocle as binocle
import checkpoints_hf as hf
import checkpoints_sinks as sinks
import tiled_llava
import tinyllava
from common import GOLDEN, setup

# Seeds other than 1, for cases where golden.py finds no acceptable request.
SEEDS: dict[str, int] = {"llava_next": 2, "qwen3": 2}
LLAVAS = ("llava", "llava_full", "llava_model_prefix", *hf.ROPE_SCALING, *hf.LLAVA_MIXES)


def all_cases() -> list[str]:
    public = [*hf.TOWERS, *hf.TEXTS, *LLAVAS, *tiled_llava.CASES, *tinyllava.CASES, *assembled.CASES]
    return [*public, "binocle_base", *binocle.CASES, *sinks.CASES]


def write_checkpoint(name: str, root: Path, seed: int) -> None:
    folder = root / name
    if name in hf.TOWERS:
        hf.write_tower(name, folder, seed)
    elif name in hf.TEXTS:
        hf.write_text(name, folder, seed)
    elif name in LLAVAS:
        hf.write_llava(name, folder, seed)
    elif name in assembled.CASES:
        assembled.write_case(name, folder, seed)
    elif name in tiled_llava.CASES:
        tiled_llava.write_case(name, folder, seed)
    elif name in tinyllava.CASES:
        tinyllava.write_case(name, folder, seed)
    elif name == "binocle_base":
        binocle.write_base(folder, seed)
    elif name in sinks.CASES:
        sinks.write_case(name, folder, seed)
    else:
        binocle.write_case(name, folder, root / "binocle_base", seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    parser.add_argument("--seed", type=int, default=0, help="added to every case's own seed")
    parser.add_argument("--only", nargs="*", help="cases to write; all by default")
    args = parser.parse_args()
    setup()
    for name in args.only or all_cases():
        write_checkpoint(name, args.out, SEEDS.get(name, 1) + args.seed)
        print(name)


if __name__ == "__main__":
    main()
