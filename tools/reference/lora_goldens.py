"""Makes tests/golden/lora: lora_goldens.py [--out DIR]. LoRA adapters of PEFT on checkpoints of other cases, and the weights that
PEFT's merge_and_unload makes of them.

Matrices are multiples of 1/16 and scales have few bits, so B·A is exact in f32 in any order of summation, one rounding is left, and the
merged weights are equal bit for bit. `merged.safetensors` has the tensors that changed, under the names of the checkpoint's files, in
f32; those under `bf16.` are the same of a checkpoint rounded to bf16, rounded to bf16 (layer 1 alone).
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open
from safetensors.torch import save
from transformers import AutoModelForCausalLM, LlavaForConditionalGeneration

from common import GOLDEN

# name: checkpoint, options of LoraConfig
CASES = {
    "llama_patterns": (
        "llama",
        {
            "r": 2,
            "lora_alpha": 4,
            "target_modules": ["k_proj", "down_proj", "embed_tokens"],
            "rank_pattern": {"down_proj": 4, r"layers\.[12]\.self_attn\.k_proj": 1},
            "alpha_pattern": {"^model.layers.0.self_attn.k_proj": 8, "1.mlp.down_proj": 1},
            "modules_to_save": ["lm_head"],
        },
    ),
    "llava_rank_stabilized": (
        "llava",
        {
            "r": 4,
            "lora_alpha": 3,
            "use_rslora": True,
            "bias": "lora_only",
            "target_modules": r".*(vision_tower.*layers\.1\.mlp\.fc2|linear_1|language_model.*o_proj)",
        },
    ),
    "llava_all_biases": (
        "llava_model_prefix",
        {
            "r": 1,
            "bias": "all",
            "target_modules": r".*(language_model.*k_proj|patch_embedding)",
        },
    ),
}


def load(path: Path, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    llava = json.loads((path / "config.json").read_text())["model_type"] == "llava"
    kind = LlavaForConditionalGeneration if llava else AutoModelForCausalLM
    return kind.from_pretrained(path, dtype=dtype)


def sixteenths(tensor: torch.Tensor) -> torch.Tensor:
    return torch.randint(-16, 17, tensor.shape).to(tensor.dtype) / 16


def draw(model: PeftModel, numbers=sixteenths) -> None:
    """Everything that an adapter saves gets numbers: B is zero at first, and biases and saved modules are the base's."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(numbers(parameter))


def file_names(checkpoint: Path) -> dict[str, str]:
    """From transformers' names of tensors to those of the files."""
    names = {}
    for path in checkpoint.glob("*.safetensors"):
        if path.name.startswith("model"):
            with safe_open(path, "pt") as file:
                for key in file.keys():
                    new = key.replace("language_model.model.", "model.language_model.")
                    new = new.replace("language_model.lm_head", "lm_head")
                    for part in ("vision_tower.", "multi_modal_projector."):
                        if new.startswith(part):
                            new = "model." + new
                    names[new] = key
    return names


def merged(
    checkpoint: Path, adapter: Path | list[Path], dtype: torch.dtype = torch.float32
) -> dict[str, torch.Tensor]:
    """What changed, in f32. The base has been rounded to `dtype`, and sums are f32's."""
    base = load(checkpoint)
    if dtype != torch.float32:
        base = base.to(dtype).to(torch.float32)
    before = {name: value.clone() for name, value in base.state_dict().items()}
    for one in adapter if isinstance(adapter, list) else [adapter]:
        base = PeftModel.from_pretrained(base, one).merge_and_unload()
    names = file_names(checkpoint)
    return {
        names[name]: value.contiguous()
        for name, value in base.state_dict().items()
        if name in names and not torch.equal(before[name], value)
    }


def make(name: str, out: Path) -> None:
    checkpoint, options = CASES[name]
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(1)
    model = get_peft_model(load(GOLDEN / checkpoint), LoraConfig(**options))
    draw(model)
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = checkpoint
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    tensors = merged(GOLDEN / checkpoint, folder)
    half = merged(GOLDEN / checkpoint, folder, torch.bfloat16)
    tensors |= {
        "bf16." + key: value.to(torch.bfloat16) for key, value in half.items() if "layers.1." in key
    }
    (folder / "merged.safetensors").write_bytes(save(tensors))
    weights = folder / "adapter_model.safetensors"
    weights.chmod(0o644)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GOLDEN / "lora")
    args = parser.parse_args()
    for name in CASES:
        make(name, args.out)


if __name__ == "__main__":
    main()
