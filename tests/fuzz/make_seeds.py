#!/usr/bin/env python3
"""Seeds of the fuzz targets, from fixtures that are there already: make_seeds.py OUT makes OUT/<target>/<seed>.

Runs at build time with Python's standard library. Large fixtures are left out: small seeds are mutated better.
"""

import json
import struct
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
GOLDEN = TESTS / "golden"
# The order of config_fuzz.cc.
CONFIG_FILES = ["config.json", "preprocessor_config.json", "generation_config.json", "tokenizer_config.json",
                "special_tokens_map.json", "added_tokens.json", "tokenizer.json", "model.safetensors.index.json"]
CONFIG_CASES = ["binocle_ftz", "binocle_mixed_vo_ffn", "binocle_add_same_width", "binocle_channel_concat_full", "llama", "llama_tied",
                "llava", "llava_full", "llava_llama3_rope"]
SMALL_INDEX = b'{"weight_map": {"a.weight": "one.safetensors", "b.weight": "two.safetensors"}}'
MAX_PICTURE = 4096


def safetensors(tensors, data, header_bytes=None):
    """tensors: name -> (dtype, shape, begin, end)."""
    entries = {name: {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
               for name, (dtype, shape, begin, end) in tensors.items()}
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header) if header_bytes is None else header_bytes) + header + data


def safetensors_seeds():
    zeros = bytes(64)
    yield "empty", safetensors({}, b"")
    yield "one", safetensors({"a": ("F32", [2, 3], 0, 24)}, zeros[:24])
    yield "types", safetensors({"a": ("F16", [3], 0, 6), "b": ("BF16", [1, 1], 6, 8), "c": ("I32", [2], 8, 16), "d": ("U8", [5], 16, 21),
                                "e": ("I64", [1], 21, 29), "f": ("BOOL", [3], 29, 32)}, zeros[:32])
    yield "scalar", safetensors({"s": ("F32", [], 0, 4)}, zeros[:4])
    yield "no_elements", safetensors({"a": ("F32", [0, 7], 0, 0), "b": ("F32", [4], 0, 16)}, zeros[:16])
    yield "four_dimensions", safetensors({"w": ("F16", [2, 3, 1, 2], 0, 24)}, zeros[:24])
    yield "overlap", safetensors({"a": ("F32", [2], 0, 8), "b": ("F32", [2], 4, 12)}, zeros[:12])
    yield "hole", safetensors({"a": ("F32", [1], 0, 4), "b": ("F32", [1], 8, 12)}, zeros[:12])
    yield "long_header", safetensors({"a": ("F32", [1], 0, 4)}, zeros[:4], header_bytes=1 << 62)
    yield "many_elements", safetensors({"a": ("F32", [1 << 31, 1 << 31], 0, 4)}, zeros[:4])
    yield "long_strides", safetensors({"a": ("F32", [0, 1 << 62, 1 << 62], 0, 0)}, b"")


def image_decode_seeds():
    for folder in (TESTS / "data" / "images", GOLDEN / "images"):
        for path in sorted(folder.iterdir()):
            if path.suffix in (".png", ".jpg", ".webp") and path.stat().st_size <= MAX_PICTURE:
                yield path.name, path.read_bytes()


def config_seeds():
    for case in CONFIG_CASES:
        files = [GOLDEN / case / name for name in CONFIG_FILES]
        assert files[0].exists(), files[0]
        parts = [path.read_bytes() if path.exists() else b"" for path in files]
        parts[-1] = SMALL_INDEX  # theirs are long and all alike
        yield case, b"\0".join(parts)


def tokenizer_model_seeds():
    for case in ("llava", "binocle_base"):
        yield case, (GOLDEN / case / "tokenizer.model").read_bytes()


def tokenizer_text_seeds():
    cases = json.loads((GOLDEN / "tokenizer" / "legacy" / "cases.json").read_text(encoding="utf-8"))
    for i, case in enumerate(cases["encode"]):
        yield f"{i:03}", case["text"].encode("utf-8", "surrogatepass")
    yield "not_utf8", b"caf\xc3 \xff\xf0\x9f\x99 \xed\xa0\x80</s>\x00<image>"


def http_body_seeds():
    url = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    picture = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    text = {"type": "text", "text": "What is \u00e9 \U0001f642?"}
    bodies = {
        "text": {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
        "picture": {"model": "m", "messages": [{"role": "user", "content": [text, picture]}], "max_tokens": 5, "stream": True,
                    "stream_options": {"include_usage": True}},
        "between": {"model": "m", "messages": [{"role": "user", "content": [text, picture, text, picture]}]},
        "dialogue": {"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
                                                {"role": "assistant", "content": "Hello", "tool_calls": None}, {"role": "user", "content": "?"}]},
        "options": {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5, "top_p": 1, "seed": -1, "stop": ["a"], "n": 2,
                    "logprobs": True, "top_logprobs": 3, "tools": [], "presence_penalty": 0, "response_format": {"type": "text"}, "user": "u"},
        "schema": {"model": "m", "messages": [{"role": "user", "content": "Hi"}],
                   "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "properties": {}}}}},
        "ours": {"model": "m", "messages": [{"role": "user", "content": "Hi"}],
                 "binocle": {"top_k": 4, "min_p": 0.1, "repetition_penalty": 1.1, "prompt_format": "raw", "grounding": True, "priority": 1,
                             "interventions": {"var": {"p": 0.5, "layers": "1-2", "dims": [1]}, "modulate": {"start": "decode"}, "vcd": {"steps": 9}},
                             "constraint": {"choices": ["a", "b"]}}},
        "explain": {"model": "m", "messages": [{"role": "user", "content": [picture, text]}], "explain": {"layers": "0-1", "heads": [0], "cosine": 0.9}},
        "embedding": {"model": "m", "input": ["a", text, picture], "encoding_format": "base64", "binocle": {"pooling": "mean", "normalize": False}}}
    for name, body in bodies.items():
        yield name, json.dumps(body).encode()


TARGETS = {"safetensors": safetensors_seeds, "image_decode": image_decode_seeds, "config": config_seeds,
           "tokenizer_model": tokenizer_model_seeds, "tokenizer_text": tokenizer_text_seeds,
           "http_body": http_body_seeds}


def main():
    out = Path(sys.argv[1])
    for target, seeds in TARGETS.items():
        folder = out / target
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, data in seeds():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
