"""Binocle directories whose towers and language models are other checkpoints, named by paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers

import tokenizers_tiny
from checkpoints_binocle import FTZ
from common import DTYPES, quiet_rows, random_weight, randomize, write_json, write_tensors
from towers import clip_config

# case -> the parts' checkpoints (other cases, or folders of the case itself), what their sections
# add, fusion, and composite attention where it has that
CASES: dict[str, dict[str, Any]] = {
    "assembled_siglip_dinov2_qwen2": {
        "anchor": {"path": "../siglip", "vision_feature_layer": -1, "vision_feature_norm": True},
        "augment": {"path": "../dinov2_registers", "vision_feature_layer": -1},
        "text": {"path": "text"},
        "fusion": FTZ | {"hidden_size": 24},
    },
    "assembled_clip_dinov2_mof": {
        "anchor": {"path": "vision"},
        "augment": {"path": "../dinov2"},
        "text": {"path": "text"},
        "fusion": {"type": "interleave"},
    },
    "assembled_siglip_dinov2_granite": {
        "anchor": {"path": "../siglip"},
        "augment": {"path": "../dinov2"},
        "text": {"path": "text"},
        "fusion": {"type": "token_concat"},
        "composite": {"layers": "all", "aligner": "vo"},
    },
}
WIDTHS = {"siglip": 24, "dinov2_registers": 24, "dinov2": 28, "vision": 24}
TEXT = {
    "vocab_size": 331,
    "hidden_size": 24,
    "intermediate_size": 36,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
MULTIPLIERS = {
    "embedding_multiplier": 4.0,
    "attention_multiplier": 0.6,
    "residual_multiplier": 1.4,
    "logits_scaling": 1.5,
}
PICTURES = {"siglip": 75, "vision": 70}


def write_text(name: str, folder: Path, seed: int) -> None:
    """A directory as transformers writes it, with the tokenizer that the whole model gets."""
    if "qwen2" in name:
        config, dtype = transformers.Qwen2Config(**TEXT), "bf16"
    elif "granite" in name:
        config, dtype = transformers.GraniteConfig(**TEXT, **MULTIPLIERS), "f16"
    else:
        config, dtype = transformers.MistralConfig(**TEXT, sliding_window=None), "f16"
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    randomize(model, seed, DTYPES[dtype])
    quiet_rows(model.lm_head.weight, [0, 1, 2, *range(320, 331)], DTYPES[dtype])
    model.generation_config.eos_token_id = 2
    model.to(DTYPES[dtype]).save_pretrained(str(folder))
    tokenizers_tiny.write_llava_tokenizer(folder, legacy=True)


def write_whole_clip(folder: Path, seed: int) -> None:
    """CLIPModel: the tower's tensors among others, its configuration within another."""
    vision = clip_config(24, 2)
    text = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 20}
    text |= {"num_attention_heads": 1, "max_position_embeddings": 8, "eos_token_id": 2}
    config = transformers.CLIPConfig(
        vision_config=vision.to_dict(), text_config=text, projection_dim=8
    )
    model = transformers.CLIPModel(config)
    randomize(model, seed, DTYPES["f16"])
    model.to(DTYPES["f16"]).save_pretrained(str(folder))
    side = {"height": 70, "width": 70}
    transformers.CLIPImageProcessor(size={"shortest_edge": 70}, crop_size=side).save_pretrained(
        str(folder)
    )


def processors(case: dict[str, Any]) -> dict[str, Any]:
    """The towers' own where they have one."""
    found: dict[str, Any] = {}
    if case["anchor"]["path"] == "../siglip":
        side = {"height": 75, "width": 75}
        found["anchor"] = transformers.SiglipImageProcessor(size=side).to_dict()
    side = {"height": 56, "width": 56}
    found["augment"] = transformers.BitImageProcessor(
        size={"shortest_edge": 61}, crop_size=side
    ).to_dict()
    return found


def projector_shapes(case: dict[str, Any], hidden: int) -> dict[str, tuple[int, ...]]:
    widths = {r: WIDTHS[Path(case[r]["path"]).name] for r in ("anchor", "augment")}
    d_a, d_b, fusion = widths["anchor"], widths["augment"], case["fusion"]
    linears: dict[str, tuple[int, int]] = {}
    inputs = {"projector.": d_a}
    if fusion["type"] == "ftz":
        d_f = fusion["hidden_size"]
        linears = {"fusion.q_proj": (d_f, d_a), "fusion.k_proj": (d_f, d_b)}
        linears |= {"fusion.v_proj": (d_f, d_b), "fusion.out_proj": (d_a, d_f)}
    else:
        inputs = {"projector.anchor.": d_a, "projector.augment.": d_b}
    for prefix, width in inputs.items():
        linears |= {f"{prefix}linear_1": (hidden, width), f"{prefix}linear_2": (hidden, hidden)}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (rows, columns) in linears.items():
        shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
    if fusion["type"] == "ftz":
        shapes |= {"fusion.norm.weight": (d_a,), "fusion.norm.bias": (d_a,)}
    return shapes


def write_case(name: str, folder: Path, seed: int) -> None:
    case = CASES[name]
    write_text(name, folder / "text", seed)
    if case["anchor"]["path"] == "vision":
        write_whole_clip(folder / "vision", seed + 1)
    shapes = projector_shapes(case, TEXT["hidden_size"])
    write_tensors(
        folder / "model.safetensors", {k: random_weight(k, s, seed) for k, s in shapes.items()}
    )
    write_json(folder / "preprocessor_config.json", processors(case))
    config = {
        "model_type": "binocle",
        "format_version": 1,
        "image_token_index": 320,
        "anchor_config": case["anchor"],
        "augment_config": case["augment"],
        "text_config": case["text"],
        "fusion_config": case["fusion"],
    }
    if "composite" in case:
        config["composite_attention"] = case["composite"]
    write_json(folder / "config.json", config)
