"""Tiny random checkpoints of published families: CLIP, DINOv2, LLaMA, LLaVA."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import (
    BitImageProcessor,
    CLIPImageProcessor,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    MistralConfig,
    MistralForCausalLM,
    PretrainedConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    SiglipImageProcessor,
)

from transformers.image_processing_utils import BaseImageProcessor

import tokenizers_tiny
from common import DTYPES, quiet_rows, randomize, write_tensors
from towers import clip_config, dinov2_config, make_tower, registers_config, siglip_config

TOWERS = {
    "clip": lambda: (clip_config(48, 2), "f16"),
    "clip_gelu": lambda: (clip_config(24, 2, act="gelu", eps=2e-2), "bf16"),
    "dinov2": lambda: (dinov2_config(28, 2), "bf16"),
    "dinov2_swiglu": lambda: (dinov2_config(24, 2, swiglu=True), "f16"),
    "dinov2_registers": lambda: (registers_config(24, 2), "bf16"),
    "siglip": lambda: (siglip_config(24, 3), "f16"),
    "siglip_no_head": lambda: (
        siglip_config(20, 2, head=False, hidden_act="gelu", layer_norm_eps=1e-2, image_size=70),
        "bf16",
    ),
}


def save(model: torch.nn.Module, folder: Path, dtype: str) -> None:
    model.to(DTYPES[dtype]).save_pretrained(str(folder), safe_serialization=True)


def write_tower(name: str, folder: Path, seed: int) -> None:
    config, dtype = TOWERS[name]()
    save(make_tower(config, seed, dtype), folder, dtype)


def llama_config(name: str) -> LlamaConfig:
    """llama: 6 query heads on 2 key heads of width 80, hidden size 14. llama_tied: width 24."""
    common = dict(
        vocab_size=331, num_hidden_layers=3, max_position_embeddings=512, pad_token_id=None
    )
    if name == "llama":
        return LlamaConfig(
            hidden_size=14,
            intermediate_size=36,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=80,
            **common,
        )
    return LlamaConfig(
        hidden_size=36,
        intermediate_size=40,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=24,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        rope_theta=500.0,
        **common,
    )


SMALL = {
    "vocab_size": 331,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


def mistral_config() -> MistralConfig:
    """A window of 24 in every layer: prompts of 90 tokens leave it, and its edge is in a page."""
    return MistralConfig(
        **SMALL,
        num_hidden_layers=3,
        sliding_window=24,
        pad_token_id=None,
    )


def qwen2_config() -> Qwen2Config:
    """Biases on q, k and v; the upper two of four layers have a window of 16."""
    return Qwen2Config(
        **SMALL,
        num_hidden_layers=4,
        rope_theta=5000.0,
        use_sliding_window=True,
        sliding_window=16,
        max_window_layers=2,
    )


def qwen3_config() -> Qwen3Config:
    """Norms on the heads of q and k, whose size is not hidden size / heads; tied."""
    return Qwen3Config(
        **SMALL,
        num_hidden_layers=3,
        head_dim=18,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )


def granite_config() -> GraniteConfig:
    """All four multipliers; biases everywhere, for those of o and down are multiplied too; tied."""
    return GraniteConfig(
        **SMALL,
        num_hidden_layers=3,
        head_dim=18,
        attention_bias=True,
        mlp_bias=True,
        rms_norm_eps=1e-2,
        tie_word_embeddings=True,
        embedding_multiplier=7.0,
        attention_multiplier=0.15,
        residual_multiplier=0.7,
        logits_scaling=3.0,
    )


TEXTS: dict[str, tuple[type, PretrainedConfig, str]] = {
    "llama": (LlamaForCausalLM, llama_config("llama"), "f16"),
    "llama_tied": (LlamaForCausalLM, llama_config("llama_tied"), "bf16"),
    "mistral": (MistralForCausalLM, mistral_config(), "f16"),
    "qwen2": (Qwen2ForCausalLM, qwen2_config(), "bf16"),
    "qwen3": (Qwen3ForCausalLM, qwen3_config(), "f32"),
    "granite": (GraniteForCausalLM, granite_config(), "bf16"),
}


def write_text(name: str, folder: Path, seed: int) -> None:
    model_class, config, dtype = TEXTS[name]
    model = model_class._from_config(config, attn_implementation="eager")
    randomize(model, seed, DTYPES[dtype])
    if config.tie_word_embeddings:  # small tied rows need a large final gain to give wide logits
        model.model.norm.weight.data *= 8
    save(model, folder, dtype)


ROPE_SCALING = {
    "llava_linear_rope": {"rope_type": "linear", "factor": 2.5},
    # theta 10000 and head size 10: with these, frequencies of all three kinds occur
    "llava_llama3_rope": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 128,
    },
}


# LLaVA with other towers and text models: (tower, text model, layer, strategy). SigLIP has no class token: "default"
# drops its first patch all the same.
LLAVA_MIXES: dict[str, tuple[PretrainedConfig, PretrainedConfig, int, str]] = {
    "llava_siglip": (
        siglip_config(24, 2, num_hidden_layers=2),
        Qwen2Config(**SMALL, num_hidden_layers=2),
        -1,
        "full",
    ),
    "llava_siglip_default": (
        siglip_config(20, 2, head=False, num_hidden_layers=2),
        MistralConfig(**SMALL, num_hidden_layers=2, sliding_window=20, pad_token_id=None),
        -2,
        "default",
    ),
    "llava_dinov2": (
        dinov2_config(24, 2),
        Qwen3Config(**SMALL, num_hidden_layers=2, head_dim=18),
        -2,
        "default",
    ),
    "llava_granite": (  # LLaVA has a head of its own, whose logits nothing divides
        clip_config(24, 2),
        GraniteConfig(
            **SMALL,
            num_hidden_layers=2,
            embedding_multiplier=3.0,
            attention_multiplier=0.6,
            residual_multiplier=1.4,
            logits_scaling=5.0,
        ),
        -2,
        "default",
    ),
}


def mixed_llava_config(name: str) -> LlavaConfig:
    tower, text, layer, strategy = LLAVA_MIXES[name]
    return LlavaConfig(
        vision_config=tower,
        text_config=text,
        image_token_index=320,
        vision_feature_layer=layer,
        vision_feature_select_strategy=strategy,
    )


def llava_config(name: str) -> LlavaConfig:
    """The table has 331 rows, the tokenizer 321 ids: the last ten must never come out."""
    if name in LLAVA_MIXES:
        return mixed_llava_config(name)
    small = name != "llava"
    text = LlamaConfig(
        vocab_size=331,
        hidden_size=20 if small else 28,
        intermediate_size=36,
        num_hidden_layers=2 if small else 3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=10,
        max_position_embeddings=512,
        rope_scaling=ROPE_SCALING.get(name),
    )
    return LlavaConfig(
        vision_config=clip_config(24, 2, layers=2 if small else 3),
        text_config=text,
        image_token_index=320,
        vision_feature_layer=-2,
        image_seq_length=25,
        multimodal_projector_bias=name != "llava_linear_rope",
        vision_feature_select_strategy="full" if name == "llava_full" else "default",
    )


def random_llava(name: str, seed: int, dtype: str) -> LlavaForConditionalGeneration:
    model = LlavaForConditionalGeneration._from_config(
        llava_config(name), attn_implementation="eager"
    )
    randomize(model, seed, DTYPES[dtype])
    quiet_rows(model.lm_head.weight, [0, 1, 2, *range(320, 331)], DTYPES[dtype])
    return model


def image_processor(tower: str) -> BaseImageProcessor:
    if tower == "siglip_vision_model":
        return SiglipImageProcessor(size={"height": 75, "width": 75})
    side = {"height": 70, "width": 70}
    if tower == "dinov2":
        return BitImageProcessor(size={"shortest_edge": 81}, crop_size=side)
    return CLIPImageProcessor(size={"shortest_edge": 70}, crop_size=side)


def write_llava_processor(folder: Path, strategy: str, tower: str) -> None:
    tokenizers_tiny.write_llava_tokenizer(folder, legacy=True)
    processor = LlavaProcessor(
        image_processor(tower),
        tokenizers_tiny.load(folder),
        patch_size=14,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=0 if tower == "siglip_vision_model" else 1,
    )
    processor.save_pretrained(str(folder))


# Of LLaVA's tensors: save_pretrained still writes those on the left.
OTHER_NAMING = {
    "language_model.model.": "model.language_model.",
    "language_model.lm_head.": "lm_head.",
    "vision_tower.": "model.vision_tower.",
    "multi_modal_projector.": "model.multi_modal_projector.",
    "image_newline": "model.image_newline",
}


def rename_tensors(folder: Path, names: dict[str, str]) -> None:
    """Rewrites model.safetensors with other prefixes (longest match first)."""
    path = folder / "model.safetensors"
    renamed = {}
    for name, tensor in load_file(str(path)).items():
        prefix = next((p for p in sorted(names, key=len, reverse=True) if name.startswith(p)), "")
        renamed[names.get(prefix, "") + name[len(prefix) :]] = tensor
    write_tensors(path, renamed)


def write_llava(name: str, folder: Path, seed: int) -> None:
    """save_pretrained still writes the older naming; llava_model_prefix has the other one."""
    dtype = "bf16" if name in ("llava_full", "llava_siglip_default") else "f16"
    model = random_llava(name, seed, dtype)
    save(model, folder, dtype)
    write_llava_processor(
        folder,
        model.config.vision_feature_select_strategy,
        model.config.vision_config.model_type,
    )
    if name == "llava_model_prefix":
        rename_tensors(folder, OTHER_NAMING)
