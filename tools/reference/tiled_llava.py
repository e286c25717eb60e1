"""LLaVA-NeXT and LLaVA-OneVision: LLaVA whose pictures are seen whole and in tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from transformers import AutoImageProcessor, MistralConfig, PretrainedConfig, Qwen2Config

from checkpoints_hf import OTHER_NAMING, SMALL, rename_tensors, save
from common import DTYPES, quiet_rows, randomize, read_json
from reference_models import LlavaReference, Request, Stages, load_tokenizer
from towers import clip_config, siglip_config
from tokenizers_tiny import write_llava_tokenizer

MODELS = {"llava_next": "LlavaNext", "llava_onevision": "LlavaOnevision"}


def resolutions(side: int, *sizes: tuple[int, int]) -> list[list[int]]:
    return [[height * side, width * side] for height, width in sizes]


# case -> (model_type, tower, text, what else config.json says, dtype)
CASES: dict[str, tuple[str, PretrainedConfig, PretrainedConfig, dict[str, Any], str]] = {
    "llava_next": (
        "llava_next",
        clip_config(24, 2, layers=2),
        MistralConfig(**SMALL, num_hidden_layers=2, sliding_window=60, pad_token_id=None),
        {"image_grid_pinpoints": resolutions(70, (1, 2), (2, 1), (2, 2), (3, 1), (1, 3))},
        "f16",
    ),
    "llava_next_siglip": (
        "llava_next",
        siglip_config(24, 2, num_hidden_layers=2),
        transformers.LlamaConfig(**SMALL, num_hidden_layers=2, pad_token_id=None),
        {
            "image_grid_pinpoints": resolutions(75, (2, 2), (1, 1)),
            "vision_feature_layer": -1,
            "vision_feature_select_strategy": "full",
        },
        "bf16",
    ),
    # Pictures that fill 2 x 3 views are resampled to 2 views.
    "llava_onevision": (
        "llava_onevision",
        siglip_config(20, 2, head=False, num_hidden_layers=2),
        Qwen2Config(**SMALL, num_hidden_layers=2, tie_word_embeddings=True),
        {
            "image_grid_pinpoints": resolutions(75, *((h, w) for h in (1, 2) for w in (1, 2, 3))),
            "vision_aspect_ratio": "anyres_max_2",
            "tie_word_embeddings": True,
        },
        "bf16",
    ),
    "llava_onevision_max_9": (
        "llava_onevision",
        siglip_config(20, 2, head=False, num_hidden_layers=2),
        Qwen2Config(**SMALL, num_hidden_layers=2),
        {"image_grid_pinpoints": resolutions(75, (1, 1), (1, 2), (2, 1), (2, 2))},
        "f16",
    ),
}


def write_case(name: str, folder: Path, seed: int) -> None:
    """The older naming but for llava_next_siglip."""
    kind, tower, text, more, dtype = CASES[name]
    config_class = getattr(transformers, MODELS[kind] + "Config")
    config = config_class(vision_config=tower, text_config=text, image_token_index=320, **more)
    model_class = getattr(transformers, MODELS[kind] + "ForConditionalGeneration")
    model = model_class._from_config(config, attn_implementation="eager")
    randomize(model, seed, DTYPES[dtype])
    quiet_rows(model.lm_head.weight, [0, 1, 2, *range(320, 331)], DTYPES[dtype])
    save(model, folder, dtype)
    if name == "llava_next_siglip":
        rename_tensors(folder, OTHER_NAMING)
    side = tower.image_size
    square = {"height": side, "width": side}
    sizes = {"size": square}
    if kind == "llava_next":
        sizes = {"size": {"shortest_edge": side}, "crop_size": square}
    processor_class = getattr(transformers, MODELS[kind] + "ImageProcessor")
    processor_class(
        image_grid_pinpoints=more["image_grid_pinpoints"], **sizes
    ).save_pretrained(str(folder))
    write_llava_tokenizer(folder, legacy=True)


class Views:
    """An image processor whose views of one picture are [views, 3, H, W]."""

    def __init__(self, processor: Any, among_others: bool):
        self.processor, self.among_others = processor, among_others

    def __call__(self, picture: Image.Image, **options: Any) -> Any:
        return self.processor([[picture, picture]] if self.among_others else picture, **options)


class TiledLlavaReference(LlavaReference):
    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32):
        kind = read_json(folder / "config.json")["model_type"]
        model_class = getattr(transformers, MODELS[kind] + "ForConditionalGeneration")
        self.model = model_class.from_pretrained(
            str(folder), dtype=dtype, attn_implementation="eager"
        ).eval()
        self.config = self.model.config
        tower = self.config.vision_config
        self.image_processor = AutoImageProcessor.from_pretrained(str(folder), use_fast=False)
        self.processors = {"anchor": Views(self.image_processor, among_others=False)}
        if kind == "llava_onevision":
            self.processors_among_others = {"anchor": Views(self.image_processor, True)}
        self.tokenizer = load_tokenizer(folder)
        settings = {
            "image_processor": self.image_processor,
            "tokenizer": self.tokenizer,
            "vision_feature_select_strategy": self.config.vision_feature_select_strategy,
        }
        if kind == "llava_next":
            self.processor = transformers.LlavaNextProcessor(
                **settings,
                patch_size=tower.patch_size,
                num_additional_image_tokens=0 if tower.model_type.startswith("siglip") else 1,
            )
        else:
            self.processor = onevision_processor(
                **settings,
                num_image_tokens=(tower.image_size // tower.patch_size) ** 2,
                vision_aspect_ratio=self.config.vision_aspect_ratio,
            )
        self.vocab_limit = len(self.tokenizer)
        self.image_id = self.config.image_token_index
        self.special_ids = {0, 1, 2, self.image_id}

    def encode(self, picture: Image.Image) -> Stages:
        return self.encode_views(picture, self.processors["anchor"])

    def encode_among_others(self, picture: Image.Image) -> Stages:
        if not hasattr(self, "processors_among_others"):
            return self.encode(picture)
        return self.encode_views(picture, self.processors_among_others["anchor"])

    def encode_views(self, picture: Image.Image, processor: Views) -> Stages:
        inputs = processor(picture, return_tensors="pt")
        views = inputs["pixel_values"][0].to(self.model.dtype)
        states = self.model.model.vision_tower(views, output_hidden_states=True).hidden_states
        chosen = states[self.config.vision_feature_layer]
        if self.config.vision_feature_select_strategy == "default":
            chosen = chosen[:, 1:]
        company = {}
        if processor.among_others:  # the processor made two of it
            company = {"batch_num_images": torch.tensor([2])}
        projected = self.model.model.get_image_features(
            pixel_values=inputs["pixel_values"].to(self.model.dtype),
            image_sizes=inputs["image_sizes"],
            **company,
        )[0]
        return {
            "pixels.anchor": inputs["pixel_values"][0].flatten(0, 1),
            "anchor": chosen.flatten(0, 1),
            "projected": projected,
            "picture": torch.tensor([picture.height, picture.width]),
        }

    def prompt(self, request: Request, parts: list[Stages]) -> list[int]:
        """The processor expands every mark by itself; it is called as its chat template does."""
        sizes = [part["picture"].tolist() for part in parts]
        black = [Image.new("RGB", (width, height)) for height, width in sizes]
        images = {"images": [black]} if black else {}
        ids = self.processor(text=request["prompt"], **images)["input_ids"][0]
        assert ids.count(self.image_id) == sum(len(part["projected"]) for part in parts)
        return ids


def onevision_processor(**settings: Any) -> Any:
    """Without its processor of videos, which needs torchvision."""
    processor_class = transformers.LlavaOnevisionProcessor
    processor = processor_class.__new__(processor_class)
    for name, value in settings.items():
        setattr(processor, name, value)
    processor.image_token = "<image>"
    processor.image_token_id = settings["tokenizer"].convert_tokens_to_ids("<image>")
    return processor
