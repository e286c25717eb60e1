"""Tiny vision towers in the format of save_pretrained: making and loading them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    PretrainedConfig,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from common import DTYPES, randomize, read_json

CLASSES: dict[str, tuple[type, type]] = {
    "clip_vision_model": (CLIPVisionConfig, CLIPVisionModel),
    "dinov2": (Dinov2Config, Dinov2Model),
    "dinov2_with_registers": (Dinov2WithRegistersConfig, Dinov2WithRegistersModel),
    "siglip_vision_model": (SiglipVisionConfig, SiglipVisionModel),
}


def clip_config(
    width: int,
    heads: int,
    act: str = "quick_gelu",
    layers: int = 3,
    image: int = 70,
    patch: int = 14,
    eps: float = 1e-5,
) -> CLIPVisionConfig:
    """An epsilon far from the usual one shows whether the configuration is read."""
    return CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=width * 2 // 3,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        image_size=image,
        patch_size=patch,
        hidden_act=act,
        layer_norm_eps=eps,
        projection_dim=width,
    )


def dinov2_config(width: int, heads: int, swiglu: bool = False) -> Dinov2Config:
    """56 pixels in the config (4 x 4 positions); the towers run at other sizes and interpolate."""
    return Dinov2Config(
        hidden_size=width,
        num_hidden_layers=3,
        num_attention_heads=heads,
        mlp_ratio=2,
        image_size=56,
        patch_size=14,
        use_swiglu_ffn=swiglu,
        layer_norm_eps=1e-2 if swiglu else 1e-6,
    )


def registers_config(width: int, heads: int) -> Dinov2WithRegistersConfig:
    return Dinov2WithRegistersConfig(
        hidden_size=width,
        num_hidden_layers=3,
        num_attention_heads=heads,
        mlp_ratio=2,
        image_size=56,
        patch_size=14,
        num_register_tokens=4,
    )


def siglip_config(width: int, heads: int, head: bool = True, **other: Any) -> SiglipVisionConfig:
    """75 pixels hold 5 patches of 14 a side and a rest that is not looked at."""
    settings = {
        "hidden_size": width,
        "intermediate_size": width * 3 // 2,
        "num_hidden_layers": 3,
        "num_attention_heads": heads,
        "image_size": 75,
        "patch_size": 14,
        "vision_use_head": head,
    }
    return SiglipVisionConfig(**settings | other)


def make_tower(config: PretrainedConfig, seed: int, dtype: str) -> torch.nn.Module:
    model = CLASSES[config.model_type][1]._from_config(config, attn_implementation="eager")
    randomize(model, seed, DTYPES[dtype])
    return model.eval()


def load_tower(folder: Path) -> torch.nn.Module:
    """The tower in f32, computed from the values as stored."""
    model_class = CLASSES[read_json(folder / "config.json")["model_type"]][1]
    return model_class.from_pretrained(
        str(folder), dtype=torch.float32, attn_implementation="eager"
    ).eval()


def tower_from_config(config: dict[str, Any]) -> torch.nn.Module:
    """An empty tower for a section of a Binocle config.json, which may hold keys of our own."""
    config_class, model_class = CLASSES[config["model_type"]]
    known = {k: v for k, v in config.items() if not k.startswith("vision_feature_")}
    return model_class._from_config(config_class(**known), attn_implementation="eager").eval()


def final_norm(tower: torch.nn.Module) -> torch.nn.Module:
    return tower.vision_model.post_layernorm if hasattr(tower, "vision_model") else tower.layernorm


def register_count(tower: torch.nn.Module) -> int:
    return getattr(tower.config, "num_register_tokens", 0) or 0
