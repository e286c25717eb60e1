"""Makes tests/golden/gguf_models: gguf_models.py [--out DIR]. Checkpoints and tokenizers of other cases, written as GGUF files.

`<case>.gguf` has the weights of tests/golden/<case>, so that its reference holds for both; rows of q and k are permuted where the
architecture is llama, as llama.cpp's converter does it. `tokenizer_<kind>.gguf` has a vocabulary and no tensors. `<case>_mmproj.gguf` has the
tower and the projector of a LLaVA case, whose text model `<case>.gguf` is then, with its tokenizer; the names are those of llama.cpp's converters
(the FFN's products are the other way round in older files: `legacy`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import numpy as np
from safetensors.torch import load_file
from sentencepiece import SentencePieceProcessor

from common import GOLDEN, read_json

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def permuted(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rows j and d/2 + j of each head side by side."""
    halves = weights.reshape(heads, 2, len(weights) // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)


def file_name(name: str) -> str:
    stem, ending = name.rsplit(".", 1)
    if not stem.startswith("model.layers."):
        return f"{NAMES[stem]}.{ending}"
    _, _, number, part = stem.split(".", 3)
    return f"blk.{number}.{NAMES[part]}.{ending}"


TOWER_NAMES = {
    "embeddings.class_embedding": "v.class_embd",
    "embeddings.patch_embedding.": "v.patch_embd.",
    "embeddings.position_embedding.": "v.position_embd.",
    "pre_layrnorm.": "v.pre_ln.",
    "self_attn.q_proj.": "attn_q.",
    "self_attn.k_proj.": "attn_k.",
    "self_attn.v_proj.": "attn_v.",
    "self_attn.out_proj.": "attn_out.",
    "layer_norm1.": "ln1.",
    "layer_norm2.": "ln2.",
    "mlp.fc1.": "ffn_up.",
    "mlp.fc2.": "ffn_down.",
}
LEGACY = {"mlp.fc1.": "ffn_down.", "mlp.fc2.": "ffn_up."}
PROJECTOR_NAMES = {"linear_1.": "mm.0.", "linear_2.": "mm.2."}


def renamed(name: str, names: dict[str, str]) -> str:
    prefix = next(p for p in names if name.startswith(p))
    return names[prefix] + name[len(prefix) :]


def write_projector(case: str, legacy: bool, out: Path) -> None:
    """Layers behind the one that LLaVA reads are left out, and with them the final norm."""
    whole = read_json(GOLDEN / case / "config.json")
    config, processor = whole["vision_config"], read_json(GOLDEN / case / "preprocessor_config.json")
    layers = config["num_hidden_layers"] + 1 + whole["vision_feature_layer"]
    writer = gguf.GGUFWriter(str(out / f"{case}_mmproj.gguf"), "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.has_llava_projector", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_uint32("clip.vision.image_size", config["image_size"])
    writer.add_uint32("clip.vision.patch_size", config["patch_size"])
    writer.add_uint32("clip.vision.embedding_length", config["hidden_size"])
    writer.add_uint32("clip.vision.feed_forward_length", config["intermediate_size"])
    writer.add_uint32("clip.vision.projection_dim", 8)
    writer.add_uint32("clip.vision.block_count", layers)
    writer.add_uint32("clip.vision.attention.head_count", config["num_attention_heads"])
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", config["layer_norm_eps"])
    writer.add_array("clip.vision.image_mean", processor["image_mean"])
    writer.add_array("clip.vision.image_std", processor["image_std"])
    writer.add_bool("clip.use_gelu", config["hidden_act"] != "quick_gelu")
    names = TOWER_NAMES | (LEGACY if legacy else {})
    tower, projector = "vision_tower.vision_model.", "multi_modal_projector."
    for name, tensor in load_file(str(GOLDEN / case / "model.safetensors")).items():
        values = np.ascontiguousarray(tensor.float().numpy())
        if name.startswith(projector):
            writer.add_tensor(renamed(name[len(projector) :], PROJECTOR_NAMES), values)
        if not name.startswith(tower) or "post_layernorm" in name or ".head." in name:
            continue
        part = name[len(tower) :]
        if part.startswith("encoder.layers."):
            _, _, number, part = part.split(".", 3)
            if int(number) < layers:
                writer.add_tensor(f"v.blk.{number}.{renamed(part, names)}", values)
        else:
            writer.add_tensor(renamed(part, names), values)
    finish(writer)


def write_model(case: str, architecture: str, out: Path) -> None:
    """The text model of a case, which is all of it or LLaVA's."""
    whole = read_json(GOLDEN / case / "config.json")
    config = whole.get("text_config", whole)
    writer = gguf.GGUFWriter(str(out / f"{case}.gguf"), architecture)
    if config is not whole:
        add_llama_tokenizer(writer, GOLDEN / case / "tokenizer.model")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_key_length(head)
    writer.add_value_length(head)
    if architecture == "granite":
        writer.add_embedding_scale(config["embedding_multiplier"])
        writer.add_attention_scale(config["attention_multiplier"])
        writer.add_residual_scale(config["residual_multiplier"])
        writer.add_logit_scale(config["logits_scaling"])
    heads = {"q": config["num_attention_heads"], "k": config["num_key_value_heads"]}
    prefix = "language_model." if config is not whole else ""
    for name, tensor in load_file(str(GOLDEN / case / "model.safetensors")).items():
        if not name.startswith(prefix):
            continue
        values = tensor.float().numpy()
        which = name.split("self_attn.")[-1][:1]
        if architecture in ("llama", "granite") and f"{which}_proj" in name and which in heads:
            values = permuted(values, heads[which])
        writer.add_tensor(file_name(name[len(prefix) :]), np.ascontiguousarray(values))
    finish(writer)


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_gpt2_tokenizer(pattern: str, path: Path) -> None:
    file = read_json(GOLDEN / "tokenizer_bpe" / "smollm2" / "tokenizer.json")
    model, special = file["model"], {token["id"] for token in file["added_tokens"]}
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pattern)
    writer.add_token_list(tokens)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control if i in special else normal for i in range(len(tokens))])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    writer.add_bos_token_id(0)
    writer.add_add_bos_token(False)
    finish(writer)


