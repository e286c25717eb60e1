"""Goldens of the byte-level tokenizers: bpe_goldens.py --out DIR.

Small vocabularies of each kind of tokenizer_sweep.py, and what the tokenizers library makes of awkward texts.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import tokenizer_sweep as sweep
from common import GOLDEN, setup, write_compact_json
from text_goldens import STRINGS

TRAINING = [
    "What is in the image? The red table is to the left of the small dog, 12 cats and 3 dogs.",
    "def main(): return the_value  # it's what we'll do, isn't it?",
    "привет мир 你好,世界 こんにちは café naïve 🙂🙂",
] * 4
MORE = [
    "it's", "IT'S", "we'll", "'ſ", "1234567", "a1b22c333", "½ Ⅷ ①", "a\n\n\nb", "  \n  x", "x  ", "\r\n\r\n", "\u180e a",
    "\u2003a", "\u212b", "e\u0301", "\u1100\u1161", "<|im_start|>user\nhi<|im_end|>", "<tool_call>{}</tool_call>", "<image>  a",
    "a<image>\nb", "Ġ", "Ġthe", "\u0085", "x=1;y==2", "....", "—–-",
]  # fmt: skip


def row(tokenizer: Any, text: str) -> dict[str, Any]:
    ids = tokenizer(text)["input_ids"]
    found = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return {"text": text, "ids": ids, "decoded": found}


def broken(tokenizer: Any, pieces: list[bytes]) -> dict[str, Any]:
    """Ids of single bytes that make no characters."""
    letters = sweep.pre.ByteLevel.alphabet()
    letter_of = {ord(c): c for c in letters if ord(c) < 0x100} | {
        byte: chr(0x100 + i)
        for i, byte in enumerate(b for b in range(256) if chr(b) not in letters)
    }
    ids = [tokenizer.convert_tokens_to_ids(letter_of[b]) for piece in pieces for b in piece]
    return {"ids": ids, "decoded": tokenizer.decode(ids, clean_up_tokenization_spaces=False)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    args = parser.parse_args()
    setup()
    sweep.VOCABULARY = 330
    for kind in sweep.BYTE_LEVEL:
        folder = args.out / "tokenizer_bpe" / kind
        tokenizer = sweep.write_byte_level(kind, TRAINING, folder)
        cases = {
            "size": len(tokenizer),
            "encode": [row(tokenizer, text) for text in [*STRINGS, *MORE]],
            "broken": [
                broken(tokenizer, pieces)
                for pieces in (
                    [b"\xf0\x9f"], [b"\xf0\x9f", b"a"], [b"\xe2\x82", b"\xe2\x82\xac"], [b"\x80\x80", b"b"],
                    [b"\xf0\x9f\x99\xff"], [b"\xc3\xc3\xa9"], [b"\xed\xa0\x80"], [b"\xf4\x90\x80\x80"], [b"\xc0\xaf"],
                )
            ],  # fmt: skip
        }
        write_compact_json(folder / "cases.json", cases)


if __name__ == "__main__":
    main()
