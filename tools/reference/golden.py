"""Makes tests/golden/<case>/reference.{safetensors,json}: golden.py [--out DIR] [--only NAME ...].

Every request is a template; the first filler word whose 64 greedy tokens vary, keep their margins,
and avoid special and padding ids is taken: a deterministic choice, and seeds need no search.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pictures
from checkpoints_hf import TOWERS
from common import GOLDEN, setup
from dump import Run, collect, encode_all, greedy, tower_dump, write
from make_checkpoints import SEEDS, all_cases, write_checkpoint
from reference_models import ReferenceModel, Request, load_reference

MIN_MARGIN, MIN_DISTINCT = 2e-3, 24
FILLERS = (
    "cat",
    "dog",
    "chair",
    "window",
    "table",
    "café",
    "light",
    "square",
    "red one",
    "blue",
    "two",
    "thing",
)
IMAGES = [f"../images/scene_{size}.png" for size in ("61x83", "130x70", "70x70")]


def raw(name: str, prompt: str, *images: int) -> Request:
    return {
        "id": name,
        "images": [IMAGES[i] for i in images],
        "prompt": prompt,
        "prompt_format": "raw",
    }


def chat(name: str, prompt: str, *images: int, system: str | None = None) -> Request:
    request = raw(name, prompt, *images) | {"prompt_format": "chat"}
    return request | ({"system": system} if system is not None else {})


def tokens(name: str, start: int, length: int) -> Request:
    """A prompt of ids for models without a tokenizer; {} is replaced by trying other starts."""
    return {"id": name, "images": [], "prompt_format": "ids", "start": start, "length": length}


AROUND = raw("around", "Look at the {}: <image> What colour is it?", 0)
TWO = raw("two_images", "The {} <image> and <image>?", 1, 2)
AROUND_WIDE = raw("around", "Look at the {}: <image> What colour is it?", 1)
TWO_SQUARE = raw("two_images", "The {} <image> and <image>?", 0, 2)
CHAT = chat("chat", "Where is the {}?", 1)
CHAT_SAME = chat("chat", "Where is the {}?", 0)
CHAT_TWO = chat("chat_system_two_images", "What {}?", 2, 0, system="Answer.")
TEXT = raw("text_only", "Tell me about the {}, 1 2 3.")


def keep(*stages: str, hidden: tuple[int, ...] = ()) -> dict[str, Any]:
    return {"stages": list(stages), "hidden": list(hidden)}


# case -> (requests, what to keep). A case not named here has AROUND, and keeps fused and projected.
PLANS: dict[str, tuple[list[Request], dict[str, Any]]] = {
    "llama": ([tokens("short", 5, 6), tokens("long", 77, 90)], keep(hidden=(0,))),
    "llama_tied": ([tokens("short", 5, 6), tokens("long", 77, 90)], keep(hidden=(0,))),
    "mistral": ([tokens("short", 5, 6), tokens("long", 77, 90)], keep(hidden=(0,))),
    "qwen2": ([tokens("short", 5, 6), tokens("long", 77, 90)], keep(hidden=(0,))),
    "qwen3": ([tokens("short", 5, 6), tokens("long", 77, 90)], keep(hidden=(0,))),
    "granite": ([tokens("short", 5, 6), tokens("long", 77, 90)], keep(hidden=(0,))),
    "llava": (
        [AROUND, TWO, raw("first", "<image>\nWhat is the {}?", 2), TEXT],
        keep("pixels.anchor", "anchor", "projected"),
    ),
    "llava_next": (
        [AROUND, TWO, raw("first", "<image>\nWhat is the {}?", 2), TEXT],
        keep("pixels.anchor", "anchor", "projected"),
    ),
    "llava_next_siglip": ([AROUND], keep("projected")),
    "llava_onevision": ([AROUND_WIDE, TWO_SQUARE], keep("pixels.anchor", "projected")),
    "llava_onevision_max_9": ([AROUND], keep("projected")),
    "llava_full": ([AROUND, TWO], keep("projected")),
    "llava_model_prefix": ([AROUND], keep("projected")),
    "llava_linear_rope": ([TWO], keep("projected")),
    "llava_llama3_rope": ([TWO], keep()),
    "binocle_ftz": ([AROUND, TWO, CHAT, CHAT_TWO], keep("anchor", "augment", "fused", "projected")),
    "binocle_vo": ([AROUND, TWO, CHAT, CHAT_TWO, TEXT], keep()),
    "binocle_vo_ffn": ([AROUND, TWO], keep()),
    "binocle_none": ([AROUND, TWO], keep()),
    "binocle_mixed_vo": ([TWO, AROUND], keep(hidden=(0,))),
    "binocle_mixed_vo_ffn": ([TWO, AROUND], keep()),
    "binocle_mixed_none": ([TWO, AROUND], keep()),
    "binocle_add_same_width": ([AROUND, CHAT], keep("augment", "fused", "projected")),
    "binocle_channel_concat_full": ([AROUND, CHAT_SAME], keep("fused", "projected")),
    "binocle_interleave": ([TWO], keep("projected")),
    "llava_sinks": ([AROUND, TWO], keep()),
    "binocle_sinks_vo": ([TWO], keep()),
    "binocle_sinks_mixed": ([TWO], keep()),
}


def fill(request: Request, attempt: int) -> Request:
    if request["prompt_format"] == "ids":
        start = request["start"] + 11 * attempt
        ids = [1] + [(start + i * i * 7 + i * 29) % 328 + 3 for i in range(request["length"] - 1)]
        return {"id": request["id"], "images": [], "prompt_format": "ids", "prompt_token_ids": ids}
    return request | {"prompt": request["prompt"].replace("{}", FILLERS[attempt])}


def acceptable(run: Run, model: ReferenceModel) -> bool:
    forbidden = [i for i in run.token_ids if i in model.special_ids or i >= model.vocab_limit]
    return (
        min(run.margins()) >= MIN_MARGIN
        and len(set(run.token_ids)) >= MIN_DISTINCT
        and not forbidden
    )


def first_acceptable(model: ReferenceModel, request: Request, encoded: dict[str, Any]) -> Run:
    for attempt in range(len(FILLERS)):
        run = greedy(model, fill(request, attempt), encoded)
        if acceptable(run, model):
            return run
    raise RuntimeError(f"no filler gives an acceptable run of {request['id']}: change the seed")


def make_reference(name: str, root: Path) -> None:
    folder = root / name
    if name in TOWERS:
        write(folder / "reference", *tower_dump(folder))
        return
    requests, kept = PLANS.get(name, ([AROUND], keep("fused", "projected")))
    model = load_reference(folder)
    encoded = encode_all(model, requests, folder)
    runs = [first_acceptable(model, request, encoded) for request in requests]
    write(folder / "reference", *collect(model, runs, encoded, kept, folder))
    print(
        name,
        *(
            f"{r.request['id']}: margin {min(r.margins()):.4f}, {len(set(r.token_ids))} distinct;"
            for r in runs
        ),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    parser.add_argument("--only", nargs="*", help="cases; all by default")
    args = parser.parse_args()
    setup()
    pictures.write_pngs(args.out / "images")
    for name in args.only or all_cases():
        write_checkpoint(name, args.out, SEEDS.get(name, 1))
        if name != "binocle_base":
            make_reference(name, args.out)


if __name__ == "__main__":
    main()
