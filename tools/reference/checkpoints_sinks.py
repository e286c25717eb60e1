"""Tiny checkpoints with planted attention sinks: a LLaVA and two Binocle directories that share one
language model (tests/golden/README.md says what is planted and why)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

import checkpoints_binocle as binocle
import checkpoints_hf as hf
from common import (
    link,
    normal,
    quiet_rows,
    random_weight,
    randomize,
    write_json,
    write_tensors,
)
from towers import clip_config

# Residual dimensions with a role of their own; no layer writes to them but as said here.
TEXT_SINK, VISUAL_SINK = 11, 40  # where text and visual sinks are massive: VAR's dims
CONSTANT = 23  # the same value in every token: a query component that every row has
TEXT_MARK, VISUAL_MARK = 52, 5  # what the first layer's feed-forward network turns into sinks
ROLES = [TEXT_SINK, VISUAL_SINK, CONSTANT, TEXT_MARK, VISUAL_MARK]

MARKED_IDS = [1, *range(15, 320, 23)]  # <s> and a few pieces are text sinks
CONSTANT_VALUE = 2.0
TEXT_MARK_VALUE = 2.5

TEXT = LlamaConfig(
    vocab_size=331,
    hidden_size=64,
    intermediate_size=16,
    num_hidden_layers=6,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=10,
    rms_norm_eps=1e-5,
    max_position_embeddings=512,
)
SLOW = 4  # the rotary pair that turns slowest: components 4 and 9 of a head
BINOCLE = {"binocle_sinks_vo": ("all", "vo"), "binocle_sinks_mixed": ([1, 2, 4], "vo_ffn")}
CASES = ("llava_sinks", *BINOCLE)
DIMS = f"{TEXT_SINK}+{VISUAL_SINK}"


def spread_over(name: str, count: int, low: float, high: float, seed: int) -> torch.Tensor:
    """`count` numbers from low to high, evenly spread, in an order that name and seed choose."""
    order = normal(name, (count,), seed).argsort()
    return torch.linspace(low, high, count)[order]


def plant_embeddings(table: torch.Tensor) -> None:
    table.mul_(6.0)  # 0.3: marks and constants must not drown the rest
    table[:, ROLES] = 0.0
    table[:, CONSTANT] = CONSTANT_VALUE
    table[MARKED_IDS, TEXT_MARK] = TEXT_MARK_VALUE


def plant_first_mlp(mlp: torch.nn.Module) -> None:
    """Units 0 and 1: a mark well above the constant opens the gate; the sink dimension gets it."""
    units = ((TEXT_MARK, TEXT_SINK, 2.5), (VISUAL_MARK, VISUAL_SINK, -2.5))
    for unit, (mark, sink, size) in enumerate(units):
        for row in (mlp.gate_proj.weight[unit], mlp.up_proj.weight[unit]):
            row.zero_()
        mlp.gate_proj.weight[unit, mark] = 5.0
        mlp.gate_proj.weight[unit, CONSTANT] = -2.5
        mlp.up_proj.weight[unit, CONSTANT] = 1.0
        mlp.down_proj.weight[:, unit] = 0.0
        mlp.down_proj.weight[sink, unit] = size


def plant_attention(attention: torch.nn.Module, layer: int, seed: int) -> None:
    """Keys of sinks and queries of all rows point the same way, per head as strongly as drawn."""
    d, heads, groups = TEXT.head_dim, TEXT.num_attention_heads, TEXT.num_key_value_heads
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
        projection.weight[:, ROLES] *= 0.15
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight *= 0.85  # rows that look at many keys: shares of every size
    if layer == 0:
        return
    query = spread_over(f"query {layer}", heads, 0.9, 1.8, seed)
    text_key = spread_over(f"text key {layer}", groups, 0.6, 1.0, seed)
    visual_key = spread_over(f"visual key {layer}", groups, 0.5, 1.1, seed)
    for h in range(heads):
        attention.q_proj.weight[h * d + SLOW, CONSTANT] = query[h]
    for g in range(groups):
        attention.k_proj.weight[g * d + SLOW, TEXT_SINK] = text_key[g]
        attention.k_proj.weight[g * d + SLOW, VISUAL_SINK] = -visual_key[g]


def plant_text(model: LlamaForCausalLM, seed: int) -> None:
    plant_embeddings(model.model.embed_tokens.weight)
    for index, layer in enumerate(model.model.layers):
        layer.self_attn.o_proj.weight.mul_(0.7)
        layer.self_attn.o_proj.weight[ROLES] = 0.0
        layer.mlp.down_proj.weight[ROLES] = 0.0
        for norm in (layer.input_layernorm, layer.post_attention_layernorm):
            norm.weight[ROLES] = 1.0
        layer.mlp.gate_proj.weight[:, ROLES] *= 0.15
        layer.mlp.up_proj.weight[:, ROLES] *= 0.15
        plant_attention(layer.self_attn, index, seed)
    plant_first_mlp(model.model.layers[0].mlp)
    model.lm_head.weight[:, ROLES] *= 0.15


def text_model(seed: int) -> LlamaForCausalLM:
    """Quiet ids are those of both tokenizers that must not come out."""
    model = LlamaForCausalLM._from_config(TEXT, attn_implementation="eager")
    randomize(model, seed, torch.float32)
    for parameter in model.parameters():
        parameter.data = parameter.data.detach()
    with torch.no_grad():
        plant_text(model, seed)
    quiet_rows(model.lm_head.weight, [*range(6), *range(320, 331)], torch.float16)
    return model


@dataclass(frozen=True)
class Detector:
    """A hidden unit of the projector that fires for a few patches of each picture of the goldens
    once its bias is lowered by `shift`, and what it writes to dimension `dim` of the token."""

    unit: int
    shift: float
    dim: int
    size: float


LLAVA_DETECTOR = Detector(unit=41, shift=2.6, dim=VISUAL_MARK, size=1.2)
BINOCLE_DETECTOR = Detector(unit=23, shift=0.6, dim=VISUAL_SINK, size=-14.0)


def plant_projector(weights: dict[str, torch.Tensor], prefix: str, detector: Detector) -> None:
    """The detector, and the constant in every token; the rest small enough to leave them room."""
    first, second = (f"{prefix}linear_{i}." for i in (1, 2))
    weights[f"{second}weight"] *= 0.35
    weights[f"{second}weight"][ROLES] = 0.0
    weights[f"{second}bias"][ROLES] = 0.0
    weights[f"{second}bias"][CONSTANT] = CONSTANT_VALUE
    weights[f"{second}weight"][detector.dim, detector.unit] = detector.size
    weights[f"{first}bias"][detector.unit] -= detector.shift


def llava_config() -> LlavaConfig:
    return LlavaConfig(
        vision_config=clip_config(24, 2),
        text_config=TEXT,
        image_token_index=320,
        vision_feature_layer=-2,
        image_seq_length=25,
        vision_feature_select_strategy="default",
    )


def write_llava(folder: Path, seed: int) -> None:
    """Two shards, older naming: language_model.safetensors serves Binocle directories too."""
    llava = LlavaForConditionalGeneration._from_config(llava_config(), attn_implementation="eager")
    randomize(llava, seed, torch.float32)
    vision = {f"vision_tower.{k}": v for k, v in llava.model.vision_tower.state_dict().items()}
    projector = llava.model.multi_modal_projector.state_dict()
    plant_projector(projector, "", LLAVA_DETECTOR)
    vision |= {f"multi_modal_projector.{k}": v for k, v in projector.items()}
    text = {f"language_model.{k}": v for k, v in text_model(seed).state_dict().items()}
    shards = {"language_model.safetensors": text, "vision.safetensors": vision}
    for name, tensors in shards.items():
        write_tensors(folder / name, {k: v.half() for k, v in tensors.items()})
    binocle.write_index(folder, list(shards))
    config = llava_config()
    config.architectures, config.dtype = ["LlavaForConditionalGeneration"], torch.float16
    config.save_pretrained(str(folder))
    llava.generation_config.save_pretrained(str(folder))
    hf.write_llava_processor(folder, "default", "clip_vision_model")


def binocle_config(name: str) -> dict[str, Any]:
    layers, aligner = BINOCLE[name]
    text = TEXT.to_diff_dict() | {"model_type": "llama"}
    text.pop("transformers_version", None)
    return binocle.case_config("binocle_ftz") | {
        "name": name.replace("_", "-"),
        "text_config": text,
        "composite_attention": binocle.composite(layers, aligner),
    }


def write_binocle(name: str, folder: Path, seed: int) -> None:
    """The towers of binocle_base, the language model of llava_sinks, an FtZ fusion of its own.
    Composite layers may have no feed-forward network for visual tokens: the projector itself makes
    the visual sinks."""
    root, first = folder.parent, "binocle_sinks_vo"
    write_json(folder / "config.json", binocle_config(name))
    write_json(folder / "preprocessor_config.json", binocle.processors("registers"))
    write_json(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": [2]})
    base = ("anchor.safetensors", "registers.safetensors")
    for file in (*base, "tokenizer.model", "tokenizer_config.json"):
        link(folder / file, root / "binocle_base" / file)
    shards = [*base, "language_model.safetensors", "fusion.safetensors"]
    link(folder / shards[2], root / "llava_sinks" / shards[2])
    if name != first:
        for file in ("fusion.safetensors", "model.safetensors.index.json"):
            link(folder / file, root / first / file)
        return
    shapes = binocle.fusion_shapes(binocle.FTZ, "registers") | {
        "projector.linear_2.weight": (TEXT.hidden_size, binocle.PROJECTOR_WIDTH),
        "projector.linear_2.bias": (TEXT.hidden_size,),
    }
    weights = {k: random_weight(k, shape, seed) for k, shape in shapes.items()}
    plant_projector(weights, "projector.", BINOCLE_DETECTOR)
    write_tensors(folder / shards[3], {k: v.bfloat16() for k, v in weights.items()})
    binocle.write_index(folder, shards)


def write_case(name: str, folder: Path, seed: int) -> None:
    if name == "llava_sinks":
        write_llava(folder, seed)
    else:
        write_binocle(name, folder, seed)
