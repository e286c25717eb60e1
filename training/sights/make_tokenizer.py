#!/usr/bin/env python3
"""Trains the sentencepiece vocabulary on text of the training world and writes OUT/tokenizer.model.

Capitals and digits never join: what is written in a picture is in capitals, and read letter by letter.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import sentencepiece

from learn.data import sight_at
from nets.heads import CHARACTERS
from world import objects, words
from world.asking_more import ask
from world.facts import Facts
from world.pairs import ask_pair
from world.phrases import PAIR_PHRASES, PHRASES

SPECIAL = ("<image>", "<|user|>", "<|assistant|>")  # ids 3, 4, 5
PUNCTUATION = (",", ".", "?", ":")  # never part of a longer piece, so that a name's tokens do not depend on what follows it
CONFIG = {"tokenizer_class": "LlamaTokenizer", "legacy": False, "add_bos_token": True, "add_eos_token": False,
          "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def _spelled(text: str) -> str:
    """Capitals and digits each on their own, but for a word's first letter in a sentence."""
    return " ".join(" ".join(w) if len(w) > 1 and (w.isupper() or any(c.isdigit() for c in w)) else w for w in text.split(" "))


def corpus(pictures: int) -> list[str]:
    """Prompts and answers with the space that the template puts before each; every name at least 30 times."""
    lines, last = [], None
    for index in range(pictures):
        sight, rng = sight_at("vocabulary", index)
        facts = Facts(sight)
        questions = ask(facts, rng, words.TRAIN_WORDS) + (ask_pair(last, facts, rng) if last else [])
        last = facts
        for q in questions:
            for t in q.turns:
                lines += [" " + _spelled(t.prompt), " " + _spelled(t.answer)]
    names = [k.label for k in objects.KINDS] + list(objects.CATEGORIES)
    for name in names:
        lines += [" " + objects.with_article(name), " " + objects.plural(name)] * 15
    phrases = [p for table in (PHRASES, PAIR_PHRASES) for options in table.values() for p in options]
    lines += [" " + " ".join(w for w in phrase.split(" ") if "{" not in w) for phrase in phrases for _ in range(8)]
    return lines + [" " + c for c in CHARACTERS for _ in range(4000)]


def train(out: Path, pictures: int, pieces: int) -> int:
    """Returns the size of the vocabulary, at most `pieces`."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus(pictures)), model_writer=model, model_type="bpe", vocab_size=pieces,
        hard_vocab_limit=False, byte_fallback=True, add_dummy_prefix=False, normalization_rule_name="identity",
        remove_extra_whitespaces=False, user_defined_symbols=list(SPECIAL + PUNCTUATION), unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
        split_digits=False, required_chars="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!'-;()",
        num_threads=1, minloglevel=2)
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.model").write_bytes(model.getvalue())
    (out / "tokenizer_config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).get_piece_size()


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the sentencepiece vocabulary.")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "tokenizer")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--pieces", type=int, default=1600)
    args = parser.parse_args()
    print(f"{train(args.out, args.pictures, args.pieces)} pieces in {args.out / 'tokenizer.model'}")


if __name__ == "__main__":
    main()
