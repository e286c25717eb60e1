#!/usr/bin/env python3
"""Writes a trained stage as a Binocle model directory (docs/model_format.md): bf16 weights, configurations, tokenizer.

    python training/sights/export.py --weights training/runs/default/join/weights.pt --out DIRECTORY
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from learn.data import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD
from nets.shape import DESIGNS, Design, TowerShape

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


def dino_tensors(weights: Weights, shape: TowerShape, part: str) -> Weights:
    """The augmenting tower by Dinov2WithRegistersModel's names, as the `anchor.` or the `augment.` of the directory."""
    out: Weights = {}
    top = part + ".embeddings."
    out[top + "cls_token"] = weights["augment.class_token"].view(1, 1, -1)
    out[top + "mask_token"] = torch.zeros(1, shape.width)
    out[top + "register_tokens"] = weights["augment.registers"][None]
    out[top + "position_embeddings"] = weights["augment.positions"][None]
    out[top + "patch_embeddings.projection.weight"] = _kernel(weights["augment.patch.weight"], shape)
    out[top + "patch_embeddings.projection.bias"] = weights["augment.patch.bias"]
    for i in range(shape.layers):
        block, source = f"{part}.encoder.layer.{i}.", f"augment.blocks.{i}."
        _both(out, weights, block + "norm1", source + "norm1")
        _both(out, weights, block + "norm2", source + "norm2")
        _qkv(out, weights, [f"{block}attention.attention.{n}" for n in ("query", "key", "value")], source + "qkv")
        _both(out, weights, block + "attention.output.dense", source + "out")
        _both(out, weights, block + "mlp.fc1", source + "fc1")
        _both(out, weights, block + "mlp.fc2", source + "fc2")
        out[block + "layer_scale1.lambda1"] = weights[source + "scale1"]
        out[block + "layer_scale2.lambda1"] = weights[source + "scale2"]
    _both(out, weights, part + ".layernorm", "augment.norm")
    return out


def _kernel(matrix: torch.Tensor, shape: TowerShape) -> torch.Tensor:
    return matrix.view(shape.width, 3, shape.patch, shape.patch)


def bridge_tensors(weights: Weights) -> Weights:
    out: Weights = {}
    for name in ("q", "k", "v", "out"):
        _both(out, weights, f"fusion.{name}_proj", f"bridge.cross.{name}")
    _both(out, weights, "fusion.norm", "bridge.cross.norm")
    for there, here in (("", "project"), ("anchor.", "project_a"), ("augment.", "project_b")):
        for layer in ("linear_1", "linear_2"):
            _both(out, weights, f"projector.{there}{layer}", f"bridge.{here}.{layer}")
    return out


def llama_tensors(weights: Weights, design: Design) -> Weights:
    top = "language_model.model."
    out = {top + "embed_tokens.weight": weights["decoder.embed.weight"],
           top + "norm.weight": weights["decoder.norm.weight"]}
    for i in range(design.layers):
        layer, source = f"{top}layers.{i}.", f"decoder.layers.{i}."
        out[layer + "input_layernorm.weight"] = weights[source + "norm1.weight"]
        out[layer + "post_attention_layernorm.weight"] = weights[source + "norm2.weight"]
        _qkv(out, weights, [f"{layer}self_attn.{n}_proj" for n in "qkv"], source + "qkv")
        out[layer + "self_attn.o_proj.weight"] = weights[source + "out.weight"]
        _qkv(out, weights, [f"{layer}mlp.{n}_proj" for n in ("gate", "up")], source + "gate_up")
        out[layer + "mlp.down_proj.weight"] = weights[source + "down.weight"]
    return out


def _tower(shape: TowerShape) -> dict:
    common = {"hidden_size": shape.width, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
              "num_channels": 3, "image_size": shape.image, "patch_size": shape.patch, "layer_norm_eps": shape.eps,
              "vision_feature_layer": -1, "vision_feature_select_strategy": "default"}
    if not shape.registers:
        return {"model_type": "clip_vision_model", **common, "intermediate_size": shape.ffn, "hidden_act": "quick_gelu"}
    return {"model_type": "dinov2_with_registers", **common, "mlp_ratio": shape.ffn // shape.width, "hidden_act": "gelu",
            "qkv_bias": True, "use_swiglu_ffn": False, "num_register_tokens": shape.registers, "vision_feature_norm": True}


