"""Conversation templates, restated from the rules of the public LLaVA repository
(llava/conversation.py: vicuna_v1, llava_llama_2, plain) and of docs/model_format.md (binocle). <s>
at the start of the sequence is the tokenizer's work and is not part of the rendered text."""

from __future__ import annotations

VICUNA_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant "
    "gives helpful, detailed, and polite answers to the user's questions."
)
LLAMA_2_SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using "
    "natural language."
)

Turn = tuple[str, str | None]  # question, answer (None: still to be answered)


def _marks(pictures: int) -> str:
    """LLaVA puts each picture of a turn on a line of its own before the question."""
    return "<image>\n" * pictures


def _vicuna_v1(turns: list[Turn], system: str | None, pictures: list[int]) -> str:
    text = (VICUNA_SYSTEM if system is None else system) + " "
    for (question, answer), n in zip(turns, pictures, strict=True):
        text += f"USER: {_marks(n)}{question} ASSISTANT:"
        text += "" if answer is None else f" {answer}</s>"
    return text


def _llava_llama_2(turns: list[Turn], system: str | None, pictures: list[int]) -> str:
    """The system text sits inside the first instruction; later turns begin with a written <s>."""
    text = ""
    for i, ((question, answer), n) in enumerate(zip(turns, pictures, strict=True)):
        message = _marks(n) + question
        if i == 0:
            message = (
                f"<<SYS>>\n{LLAMA_2_SYSTEM if system is None else system}\n<</SYS>>\n\n" + message
            )
        text += ("" if i == 0 else "<s>") + f"[INST] {message} [/INST]"
        text += "" if answer is None else f" {answer} </s>"
    return text


def _plain(turns: list[Turn], system: str | None, pictures: list[int]) -> str:
    """LLaVA defines one message followed by a newline (no second separator: two turns raise there).
    Ending the answers with a newline too is our extension."""
    text = system or ""
    for (question, answer), n in zip(turns, pictures, strict=True):
        text += f"{_marks(n)}{question}\n"
        text += "" if answer is None else f"{answer}\n"
    return text


def _binocle(turns: list[Turn], system: str | None, pictures: list[int]) -> str:
    text = system or ""
    for (question, answer), n in zip(turns, pictures, strict=True):
        text += "<image>" * n + f"<|user|> {question}<|assistant|>"
        text += "" if answer is None else f" {answer}</s>"
    return text


TEMPLATES = {
    "vicuna_v1": _vicuna_v1,
    "llava_llama_2": _llava_llama_2,
    "plain": _plain,
    "binocle": _binocle,
}


def render(name: str, turns: list[Turn], system: str | None, pictures: list[int]) -> str:
    """pictures[i]: pictures of turn i. system None means the template's own text, "" means none."""
    return TEMPLATES[name](turns, system, pictures)
