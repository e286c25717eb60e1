"""TinyLLaVA Factory's checkpoints: no part of transformers, but its parts are. Written from the facts of its source:
names of tensors, the strategy that drops the first token, texts that are cut at <image>."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen2Config

import tokenizers_tiny
from common import DTYPES, quiet_rows, randomize, read_json, write_json, write_tensors
from pillow_resize import expand2square
from towers import clip_config, make_tower, siglip_config, tower_from_config
from safetensors.torch import load_file

IMAGE_ID = -200
TEXT = {
    "vocab_size": 331,
    "hidden_size": 24,
    "intermediate_size": 36,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
# case -> (tower, text, what else config.json says, dtype)
CASES: dict[str, tuple[PretrainedConfig, PretrainedConfig, dict[str, str], str]] = {
    "tinyllava": (
        clip_config(24, 2, layers=2),
        LlamaConfig(**TEXT, pad_token_id=None),
        {"vision_feature_select_strategy": "cls_patch", "image_aspect_ratio": "pad"},
        "f16",
    ),
    "tinyllava_siglip": (
        siglip_config(24, 2, num_hidden_layers=2),
        Qwen2Config(**TEXT),
        {"vision_feature_select_strategy": "patch", "image_aspect_ratio": "square"},
        "bf16",
    ),
}


def connector(inner: int, outer: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inner, outer), nn.GELU(), nn.Linear(outer, outer))


def write_case(name: str, folder: Path, seed: int) -> None:
    vision, text, more, dtype = CASES[name]
    model = AutoModelForCausalLM.from_config(text, attn_implementation="eager")
    randomize(model, seed, DTYPES[dtype])
    quiet_rows(model.lm_head.weight, [0, 1, 2, *range(320, 331)], DTYPES[dtype])
    joint = connector(vision.hidden_size, text.hidden_size)
    randomize(joint, seed + 1, DTYPES[dtype])
    parts = {
        "vision_tower._vision_tower.": make_tower(vision, seed + 2, dtype),
        "connector._connector.": joint,
        "language_model.": model,
    }
    tensors = {
        prefix + key: value.to(DTYPES[dtype])
        for prefix, part in parts.items()
        for key, value in part.state_dict().items()
    }
    tokenizers_tiny.write_llava_tokenizer(folder, legacy=True)
    write_tensors(folder / "model.safetensors", tensors)
    write_json(
        folder / "config.json",
        {
            "model_type": "tinyllava",
            "architectures": ["TinyLlavaForConditionalGeneration"],
            "connector_type": "mlp2x_gelu",
            "image_token_index": IMAGE_ID,
            "vision_feature_layer": -2,
            "text_config": text.to_diff_dict() | {"model_type": text.model_type},
            "vision_config": vision.to_diff_dict() | {"model_type": vision.model_type},
        }
        | more,
    )


class TinyLlavaReference:
    """transformers' tower and language model, joined as TinyLLaVA joins them."""

    image_id = IMAGE_ID

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32):
        if dtype != torch.float32:
            raise ValueError("TinyLLaVA directories are computed in f32 only")
        self.config = read_json(folder / "config.json")
        weights = {k: v.float() for k, v in load_file(str(folder / "model.safetensors")).items()}

        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)}

        self.tower = tower_from_config(self.config["vision_config"])
        self.tower.load_state_dict(part("vision_tower._vision_tower."))
        kind = self.config["text_config"]["model_type"]
        keys = {k: v for k, v in self.config["text_config"].items() if k != "model_type"}
        text = transformers.AutoConfig.for_model(kind, **keys)
        self.lm = AutoModelForCausalLM.from_config(text, attn_implementation="eager").eval()
        self.lm.load_state_dict(part("language_model."))
        self.connector = connector(self.tower.config.hidden_size, text.hidden_size)
        self.connector.load_state_dict(part("connector._connector."))
        self.tokenizer = tokenizers_tiny.load(folder)
        self.vocab_limit = len(self.tokenizer)
        self.special_ids = {0, 1, 2, self.tokenizer.convert_tokens_to_ids("<image>")}
        self.processors = {"anchor": self.processor}

    @property
    def processor(self) -> Any:
        side = self.tower.config.image_size
        if self.tower.config.model_type == "siglip_vision_model":
            return transformers.SiglipImageProcessor(size={"height": side, "width": side})
        of = transformers.CLIPImageProcessor(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        )
        if self.config["image_aspect_ratio"] != "pad":
            return of

        def padded(picture: Image.Image, **kwargs: Any) -> Any:
            colour = tuple(int(255 * mean) for mean in of.image_mean)
            return of(expand2square(picture, colour), **kwargs)

        return padded

    def encode(self, picture: Image.Image) -> dict[str, torch.Tensor]:
        pixels = self.processors["anchor"](picture, return_tensors="pt")["pixel_values"][0]
        return {"pixels.anchor": pixels} | self.encode_pixels({"anchor": pixels})

    def encode_pixels(self, pixels: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        states = self.tower(pixels["anchor"][None], output_hidden_states=True).hidden_states
        chosen = states[self.config["vision_feature_layer"]][0]
        if self.config["vision_feature_select_strategy"] == "patch":
            chosen = chosen[1:]
        return {"anchor": chosen, "projected": self.connector(chosen)}

    def prompt(self, request: dict[str, Any], parts: list[dict[str, torch.Tensor]]) -> list[int]:
        chunks = [self.tokenizer(c)["input_ids"] for c in request["prompt"].split("<image>")]
        ids = list(chunks[0])
        for chunk, part in zip(chunks[1:], parts):
            ids += [IMAGE_ID] * len(part["projected"]) + chunk[1:]  # behind its <s>
        return ids

    def forward(
        self, ids: list[int], visual: torch.Tensor | None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        tokens = torch.tensor([ids])
        x = self.lm.get_input_embeddings()(tokens.clamp(min=0))
        if visual is not None:
            x[tokens == IMAGE_ID] = visual
        out = self.lm(inputs_embeds=x, output_hidden_states=True, use_cache=False)
        return out.logits[0], [h[0] for h in out.hidden_states[:-1]]

    def text(self, ids: list[int]) -> str | None:
        return self.tokenizer.decode(ids, skip_special_tokens=True)
