"""Every stage of requests to a model of one's own: what dump.py writes and `binocle parity` reads.

A new family is one class of reference_models.py and a row of its FAMILIES. Where such a class has a
model of transformers, the prompt goes through it once and every step after it is one row on a
cache; Binocle directories, in plain PyTorch, have no cache.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from transformers import PreTrainedModel

import pictures
from common import DTYPES, read_json
from dump import Run, pixel_checksums, tower_dump
from reference_models import (
    ReferenceModel,
    Request,
    among_others,
    encode,
    load_reference,
    processors_of,
)
from towers import CLASSES

MARK = "<image>"
ASK, CONTINUE = "USER: <image>\nWhat is in the picture? ASSISTANT:", "The capital of France is"
DRAWN = "drawn"


@dataclass
class Wishes:
    steps: int
    dtype: str
    hidden_bytes: int


@dataclass
class Pictures:
    """Pictures by the name that requests call them; each as every reference and Binocle see it."""

    by_name: dict[str, Image.Image] = field(default_factory=dict)
    names: dict[Path, str] = field(default_factory=dict)

    def add(self, path: Path) -> str:
        """The name of a file's picture: the file's own, told apart where two files share it."""
        path = path.resolve()
        if path not in self.names:
            name, copies = path.name, 1
            while name in self.by_name:
                copies += 1
                name = f"{path.name}#{copies}"
            self.names[path], self.by_name[name] = name, upright(Image.open(path))
        return self.names[path]

    def drawn(self) -> str:
        self.by_name.setdefault(DRAWN, pictures.scene(320, 240, 1))
        return DRAWN


def upright(picture: Image.Image) -> Image.Image:
    """As Binocle sees it: EXIF applied, over white, RGB. The reference's processors do neither."""
    picture = ImageOps.exif_transpose(picture)
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def model_type(model: Path) -> str:
    return "gguf" if model.suffix == ".gguf" else read_json(model / "config.json")["model_type"]


def default_requests(model: Path, found: Pictures, images: list[str]) -> list[Request]:
    config = {} if model.suffix == ".gguf" else read_json(model / "config.json")
    if model_type(model) in CLASSES:
        return []
    if "vision_config" in config or "anchor_config" in config or "augment_config" in config:
        return [{"id": "default", "images": [(images or [found.drawn()])[0]], "prompt": ASK}]
    files = [model / "tokenizer.model", model / "tokenizer.json"]
    if model.suffix == ".gguf" or any(file.exists() for file in files):
        return [{"id": "default", "images": [], "prompt": CONTINUE}]
    ids = [1 + 37 * i % (config["vocab_size"] - 1) for i in range(24)]
    return [{"id": "default", "images": [], "prompt_format": "ids", "prompt_token_ids": ids}]


def read_requests(path: Path) -> list[Request]:
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        return json.loads(text)
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def requests_of(
    model: Path, images: list[Path], prompts: list[str], file: Path | None
) -> tuple[list[Request], Pictures]:
    found = Pictures()
    names = [found.add(path) for path in images]
    requests: list[Request] = []
    for i, prompt in enumerate(prompts):
        marks = prompt.count(MARK)
        taken = names[:marks] if names else [found.drawn() for _ in range(marks)]
        requests.append({"id": str(i), "images": taken, "prompt": prompt})
    for row in read_requests(file) if file else []:
        taken = [found.add(file.parent / path) for path in row.get("images", [])]
        requests.append(row | {"images": taken})
    requests = requests or default_requests(model, found, names)
    for request in requests:
        request.setdefault("prompt_format", "raw" if "prompt" in request else "ids")
        marks = request.get("prompt", "").count(MARK)
        if request["prompt_format"] == "raw" and marks != len(request["images"]):
            raise ValueError(
                f"request {request.get('id')}: the prompt has {marks} marks {MARK}, "
                f"expected one for each of {len(request['images'])} pictures"
            )
    return requests, found


def steps_on_a_cache(
    model: PreTrainedModel, ids: list[int], x: torch.Tensor, count: int
) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
    """(last row of logits [V]; with the first, the prompt's states, none of them normed)."""
    last_layer: list[torch.Tensor] = []
    norm = model.get_decoder().norm
    hook = norm.register_forward_pre_hook(lambda _, inputs: last_layer.append(inputs[0]))
    out = model(inputs_embeds=x, output_hidden_states=True, use_cache=True, logits_to_keep=1)
    hook.remove()
    states = [h[0] for h in (*out.hidden_states[:-1], last_layer[0])]
    for step in range(count):
        logits = out.logits[0, -1].float()
        yield logits, states
        if step + 1 < count:
            feed, states = torch.tensor([[int(logits.argmax())]]), []
            out = model(input_ids=feed, past_key_values=out.past_key_values, use_cache=True)


