"""Dumps every stage of a model of one's own, for `binocle parity MODEL FILE`:

    dump.py MODEL --out FILE [--image P]... [--prompt TEXT]... [--requests FILE]
            [--steps N] [--dtype f32|bf16] [--hidden-mib N] [--threads N]

MODEL is a directory or a GGUF file. A prompt is the whole text that the model reads, with <image>
where a picture stands: a prompt with k marks takes the first k pictures. Without --image a picture
is drawn, without --prompt one is asked that suits the model. --requests FILE is a list of {"id",
"images", "prompt", "prompt_format"}, or one of them a line; pictures are relative to it.

FILE.safetensors gets tensors and FILE.json the rest (tests/golden/README.md lists both), with the
pictures: the two files are all that parity needs beside the model. Most of them are hidden states,
4 bytes x (layers + 1) x prompt tokens x width (2 bytes in bf16), of the requests that --hidden-mib
has room for, and logits, 4 bytes x steps x vocabulary. A bare tower has fixed inputs instead of requests.
"""

from __future__ import annotations

import argparse
import os
import zlib
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import pictures
from common import read_json, setup, write_compact_json, write_tensors
from reference_models import (
    ReferenceModel,
    Request,
    among_others,
    encode,
    load_reference,
    processors_of,
)
from towers import CLASSES, final_norm, load_tower

STEPS = 64
FULL_LOGITS = (0, 1, 63)
# (height, width, seed) of noise inputs; CLIP has one size. 28 x 112 has as many patches as 56 x 56.
TOWER_INPUTS = {
    "dinov2": [(70, 70, 1), (56, 56, 2), (98, 75, 3), (28, 112, 4), (42, 30, 5)],
}


class Run:
    """What one request gave, step by step."""

    def __init__(self, request: Request, prompt_ids: list[int]):
        self.request, self.prompt_ids = request, prompt_ids
        self.token_ids: list[int] = []
        self.logits: list[torch.Tensor] = []
        self.prompt_states: list[torch.Tensor] = []

    def margins(self) -> list[float]:
        top = torch.stack(self.logits).topk(2).values
        return (top[:, 0] - top[:, 1]).tolist()

    def to_json(self, model: ReferenceModel) -> dict[str, Any]:
        known = {k: v for k, v in self.request.items() if k != "prompt_token_ids"}
        return known | {
            "prompt_token_ids": self.prompt_ids,
            "image_tokens": self.prompt_ids.count(model.image_id),
            "answer": model.text(self.token_ids),
            "token_ids": self.token_ids,
            "min_margin": round(min(self.margins()), 5),
        }

    def to_tensors(self, prefix: str, hidden: bool) -> dict[str, torch.Tensor]:
        logits = torch.stack(self.logits)
        values, ids = torch.log_softmax(logits.double(), dim=-1).topk(5)
        tensors = {f"{prefix}.logits.{step}": logits[step] for step in FULL_LOGITS}
        tensors[f"{prefix}.top5"] = torch.stack([ids.float(), values.float()], dim=-1)
        tensors[f"{prefix}.max_abs_logit"] = logits.abs().amax(-1)
        if hidden:
            tensors |= {f"{prefix}.hidden.{i}": state for i, state in enumerate(self.prompt_states)}
        return tensors


def greedy(
    model: ReferenceModel, request: Request, encoded: dict[str, dict[str, torch.Tensor]]
) -> Run:
    """64 greedy steps, the whole sequence computed again at each of them."""
    parts = [encoded[path] for path in request["images"]]
    visual = torch.cat([part["projected"] for part in parts]) if parts else None
    run = Run(request, model.prompt(request, parts))
    ids = list(run.prompt_ids)
    for step in range(STEPS):
        logits, states = model.forward(ids, visual)
        if step == 0:
            run.prompt_states = states
        run.logits.append(logits[-1])
        run.token_ids.append(int(logits[-1].argmax()))
        ids.append(run.token_ids[-1])
    return run


def encode_all(
    model: ReferenceModel, requests: list[Request], root: Path
) -> dict[str, dict[str, torch.Tensor]]:
    paths = sorted({path for request in requests for path in request["images"]})
    return {
        path: encode(model, Image.open(root / path), among_others(model, requests, path))
        for path in paths
    }


def pixel_checksums(processors: dict[str, Any], picture: Image.Image) -> dict[str, Any]:
    """CRC-32 of the [H, W, 3] bytes after resize and crop, and of the [3, H, W] f32 pixels, of all views."""
    found = {}
    for role, processor in processors.items():
        raw = processor(
            picture,
            do_rescale=False,
            do_normalize=False,
            data_format="channels_last",
            return_tensors="np",
        )["pixel_values"][0]
        done = processor(picture, return_tensors="np")["pixel_values"][0]
        assert raw.dtype.name == "uint8" and done.dtype.name == "float32"
        found[role] = {"u8": zlib.crc32(raw.tobytes()), "f32": zlib.crc32(done.tobytes())}
    return found


