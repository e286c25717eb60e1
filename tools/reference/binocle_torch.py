"""Binocle directories in plain PyTorch: an oracle for the C++ code, from docs/model_format.md.

Towers, rotary positions and the decoder's parts are transformers' own. Composite attention is not
written as such: it is the stock layer under the mask of papers.md 1.2 (a visual row sees itself
only). The whole sequence is computed again at every step; there is no key/value cache to get wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM

from common import read_json
from towers import final_norm, register_count, tower_from_config

Weights = dict[str, torch.Tensor]


def load_weights(folder: Path) -> Weights:
    """Every tensor of the single file or of the shards, as f32."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return {k: v.float() for k, v in load_file(str(folder / "model.safetensors")).items()}
    weight_map = read_json(index)["weight_map"]
    shards = {name: load_file(str(folder / name)) for name in set(weight_map.values())}
    return {k: shards[name][k].float() for k, name in weight_map.items()}


def part_config(folder: Path, config: dict[str, Any], key: str) -> dict[str, Any]:
    """A section of config.json; where it names a public checkpoint, that one's with its keys laid over."""
    written = config[key]
    if "path" not in written:
        return written
    found = read_json(folder / written["path"] / "config.json")
    if key != "text_config" and "vision_config" in found:
        kind = found["model_type"] + "_vision_model"
        found = {"model_type": kind} | found["vision_config"]
    return found | {k: v for k, v in written.items() if k != "path"}


def part_weights(folder: Path, config: dict[str, Any], key: str, own: Weights) -> Weights:
    """The tensors of that section, whose names in other checkpoints have no prefix of ours."""
    prefix = {"text_config": "language_model."}.get(key, key.removesuffix("config").replace("_", "."))
    written = config[key]
    if "path" not in written:
        return section(own, prefix)
    found = load_weights(folder / written["path"])
    if key == "text_config":
        return found
    towers = {k: v for k, v in found.items() if k.startswith("vision_model.")}
    return towers or found


def section(weights: Weights, prefix: str) -> Weights:
    return {k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)}


def linear(x: torch.Tensor, weights: Weights, name: str) -> torch.Tensor:
    return F.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))


@dataclass
class Features:
    """Selected rows of one tower: [class token +] grid[0] * grid[1] patches."""

    rows: torch.Tensor  # [n, d]
    grid: tuple[int, int]
    has_class: bool


