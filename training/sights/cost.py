"""Multiply-adds of one picture and a question, from a model's config.json alone: products and attention, no norms or activations."""

from __future__ import annotations

from dataclasses import dataclass

QUESTION = 12  # text tokens


@dataclass(frozen=True)
class Cost:
    visual_tokens: int
    vision: int  # towers, fusion, projector
    prefill: int  # the language model on picture and question
    head: int

    @property
    def total(self) -> int:
        return self.vision + self.prefill + self.head


def tower(c: dict) -> tuple[int, int]:
    """Multiply-adds, and patches."""
    width, patches = c["hidden_size"], (c["image_size"] // c["patch_size"]) ** 2
    tokens = patches + 1 + c.get("num_register_tokens", 0)
    ffn = c.get("intermediate_size") or c["mlp_ratio"] * width
    layer = tokens * (4 * width * width + 2 * width * ffn) + 2 * tokens * tokens * width
    return 3 * patches * c["patch_size"] ** 2 * width + c["num_hidden_layers"] * layer, patches


def language(c: dict, composite: dict | None, visual: int, text: int) -> int:
    """Causal: a text row sees the picture and half of the text, a picture's row half of the picture, or nothing under composite attention."""
    width, ffn = c["hidden_size"], c["intermediate_size"]
    attended = c["num_attention_heads"] * c["head_dim"]
    square, kv = width * attended, 2 * width * c["num_key_value_heads"] * c["head_dim"]
    whole_row = 2 * square + kv + 3 * width * ffn
    text_rows = text * whole_row + 2 * attended * (text * visual + text * (text + 1) // 2)
    if composite is None:
        return c["num_hidden_layers"] * (text_rows + visual * whole_row + attended * visual * (visual + 1))
    # Keys and values of a picture's row, and its aligner: W_O of the value, and the feed-forward part with vo_ffn.
    aligner = {"none": 0, "vo": square, "vo_ffn": square + 3 * width * ffn}[composite["aligner"]]
    return c["num_hidden_layers"] * (text_rows + visual * (kv + aligner))


def multiplications(config: dict, text: int = QUESTION) -> Cost:
    anchor, patches = tower(config["anchor_config"])
    width = config["anchor_config"]["hidden_size"]
    fusion, out = config["fusion_config"]["type"], config["text_config"]["hidden_size"]
    vision, visual, wide = anchor, patches, width
    if "augment_config" in config:
        augment, keys = tower(config["augment_config"])
        other = config["augment_config"]["hidden_size"]
        vision += augment
        if fusion == "ftz":  # q and out of the queries, k and v of the keys, scores and sums
            vision += 2 * patches * width * width + 2 * keys * other * width + 2 * patches * keys * width
        wide = width + other if fusion == "channel_concat" else width
        visual = 2 * patches if fusion == "interleave" else patches
    vision += visual * (wide * out + out * out)
    c = config["text_config"]
    return Cost(visual, vision, language(c, config.get("composite_attention"), visual, text), c["hidden_size"] * c["vocab_size"])