def collect(
    model: ReferenceModel,
    runs: list[Run],
    encoded: dict[str, dict[str, torch.Tensor]],
    keep: dict[str, Any],
    root: Path,
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """keep: {"stages": names to store, "hidden": indices of requests whose states to store}."""
    tensors: dict[str, torch.Tensor] = {}
    requests = [run.request for run in runs]
    for i, stages in enumerate(encoded.values()):
        for name, tensor in stages.items():
            if name in keep["stages"] and not (name.startswith("pixels.") and i > 0):
                tensors[f"image{i}.{name}"] = tensor
    for i, run in enumerate(runs):
        tensors |= run.to_tensors(f"req{i}", i in keep["hidden"])
    info = {
        "view": "PIL, slow processors, RGB files without EXIF and alpha",
        "images": list(encoded),
        "pixels_crc32": [
            pixel_checksums(
                processors_of(model, among_others(model, requests, path)), Image.open(root / path)
            )
            for path in encoded
        ],
        "keep": keep,
        "requests": [run.to_json(model) for run in runs],
    }
    return tensors, info


def tower_dump(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Input 0: every hidden state, and the normed last one. Other inputs: first and last state."""
    tower = load_tower(folder)
    kind = tower.config.model_type
    if kind.startswith("dinov2"):
        inputs = TOWER_INPUTS["dinov2"]
    else:  # one size
        inputs = [(tower.config.image_size, tower.config.image_size, 1)]
    tensors: dict[str, torch.Tensor] = {}
    for i, (height, width, seed) in enumerate(inputs):
        seen = tower(pictures.noise_pixels(height, width, seed), output_hidden_states=True)
        states = seen.hidden_states
        if i == 0:
            tensors["input0.normed"] = final_norm(tower)(states[-1])[0]
            if kind == "siglip_vision_model" and seen.pooler_output is not None:
                tensors["input0.pooled"] = seen.pooler_output[0]
        kept = range(len(states)) if i == 0 else [0, len(states) - 1]
        for layer in kept:
            tensors[f"input{i}.hidden.{layer}"] = states[layer][0]
    info = {
        "model_type": kind,
        "layers": tower.config.num_hidden_layers,
        "inputs": [{"height": h, "width": w, "seed": s} for h, w, s in inputs],
    }
    return tensors, info


def write(out: Path, tensors: dict[str, torch.Tensor], info: dict[str, Any]) -> None:
    write_tensors(out.with_name(out.name + ".safetensors"), tensors)
    write_compact_json(out.with_name(out.name + ".json"), info)


def dump(
    folder: Path, out: Path, requests: list[Request] | None, keep: dict[str, Any] | None
) -> None:
    """A reference of tests/golden once more; without requests those that it has."""
    if read_json(folder / "config.json")["model_type"] in CLASSES:
        write(out, *tower_dump(folder))
        return
    if requests is None:
        saved = read_json(folder / "reference.json")
        requests, keep = saved["requests"], saved["keep"]
    model = load_reference(folder)
    encoded = encode_all(model, requests, folder)
    runs = [greedy(model, request, encoded) for request in requests]
    write(
        out, *collect(model, runs, encoded, keep or {"stages": ["projected"], "hidden": []}, folder)
    )


def main() -> None:
    from model_dump import Wishes, dump_model, requests_of  # which needs this module

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="model directory or GGUF file")
    parser.add_argument("--out", type=Path, required=True, help="FILE.json and FILE.safetensors")
    parser.add_argument("--image", type=Path, action="append", default=[])
    parser.add_argument("--prompt", action="append", default=[])
    parser.add_argument("--requests", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS, help="greedy tokens of each request")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32", help="to compute in")
    parser.add_argument("--hidden-mib", type=int, default=2048, help="hidden states at most")
    parser.add_argument("--threads", type=int, default=0, help="0: one per processor")
    args = parser.parse_args()
    setup()
    torch.set_num_threads(args.threads or os.cpu_count() or 1)
    try:
        requests, pictures_of = requests_of(args.model, args.image, args.prompt, args.requests)
        wishes = Wishes(args.steps, args.dtype, args.hidden_mib << 20)
        tensors, info = dump_model(args.model, requests, pictures_of, wishes)
    except (ValueError, OSError) as error:
        parser.exit(1, f"dump.py: {error}\n")
    out = args.out
    if out.suffix in (".json", ".safetensors"):
        out = out.with_suffix("")
    write(out, tensors, info)
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    print(f"{out}.json and {out}.safetensors, {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
