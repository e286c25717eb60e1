"""Trains the two tiny sentencepiece models (BPE with byte fallback, as LLaMA's) and writes their
Hugging Face directories."""

from __future__ import annotations

import io
from pathlib import Path

import sentencepiece as spm
from transformers import LlamaTokenizer

from common import write_json

WORDS = (
    "the a of picture cat dog red blue green round square small large left right above below under "
    "what where how many colour is are there in image describe shows one two three table chair "
    "window light dark bright near behind and with answer question please tell me about it not café"
).split()
MARKS = ["<image>", "<|user|>", "<|assistant|>"]


def corpus() -> list[str]:
    """A few hundred generated sentences; a linear congruential generator picks the words."""
    state, lines = 12345, []
    for n in range(400):
        words = []
        for _ in range(4 + n % 9):
            state = (state * 1103515245 + 12345) % 2**31
            words.append(WORDS[(state >> 8) % len(WORDS)])
        end = ".?!:"[n % 4]
        lines.append(" ".join(words).capitalize() + f", {n * 37 % 1000}{end}")
    return lines


def train(path: Path, vocab_size: int, user_symbols: list[str]) -> None:
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()),
        model_writer=model,
        vocab_size=vocab_size,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=True,
        character_coverage=0.98,
        allow_whitespace_only_pieces=True,
        user_defined_symbols=user_symbols,
        num_threads=1,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        minloglevel=2,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.getvalue())


def tokenizer_config(added: dict[int, str], legacy: bool) -> dict:
    def entry(text: str) -> dict:
        return {
            "content": text,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }

    names = {0: "<unk>", 1: "<s>", 2: "</s>"} | added
    return {
        "add_bos_token": True,
        "add_eos_token": False,
        "add_prefix_space": True,
        "added_tokens_decoder": {str(i): entry(t) for i, t in names.items()},
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": None,
        "clean_up_tokenization_spaces": False,
        "legacy": legacy,
        "model_max_length": 2048,
        "sp_model_kwargs": {},
        "spaces_between_special_tokens": False,
        "tokenizer_class": "LlamaTokenizer",
        "use_default_system_prompt": False,
    }


def write_llava_tokenizer(folder: Path, legacy: bool) -> None:
    """320 pieces; <image> is an added token behind them (id 320), as in LLaVA checkpoints. It is
    not among the special tokens: with legacy: false a prompt that begins with it gets "▁" first."""
    train(folder / "tokenizer.model", 320, [])
    write_json(folder / "tokenizer_config.json", tokenizer_config({320: MARKS[0]}, legacy))


def write_binocle_tokenizer(folder: Path, legacy: bool) -> None:
    """331 pieces; the three marks are pieces 3..5 of the model, added tokens and special tokens."""
    train(folder / "tokenizer.model", 331, MARKS)
    config = tokenizer_config({3 + i: mark for i, mark in enumerate(MARKS)}, legacy)
    write_json(folder / "tokenizer_config.json", config | {"additional_special_tokens": MARKS})


def load(folder: Path) -> LlamaTokenizer:
    """The slow (sentencepiece) tokenizer, which is the reference."""
    return LlamaTokenizer.from_pretrained(str(folder))
