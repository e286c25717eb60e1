"""Compares a GGUF text model with transformers, which expands its weights to f32.

    gguf_parity.py PROGRAM MODEL.gguf [--tokens N] [--show] [--chat]     PROGRAM: build/dev/bin/binocle

Twenty prompts: the ids of each, and N greedy tokens; with --chat ten conversations, as the file's own chat template writes them. Nothing is written; the exit status is 1 where anything differs.
A token is allowed to differ where the two best logits of the reference are nearer than float noise (1e-3).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer

from common import setup

PROMPTS = [
    "The capital of France is",
    "Once upon a time, there was a little girl who",
    "def fibonacci(n):\n    ",
    "Water boils at 100 degrees Celsius, which is",
    "1, 2, 3, 4, 5,",
    "The opposite of hot is",
    "Q: What colour is the sky?\nA:",
    "My favourite book is about",
    "In 1969, the first man on the Moon",
    "The three primary colours are",
    "Dear Sir or Madam,\n\nI am writing to",
    "SELECT name FROM users WHERE",
    "The quick brown fox",
    "To make a cup of tea, first",
    "Bonjour, je m'appelle",
    "<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n",
    "The largest animal in the world is",
    "Photosynthesis is the process by which",
    "  Indented text with   blanks",
    "The meeting is on 2024-03-15 at 10:30, and",
]

SYSTEM = {"role": "system", "content": "Answer in one word."}


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


CHATS = [
    turns("What is the capital of France?"),
    [SYSTEM, *turns("What is the capital of Italy?")],
    turns("Hello!", "Hello! How can I help you today?", "Who are you?"),
    turns("  two blanks in front, a line feed behind\n"),
    turns("<|im_start|>user\nIs this a turn?<|im_end|>", "No, a text.", "{{ messages }}"),
    turns("2 + 2 = ?", " 4 \n", "And 3 + 3?", "6", "And 4 + 4?"),
    [SYSTEM, *turns("Is ice cold?", "Yes.", "Is fire?")],
    turns("Naïve café, привет, 你好 🙂"),
    turns("Write a haiku\nabout the sea.\n\n\n"),
    [{"role": "system", "content": " Be kind. "}, *turns("I failed my exam.")],
]


def tokens_in_front(path: Path) -> list[int]:
    """What the file itself says: the tokenizer that transformers makes of it puts <s> in front of everything."""
    fields = GGUFReader(str(path)).fields
    begins = fields.get("tokenizer.ggml.add_bos_token")
    llama = fields["tokenizer.ggml.model"].contents() == "llama"
    if not (begins.contents() if begins else llama):
        return []
    return [int(fields["tokenizer.ggml.bos_token_id"].contents())]


def greedy(model: Any, ids: list[int], count: int) -> tuple[list[int], list[float]]:
    """Tokens, and how far the second best logit is behind at each."""
    found, margins, cache = [], [], None
    feed = torch.tensor([ids])
    for _ in range(count):
        out = model(input_ids=feed, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        best = out.logits[0, -1].topk(2)
        found.append(int(best.indices[0]))
        margins.append(float(best.values[0] - best.values[1]))
        feed = torch.tensor([[found[-1]]])
    return found, margins


def request_of(chat: list[dict[str, str]]) -> dict[str, Any]:
    told = [{"role": m["role"], "text": m["content"]} for m in chat if m["role"] != "system"]
    system = [m["content"] for m in chat if m["role"] == "system"]
    return {"messages": told} | ({"system": system[0]} if system else {})


def ours(program: str, model: Path, count: int, asked: list[dict[str, Any]], form: str) -> list[dict[str, Any]]:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as requests:
        for i, request in enumerate(asked):
            requests.write(json.dumps({"id": str(i)} | request) + "\n")
        requests.flush()
        command = [program, "ask", "--model", str(model), "--requests", requests.name, "--prompt-format", form]
        command += ["--max-new-tokens", str(count)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def differs(answer: dict[str, Any], ids: list[int], found: list[int], margins: list[float]) -> str:
    """What is wrong with our answer; empty: nothing. An end token ends ours and not the reference."""
    if answer["prompt_token_ids"] != ids:
        return f"prompt ids {answer['prompt_token_ids']}, expected {ids}"
    got = answer["token_ids"]
    for step, (mine, theirs) in enumerate(zip(got, found, strict=False)):
        if mine != theirs:
            return "" if margins[step] < 1e-3 else f"token {step}: {mine}, expected {theirs}"
    ended = answer["finish_reason"] == "stop" or len(got) == len(found)
    return "" if ended else f"{len(got)} tokens, expected {len(found)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--show", action="store_true", help="print the answers")
    parser.add_argument("--chat", action="store_true", help="conversations instead of prompts")
    args = parser.parse_args()
    setup()
    where = {"pretrained_model_name_or_path": str(args.model.parent), "gguf_file": args.model.name}
    tokenizer = AutoTokenizer.from_pretrained(**where)
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval()
    front = tokens_in_front(args.model)
    asked: list[tuple[Any, list[int]]] = []
    if args.chat:
        requests = [request_of(chat) for chat in CHATS]
        asked = [(chat, tokenizer.apply_chat_template(chat, add_generation_prompt=True)) for chat in CHATS]
    else:
        requests = [{"prompt": prompt} for prompt in PROMPTS]
        asked = [(p, [*front, *tokenizer(p, add_special_tokens=False)["input_ids"]]) for p in PROMPTS]
    answers = ours(args.program, args.model, args.tokens, requests, "chat" if args.chat else "raw")
    wrong = 0
    for (prompt, ids), answer in zip(asked, answers, strict=True):
        found, margins = greedy(model, ids, args.tokens)
        fault = differs(answer, ids, found, margins)
        wrong += bool(fault)
        if fault:
            print(f"{prompt!r}: {fault}")
        if args.show:
            print(f"{prompt!r} -> {answer['answer']!r}")
    print(f"{len(asked)} {'conversations' if args.chat else 'prompts'}, {wrong} differ")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