def configuration(design: Design, pieces: int, name: str) -> dict:
    text = {"model_type": "llama", "vocab_size": pieces, "hidden_size": design.width, "intermediate_size": design.ffn,
            "num_hidden_layers": design.layers, "num_attention_heads": design.heads, "num_key_value_heads": design.heads,
            "head_dim": design.head_dim, "hidden_act": "silu", "max_position_embeddings": design.context,
            "rms_norm_eps": design.eps, "rope_theta": design.theta, "attention_bias": False, "mlp_bias": False,
            "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2}
    fusion: dict = {"type": design.fusion}
    if design.fusion == "ftz":
        fusion |= {"hidden_size": design.anchor.width, "num_attention_heads": design.fusion_heads, "norm": "post",
                   "residual": True, "layer_norm_eps": design.fusion_eps}
    out = {"model_type": "binocle", "format_version": 1, "name": name, "torch_dtype": "bfloat16", "image_token_index": 3,
           "conversation": "binocle", "anchor_config": _tower(design.anchor), "augment_config": _tower(design.augment),
           "fusion_config": fusion, "projector_config": {"type": "mlp2x_gelu", "hidden_size": design.width},
           "text_config": text, "composite_attention": {"layers": "all", "aligner": design.aligner}}
    if design.fusion == "augment":  # one tower, which a directory calls the anchor
        out["anchor_config"], out["fusion_config"] = out["augment_config"], {"type": "anchor"}
    if len(design.uses) == 1:
        del out["augment_config"]
    if design.aligner == "stock":
        del out["composite_attention"]
    return out


def processors(design: Design) -> dict:
    def one(kind: str, shape: TowerShape, mean, std) -> dict:
        return {"image_processor_type": kind, "do_resize": True, "size": {"shortest_edge": shape.image}, "resample": 3,
                "do_center_crop": True, "crop_size": {"height": shape.image, "width": shape.image},
                "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": list(mean),
                "image_std": list(std), "do_convert_rgb": True}

    anchor = one("CLIPImageProcessor", design.anchor, CLIP_MEAN, CLIP_STD)
    augment = one("BitImageProcessor", design.augment, IMAGENET_MEAN, IMAGENET_STD)
    if design.uses == ("augment",):
        return {"anchor": augment}
    return {"anchor": anchor} if design.uses == ("anchor",) else {"anchor": anchor, "augment": augment}


def parts_of(weights: Weights, design: Design) -> Weights:
    """The directory's tensors: views of the weights, and what is none of them."""
    out = {**bridge_tensors(weights), **llama_tensors(weights, design)}
    if "anchor" in design.uses:
        out |= clip_tensors(weights, design.anchor)
    if "augment" in design.uses:
        out |= dino_tensors(weights, design.augment, "augment" if "anchor" in design.uses else "anchor")
    return out


def tensors_of(weights: Weights, design: Design) -> Weights:
    return {name: t.detach().bfloat16().contiguous().clone() for name, t in parts_of(weights, design).items()}


def rest_of(weights: Weights, design: Design) -> Weights:
    """What only training needs, rounded likewise: the heads and the oracle."""
    exported = places_of({n: t.shape for n, t in weights.items()}, design)[1]
    return {n: t.detach().bfloat16().contiguous().clone() for n, t in weights.items() if n not in exported}


def places_of(shapes: dict[str, torch.Size], design: Design) -> tuple[Weights, dict[str, slice]]:
    """For each element of each exported tensor its place among all weights laid end to end, -1 where it is none of them; and the
    places of each weight that is exported."""
    at, laid, slices = 0, {}, {}
    for name, shape in shapes.items():
        slices[name] = slice(at, at + shape.numel())
        laid[name] = torch.arange(at + 1, at + 1 + shape.numel()).view(shape)
        at += shape.numel()
    parts = {name: t.long() - 1 for name, t in parts_of(laid, design).items()}
    seen = torch.zeros(at, dtype=torch.bool)
    for t in parts.values():
        seen[t[t >= 0]] = True
    return parts, {name: place for name, place in slices.items() if seen[place].all()}


def read_back(tensors: Weights, shapes: dict[str, torch.Size], design: Design) -> Weights:
    """The weights that a directory's tensors came from: what `export` did, undone."""
    parts, exported = places_of(shapes, design)
    flat = torch.zeros(sum(shape.numel() for shape in shapes.values()))
    for name, place in parts.items():
        known = place >= 0
        flat[place[known]] = tensors[name].float()[known]
    return {name: flat[place].view(shapes[name]) for name, place in exported.items()}


def export(weights: Weights, out: Path, design: Design, name: str) -> int:
    """Writes everything but the tokenizer and what training goes on from; returns the parameter count."""
    tensors = tensors_of(weights, design)
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "model.safetensors.new", metadata={"format": "pt"})
    (out / "model.safetensors.new").chmod(0o644)  # save_file leaves it private
    (out / "model.safetensors.new").replace(out / "model.safetensors")
    pieces = tensors["language_model.model.embed_tokens.weight"].shape[0]
    generation = {"bos_token_id": 1, "eos_token_id": 2, "do_sample": False, "max_new_tokens": 128}
    for file, content in (("config.json", configuration(design, pieces, name)),
                          ("preprocessor_config.json", processors(design)), ("generation_config.json", generation)):
        (out / file).write_text(json.dumps(content, indent=2) + "\n")
    return sum(t.numel() for t in tensors.values())


def export_run(weights: Weights, out: Path, design: Design, name: str, tokenizer: Path) -> int:
    """The whole directory."""
    count = export(weights, out, design, name)
    for file in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / file, out / file)
    return count


def trained(model: Path, rest: Path, shapes: dict[str, torch.Size], design: Design) -> Weights:
    """The weights of an exported model and of what was kept beside it, to train on from."""
    return {**load_file(rest), **read_back(load_file(model / "model.safetensors"), shapes, design)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a Binocle model directory.")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--design", choices=sorted(DESIGNS), default="default")
    parser.add_argument("--name", default="binocle-sights")
    parser.add_argument("--tokenizer", type=Path, default=Path(__file__).resolve().parent / "tokenizer")
    parser.add_argument("--rest", type=Path, help="a file for the weights that only training needs, to train on from (train.py --model)")
    args = parser.parse_args()
    weights, design = torch.load(args.weights), DESIGNS[args.design]
    count = export_run(weights, args.out, design, args.name, args.tokenizer)
    if args.rest:
        save_file(rest_of(weights, design), args.rest)
        args.rest.chmod(0o644)  # save_file leaves it private
    print(f"{count / 1e6:.2f} M parameters in {args.out}")


if __name__ == "__main__":
    main()
