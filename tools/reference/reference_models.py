"""One interface over the generating checkpoints: LLaMA, LLaVA and Binocle directories."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import transformers
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

import conversations
import gguf_parity
import tokenizers_tiny
from binocle_torch import Binocle
from common import read_json
from tinyllava import TinyLlavaReference

Stages = dict[str, torch.Tensor]
Request = dict[str, Any]


class ReferenceModel(Protocol):
    vocab_limit: int  # ids from here on belong to no token
    special_ids: set[int]
    image_id: int
    processors: dict[str, Any]  # tower role -> slow image processor

    def encode(self, picture: Image.Image) -> Stages: ...
    def encode_pixels(self, pixels: Stages) -> Stages: ...
    def prompt(self, request: Request, parts: list[Stages]) -> list[int]: ...
    def forward(
        self, ids: list[int], visual: torch.Tensor | None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]: ...
    def text(self, ids: list[int]) -> str | None: ...


def pixels_of(processors: dict[str, Any], picture: Image.Image) -> Stages:
    """Tower role -> [3, H, W], normalised; anchor before augment."""
    return {
        role: processor(picture, return_tensors="pt")["pixel_values"][0]
        for role, processor in processors.items()
    }


def image_processor(settings: dict[str, Any]) -> Any:
    return getattr(transformers, settings["image_processor_type"])(**settings)


def source(path: Path) -> dict[str, str]:
    """What from_pretrained is told of a directory or of a GGUF file."""
    if path.suffix == ".gguf":
        return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    return {"pretrained_model_name_or_path": str(path)}


def load_tokenizer(path: Path) -> Any:
    """The slow (sentencepiece) tokenizer where there is one; None for a model without any."""
    if (path / "tokenizer.model").exists():
        return tokenizers_tiny.load(path)
    if path.suffix == ".gguf" or (path / "tokenizer.json").exists():
        return AutoTokenizer.from_pretrained(**source(path))
    return None


class TextReference:
    """A text model alone; requests carry prompt_token_ids, or a prompt where it has a tokenizer."""

    image_id = -1
    processors: dict[str, Any] = {}

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32):
        self.model = AutoModelForCausalLM.from_pretrained(
            **source(folder), dtype=dtype, attn_implementation="eager"
        ).eval()
        self.path, self.tokenizer = folder, load_tokenizer(folder)
        self.vocab_limit = self.model.config.vocab_size
        self.special_ids = {1, 2}

    def encode(self, picture: Image.Image) -> Stages:
        raise NotImplementedError("a text model sees no pictures")

    def encode_pixels(self, pixels: Stages) -> Stages:
        raise NotImplementedError("a text model sees no pictures")

    def prompt(self, request: Request, parts: list[Stages]) -> list[int]:
        if "prompt" not in request:
            return list(request["prompt_token_ids"])
        if self.path.suffix == ".gguf":
            # What the file says: the tokenizer that transformers makes of it has <s> everywhere.
            front = gguf_parity.tokens_in_front(self.path)
            return front + self.tokenizer(request["prompt"], add_special_tokens=False)["input_ids"]
        return self.tokenizer(request["prompt"])["input_ids"]

    def forward(
        self, ids: list[int], visual: torch.Tensor | None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        out = self.model(input_ids=torch.tensor([ids]), output_hidden_states=True, use_cache=False)
        return out.logits[0], [h[0] for h in out.hidden_states[:-1]]  # the last one is normed

    def text(self, ids: list[int]) -> str | None:
        return self.tokenizer and self.tokenizer.decode(ids, skip_special_tokens=True)


class LlavaReference:
    """LlavaForConditionalGeneration with the slow processor and the slow tokenizer."""

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32):
        self.model = LlavaForConditionalGeneration.from_pretrained(
            str(folder), dtype=dtype, attn_implementation="eager"
        ).eval()
        tokenizer = load_tokenizer(folder)
        config = self.model.config
        tower = config.vision_config
        self.processor = LlavaProcessor(
            AutoImageProcessor.from_pretrained(str(folder), use_fast=False),
            tokenizer,
            patch_size=tower.patch_size,
            vision_feature_select_strategy=config.vision_feature_select_strategy,
            num_additional_image_tokens=0 if tower.model_type.startswith("siglip") else 1,
        )
        self.processors = {"anchor": self.processor.image_processor}
        self.vocab_limit = len(tokenizer)
        self.image_id = self.model.config.image_token_index
        self.special_ids = {0, 1, 2, self.image_id}

    def encode(self, picture: Image.Image) -> Stages:
        pixels = pixels_of(self.processors, picture)
        return {"pixels.anchor": pixels["anchor"]} | self.encode_pixels(pixels)

    def encode_pixels(self, pixels: Stages) -> Stages:
        batch = pixels["anchor"][None].to(self.model.dtype)
        states = self.model.vision_tower(batch, output_hidden_states=True).hidden_states
        chosen = states[self.model.config.vision_feature_layer]
        if self.model.config.vision_feature_select_strategy == "default":
            chosen = chosen[:, 1:]
        projected = self.model.get_image_features(pixel_values=batch)[0]
        return {"anchor": chosen[0], "projected": projected}

    def prompt(self, request: Request, parts: list[Stages]) -> list[int]:
        """LlavaProcessor expands every mark itself; it is called here as users call it."""
        pictures = [np.zeros((70, 70, 3), dtype=np.uint8)] * len(request["images"])
        ids = self.processor(images=pictures or None, text=request["prompt"])["input_ids"][0]
        assert ids.count(self.image_id) == sum(len(part["projected"]) for part in parts)
        return ids

    def forward(
        self, ids: list[int], visual: torch.Tensor | None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        tokens = torch.tensor([ids])
        x = self.model.get_input_embeddings()(tokens)
        if visual is not None:
            x = x.masked_scatter((tokens == self.image_id)[..., None], visual)
        out = self.model(inputs_embeds=x, output_hidden_states=True, use_cache=False)
        return out.logits[0], [h[0] for h in out.hidden_states[:-1]]

    def text(self, ids: list[int]) -> str | None:
        return self.processor.tokenizer.decode(ids, skip_special_tokens=True)


class BinocleReference:
    """A Binocle directory through binocle_torch."""

    def __init__(self, folder: Path, dtype: torch.dtype = torch.float32):
        if dtype != torch.float32:
            raise ValueError("Binocle directories are computed in f32 only")
        self.model = Binocle(folder)
        parts = {k: v.get("path") for k, v in self.model.config.items() if isinstance(v, dict)}
        text = parts["text_config"]
        self.tokenizer = tokenizers_tiny.load(folder / text if text else folder)
        own = read_json(folder / "preprocessor_config.json")
        self.processors = {}
        for role in self.model.towers:
            path = folder / (parts[f"{role}_config"] or "") / "preprocessor_config.json"
            self.processors[role] = image_processor(own[role] if role in own else read_json(path))
        self.vocab_limit = len(self.tokenizer)
        self.image_id = self.model.config["image_token_index"]
        self.special_ids = {0, 1, 2, self.image_id} if text else set(range(6))

    def encode(self, picture: Image.Image) -> Stages:
        pixels = pixels_of(self.processors, picture)
        return {f"pixels.{role}": p for role, p in pixels.items()} | self.encode_pixels(pixels)

    def encode_pixels(self, pixels: Stages) -> Stages:
        return self.model.encode(pixels)

    def prompt(self, request: Request, parts: list[Stages]) -> list[int]:
        text = request["prompt"]
        if request["prompt_format"] == "chat":
            text = conversations.render(
                self.model.config["conversation"],
                [(text, None)],
                request.get("system"),
                [len(request["images"])],
            )
        ids = self.tokenizer(text)["input_ids"]
        assert ids.count(self.image_id) == len(request["images"]), (text, ids)
        counts = iter([len(part["projected"]) for part in parts])
        return [i for t in ids for i in [t] * (next(counts) if t == self.image_id else 1)]

    def forward(
        self, ids: list[int], visual: torch.Tensor | None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return self.model.forward(ids, visual)

    def text(self, ids: list[int]) -> str | None:
        return self.tokenizer.decode(ids, skip_special_tokens=True)


FAMILIES: dict[str, type] = {
    "llava": LlavaReference,
    "tinyllava": TinyLlavaReference,
    "binocle": BinocleReference,
}


def load_reference(folder: Path, dtype: torch.dtype = torch.float32) -> ReferenceModel:
    from tiled_llava import MODELS, TiledLlavaReference  # which needs this module

    if folder.suffix == ".gguf":
        return TextReference(folder, dtype)
    kind = read_json(folder / "config.json")["model_type"]
    if kind in MODELS:
        return TiledLlavaReference(folder, dtype)
    return FAMILIES.get(kind, TextReference)(folder, dtype)


def encode(model: ReferenceModel, picture: Image.Image, among_others: bool) -> Stages:
    """A picture of a request that has several may be seen otherwise."""
    if among_others and hasattr(model, "encode_among_others"):
        return model.encode_among_others(picture)
    return model.encode(picture)


def processors_of(model: ReferenceModel, among_others: bool) -> dict[str, Any]:
    if among_others:
        return getattr(model, "processors_among_others", model.processors)
    return model.processors


def among_others(model: ReferenceModel, requests: list[Request], name: str) -> bool:
    """Whether the requests that have the picture have more than it."""
    found = {len(request["images"]) > 1 for request in requests if name in request["images"]}
    if len(found) > 1 and hasattr(model, "processors_among_others"):
        raise ValueError(f"{name} is alone in a request and among others in another: two pictures")
    return found == {True}
