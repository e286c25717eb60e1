#!/usr/bin/env python3
"""Seeds of the fuzz targets, from fixtures that are there already: make_seeds.py OUT makes OUT/<target>/<seed>.

Runs at build time with Python's standard library. Large fixtures are left out: small seeds are mutated better.
"""

import hashlib
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


def gguf(tensors, entries, data, version=3, alignment=32):
    """tensors: (name, extents with the fastest first, type, offset); entries: packed by gguf_entry."""
    head = struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(entries)) + b"".join(entries)
    for name, extents, kind, offset in tensors:
        head += gguf_text(name) + struct.pack(f"<I{len(extents)}QIQ", len(extents), *extents, kind, offset)
    return head + bytes(-len(head) % alignment) + data


def gguf_text(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def gguf_entry(key, kind, layout, *values):
    return gguf_text(key) + struct.pack("<I" + layout, kind, *values)


def gguf_seeds():
    zeros = bytes(512)
    texts = b"".join(map(gguf_text, ["<s>", "", "\u2581a"]))
    entries = [gguf_entry(f"k{kind}", kind, layout, 1) for kind, layout in enumerate("BbHhIif?")]
    entries += [gguf_entry("u64", 10, "Q", 1 << 63), gguf_entry("i64", 11, "q", -1), gguf_entry("f64", 12, "d", 0.5)]
    entries += [gguf_text("name") + struct.pack("<I", 8) + gguf_text("llama"), gguf_entry("tokens", 9, "IQ", 8, 3) + texts,
                gguf_entry("scores", 9, "IQ3f", 6, 3, 0, 1, 2), gguf_entry("types", 9, "IQ3i", 5, 3, 1, 2, 3),
                gguf_entry("flags", 9, "IQ2?", 7, 2, 0, 1), gguf_entry("nested", 9, "IQIQ2B", 9, 1, 0, 2, 1, 2)]
    yield "empty", gguf([], [], b"")
    yield "metadata", gguf([], entries, b"", version=2)
    yield "plain", gguf([("a", [3, 2], 0, 0), ("b", [2], 1, 32), ("c", [2, 1], 30, 64), ("d", [1], 26, 96), ("e", [], 0, 128)], entries[:2], zeros[:132])
    for kind, size in ((8, 34), (2, 18), (3, 20), (6, 22), (7, 24), (12, 144), (13, 176), (14, 210)):
        yield f"type_{kind:02}", gguf([("w", [256 if kind > 8 else 32, 2], kind, 0)], [], (bytes(range(256)) * 2)[:2 * size])
    yield "alignment", gguf([("a", [1], 0, 0), ("b", [1], 0, 64)], [gguf_entry("general.alignment", 4, "I", 64)], zeros[:68], alignment=64)
    yield "split", gguf([("a", [1], 0, 0)], [gguf_entry("split.no", 2, "H", 0), gguf_entry("split.count", 2, "H", 2)], zeros[:4])
    yield "unknown_type", gguf([("a", [256], 16, 0)], [], zeros[:66])
    yield "overlap", gguf([("a", [16], 0, 0), ("b", [1], 0, 32)], [], zeros[:64])
    yield "many_elements", gguf([("a", [1 << 31, 1 << 31], 0, 0)], [], zeros[:4])
    yield "many_entries", struct.pack("<4sIQQ", b"GGUF", 3, 1 << 40, 1 << 40)
    yield "long_array", gguf([], [gguf_entry("k", 9, "IQ", 10, 1 << 24)], zeros)


def answer_line_seeds():
    for path in sorted((GOLDEN / "eval").glob("*.jsonl")):
        for number, line in enumerate(path.read_bytes().splitlines()[:2]):
            yield f"{path.stem}_{number}", path.stem.encode() + b"\n" + line


def sealed(line):
    """A line of a journal, as eval/run/journal.h says."""
    text = json.dumps(line, separators=(",", ":"))[:-1]
    return f'{text},"seal":"{hashlib.sha256(text.encode()).hexdigest()[:16]}"}}'.encode() + b"\n"


def eval_file_seeds():
    row = {"id": 7, "image": "a.png", "question": "What is it?", "answer": "a \u201ccat\u201d", "options": ["a", "b"]}
    line = json.dumps(row).encode()
    yield "jsonl", b"jsonl\n" + line + b"\r\n\n{}\n" + line
    yield "json_list", b"json\n[" + line + b", " + line + b"]"
    yield "json_object", b'json\n\xef\xbb\xbf{"1": ' + line + b', "2": {"a": [{}, "]"]}}'
    yield "vqa", (b'vqa\n{"info": {}, "questions": [{"image_id": 1, "question": "Q?", "question_id": 5}]}\0'
                  b'{"annotations": [{"question_id": 5, "answers": [{"answer": "yes"}], "answer_type": "yes/no"}]}')
    for kind, separator in (("tsv", "\t"), ("csv", ","), ("vlmeval_tsv", "\t")):
        cells = [["index", "image", "question"], ["1", "iVBORw0KGgo=" * 6, 'say ""it""\nnow'], ["2", "1", "again"]]
        text = "".join(separator.join(f'"{cell}"' if "\n" in cell else cell for cell in cells_of_row) + "\n" for cells_of_row in cells)
        yield kind, f"{kind}\n{text}".encode()
    for name in ("scenes_chair", "mmmu", "pope_random"):
        yield name, b"task\n" + (TESTS.parent / "eval" / "tasks" / f"{name}.json").read_bytes()
    yield "objects", b'objects\n{"objects": {"red circle": ["red disc", "round red thing"], "dog": []}}'
    yield "verdicts", b'verdicts\n{"id": "1", "score": 0.5}\n{"id": 2, "score": 1, "prediction_sha256": "00"}\n'
    yield "choices", b'choices\n{"id": "1", "choice": "B"}\n{"id": 2, "choice": null}\n'
    head = {"run": {"format": 1, "tasks": [{"samples": 2}]}, "shard": {"index": 0, "count": 1, "samples": 2}}
    samples = [{"task": 0, "doc_id": 1, "id": "b", "error": {"code": "UNAVAILABLE", "message": "gone"}}, {"task": 0, "doc_id": 1, "id": "b", "prediction": "x"}]
    yield "journal", b"journal\n" + b"".join(map(sealed, [head, *samples])) + sealed(samples[1])[:-9]


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


def constraint_seeds():
    patterns = ["red|green|blue", r"^(?P<year>\d{4})-(?<m>0[1-9]|1[0-2])$", r"[^a-zé\]\-x]{2,5}?(?:\w+\s*)*", r"日(本|曜)?\u00e9\x41.",
                "((a{9}){9}){9}", "(a?){30}(b|.)*c{3,}", r"(a)\1", "(?=a)b", "[[:alpha:]]", "x++", "a|^b$"]
    schemas = [
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": -7, "maximum": 120}, "b": {"type": ["string", "null"]},
                                          "c": {"$ref": "#/$defs/x"}}, "required": ["b"], "$defs": {"x": {"type": "boolean"}}},
        {"type": "array", "prefixItems": [{"type": "null"}], "items": {"enum": ["ü", 1.5, {"k": []}]}, "minItems": 1, "maxItems": 3},
        {"oneOf": [{"const": "a"}, {"type": "number"}]},
        {"type": "string", "pattern": "^a\"?[b-d\n]+"},
        {"type": "string", "minLength": 1, "maxLength": 3},
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "uuid"}]},
    ]
    for i, pattern in enumerate(patterns):
        yield f"regex_{i:02}", b"r" + pattern.encode()
    for i, schema in enumerate(schemas):
        yield f"schema_{i:02}", b"j" + json.dumps(schema, ensure_ascii=False).encode()


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def message(*fields):
    """A protobuf message from (number, value) pairs: whole numbers, floats (as double), texts, bytes."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value & (1 << 64) - 1)
        elif isinstance(value, float):
            out += varint(number << 3 | 1) + struct.pack("<d", value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def proto_request_seeds():
    picture, stored = message((1, b"picture")), message((2, "a" * 64))
    layers = message((1, 1), (2, 2))
    sampling = message((1, 8), (2, 0.5), (3, 4), (4, 0.9), (5, 0.1), (6, 1.5), (7, 1 << 63), (8, "stop"), (9, 2))
    var = message((1, 0.5), (2, 0.5), (3, 20.0), (4, 0.2), (5, layers), (6, message((1, 1))[1:]), (7, 2))
    interventions = message((1, var), (2, message((1, 0.7), (5, layers), (6, 2), (7, 1))), (4, message((1, 1.5))))
    vcd = message((3, message((1, 0.2), (3, 2))), (5, message((1, 1.0), (2, 0.1), (3, 500))))
    attention = message((1, 2), (2, layers), (3, 1))
    prompt = [(1, "m"), (2, "id"), (3, picture), (3, stored), (4, "What?"), (6, 1), (7, "Be brief."), (8, sampling)]
    turns = [(5, message((1, 1), (2, "a"), (3, picture))), (5, message((1, 2), (2, "b"))), (5, message((1, 1), (2, "c")))]
    yield "generate", b"\0" + message(*prompt, (9, interventions), (10, attention), (12, 5), (13, 3), (14, 1))
    yield "ask_dialogue", b"\1" + message(*turns, (9, vcd), (3, message((3, "file:///a.png"))))
    yield "ask_choices", b"\1" + message((4, "a"), (11, message((1, message((1, "yes"), (1, "no"))))))
    yield "ask_regex", b"\1" + message((4, "a"), (11, message((2, "a+"))), (6, 2))
    yield "ask_schema", b"\1" + message((4, "a"), (11, message((3, "{}"))), (99, 1))
    yield "explain", b"\2" + message(*prompt, (14, layers), (15, 3), (16, 0.9), (17, message((1, 9), (2, 4), (3, 1), (4, 5))))
    yield "embed", b"\3" + message((2, picture), (3, "a text"), (4, 4), (5, 1))
    raw = struct.pack("<I", 5) + b"What?"
    parameters = [(4, message((1, "temperature"), (2, message((4, 0.5))))), (4, message((1, "seed"), (2, message((5, 7)))))]
    inputs = [(5, message((1, "prompt"), (2, "BYTES"), (3, 1))), (5, message((1, "image"), (2, "BYTES"), (3, 1)))]
    yield "infer_raw", b"\4" + message((1, "m"), *parameters, *inputs, (6, message((1, "answer"))), (7, raw), (7, raw))
    yield "infer", b"\4" + message((5, message((1, "prompt"), (2, "BYTES"), (3, 1), (5, message((8, "What?"))))))


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


TARGETS = {"answer_line": answer_line_seeds, "eval_file": eval_file_seeds, "safetensors": safetensors_seeds, "gguf": gguf_seeds, "constraint": constraint_seeds, "image_decode": image_decode_seeds, "config": config_seeds,
           "tokenizer_model": tokenizer_model_seeds, "tokenizer_text": tokenizer_text_seeds, "proto_request": proto_request_seeds,
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