def steps_of_whole_sequences(
    model: ReferenceModel, ids: list[int], visual: torch.Tensor | None, count: int
) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
    sequence = list(ids)
    for step in range(count):
        logits, states = model.forward(sequence, visual)
        yield logits[-1], states if step == 0 else []
        sequence.append(int(logits[-1].argmax()))


def embedded(model: PreTrainedModel, image_id: int, ids: list[int], visual: Any) -> torch.Tensor:
    """[1, T, D]: rows of the table, with the visual tokens in their places."""
    tokens = torch.tensor([ids])
    x = model.get_input_embeddings()(tokens)
    if visual is None:
        return x
    return x.masked_scatter((tokens == image_id)[..., None], visual.to(x.dtype))


def run_request(
    model: ReferenceModel, request: Request, stages: dict[str, dict[str, torch.Tensor]], count: int
) -> Run:
    parts = [stages[name] for name in request["images"]]
    visual = torch.cat([part["projected"] for part in parts]) if parts else None
    run = Run(request, model.prompt(request, parts))
    inner = getattr(model, "model", None)
    if isinstance(inner, PreTrainedModel):
        limit = inner.config.get_text_config().max_position_embeddings
        if len(run.prompt_ids) + count > limit:
            raise ValueError(f"request {request.get('id')}: prompt and steps exceed {limit} tokens")
        x = embedded(inner, model.image_id, run.prompt_ids, visual)
        steps = steps_on_a_cache(inner, run.prompt_ids, x, count)
    else:
        steps = steps_of_whole_sequences(model, run.prompt_ids, visual, count)
    for logits, states in steps:
        run.logits.append(logits)
        run.token_ids.append(int(logits.argmax()))
        run.prompt_states = run.prompt_states or states
    return run


def tensors_of(run: Run, prefix: str, hidden: bool) -> dict[str, torch.Tensor]:
    logits = torch.stack(run.logits)
    values, ids = torch.log_softmax(logits.double(), dim=-1).topk(5)
    tensors = {f"{prefix}.logits.{step}": row for step, row in enumerate(run.logits)}
    tensors[f"{prefix}.top5"] = torch.stack([ids.float(), values.float()], dim=-1)
    tensors[f"{prefix}.max_abs_logit"] = logits.abs().amax(-1)
    if hidden:
        tensors |= {f"{prefix}.hidden.{i}": state for i, state in enumerate(run.prompt_states)}
    return tensors


def dump_model(
    path: Path, requests: list[Request], found: Pictures, wishes: Wishes
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    kind = model_type(path)
    if kind in CLASSES:
        return tower_dump(path)
    if wishes.steps < 1:
        raise ValueError(f"--steps is {wishes.steps}, expected at least 1")
    model = load_reference(path, DTYPES[wishes.dtype])
    if found.by_name and not model.processors:
        raise ValueError(f"{path}: is a text model and takes no pictures")
    others = {name: among_others(model, requests, name) for name in found.by_name}
    stages = {name: encode(model, p, others[name]) for name, p in found.by_name.items()}
    tensors: dict[str, torch.Tensor] = {}
    for i, (name, picture) in enumerate(found.by_name.items()):
        tensors[f"image{i}.rgb"] = torch.from_numpy(np.array(picture))
        kept = {stage: rows for stage, rows in stages[name].items() if stage != "picture"}
        tensors |= {f"image{i}.{stage}": rows for stage, rows in kept.items()}
    described, room = [], wishes.hidden_bytes
    for i, request in enumerate(requests):
        run = run_request(model, request, stages, wishes.steps)
        size = sum(s.numel() * s.element_size() for s in run.prompt_states)
        room -= size
        if room < 0:
            print(f"request {i}: {size >> 20} MiB of hidden states left out (--hidden-mib)")
        tensors |= tensors_of(run, f"req{i}", room >= 0)
        described.append(run.to_json(model))
    info = {
        "view": "EXIF applied, alpha over white; PIL, slow processors",
        "model_type": model.model.config.model_type if kind == "gguf" else kind,
        "dtype": wishes.dtype,
        "images": list(found.by_name),
        "pixels_crc32": [
            pixel_checksums(processors_of(model, others[name]), picture)
            for name, picture in found.by_name.items()
        ],
        "requests": described,
    }
    return tensors, info
