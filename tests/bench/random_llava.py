"""Writes a LLaVA of random weights and of the size of TinyLlama (1.1 B), for bench_engine: python3 tests/bench/random_llava.py OUT

Weights are bfloat16 of either sign and of magnitude 2**-8 to 2**-6, those of norms 1. The tokenizer is the one of tests/golden/llava.
"""

import json
import os
import pathlib
import shutil
import struct
import sys

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "llava"
TEXT = {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4,
        "head_dim": 64, "vocab_size": 32000, "max_position_embeddings": 2048}
VISION = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 168, "patch_size": 14,
          "projection_dim": 256}
SIGN_AND_EXPONENT = bytes(b & 0x80 | 0x3C for b in range(256))  # the high byte; the low one has the exponent's last bit


def shapes():
    t, v = TEXT, VISION
    d, kv = t["hidden_size"], t["num_key_value_heads"] * t["head_dim"]
    yield "language_model.lm_head.weight", [t["vocab_size"], d]
    yield "language_model.model.embed_tokens.weight", [t["vocab_size"], d]
    yield "language_model.model.norm.weight", [d]
    for i in range(t["num_hidden_layers"]):
        layer = f"language_model.model.layers.{i}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}{norm}.weight", [d]
        for name, rows in (("q", d), ("k", kv), ("v", kv), ("o", d)):
            yield f"{layer}self_attn.{name}_proj.weight", [rows, d]
        for name in ("gate", "up"):
            yield f"{layer}mlp.{name}_proj.weight", [t["intermediate_size"], d]
        yield f"{layer}mlp.down_proj.weight", [d, t["intermediate_size"]]
    w = v["hidden_size"]
    for name, columns in (("linear_1", w), ("linear_2", d)):
        yield f"multi_modal_projector.{name}.weight", [d, columns]
        yield f"multi_modal_projector.{name}.bias", [d]
    tower = "vision_tower.vision_model."
    patches = (v["image_size"] // v["patch_size"]) ** 2
    yield tower + "embeddings.class_embedding", [w]
    yield tower + "embeddings.patch_embedding.weight", [w, 3, v["patch_size"], v["patch_size"]]
    yield tower + "embeddings.position_embedding.weight", [patches + 1, w]
    for norm in ("pre_layrnorm", "post_layernorm", *(f"encoder.layers.{i}.layer_norm{k}" for i in range(v["num_hidden_layers"]) for k in (1, 2))):
        for part in ("weight", "bias"):
            yield f"{tower}{norm}.{part}", [w]
    for i in range(v["num_hidden_layers"]):
        layer = f"{tower}encoder.layers.{i}."
        for name, rows, columns in (("mlp.fc1", v["intermediate_size"], w), ("mlp.fc2", w, v["intermediate_size"]),
                                    *((f"self_attn.{p}_proj", w, w) for p in ("q", "k", "v", "out"))):
            yield f"{layer}{name}.weight", [rows, columns]
            yield f"{layer}{name}.bias", [rows]


def write_weights(path):
    header, end = {}, 0
    for name, shape in shapes():
        size = 2
        for n in shape:
            size *= n
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, entry in header.items():
            count = (entry["data_offsets"][1] - entry["data_offsets"][0]) // 2
            if "norm" in name and name.endswith("weight"):
                file.write(b"\x80\x3f" * count)
                continue
            data = bytearray(2 * count)
            data[0::2] = os.urandom(count)
            data[1::2] = os.urandom(count).translate(SIGN_AND_EXPONENT)
            file.write(data)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True)
    for file in GOLDEN.iterdir():
        if file.suffix in (".json", ".model") and not file.name.startswith(("reference", "embeddings", "config")):
            shutil.copy(file, out)
    config = json.loads((GOLDEN / "config.json").read_text())
    config["text_config"].update(TEXT)
    config["vision_config"].update(VISION)
    config["image_seq_length"] = (VISION["image_size"] // VISION["patch_size"]) ** 2
    (out / "config.json").write_text(json.dumps(config, indent=1))
    processor = json.loads((GOLDEN / "preprocessor_config.json").read_text())
    side = VISION["image_size"]
    processor["size"] = {"shortest_edge": side}
    processor["crop_size"] = {"height": side, "width": side}
    (out / "preprocessor_config.json").write_text(json.dumps(processor, indent=1))
    write_weights(out / "model.safetensors")


main()
