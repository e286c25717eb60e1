#!/usr/bin/env python3
"""PyTorch and transformers on the shape of `gpu_check speed`: LLaVA-1.5-7B's tower and language model, random weights, bf16, SDPA.

    tools/gpu/peer.py
"""

import time

import torch
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

ROUNDS = 7
VISUAL, TEXT = 576, 64


def median(body):
    times = []
    for round_ in range(ROUNDS + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        body()
        torch.cuda.synchronize()
        if round_:
            times.append((time.perf_counter() - start) * 1000)
    return sorted(times)[len(times) // 2]


def tower():
    config = CLIPVisionConfig(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336,
                              patch_size=14, attn_implementation="sdpa")
    model = CLIPVisionModel(config).to("cuda", torch.bfloat16).eval()
    pixels = torch.zeros(1, 3, 336, 336, device="cuda", dtype=torch.bfloat16)
    print(f"tower ViT-L/14 at 336 px, bf16: {median(lambda: model(pixels, output_hidden_states=True)):.3f} ms", flush=True)


def language():
    config = LlamaConfig(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, vocab_size=32000,
                         attn_implementation="sdpa")
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).eval()
    prompt = torch.full((1, VISUAL + TEXT), 7, device="cuda")
    print(f"prefill {VISUAL} + {TEXT}, bf16, stock: {median(lambda: model(prompt, use_cache=True, logits_to_keep=1)):.3f} ms", flush=True)
    for batch in (1, 8, 32, 128):
        filled = model(prompt.expand(batch, -1), use_cache=True, logits_to_keep=1).past_key_values
        step = torch.full((batch, 1), 9, device="cuda")

        def decode():
            model(step, past_key_values=filled, use_cache=True)
            filled.crop(VISUAL + TEXT)

        ms = median(decode)
        print(f"decode bf16  batch {batch:3d}: {ms:8.3f} ms, {batch * 1000 / ms:8.1f} tokens/s", flush=True)
        del filled


if __name__ == "__main__":
    with torch.inference_mode():
        tower()
        language()
