#!/usr/bin/env python3
"""Writes a trained stage as a Binocle model directory (docs/model_format.md): bf16 weights, configurations.

    python training/export.py --weights training/runs/join/weights.pt --out models/binocle-tiny
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from learn.data import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD
from nets import shape as S
from nets.shape import ANCHOR, AUGMENT, TowerShape

Weights = dict[str, torch.Tensor]


def _both(out: Weights, weights: Weights, name: str, source: str) -> None:
    """Copies weight and, where there is one, bias."""
    for kind in ("weight", "bias"):
        if f"{source}.{kind}" in weights:
            out[f"{name}.{kind}"] = weights[f"{source}.{kind}"]


def _qkv(out: Weights, weights: Weights, names: list[str], source: str) -> None:
    for kind in ("weight", "bias"):
        if f"{source}.{kind}" in weights:
            for name, part in zip(names, weights[f"{source}.{kind}"].chunk(len(names))):
                out[f"{name}.{kind}"] = part


def clip_tensors(weights: Weights, shape: TowerShape) -> Weights:
    """The anchor by CLIPVisionModel's names."""
    out: Weights = {}
    top = "anchor.vision_model."
    out[top + "embeddings.class_embedding"] = weights["anchor.class_token"]
    out[top + "embeddings.patch_embedding.weight"] = _kernel(weights["anchor.patch.weight"], shape)
    out[top + "embeddings.position_embedding.weight"] = weights["anchor.positions"]
    _both(out, weights, top + "pre_layrnorm", "anchor.pre_norm")
    _both(out, weights, top + "post_layernorm", "anchor.norm")
    for i in range(shape.layers):
        block, source = f"{top}encoder.layers.{i}.", f"anchor.blocks.{i}."
        _both(out, weights, block + "layer_norm1", source + "norm1")
        _both(out, weights, block + "layer_norm2", source + "norm2")
        _qkv(out, weights, [f"{block}self_attn.{n}_proj" for n in "qkv"], source + "qkv")
        _both(out, weights, block + "self_attn.out_proj", source + "out")
        _both(out, weights, block + "mlp.fc1", source + "fc1")
        _both(out, weights, block + "mlp.fc2", source + "fc2")
    return out


def dino_tensors(weights: Weights, shape: TowerShape) -> Weights:
    """The augmenting tower by Dinov2WithRegistersModel's names."""
    out: Weights = {}
    top = "augment.embeddings."
    out[top + "cls_token"] = weights["augment.class_token"].view(1, 1, -1)
    out[top + "mask_token"] = torch.zeros(1, shape.width)
    out[top + "register_tokens"] = weights["augment.registers"][None]
    out[top + "position_embeddings"] = weights["augment.positions"][None]
    out[top + "patch_embeddings.projection.weight"] = _kernel(weights["augment.patch.weight"], shape)
    out[top + "patch_embeddings.projection.bias"] = weights["augment.patch.bias"]
    for i in range(shape.layers):
        block, source = f"augment.encoder.layer.{i}.", f"augment.blocks.{i}."
        _both(out, weights, block + "norm1", source + "norm1")
        _both(out, weights, block + "norm2", source + "norm2")
        _qkv(out, weights, [f"{block}attention.attention.{n}" for n in ("query", "key", "value")], source + "qkv")
        _both(out, weights, block + "attention.output.dense", source + "out")
        _both(out, weights, block + "mlp.fc1", source + "fc1")
        _both(out, weights, block + "mlp.fc2", source + "fc2")
        out[block + "layer_scale1.lambda1"] = weights[source + "scale1"]
        out[block + "layer_scale2.lambda1"] = weights[source + "scale2"]
    _both(out, weights, "augment.layernorm", "augment.norm")
    return out


def _kernel(matrix: torch.Tensor, shape: TowerShape) -> torch.Tensor:
    return matrix.view(shape.width, 3, shape.patch, shape.patch)


def bridge_tensors(weights: Weights) -> Weights:
    out: Weights = {}
    for name in ("q", "k", "v", "out"):
        _both(out, weights, f"fusion.{name}_proj", f"bridge.{name}")
    _both(out, weights, "fusion.norm", "bridge.norm")
    _both(out, weights, "projector.linear_1", "bridge.linear_1")
    _both(out, weights, "projector.linear_2", "bridge.linear_2")
    return out


