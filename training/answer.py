#!/usr/bin/env python3
"""The reference: answers requests with an exported directory, in f32, greedily, by the plainest route.

    python training/answer.py --model models/binocle-tiny --requests requests.jsonl > answers.jsonl

A request is {"id", "images": [path], "prompt"}, or has "messages" as `binocle ask --requests` reads them, with all pictures
in the first; an answer is {"id", "answer"}. The towers and the image processors are
transformers' own; the decoder is written as a stock LLaMA layer under a mask, which composite attention with the `vo`
aligner equals: a visual row sees itself only and skips the feed-forward part. Shares no code with the training.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import lru_cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sentencepiece
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from transformers import (BitImageProcessor, CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel,
                          Dinov2WithRegistersConfig, Dinov2WithRegistersModel)


class Model:
    """An exported directory, loaded."""

    def __init__(self, folder: Path):
        self.config = json.loads((folder / "config.json").read_text())
        tensors = {name: t.float() for name, t in load_file(folder / "model.safetensors").items()}

        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {name[len(prefix):]: t for name, t in tensors.items() if name.startswith(prefix)}

        self.anchor = CLIPVisionModel(CLIPVisionConfig(**self.config["anchor_config"], attn_implementation="eager"))
        self.anchor.load_state_dict(part("anchor."))
        self.augment = Dinov2WithRegistersModel(
            Dinov2WithRegistersConfig(**self.config["augment_config"], attn_implementation="eager"))
        self.augment.load_state_dict(part("augment."))
        self.anchor.eval(), self.augment.eval()
        self.fusion, self.projector, self.language = part("fusion."), part("projector."), part("language_model.model.")
        processors = json.loads((folder / "preprocessor_config.json").read_text())
        self.anchor_processor = CLIPImageProcessor(**processors["anchor"])
        self.augment_processor = BitImageProcessor(**processors["augment"])
        self.tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))

    @lru_cache(maxsize=8)
    def visual_tokens(self, path: str) -> torch.Tensor:
        """[n, D] for a picture file."""
        picture = Image.open(path).convert("RGB")
        anchor = self.config["anchor_config"]
        a = self.anchor(**self.anchor_processor(picture, return_tensors="pt"), output_hidden_states=True)
        b = self.augment(**self.augment_processor(picture, return_tensors="pt"))
        features = a.hidden_states[anchor["vision_feature_layer"]][0, 1:]
        registers = self.config["augment_config"]["num_register_tokens"]
        return self.project(self.fuse(features, b.last_hidden_state[0, 1 + registers:]))

    def fuse(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """LayerNorm(A + MHCA(A, B))"""
        w, config = self.fusion, self.config["fusion_config"]
        heads, width = config["num_attention_heads"], config["hidden_size"]

        def split(name: str, x: torch.Tensor) -> torch.Tensor:
            return F.linear(x, w[name + ".weight"], w[name + ".bias"]).view(-1, heads, width // heads).transpose(0, 1)

        q, k, v = split("q_proj", a), split("k_proj", b), split("v_proj", b)
        p = torch.softmax(q @ k.transpose(1, 2) / (width // heads) ** 0.5, dim=-1)
        context = (p @ v).transpose(0, 1).reshape(-1, width)
        fused = a + F.linear(context, w["out_proj.weight"], w["out_proj.bias"])
        return F.layer_norm(fused, fused.shape[-1:], w["norm.weight"], w["norm.bias"], config["layer_norm_eps"])

    def project(self, x: torch.Tensor) -> torch.Tensor:
        w = self.projector
        hidden = F.gelu(F.linear(x, w["linear_1.weight"], w["linear_1.bias"]))
        return F.linear(hidden, w["linear_2.weight"], w["linear_2.bias"])

    def decode(self, x: torch.Tensor, visual: torch.Tensor, cache: list) -> torch.Tensor:
        """Appends rows x [T, D] (`visual` [T] marks the visual ones) to the cache; the last row's logits."""
        c, w = self.config["text_config"], self.language
        heads, kv_heads, d = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        past = cache[0][0].shape[1] if cache else 0
        t = x.shape[0]
        positions = torch.arange(past, past + t)
        allowed = torch.arange(past + t)[None] <= positions[:, None]
        allowed[visual] = torch.arange(past + t)[None] == positions[visual][:, None]
        cos, sin = rope(positions, d, c["rope_theta"])
        for i in range(c["num_hidden_layers"]):
            layer = f"layers.{i}."
            n = rms_norm(x, w[layer + "input_layernorm.weight"], c["rms_norm_eps"])
            q = (n @ w[layer + "self_attn.q_proj.weight"].T).view(t, heads, d).transpose(0, 1)
            k = (n @ w[layer + "self_attn.k_proj.weight"].T).view(t, kv_heads, d).transpose(0, 1)
            v = (n @ w[layer + "self_attn.v_proj.weight"].T).view(t, kv_heads, d).transpose(0, 1)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
            if past:
                k, v = torch.cat((cache[i][0], k), dim=1), torch.cat((cache[i][1], v), dim=1)
                cache[i] = (k, v)
            else:
                cache.append((k, v))
            k, v = (z.repeat_interleave(heads // kv_heads, dim=0) for z in (k, v))
            scores = (q @ k.transpose(1, 2) / d ** 0.5).masked_fill(~allowed, float("-inf"))
            context = (torch.softmax(scores, dim=-1) @ v).transpose(0, 1).reshape(t, heads * d)
            x = x + context @ w[layer + "self_attn.o_proj.weight"].T
            n = rms_norm(x, w[layer + "post_attention_layernorm.weight"], c["rms_norm_eps"])
            gate, up = n @ w[layer + "mlp.gate_proj.weight"].T, n @ w[layer + "mlp.up_proj.weight"].T
            feed = (F.silu(gate) * up) @ w[layer + "mlp.down_proj.weight"].T
            x = x + feed.masked_fill(visual[:, None], 0.0)
        return rms_norm(x[-1], w["norm.weight"], c["rms_norm_eps"]) @ w["embed_tokens.weight"].T

    def prompt_ids(self, pictures: int, prompt: str, history: list[tuple[str, str]]) -> list[int]:
        c = self.config["text_config"]
        ids = [c["bos_token_id"]] + self.tokenizer.encode("<image>" * pictures)
        for question, answer in history:
            ids += self.tokenizer.encode(f"<|user|> {question}<|assistant|> {answer}") + [c["eos_token_id"]]
        return ids + self.tokenizer.encode(f"<|user|> {prompt}<|assistant|>")

    def answer(self, images: list[str], prompt: str, history: list[tuple[str, str]] = (), max_new_tokens: int = 128) -> str:
        """Greedy, until </s>. `history`: the turns before, each a question and its answer."""
        c = self.config["text_config"]
        ids = self.prompt_ids(len(images), prompt, history)
        rows, visual, pictures = [], [], iter(images)
        for token in ids:
            if token == self.config["image_token_index"]:
                block = self.visual_tokens(next(pictures))
            else:
                block = self.language["embed_tokens.weight"][token][None]
            rows.append(block)
            visual += [token == self.config["image_token_index"]] * len(block)
        cache: list = []
        logits = self.decode(torch.cat(rows), torch.tensor(visual), cache)
        out: list[int] = []
        while len(out) < max_new_tokens:
            token = int(logits.argmax())
            if token == c["eos_token_id"]:
                break
            out.append(token)
            logits = self.decode(self.language["embed_tokens.weight"][token][None], torch.tensor([False]), cache)
        return self.tokenizer.decode(out).strip()


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def rope(positions: torch.Tensor, d: int, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    rates = theta ** (-torch.arange(0, d, 2).float() / d)
    angles = (positions[:, None].float() * rates).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


def parts_of(request: dict) -> tuple[list[str], str, list[tuple[str, str]]]:
    """Pictures, the question, and the turns before it."""
    if "messages" not in request:
        return request["images"] if "images" in request else [request["image"]], request["prompt"], []
    texts = [message["text"] for message in request["messages"]]
    return request["messages"][0]["images"], texts[-1], list(zip(texts[:-1:2], texts[1::2]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Answers requests with an exported model directory.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--images", type=Path, default=Path(), help="the folder that relative picture paths start from")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = Model(args.model)
    with torch.inference_mode(), open(args.requests, encoding="utf-8") as lines:
        for line in lines:
            request = json.loads(line)
            images, prompt, history = parts_of(request)
            said = model.answer([str(args.images / image) for image in images], prompt, history)
            sys.stdout.write(json.dumps({"id": request["id"], "answer": said}) + "\n")


if __name__ == "__main__":
    main()