def tower_features(
    tower: torch.nn.Module, config: dict[str, Any], pixels: torch.Tensor
) -> Features:
    """hidden_states[layer] -> final norm, if asked for -> drop registers, and the class token."""
    states = tower(pixels[None], output_hidden_states=True).hidden_states
    x = states[config.get("vision_feature_layer", -2)]
    if config.get("vision_feature_norm", False):
        x = final_norm(tower)(x)
    special = 0 if tower.config.model_type == "siglip_vision_model" else 1 + register_count(tower)
    patches = x[0, special:]
    patch = tower.config.patch_size
    grid = (pixels.shape[1] // patch, pixels.shape[2] // patch)
    full = special > 0 and config.get("vision_feature_select_strategy", "default") == "full"
    rows = torch.cat([x[0, :1], patches]) if full else patches
    return Features(rows, grid, full)


def resample(b: Features, grid: tuple[int, int]) -> torch.Tensor:
    """B on the anchor's grid: bilinear, half-pixel centres, no antialiasing; class token kept."""
    if b.grid == grid:
        return b.rows
    head, patches = b.rows[: int(b.has_class)], b.rows[int(b.has_class) :]
    plane = patches.T.reshape(1, -1, *b.grid)
    plane = F.interpolate(plane, size=grid, mode="bilinear", align_corners=False, antialias=False)
    return torch.cat([head, plane.flatten(2)[0].T])


def cross_attention(a: torch.Tensor, b: torch.Tensor, w: Weights, heads: int) -> torch.Tensor:
    q, k, v = linear(a, w, "q_proj"), linear(b, w, "k_proj"), linear(b, w, "v_proj")
    width = q.shape[1] // heads
    mixed = []
    for h in range(heads):
        part = slice(h * width, (h + 1) * width)
        weights = torch.softmax(q[:, part] @ k[:, part].T / width**0.5, dim=-1)
        mixed.append(weights @ v[:, part])
    return linear(torch.cat(mixed, dim=1), w, "out_proj")


def ftz(a: torch.Tensor, b: torch.Tensor, w: Weights, config: dict[str, Any]) -> torch.Tensor:
    norm, eps = config.get("norm", "post"), config.get("layer_norm_eps", 1e-5)

    def layer_norm(x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, (x.shape[-1],), w["norm.weight"], w["norm.bias"], eps)

    queries = layer_norm(a) if norm == "pre" else a
    out = cross_attention(queries, b, w, config["num_attention_heads"])
    if config.get("residual", True):
        out = a + out
    return layer_norm(out) if norm == "post" else out


def project(x: torch.Tensor, w: Weights, prefix: str = "") -> torch.Tensor:
    return linear(F.gelu(linear(x, w, f"{prefix}linear_1")), w, f"{prefix}linear_2")


def fuse_and_project(
    a: Features, b: Features | None, config: dict[str, Any], fusion: Weights, projector: Weights
) -> tuple[torch.Tensor | None, torch.Tensor]:
    """(fused [n, d] or None where two projectors replace it, visual tokens [n, D])."""
    kind = config["type"]
    if kind in ("token_concat", "interleave"):
        rows = b.rows if kind == "token_concat" else resample(b, a.grid)
        pa, pb = project(a.rows, projector, "anchor."), project(rows, projector, "augment.")
        joined = (
            torch.cat([pa, pb])
            if kind == "token_concat"
            else torch.stack([pa, pb], 1).flatten(0, 1)
        )
        return None, joined
    if kind == "anchor":
        fused = a.rows
    elif kind == "augment":
        fused = b.rows
    elif kind == "ftz":
        fused = ftz(a.rows, b.rows, fusion, config)
    elif kind == "add":
        rows = resample(b, a.grid)
        rows = linear(rows, fusion, "augment_proj") if "augment_proj.weight" in fusion else rows
        alpha = config.get("alpha", 0.5)
        fused = alpha * a.rows + (1 - alpha) * rows
    else:
        fused = torch.cat([a.rows, resample(b, a.grid)], dim=1)
    return fused, project(fused, projector)


def causal_mask(length: int) -> torch.Tensor:
    return torch.full((length, length), float("-inf")).triu(1)


def composite_mask(visual: torch.Tensor) -> torch.Tensor:
    """Causal, except that a visual row sees its own column only."""
    mask = causal_mask(len(visual))
    mask[visual] = float("-inf")
    mask[visual, visual.nonzero()[:, 0]] = 0.0
    return mask


def composite_layer(
    layer: torch.nn.Module,
    x: torch.Tensor,
    visual: torch.Tensor,
    aligner: str,
    position_embeddings: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    mask = composite_mask(visual)[None, None]
    attended, _ = layer.self_attn(
        hidden_states=layer.input_layernorm(x),
        attention_mask=mask,
        position_embeddings=position_embeddings,
    )
    gain = getattr(layer, "residual_multiplier", 1)
    h = x + gain * attended
    y = h + gain * layer.mlp(layer.post_attention_layernorm(h))
    keep = visual[None, :, None]
    if aligner == "vo_ffn":
        return y
    return torch.where(keep, h if aligner == "vo" else x, y)


class Binocle:
    """One Binocle directory. Ids of pictures are already expanded, one per visual token."""

    def __init__(self, folder: Path):
        self.config = read_json(folder / "config.json")
        weights = load_weights(folder)
        self.towers: dict[str, torch.nn.Module] = {}
        self.parts: dict[str, dict[str, Any]] = {}
        for key in ("anchor_config", "augment_config", "text_config"):
            if key in self.config:
                self.parts[key] = part_config(folder, self.config, key)
        for role in ("anchor", "augment"):
            key = f"{role}_config"
            if key in self.parts:
                tower = tower_from_config(self.parts[key]).float()
                tower.load_state_dict(part_weights(folder, self.config, key, weights), strict=True)
                self.towers[role] = tower
        self.fusion = section(weights, "fusion.")
        self.projector = section(weights, "projector.")
        keys = {k: v for k, v in self.parts["text_config"].items() if k != "model_type"}
        kind = self.parts["text_config"].get("model_type", "llama")
        text = AutoConfig.for_model(kind, **keys)
        self.lm = AutoModelForCausalLM.from_config(text, attn_implementation="eager")
        self.lm = self.lm.float().eval()
        self.lm.load_state_dict(
            part_weights(folder, self.config, "text_config", weights),
            strict=not text.tie_word_embeddings,
        )

    def encode(self, pixels: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Stages of one picture: anchor, augment, fused, projected; all [n, d]."""
        found = {
            role: tower_features(self.towers[role], self.parts[f"{role}_config"], pixels[role])
            for role in self.towers
        }
        fused, projected = fuse_and_project(
            found["anchor"],
            found.get("augment"),
            self.config["fusion_config"],
            self.fusion,
            self.projector,
        )
        stages = {role: features.rows for role, features in found.items()}
        if fused is not None:
            stages["fused"] = fused
        return stages | {"projected": projected}

    def composite_layers(self) -> set[int]:
        settings = self.config.get("composite_attention")
        if settings is None:
            return set()
        every = range(self.lm.config.num_hidden_layers)
        return set(every if settings["layers"] == "all" else settings["layers"])

    def forward(
        self, ids: list[int], visual_tokens: torch.Tensor | None
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(logits [T, V], hidden states: embeddings and the output of every layer, each [T, D])."""
        tokens = torch.tensor(ids)
        visual = tokens == self.config["image_token_index"]
        model = self.lm.model
        x = model.embed_tokens(tokens)
        if visual_tokens is not None:
            x[visual] = visual_tokens
        x = x[None] * getattr(self.lm.config, "embedding_multiplier", 1)
        rotary = model.rotary_emb(x, torch.arange(len(ids))[None])
        composite, states = self.composite_layers(), [x[0]]
        for index, layer in enumerate(model.layers):
            if index in composite:
                x = composite_layer(
                    layer, x, visual, self.config["composite_attention"]["aligner"], rotary
                )
            else:
                x = layer(
                    x, attention_mask=causal_mask(len(ids))[None, None], position_embeddings=rotary
                )
            states.append(x[0])
        logits = self.lm.lm_head(model.norm(x))[0]
        return logits / getattr(self.lm.config, "logits_scaling", 1), states
