"""OpenVINO GenAI as a process that takes turns. Run by the Python of the peers' venv.

Reads one JSON object a line from stdin and writes one to stdout for each; ends with stdin.

    {"do": "load", "model": DIR, "properties": {…}}       a pipeline of all parts
    {"do": "prefill", "tokens": T, "seed": S}             a prompt of T tokens to its first token
    {"do": "decode", "tokens": T, "steps": N, "seed": S}  seconds of each of N tokens after that
    {"do": "picture", "tokens": T, "seed": S}             a picture and T tokens of text, alike
    {"do": "load_encoder", "model": DIR, "properties": {…}}
    {"do": "encode", "seed": S}                           a picture through tower and projector

Answers have "seconds", "peak_bytes" (VmHWM) and, where there is one, "prompt_tokens"; or "error".
Prompts and pictures of two seeds differ from their first block on, so that the pipeline's prefix
cache, which stays as it comes, has nothing of the one for the other.
"""

import json
import os
import random
import string
import sys
import time

import numpy as np
import openvino
import openvino_genai

SIDE = 336  # of the picture: what the tower takes, so that no resizing is measured
SPECIAL_TOKENS = 1  # <s>
PICTURE_TOKENS = 1  # the newline that the pipeline writes behind a picture


def peak_bytes():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def text_of(tokens, seed):
    """A prompt of `tokens` with <s>: make-random's tokenizer has a token for each letter."""
    letters = random.Random(seed)
    return "".join(letters.choices(string.ascii_lowercase, k=tokens - SPECIAL_TOKENS))


class Side:
    def __init__(self):
        self.pipeline = None
        self.encoder = None

    def load(self, model, properties):
        start = time.perf_counter()
        self.pipeline = openvino_genai.VLMPipeline(model, "CPU", **properties)
        return {"seconds": time.perf_counter() - start, "version": openvino_genai.__version__}

    def _generate(self, text, new_tokens, **more):
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = new_tokens
        config.ignore_eos = True
        config.do_sample = False
        config.apply_chat_template = False
        start = time.perf_counter()
        result = self.pipeline.generate(text, generation_config=config, **more)
        return result.perf_metrics, time.perf_counter() - start

    def prefill(self, tokens, seed):
        metrics, whole = self._generate(text_of(tokens, seed), 1)
        return first_token(metrics, whole)

    def decode(self, tokens, steps, seed):
        metrics, _ = self._generate(text_of(tokens, seed), steps + 1)
        generated = metrics.get_num_generated_tokens()
        if generated != steps + 1:
            raise ValueError(f"decode: {generated} tokens were generated, expected {steps + 1}")
        return {"seconds": metrics.get_tpot().mean / 1000}

    def picture(self, tokens, seed):
        metrics, whole = self._generate(
            text_of(tokens - PICTURE_TOKENS, seed), 1, images=[noise(seed)]
        )
        return first_token(metrics, whole)

    def load_encoder(self, model, properties):
        path = os.path.join(model, "openvino_vision_embeddings_model.xml")
        start = time.perf_counter()
        compiled = openvino.Core().compile_model(path, "CPU", properties)
        self.encoder = compiled.create_infer_request()
        return {"seconds": time.perf_counter() - start}

    def encode(self, seed):
        pixels = np.random.default_rng(seed).standard_normal((1, 3, SIDE, SIDE), np.float32)
        start = time.perf_counter()
        self.encoder.infer({0: pixels})
        return {"seconds": time.perf_counter() - start}


def noise(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    return openvino.Tensor(pixels)


def first_token(metrics, whole):
    """The pipeline's own time to the first token; the call's beside it, as a check."""
    return {
        "seconds": metrics.get_ttft().mean / 1000,
        "call_seconds": whole,
        "prompt_tokens": metrics.get_num_input_tokens(),
    }


def main():
    # Libraries print to stdout; answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    side = Side()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(side, request.pop("do"))(**request)
            answer["peak_bytes"] = peak_bytes()
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
