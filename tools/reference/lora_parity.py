"""Random LoRA adapters merged by `binocle convert` and by PEFT: lora_parity.py PROGRAM [--cases N] [--seed S].

Options are drawn: checkpoint, modules, ranks and scales by pattern, rank stabilisation, biases, saved modules, one adapter or two.
f32: within 1e-6 of the largest weight. bf16: the f32 sum rounded, of one weight in a thousand at most the other neighbour, where PEFT's
sum lies on the other side of a tie. What PEFT leaves alone keeps its bytes.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from common import GOLDEN
from lora_goldens import draw, load, merged

TEXT = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CHECKPOINTS = {
    "llama": TEXT + ["embed_tokens", "lm_head"],
    "qwen2": TEXT,
    "llava": TEXT + ["fc1", "fc2", "out_proj", "linear_1", "linear_2", "embed_tokens"],
    "llava_model_prefix": TEXT + ["fc1", "linear_2", "patch_embedding", "lm_head"],
}


def options(modules: list[str], dice: random.Random) -> dict:
    chosen = dice.sample(modules, dice.randint(1, len(modules)))
    out = {
        "r": dice.randint(1, 9),
        "lora_alpha": dice.choice([1, 3, 8, 16, 32]),
        "use_rslora": dice.random() < 0.5,
        "bias": dice.choice(["none", "all", "lora_only"]),
        "target_modules": chosen,
    }
    if dice.random() < 0.5:
        patterns = {
            dice.choice(chosen): dice.randint(1, 12),
            rf"layers\.0\..*{dice.choice(chosen)}": dice.randint(1, 12),
        }
        # In the order in which PEFT writes them: the first that matches counts, and PEFT cannot read an adapter back
        # where another order made it.
        out["rank_pattern"] = dict(sorted(patterns.items()))
    if dice.random() < 0.5:
        out["alpha_pattern"] = {dice.choice(chosen): dice.choice([0.5, 5, 40])}
    rest = [m for m in modules if m not in chosen and m in ("lm_head", "linear_2", "embed_tokens")]
    if rest and dice.random() < 0.5:
        out["modules_to_save"] = rest[:1]
    return out


def narrow(parameter: torch.Tensor) -> torch.Tensor:
    return torch.randn_like(parameter) * 0.2


def run(program: str, model: Path, adapters: list[Path], out: Path, dtype: str) -> dict:
    command = [program, "convert", "--model", str(model), "--out", str(out), "--dtype", dtype]
    for adapter in adapters:
        command += ["--lora", str(adapter)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return load_file(out / "model.safetensors")


def compare(want: dict, got: dict, before: dict, dtype: str) -> str | None:
    for name, value in got.items():
        if name not in want:
            if not torch.equal(value, before[name].to(value.dtype)):
                return f"{name}: changed, and PEFT leaves it alone"
            continue
        if dtype == "f32":
            error = (value - want[name]).abs().max() / want[name].abs().max()
            if error > 1e-6:
                return f"{name}: off by {error:.2e}"
        else:
            rounded = want[name].to(torch.bfloat16)
            differ = value.view(torch.int16).int() - rounded.view(torch.int16).int()
            if differ.abs().max() > 1 or (differ != 0).sum() > max(1, value.numel() // 1000):
                return f"{name}: {int((differ != 0).sum())} of {value.numel()} differ"
    return None if set(want) <= set(got) else f"missing: {set(want) - set(got)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    torch.manual_seed(args.seed)
    worst = 0
    for case in range(args.cases):
        checkpoint = dice.choice(list(CHECKPOINTS))
        with tempfile.TemporaryDirectory() as place:
            model = Path(place) / checkpoint
            shutil.copytree(GOLDEN / checkpoint, model)
            # Text checkpoints have no tokenizer, and a model has to load.
            shutil.copy(GOLDEN / "llava" / "tokenizer.model", model)
            before = load_file(model / "model.safetensors")
            adapters = []
            for i in range(dice.choice([1, 1, 2])):
                chosen = options(CHECKPOINTS[checkpoint], dice)
                adapters.append(Path(place) / f"adapter{i}")
                peft = get_peft_model(load(model), LoraConfig(**chosen))
                draw(peft, narrow)
                peft.save_pretrained(adapters[-1])
            for dtype in ("f32", "bf16"):
                want = merged(model, adapters)
                got = run(args.program, model, adapters, Path(place) / dtype, dtype)
                problem = compare(want, got, before, dtype)
                if problem:
                    print(f"case {case}, {checkpoint}, {dtype}, {chosen}: {problem}")
                    worst += 1
    print(f"{args.cases} cases, {worst} that differ")
    sys.exit(1 if worst else 0)


if __name__ == "__main__":
    main()
