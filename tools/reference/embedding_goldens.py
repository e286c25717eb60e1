"""Makes tests/golden/<case>/embeddings.{json,safetensors}: embedding_goldens.py [--out DIR] [--only CASE ...].
golden.py must have written the checkpoints.

What transformers calls the outputs of a whole tower and of a language model:
`text<i>` [T, D], the last_hidden_state of text i; `image<i>.class_token` and `image<i>.pooled` [Dv], last_hidden_state[:, 0] and
pooler_output of the leading tower with all its layers, whichever of them the model reads.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from common import GOLDEN, read_json, setup, write_compact_json, write_tensors
from reference_models import LlavaReference, ReferenceModel, load_reference
from token_sets import leading_tower

TEXTS = ("cat", "What colour is the cat?", "Tell me about the café,\n1 2 3. " * 3)
IMAGES = ("../images/scene_61x83.png", "../images/scene_130x70.png")
CASES = ("llava", "binocle_anchor", "binocle_augment", "binocle_mixed_vo")


def final_states(model: ReferenceModel, ids: list[int]) -> torch.Tensor:
    """[T, D] after the final norm."""
    llava = isinstance(model, LlavaReference)
    text = model.model.language_model if llava else model.model.lm.model
    return text(input_ids=torch.tensor([ids])).last_hidden_state[0]


def ids_of(model: ReferenceModel, text: str) -> list[int]:
    tokenizer = model.processor.tokenizer if isinstance(model, LlavaReference) else model.tokenizer
    return tokenizer(text)["input_ids"]


def write_case(case: str, out: Path) -> None:
    folder = out / case
    model = load_reference(folder)
    role, tower = leading_tower(model)
    tensors: dict[str, torch.Tensor] = {}
    texts: list[dict[str, Any]] = []
    for i, text in enumerate(TEXTS):
        ids = ids_of(model, text)
        texts.append({"text": text, "ids": ids})
        tensors[f"text{i}"] = final_states(model, ids)
    for i, path in enumerate(IMAGES):
        pixels = model.processors[role](Image.open(folder / path), return_tensors="pt")
        seen = tower(pixels["pixel_values"])
        tensors[f"image{i}.class_token"] = seen.last_hidden_state[0, 0]
        tensors[f"image{i}.pooled"] = seen.pooler_output[0]
    kind = read_json(folder / "config.json")["model_type"]
    write_compact_json(
        folder / "embeddings.json",
        {"model_type": kind, "tower": role, "texts": texts, "images": list(IMAGES)},
    )
    write_tensors(folder / "embeddings.safetensors", tensors)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=GOLDEN)
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES)
    args = parser.parse_args()
    setup()
    for case in args.only:
        write_case(case, args.out)


if __name__ == "__main__":
    main()
