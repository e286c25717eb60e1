#!/usr/bin/env python3
"""Trains the sentencepiece vocabulary on text of the training split and writes OUT/tokenizer.model."""

from __future__ import annotations

import argparse
import io
import itertools
import json
from pathlib import Path

import sentencepiece

from generate import scene_stream
from scenes import world

SPECIAL = ("<image>", "<|user|>", "<|assistant|>")  # ids 3, 4, 5
PUNCTUATION = (",", ".", "?")  # never part of a longer piece, so that a name's tokens do not depend on what follows it
CONFIG = {"tokenizer_class": "LlamaTokenizer", "legacy": False, "add_bos_token": True, "add_eos_token": False,
          "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def corpus(pictures: int) -> list[str]:
    """Prompts and answers with the space that the template puts before each; every name at least 20 times."""
    lines = []
    for _, questions in itertools.islice(scene_stream(0, "train"), pictures):
        for q in questions:
            lines += [" " + q.prompt, " " + q.answer]
    names = [kind.label for kind in world.KINDS]
    names += [world.plural(kind.name) for kind in world.KINDS] + list(world.WORDS)
    return lines + [" " + name for name in names for _ in range(20)]


def train(out: Path, pictures: int, pieces: int) -> int:
    """Returns the size of the vocabulary, at most `pieces`."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus(pictures)), model_writer=model, model_type="bpe", vocab_size=pieces,
        hard_vocab_limit=False, byte_fallback=True, add_dummy_prefix=False, normalization_rule_name="identity",
        remove_extra_whitespaces=False, user_defined_symbols=list(SPECIAL + PUNCTUATION), unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
        required_chars="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!'-:;()", num_threads=1,
        minloglevel=2)
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.model").write_bytes(model.getvalue())
    (out / "tokenizer_config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).get_piece_size()


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the sentencepiece vocabulary.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--pieces", type=int, default=1152)
    args = parser.parse_args()
    print(f"{train(args.out, args.pictures, args.pieces)} pieces in {args.out / 'tokenizer.model'}")


if __name__ == "__main__":
    main()
