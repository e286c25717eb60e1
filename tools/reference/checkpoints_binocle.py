"""Binocle directories. One pair of towers and one language model serve all of them: the shards are
committed once in binocle_base and linked, and each case adds its fusion and projector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import BitImageProcessor, CLIPImageProcessor, LlamaConfig, LlamaForCausalLM

import tokenizers_tiny
from common import (
    DTYPES,
    link,
    quiet_rows,
    random_weight,
    randomize,
    read_json,
    write_compact_json,
    write_json,
    write_tensors,
)
from towers import clip_config, make_tower, registers_config

FTZ = {
    "type": "ftz",
    "hidden_size": 36,
    "num_attention_heads": 3,
    "norm": "post",
    "residual": True,
    "layer_norm_eps": 1e-5,
}
PROJECTOR_WIDTH = 28


def composite(layers: str | list[int], aligner: str) -> dict[str, Any]:
    return {"layers": layers, "aligner": aligner}


# case -> what differs from binocle_ftz. "weights": the case whose fusion shard is shared.
CASES: dict[str, dict[str, Any]] = {
    "binocle_ftz": {"fusion": FTZ},
    "binocle_vo": {"fusion": FTZ, "weights": "binocle_ftz", "composite": composite("all", "vo")},
    "binocle_vo_ffn": {
        "fusion": FTZ,
        "weights": "binocle_ftz",
        "composite": composite("all", "vo_ffn"),
    },
    "binocle_none": {
        "fusion": FTZ,
        "weights": "binocle_ftz",
        "composite": composite("all", "none"),
    },
    "binocle_mixed_vo": {
        "fusion": FTZ,
        "weights": "binocle_ftz",
        "composite": composite([0, 2], "vo"),
    },
    "binocle_mixed_vo_ffn": {
        "fusion": FTZ,
        "weights": "binocle_ftz",
        "composite": composite([1, 3], "vo_ffn"),
    },
    "binocle_mixed_none": {
        "fusion": FTZ,
        "weights": "binocle_ftz",
        "composite": composite([1, 2], "none"),
    },
    "binocle_ftz_pre": {
        "fusion": FTZ | {"norm": "pre", "layer_norm_eps": 0.1},
        "weights": "binocle_ftz",
    },
    "binocle_ftz_no_residual": {"fusion": FTZ | {"residual": False}, "weights": "binocle_ftz"},
    "binocle_ftz_no_norm": {"fusion": {"type": "ftz", "num_attention_heads": 2, "norm": "none"}},
    "binocle_anchor": {"fusion": {"type": "anchor"}, "augment": None},
    "binocle_augment": {"fusion": {"type": "augment"}},
    "binocle_add": {"fusion": {"type": "add", "alpha": 0.3}},
    "binocle_add_same_width": {"fusion": {"type": "add"}, "augment": "small_clip"},
    "binocle_channel_concat": {"fusion": {"type": "channel_concat"}},
    "binocle_channel_concat_full": {
        "fusion": {"type": "channel_concat"},
        "strategy": "full",
        "conversation": "vicuna_v1",
    },
    "binocle_token_concat": {"fusion": {"type": "token_concat"}},
    "binocle_interleave": {"fusion": {"type": "interleave"}},
}

ANCHOR = clip_config(24, 2)
AUGMENTS = {
    "registers": registers_config(30, 3),
    "small_clip": clip_config(24, 2, layers=1, image=21, patch=7),
}
TEXT = LlamaConfig(
    vocab_size=331,
    hidden_size=32,
    intermediate_size=40,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=12,
    rms_norm_eps=1e-5,
    max_position_embeddings=512,
)
WIDTHS = {"anchor": 24, "registers": 30, "small_clip": 24}


def write_base(folder: Path, seed: int) -> None:
    """Shards: anchor and two augmenting towers (bf16), language model (f16); and the tokenizer."""
    towers = {
        "anchor": ("anchor", ANCHOR),
        "registers": ("augment", AUGMENTS["registers"]),
        "small_clip": ("augment", AUGMENTS["small_clip"]),
    }
    for shard, (prefix, config) in towers.items():
        state = make_tower(config, seed + len(shard), "bf16").state_dict()
        write_tensors(
            folder / f"{shard}.safetensors",
            {f"{prefix}.{k}": v.bfloat16() for k, v in state.items()},
        )
    model = LlamaForCausalLM._from_config(TEXT, attn_implementation="eager")
    randomize(model, seed, torch.float16)
    quiet_rows(model.lm_head.weight, list(range(6)), torch.float16)
    write_tensors(
        folder / "language_model.safetensors",
        {f"language_model.{k}": v.half() for k, v in model.state_dict().items()},
    )
    tokenizers_tiny.write_binocle_tokenizer(folder, legacy=False)


def fusion_shapes(fusion: dict[str, Any], augment: str | None) -> dict[str, tuple[int, ...]]:
    """Names and shapes of fusion.* and projector.* as docs/model_format.md lists them."""
    d_a, d_b, kind = WIDTHS["anchor"], WIDTHS.get(augment or "", 0), fusion["type"]
    linears: dict[str, tuple[int, int]] = {}
    if kind == "ftz":
        d_f = fusion.get("hidden_size", d_a)
        linears = {
            "fusion.q_proj": (d_f, d_a),
            "fusion.k_proj": (d_f, d_b),
            "fusion.v_proj": (d_f, d_b),
            "fusion.out_proj": (d_a, d_f),
        }
    if kind == "add" and d_a != d_b:
        linears["fusion.augment_proj"] = (d_a, d_b)
    width = {"augment": d_b, "channel_concat": d_a + d_b}.get(kind, d_a)
    inputs = {"projector.": width}
    if kind in ("token_concat", "interleave"):
        inputs = {"projector.anchor.": d_a, "projector.augment.": d_b}
    for prefix, d in inputs.items():
        linears[f"{prefix}linear_1"] = (PROJECTOR_WIDTH, d)
        linears[f"{prefix}linear_2"] = (TEXT.hidden_size, PROJECTOR_WIDTH)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (rows, columns) in linears.items():
        shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
    if kind == "ftz" and fusion.get("norm", "post") != "none":
        shapes |= {"fusion.norm.weight": (d_a,), "fusion.norm.bias": (d_a,)}
    return shapes


def tower_section(
    config: Any, layer: int | None, norm: bool, strategy: str | None
) -> dict[str, Any]:
    """The tower's published keys (those that differ from the class) and Binocle's own."""
    values = {k: v for k, v in config.to_diff_dict().items() if k != "transformers_version"}
    own = {
        "vision_feature_layer": layer,
        "vision_feature_select_strategy": strategy,
        "vision_feature_norm": norm or None,
    }
    return (
        values | {"model_type": config.model_type} | {k: v for k, v in own.items() if v is not None}
    )


def case_config(name: str) -> dict[str, Any]:
    case = CASES[name]
    augment, strategy = case.get("augment", "registers"), case.get("strategy")
    config = {
        "model_type": "binocle",
        "format_version": 1,
        "name": name.replace("_", "-"),
        "image_token_index": 3,
        "conversation": case.get("conversation", "binocle"),
        "anchor_config": tower_section(ANCHOR, None, False, strategy),
    }
    if augment is not None:
        norm = augment == "registers"
        config["augment_config"] = tower_section(AUGMENTS[augment], -1, norm, strategy)
    config["fusion_config"] = case["fusion"]
    config["projector_config"] = {"type": "mlp2x_gelu", "hidden_size": PROJECTOR_WIDTH}
    config["text_config"] = TEXT.to_diff_dict() | {"model_type": "llama"}
    config["text_config"].pop("transformers_version", None)
    if "composite" in case:
        config["composite_attention"] = case["composite"]
    return config


def processors(augment: str | None) -> dict[str, Any]:
    """The anchor sees 70 x 70, the augmenting tower 84 x 84 after a larger resize (or 21 x 21)."""

    def square(n: int) -> dict[str, int]:
        return {"height": n, "width": n}

    found = {"anchor": CLIPImageProcessor(size={"shortest_edge": 70}, crop_size=square(70))}
    if augment == "registers":
        found["augment"] = BitImageProcessor(
            size={"shortest_edge": 93},
            crop_size=square(84),
            image_mean=[0.485, 0.456, 0.406],
            image_std=[0.229, 0.224, 0.225],
        )
    elif augment == "small_clip":
        found["augment"] = CLIPImageProcessor(size=square(21), do_center_crop=False, resample=2)
    return {
        k: {n: x for n, x in v.to_dict().items() if n != "_processor_class"}
        for k, v in found.items()
    }


def write_case(name: str, folder: Path, base: Path, seed: int) -> None:
    case = CASES[name]
    augment = case.get("augment", "registers")
    write_json(folder / "config.json", case_config(name))
    write_json(folder / "preprocessor_config.json", processors(augment))
    write_json(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": [2]})
    for file in ("tokenizer.model", "tokenizer_config.json"):
        link(folder / file, base / file)
    shards = ["anchor.safetensors", "language_model.safetensors"]
    if augment is not None:
        shards.append(f"{augment}.safetensors")
    for shard in shards:
        link(folder / shard, base / shard)
    if "weights" in case:
        for file in ("fusion.safetensors", "model.safetensors.index.json"):
            link(folder / file, folder.parent / case["weights"] / file)
    else:
        dtype = DTYPES["bf16" if case["fusion"]["type"] == "ftz" else "f32"]
        shapes = fusion_shapes(case["fusion"], augment)
        write_tensors(
            folder / "fusion.safetensors",
            {k: random_weight(k, s, seed).to(dtype) for k, s in shapes.items()},
        )
        write_index(folder, [*shards, "fusion.safetensors"])
        share_index(name, folder)


def share_index(name: str, folder: Path) -> None:
    """Cases with the same tensors in the same shards share one index file, the first case's."""
    file = "model.safetensors.index.json"
    own = read_json(folder / file)["weight_map"]
    for other in list(CASES)[: list(CASES).index(name)]:
        path = folder.parent / other / file
        if path.exists() and not path.is_symlink() and read_json(path)["weight_map"] == own:
            link(folder / file, path)
            return


def write_index(folder: Path, shards: list[str]) -> None:
    weight_map, size = {}, 0
    for shard in shards:
        for key, tensor in load_file(str(folder / shard)).items():
            weight_map[key] = shard
            size += tensor.numel() * tensor.element_size()
    write_compact_json(
        folder / "model.safetensors.index.json",
        {"metadata": {"total_size": size}, "weight_map": dict(sorted(weight_map.items()))},
    )
