"""Goldens of public chat templates, and the table of their hashes.

    template_goldens.py TEMPLATES [--out DIR] [--table FILE]

TEMPLATES/<style>/*.jinja are chat templates as public checkpoints carry them, in a folder that is named like the style
(llm/conversation.h) that is to render them; TEMPLATES/dates/*.jinja are those that write today's date. No template is stored here: they come from chat_template.jinja,
chat_template.json and tokenizer_config.json of checkpoints, from tokenizer.chat_template of GGUF files, and from the tests of programs that render
templates. All of a folder have to render alike, whatever they look like.

conversations/templates.json gets what transformers makes of them: the texts of all dialogues, ids of some, and the hashes. FILE
(llm/chat_template_hashes.cc) is the table that the library looks hashes up in.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, LlamaTokenizer, PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import render_jinja_template

from common import GOLDEN, setup, write_compact_json

# Styles of processors, whose templates take pictures.
PICTURES = ("llava_",)
# Raise for a system text, or leave it out: it is refused.
WITHOUT_SYSTEM = ("mistral_v0_1", "mistral_v0_2", "mistral_v0_3")
# Which of the small vocabularies the ids are of: one that has the template's marks as tokens of its own, or spells them.
VOCABULARIES = {
    "legacy": "tokenizer/legacy",
    "smollm2": "tokenizer_bpe/smollm2",
    "llama3": "tokenizer_bpe/llama3",
}
# What templates know them as, whichever vocabulary is used.
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
SENTENCEPIECE = ("llama2", "mistral_", "zephyr", "llava_hf", "llava_next_mistral")
WITH_IDS = ("one", "two_spaced", "system", "pictures")

Turns = list[tuple[str, str | None]]

DIALOGUES: dict[str, tuple[Turns, list[int]]] = {
    "one": ([("What is it?", None)], [0]),
    "two_spaced": ([(" a \n", " b \n"), ("\u00a0c\u3000\n\n", None)], [0, 0]),
    "three": ([("$x", "$y"), ("$z", "w"), ("Größe? 🙂", None)], [0, 0, 0]),
    "marks_in_texts": ([("<|im_start|>user\nx<|im_end|>", "[/INST] a</s>"), ("{{ messages }} {% x %} {# y #}", None)], [0, 0]),
    "thought": ([("q", "<think>\nhm\n</think>\n\nans"), ("r", None)], [0, 0]),
    "thoughts_and_results": (
        [
            ("q", "<think></think>z"),
            ("<tool_response>x</tool_response>", "\n<think>\n\nr\n</think>\n\n\ns</think>"),
            ("<tool_response>x</tool_response>", None),
        ],
        [0, 0, 0],
    ),
    "only_results": ([("<tool_response>x</tool_response>", "<think>a</think>\nb"), ("<tool_response></tool_response>", None)], [0, 0]),
    "half_a_thought": ([("q", "a</think>b\n\n</think>\n\nc<think>"), ("r </think>", None)], [0, 0]),
}
PICTURE_DIALOGUES: dict[str, tuple[Turns, list[int]]] = {
    "pictures": ([("Which is larger?", None)], [2]),
    "pictures_later": ([(" a ", "b"), ("c", None)], [1, 1]),
    "second_picture": ([("q", " z "), ("c", None)], [0, 1]),
}
SYSTEMS: dict[str, tuple[str, str]] = {  # case: system text, dialogue
    "system": ("Be brief.", "one"),
    "system_spaced": (" S\n", "two_spaced"),
    "system_empty": ("", "one"),
    "system_thoughts": ("/no_think", "thoughts_and_results"),
}


def takes_pictures(style: str) -> bool:
    return style.startswith(PICTURES)


def cases(style: str) -> list[tuple[str, str | None, Turns, list[int]]]:
    found = [(name, None, *dialogue) for name, dialogue in DIALOGUES.items()]
    if takes_pictures(style):
        found += [(name, None, *dialogue) for name, dialogue in PICTURE_DIALOGUES.items()]
    if style not in WITHOUT_SYSTEM:
        found += [(name, system, *DIALOGUES[dialogue]) for name, (system, dialogue) in SYSTEMS.items()]
    return found


def messages(style: str, system: str | None, turns: Turns, pictures: list[int]) -> list[dict[str, Any]]:
    def content(text: str, images: int = 0) -> Any:
        return [{"type": "image"}] * images + [{"type": "text", "text": text}] if takes_pictures(style) else text

    found = [] if system is None else [{"role": "system", "content": content(system)}]
    for (question, answer), n in zip(turns, pictures, strict=True):
        found.append({"role": "user", "content": content(question, n)})
        if answer is not None:
            found.append({"role": "assistant", "content": content(answer)})
    return found


def render(template: str, told: list[dict[str, Any]]) -> str:
    return render_jinja_template([told], chat_template=template, add_generation_prompt=True, **TOKENS)[0][0]


def vocabulary_of(style: str) -> str:
    if style.startswith(SENTENCEPIECE):
        return "legacy"
    return "llama3" if "llama3" in style else "smollm2"


def encode(style: str, text: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """As a tokenizer's apply_chat_template encodes, which adds nothing, and a processor's, which adds <s> where the text has none."""
    add = takes_pictures(style) and not text.startswith(TOKENS["bos_token"])
    return tokenizer(text, add_special_tokens=add)["input_ids"]


def canonical(template: str) -> str:
    """Rendering drops one line feed at the end."""
    return template.removesuffix("\n")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read(folder: Path) -> dict[str, str]:
    """Templates by hash."""
    texts = [canonical(path.read_bytes().decode()) for path in sorted(folder.glob("*.jinja"))]
    return {sha256(text): text for text in texts}


def style_rows(style: str, templates: dict[str, str], tokenizers: dict[str, PreTrainedTokenizerBase]) -> list[dict[str, Any]]:
    vocabulary = vocabulary_of(style)
    tokenizer = tokenizers[vocabulary]
    rows = []
    for case, system, turns, pictures in cases(style):
        told = messages(style, system, turns, pictures)
        texts = {render(template, told) for template in templates.values()}
        assert len(texts) == 1, (style, case, texts)
        text = texts.pop()
        row = {"style": style, "case": case, "system": system, "turns": turns, "pictures": pictures, "text": text}
        if case in WITH_IDS:
            row |= {"vocabulary": VOCABULARIES[vocabulary], "ids": encode(style, text, tokenizer)}
        rows.append(row)
    return rows


def table(hashes: list[tuple[str, str]]) -> str:
    lines = [
        "// Made by tools/reference/template_goldens.py from the texts of public chat templates, which are not stored. Do not edit.",
        '#include "llm/chat_template_hashes.h"',
        "",
        "namespace binocle {",
        "namespace {",
        "",
        "constexpr ChatTemplateHash kHashes[] = {",
    ]
    for digest, style in hashes:
        lines.append(f'    {{"{digest}",')
        lines.append(f"     {enumerator(style)}}},")
    lines += ["};", "", "}  // namespace", "", "std::span<const ChatTemplateHash> ChatTemplateHashes() { return kHashes; }", ""]
    return "\n".join([*lines, "}  // namespace binocle", ""])


def enumerator(style: str) -> str:
    if style == "dates":
        return "std::nullopt"
    names = {"smollm2": "SmolLm2"}
    return "ConversationStyle::k" + names.get(style, "".join(part.capitalize() for part in style.split("_")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("templates", type=Path)
    parser.add_argument("--out", type=Path, default=GOLDEN)
    parser.add_argument("--table", type=Path)
    args = parser.parse_args()
    setup()
    tokenizers = {
        name: (LlamaTokenizer if name == "legacy" else AutoTokenizer).from_pretrained(str(GOLDEN / folder))
        for name, folder in VOCABULARIES.items()
    }
    rows: list[dict[str, Any]] = []
    hashes: list[tuple[str, str]] = []
    for folder in sorted(path for path in args.templates.iterdir() if path.is_dir()):
        templates = read(folder)
        hashes += [(digest, folder.name) for digest in templates]
        if folder.name != "dates":
            rows += style_rows(folder.name, templates, tokenizers)
    hashes.sort()
    assert len({digest for digest, _ in hashes}) == len(hashes), "a template is in two folders"
    content = {"hashes": hashes, "rows": rows}
    write_compact_json(args.out / "conversations" / "templates.json", content)
    if args.table:
        args.table.write_text(table(hashes))


if __name__ == "__main__":
    main()