def write_llama_tokenizer(out: Path) -> None:
    writer = gguf.GGUFWriter(str(out / "tokenizer_llama.gguf"), "llama")
    add_llama_tokenizer(writer, GOLDEN / "tokenizer" / "legacy" / "tokenizer.model")
    finish(writer)


def add_llama_tokenizer(writer: gguf.GGUFWriter, path: Path) -> None:
    model = SentencePieceProcessor(model_file=str(path))

    def kind(i: int) -> gguf.TokenType:
        for test, found in (
            (model.IsUnknown, gguf.TokenType.UNKNOWN),
            (model.IsControl, gguf.TokenType.CONTROL),
            (model.IsByte, gguf.TokenType.BYTE),
            (model.IsUnused, gguf.TokenType.UNUSED),
        ):
            if test(i):
                return found
        return gguf.TokenType.NORMAL

    ids = range(model.get_piece_size())
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*(model.id_to_piece(i) for i in ids), "<image>"])
    writer.add_token_scores([*(model.get_score(i) for i in ids), 0.0])
    writer.add_token_types([*(kind(i) for i in ids), gguf.TokenType.CONTROL])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    args = parser.parse_args()
    out = args.out / "gguf_models"
    out.mkdir(parents=True, exist_ok=True)
    models = {"llama_tied": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "granite": "granite"}
    for case, architecture in models.items():
        write_model(case, architecture, out)
    for case, architecture in (("llava", "llama"), ("llava_siglip", "qwen2")):
        write_model(case, architecture, out)
        write_projector(case, case == "llava", out)
    write_gpt2_tokenizer("smollm", out / "tokenizer_gpt2.gguf")
    write_gpt2_tokenizer("refact", out / "tokenizer_refact.gguf")
    write_llama_tokenizer(out)


if __name__ == "__main__":
    main()
