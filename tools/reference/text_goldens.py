"""Goldens of the tokenizers and the conversation templates: text_goldens.py --out DIR."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor
from transformers import LlamaTokenizer

import conversations
import tokenizers_tiny
from common import GOLDEN, link, setup, write_compact_json, write_json

# fmt: off
STRINGS = [
    "", " ", "  ", "\n", "\n\n", "\t", "a", " a", "a ", " a ", "  a  b  ", "the cat",
    "The cat.", "cat,dog", "What is in the image?", "what  is   it",
    "tell me about the red table,\nplease", "12345", "1 2 3", "3.14", "-7", "café",
    "cafe\u0301", "naïve", "Straße", "ŁÓDŹ", "привет мир", "こんにちは", "你好,世界",
    "한국어", "مرحبا",
    "🙂", "🙂🙂", "a🙂b", "👩‍👩‍👧‍👦", "🇩🇪", "e\u0301\u0301", "\u200b", "\u00a0a\u00a0", "\ufeffBOM",
    "a\u0000b", "▁", "▁a", " ▁a", "a▁b", "▁▁", "<0x41>", "<0xF0>", "<unk>", "<s>", "</s>",
    "<s>a", "a</s>b", "<s> a </s> b", "<pad>", "< s>", "<image", "image>", "<image>",
    "<image><image>", " <image>", "<image> ", "<image>\nWhat is it?",
    "What <image> is\n<image>it?", "a<image>b", "a <image> b", "<image>▁a", "<image>  a",
    "</s><image>", "<s><image>a", "<|user|> what?<|assistant|>",
    "<image><|user|> what is it?<|assistant|>", "USER: <image>\nWhat? ASSISTANT:",
    "[INST] <<SYS>>\nbe\n<</SYS>>\n\nhi [/INST]", "a\r\nb", "x" * 70, "the " * 12, "\\n \\t",
    "%$#@!^&*()", "\U0010ffff",
]
STREAMS = ["a🙂b", "👩‍👧 cat", "café привет", "你好, the 世界.", "<image> it 🙂", "🙂</s>the cat"]
BROKEN = [
    ["<0xF0>", "<0x9F>"], ["<0xF0>", "<0x9F>", "▁"], ["<0xC3>", "<0xC3>", "<0xA9>"],
    ["<0x80>", "a", "<0xFF>"], ["<0xE4>", "<0xBD>", "</s>", "<0xA0>"],
    ["▁", "<0xE2>", "<0x82>", "<0xAC>", "▁", "a"],
]
# fmt: on


def variants(root: Path) -> dict[str, LlamaTokenizer]:
    """legacy and non_legacy differ in that flag only; binocle lists its marks as special tokens."""
    folder = root / "tokenizer"
    found = {}
    for name, legacy in (("legacy", True), ("non_legacy", False)):
        link(folder / name / "tokenizer.model", root / "llava" / "tokenizer.model")
        write_json(
            folder / name / "tokenizer_config.json",
            tokenizers_tiny.tokenizer_config({320: "<image>"}, legacy),
        )
        found[name] = tokenizers_tiny.load(folder / name)
    for file in ("tokenizer.model", "tokenizer_config.json"):
        link(folder / "binocle" / file, root / "binocle_base" / file)
    return found | {"binocle": tokenizers_tiny.load(folder / "binocle")}


def plain_ids(tokenizer: LlamaTokenizer, ids: list[int]) -> list[int]:
    added = set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())
    return [i for i in ids if i not in added]


def sentencepiece_of(tokenizer: LlamaTokenizer) -> SentencePieceProcessor:
    """The model as it is in the file: transformers' legacy decode would drop two leading spaces."""
    return SentencePieceProcessor(model_file=tokenizer.vocab_file)


def encode_row(tokenizer: LlamaTokenizer, text: str) -> dict[str, Any]:
    """decoded: what sentencepiece makes of the plain ids; one leading space goes."""
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    return {
        "text": text,
        "ids": ids,
        "decoded": sentencepiece_of(tokenizer).decode(plain_ids(tokenizer, ids)),
    }


def stream_row(tokenizer: LlamaTokenizer, ids: list[int]) -> dict[str, Any]:
    """The text of the first n ids, n = 1.. (added ids left out): a streaming decoder may hold back
    the bytes of an unfinished character, but must end with the last of these."""
    plain, model = plain_ids(tokenizer, ids), sentencepiece_of(tokenizer)
    return {"ids": ids, "prefixes": [model.decode(plain[:n]) for n in range(1, len(plain) + 1)]}


def tokenizer_goldens(root: Path) -> None:
    for name, tokenizer in variants(root).items():
        rows = [encode_row(tokenizer, text) for text in STRINGS]
        streams = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in STREAMS]
        streams += [tokenizer.convert_tokens_to_ids(pieces) for pieces in BROKEN]
        folder = root / "tokenizer" / name
        write_compact_json(
            folder / "cases.json",
            {
                "size": len(tokenizer),
                "special_tokens": tokenizer.all_special_tokens,
                "added_tokens": tokenizer.get_added_vocab(),
                "encode": rows,
                "stream": [stream_row(tokenizer, ids) for ids in streams],
            },
        )


def conversation_goldens() -> dict[str, Any]:
    """Rendered texts; <s> at the very start is the tokenizer's."""
    dialogues = {
        "one_turn": ([("What is it?", None)], [0]),
        "one_turn_one_picture": ([("What is it?", None)], [1]),
        "one_turn_two_pictures": ([("Which is larger?", None)], [2]),
        "one_turn_answered": ([("What is it?", "A red cat.")], [1]),
        "two_turns": ([("What is it?", "A red cat."), ("Where?", None)], [1, 0]),
        "two_turns_second_picture": ([("What is it?", "A red cat."), ("And here?", None)], [1, 1]),
    }
    rows = []
    for template in conversations.TEMPLATES:
        for system in (None, "", "Answer in one word."):
            for name, (turns, pictures) in dialogues.items():
                rows.append(
                    {
                        "template": template,
                        "case": name,
                        "system": system,
                        "turns": [list(t) for t in turns],
                        "pictures": pictures,
                        "text": conversations.render(template, turns, system, pictures),
                    }
                )
    stops = {"vicuna_v1": ["</s>"], "llava_llama_2": ["</s>"], "plain": ["\n"], "binocle": ["</s>"]}
    return {"note": 'system null: the template\'s own text; "": none', "stops": stops, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    args = parser.parse_args()
    setup()
    tokenizer_goldens(args.out)
    write_compact_json(args.out / "conversations" / "cases.json", conversation_goldens())


if __name__ == "__main__":
    main()