def llama_tensors(weights: Weights) -> Weights:
    top = "language_model.model."
    out = {top + "embed_tokens.weight": weights["decoder.embed.weight"],
           top + "norm.weight": weights["decoder.norm.weight"]}
    for i in range(S.LM_LAYERS):
        layer, source = f"{top}layers.{i}.", f"decoder.layers.{i}."
        out[layer + "input_layernorm.weight"] = weights[source + "norm1.weight"]
        out[layer + "post_attention_layernorm.weight"] = weights[source + "norm2.weight"]
        _qkv(out, weights, [f"{layer}self_attn.{n}_proj" for n in "qkv"], source + "qkv")
        out[layer + "self_attn.o_proj.weight"] = weights[source + "out.weight"]
        _qkv(out, weights, [f"{layer}mlp.{n}_proj" for n in ("gate", "up")], source + "gate_up")
        out[layer + "mlp.down_proj.weight"] = weights[source + "down.weight"]
    return out


def configuration(pieces: int) -> dict:
    def tower(shape: TowerShape) -> dict:
        return {"hidden_size": shape.width, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
                "num_channels": 3, "image_size": shape.image, "patch_size": shape.patch, "layer_norm_eps": shape.eps}

    return {
        "model_type": "binocle", "format_version": 1, "name": "binocle-tiny", "torch_dtype": "bfloat16",
        "image_token_index": 3, "conversation": "binocle",
        "anchor_config": {"model_type": "clip_vision_model", **tower(ANCHOR), "intermediate_size": ANCHOR.ffn,
                          "hidden_act": "quick_gelu", "vision_feature_layer": -1,
                          "vision_feature_select_strategy": "default"},
        "augment_config": {"model_type": "dinov2_with_registers", **tower(AUGMENT),
                           "mlp_ratio": AUGMENT.ffn // AUGMENT.width, "hidden_act": "gelu", "qkv_bias": True,
                           "use_swiglu_ffn": False, "num_register_tokens": AUGMENT.registers,
                           "vision_feature_layer": -1, "vision_feature_select_strategy": "default",
                           "vision_feature_norm": True},
        "fusion_config": {"type": "ftz", "hidden_size": ANCHOR.width, "num_attention_heads": S.FUSION_HEADS,
                          "norm": "post", "residual": True, "layer_norm_eps": S.FUSION_EPS},
        "projector_config": {"type": "mlp2x_gelu", "hidden_size": S.LM_WIDTH},
        "text_config": {"model_type": "llama", "vocab_size": pieces, "hidden_size": S.LM_WIDTH,
                        "intermediate_size": S.LM_FFN, "num_hidden_layers": S.LM_LAYERS,
                        "num_attention_heads": S.LM_HEADS, "num_key_value_heads": S.LM_HEADS,
                        "head_dim": S.LM_HEAD_DIM, "hidden_act": "silu", "max_position_embeddings": S.CONTEXT,
                        "rms_norm_eps": S.LM_EPS, "rope_theta": S.ROPE_THETA, "attention_bias": False,
                        "mlp_bias": False, "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2},
        "composite_attention": {"layers": "all", "aligner": "vo"},
    }


def processors() -> dict:
    def one(kind: str, shape: TowerShape, mean, std) -> dict:
        return {"image_processor_type": kind, "do_resize": True, "size": {"shortest_edge": shape.image}, "resample": 3,
                "do_center_crop": True, "crop_size": {"height": shape.image, "width": shape.image},
                "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": list(mean),
                "image_std": list(std), "do_convert_rgb": True}

    return {"anchor": one("CLIPImageProcessor", ANCHOR, CLIP_MEAN, CLIP_STD),
            "augment": one("BitImageProcessor", AUGMENT, IMAGENET_MEAN, IMAGENET_STD)}


def export(weights: Weights, out: Path) -> int:
    """Writes everything but the tokenizer, which make_tokenizer.py has put there; returns the parameter count."""
    tensors = {**clip_tensors(weights, ANCHOR), **dino_tensors(weights, AUGMENT), **bridge_tensors(weights),
               **llama_tensors(weights)}
    tensors = {name: t.detach().bfloat16().contiguous().clone() for name, t in tensors.items()}
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "model.safetensors.new", metadata={"format": "pt"})
    (out / "model.safetensors.new").chmod(0o644)  # save_file leaves it private
    (out / "model.safetensors.new").replace(out / "model.safetensors")
    pieces = tensors["language_model.model.embed_tokens.weight"].shape[0]
    for name, content in (("config.json", configuration(pieces)), ("preprocessor_config.json", processors()),
                          ("generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "do_sample": False,
                                                      "max_new_tokens": 96})):
        (out / name).write_text(json.dumps(content, indent=2) + "\n")
    return sum(t.numel() for t in tensors.values())


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a Binocle model directory.")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    print(f"{export(torch.load(args.weights), args.out) / 1e6:.2f} M parameters in {args.out}")


if __name__ == "__main__":
    main()
