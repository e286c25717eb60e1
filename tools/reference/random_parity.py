"""The tiny models of `binocle make-random` beside transformers and the gguf package: random_parity.py PROGRAM.

tiny-llama and tiny-llava, f32, f16 and bf16, and tiny-llava in Binocle's form and back: 16 greedy tokens equal, log-probabilities within
1e-4. GGUF: every tensor as the gguf package reads it equals the one that `binocle convert` would see; here its mean and width.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForCausalLM, AutoTokenizer, CLIPImageProcessor
from transformers import LlavaForConditionalGeneration

from common import GOLDEN

PICTURE = GOLDEN / "images" / "scene_70x70.png"
PROMPT = "What is in the picture?"


def ask(program: str, model: Path, *options: str) -> dict:
    command = [program, "ask", "--json", "--model", str(model), "--prompt-format", "raw"]
    command += ["--max-new-tokens", "16", "--logprobs", "5", *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def reference(model: Path, picture: bool, steps: int) -> tuple[list[int], list[int], list]:
    """Prompt ids, greedy ids and log-probabilities of transformers in f32."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer((("<image>" if picture else "") + PROMPT))["input_ids"]
    extra = {}
    if picture:
        config = json.loads((model / "config.json").read_text())
        image = config["image_token_index"]
        side = config["vision_config"]["image_size"] // config["vision_config"]["patch_size"]
        at = ids.index(image)
        ids = ids[:at] + [image] * side * side + ids[at + 1 :]
        pixels = CLIPImageProcessor.from_pretrained(model)(Image.open(PICTURE), return_tensors="pt")
        extra = {"pixel_values": pixels["pixel_values"]}
    kind = LlavaForConditionalGeneration if picture else AutoModelForCausalLM
    network = kind.from_pretrained(model, dtype=torch.float32, attn_implementation="eager").eval()
    prompt, out, logprobs = list(ids), [], []
    with torch.no_grad():
        for _ in range(steps):
            logits = network(input_ids=torch.tensor([ids]), **extra).logits[0, -1]
            logprobs.append(torch.log_softmax(logits.double(), -1))
            out.append(int(logits.argmax()))
            ids = ids + [out[-1]]
    return prompt, out, logprobs


def check(program: str, model: Path, picture: bool) -> str:
    options = ["--image", str(PICTURE)] if picture else []
    got = ask(program, model, *options, ("<image>" if picture else "") + PROMPT)
    prompt, tokens, logprobs = reference(model, picture, len(got["token_ids"]))
    assert got["prompt_token_ids"] == prompt, "prompt ids differ"
    assert got["token_ids"] == tokens, (got["token_ids"], tokens)
    worst = max(
        abs(value - float(want[token]))
        for step, want in zip(got["logprobs"], logprobs)
        for token, value in step
    )
    assert worst < 1e-4, worst
    return f"{len(set(tokens))} different of {len(tokens)} tokens, worst log-probability {worst:.1e}"


def check_gguf(path: Path, width: float) -> str:
    reader = gguf.GGUFReader(path)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float64)
        assert np.isfinite(values).all(), tensor.name
        if tensor.name == "token_embd.weight":
            assert abs(values.std() / width - 1) < 0.02, (tensor.name, values.std())
            assert abs(values.mean()) < 0.03 * width, (tensor.name, values.mean())
    return f"{len(reader.tensors)} tensors, {len(reader.fields)} fields"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    program = parser.parse_args().program
    with tempfile.TemporaryDirectory() as place:

        def run(command: str, name: str, *words: str) -> Path:
            out = Path(place) / name
            whole = [program, command, "--out", str(out), *words]
            subprocess.run(whole, check=True, stdout=subprocess.DEVNULL)
            return out

        for preset in ("tiny-llama", "tiny-llava"):
            for dtype in ("f32", "f16", "bf16"):
                path = run("make-random", preset + dtype, "--preset", preset, "--dtype", dtype)
                print(preset, dtype, check(program, path, preset == "tiny-llava"))
        binocle = run("convert", "b", "--model", str(Path(place) / "tiny-llavaf32"), "--to", "binocle")
        back = run("convert", "h", "--model", str(binocle), "--to", "hf")
        print("tiny-llava there and back", check(program, back, True))
        for dtype in ("f32", "f16", "bf16", "q8_0", "q4_0"):
            path = run("make-random", dtype + ".gguf", "--preset", "tiny-llama", "--dtype", dtype)
            print("tiny-llama.gguf", dtype, check_gguf(path, 0.05))
    sys.exit(0)


if __name__ == "__main__":
    main()
