"""Compares token ids and decoded texts with the tokenizers and sentencepiece libraries, line by line.

    tokenizer_sweep.py PROGRAM [--lines N] [--seed S] [--only KIND ...]   PROGRAM: build/dev/bin/tokenize_jobs

Byte-level vocabularies of every kind that docs/models.md lists are trained anew on the texts, so that merges fit them;
sentencepiece's are trained likewise and read as LlamaTokenizer does. Half of the lines are generated (twelve scripts,
emoji, combining marks, code, digits, blanks, added tokens), half are cut out of the texts that come with Python.
Nothing is written; the first lines that differ are shown, and the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers as pre
from tokenizers import processors, trainers
from transformers import AutoTokenizer, LlamaTokenizer, PreTrainedTokenizerFast

from common import setup, write_json

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")
SCRIPTS = [
    (0x41, 0x7A), (0xC0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x531, 0x587), (0x5D0, 0x5EA),
    (0x620, 0x64A), (0x904, 0x939), (0xE01, 0xE3A), (0x10D0, 0x10FA), (0x3041, 0x30FF),
    (0x4E00, 0x9FA5), (0xAC00, 0xD7A3),
]  # fmt: skip
PARTS = [
    " ", " ", " ", "  ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u2003", "\u3000", "\u180e", "\u200b", "\u2028",
    "0", "7", "42", "2024", "3.14", "①", "½", "Ⅷ", "٣", "'s", "'LL", "’t", "'ſ", ".", "...", "!?", "—", "_", "__init__",
    "{}", "();", "==", "->", "//", "é", "e\u0301", "\u0301", "\u1100\u1161", "\u212b", "ﬁ", "🙂", "👩‍👩‍👧", "🇩🇪", "\ufeff",
    "\u0000", "\u007f", "<s>", "</s>", "<image>", "<|im_start|>", "<|im_end|>", "<tool_call>", "Ġ", "▁", "\U0010ffff", "𝔘",
]  # fmt: skip


def generated(draw: random.Random) -> str:
    parts = []
    for _ in range(draw.randrange(1, 14)):
        if draw.random() < 0.5:
            parts.append(draw.choice(PARTS))
        else:
            low, high = draw.choice(SCRIPTS)
            parts.append("".join(chr(draw.randint(low, high)) for _ in range(draw.randrange(1, 9))))
    return "".join(parts)


def packaged() -> list[str]:
    """Lines of the standard library: code and English, some of it in other scripts."""
    files = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    texts = (path.read_text(encoding="utf-8", errors="ignore") for path in files)
    return [line for text in texts for line in text.splitlines() if line]


def cut(draw: random.Random, lines: list[str]) -> str:
    start = draw.randrange(len(lines))
    return "\n".join(lines[start : start + draw.randrange(1, 5)])[: draw.randrange(1, 400)]


VOCABULARY = 4000


def byte_level(tokenizer: Tokenizer, training: list[str], special: list[str]) -> Tokenizer:
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(training, trainer)
    return tokenizer


def isolated(pattern: str) -> pre.Split:
    return pre.Split(Regex(pattern), "isolated")


def gpt2(training: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre.ByteLevel(add_prefix_space=False)
    return byte_level(tokenizer, training, ["<|im_end|>"])


def prefix_space(training: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre.ByteLevel(add_prefix_space=True)
    return byte_level(tokenizer, training, ["<|im_end|>", "<image>"])


def smollm2(training: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    steps = [pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre.Sequence(steps)
    return byte_level(tokenizer, training, ["<|im_start|>", "<|im_end|>"])


def qwen2(training: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    steps = [isolated(QWEN2), pre.ByteLevel(add_prefix_space=False, use_regex=False)]
    tokenizer.pre_tokenizer = pre.Sequence(steps)
    byte_level(tokenizer, training, [])
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False)])
    return tokenizer


def llama3(training: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    steps = [isolated(LLAMA3), pre.ByteLevel(add_prefix_space=False, use_regex=False)]
    tokenizer.pre_tokenizer = pre.Sequence(steps)
    byte_level(tokenizer, training, [])
    tokenizer.add_special_tokens([AddedToken("<s>"), AddedToken("<image>", rstrip=True)])
    begin = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), begin])
    return tokenizer


BYTE_LEVEL: dict[str, Callable[[list[str]], Tokenizer]] = {
    "gpt2": gpt2,
    "prefix_space": prefix_space,
    "smollm2": smollm2,
    "qwen2": qwen2,
    "llama3": llama3,
}


def write_byte_level(kind: str, training: list[str], folder: Path) -> Any:
    fast = PreTrainedTokenizerFast(tokenizer_object=BYTE_LEVEL[kind](training))
    fast.save_pretrained(str(folder))
    return AutoTokenizer.from_pretrained(str(folder))


def write_sentencepiece(training: list[str], folder: Path, legacy: bool) -> Any:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(training[1::2]),  # those cut out of texts: few characters
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=3000,
        byte_fallback=True,
        character_coverage=0.99,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    settings = {
        "tokenizer_class": "LlamaTokenizer",
        "legacy": legacy,
        "add_bos_token": True,
        "added_tokens_decoder": {"3000": {"content": "<image>", "special": True}},
    }
    write_json(folder / "tokenizer_config.json", settings)
    return LlamaTokenizer.from_pretrained(str(folder))


def write_kind(kind: str, training: list[str], folder: Path) -> Any:
    if kind in BYTE_LEVEL:
        return write_byte_level(kind, training, folder)
    return write_sentencepiece(training, folder, legacy=kind == "legacy")


def lines_of(seed: int, count: int) -> Iterator[str]:
    draw, text = random.Random(seed), packaged()
    for i in range(count):
        yield generated(draw) if i % 2 == 0 else cut(draw, text)


def decoded(kind: str, reference: Any, ids: list[int]) -> str | None:
    """None: not compared. The slow sentencepiece class joins and cleans in its own ways."""
    if kind not in BYTE_LEVEL:
        return None
    return reference.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def compare(program: str, kind: str, folder: Path, reference: Any, lines: list[str]) -> int:
    jobs = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([program, str(folder)], input=jobs, capture_output=True, text=True, check=True)
    wrong = round_trips = 0
    for line, answer in zip(lines, done.stdout.split("\n"), strict=False):
        got = json.loads(answer)
        want = reference(line)["input_ids"]
        text = decoded(kind, reference, want)
        round_trips += got["text"] == line
        if got["ids"] == want and text in (None, got["text"]):
            continue
        wrong += 1
        if wrong <= 5:
            print(f"{kind}: {line!r}\n  ours {got['ids']} {got['text']!r}\n  want {want} {text!r}")
    print(f"{kind}: {len(lines)} lines, {wrong} differ; {round_trips} decode to themselves", flush=True)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--lines", type=int, default=100_000, help="for each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="kinds; all by default")
    args = parser.parse_args()
    setup()
    training = list(lines_of(args.seed + 1, 20_000))
    lines = list(lines_of(args.seed, args.lines))
    wrong = 0
    for kind in args.only or [*BYTE_LEVEL, "legacy", "non_legacy"]:
        with tempfile.TemporaryDirectory() as folder:
            reference = write_kind(kind, training, Path(folder))
            wrong += compare(args.program, kind, Path(folder), reference, lines)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
