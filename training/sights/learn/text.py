"""Questions packed into sequences, with what each token's attention is to find."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import sentencepiece
import torch

from nets.number import NUMBER
from world.questions import KIND_ORDER, Question, Turn
from .labels import letter_code
from world.pairs import SECOND

LINE = 64  # tokens of a packed sequence: the longest question has 46 with <s>, and what stands in other lines costs no attention
BOS, EOS, USER, ASSISTANT = 1, 2, 4, 5
# A token's weight in the answer loss: a description has about 25 tokens, and counting is what is learnt last.
WEIGHTS = {"describe": 0.35, "caption": 0.5, "count": 2.0}


class Words:
    """Word-by-word encoding. No piece crosses a space, so it equals encoding the whole rendered string at once."""

    def __init__(self, model: Path):
        self.sp = sentencepiece.SentencePieceProcessor(model_file=str(model))
        self.pieces = self.sp.get_piece_size()

    @lru_cache(maxsize=None)
    def encode(self, word: str) -> tuple[tuple[int, ...], int]:
        """A word's ids (with the space before it) and the index of its last one before any punctuation."""
        bare = self.sp.encode(" " + word.rstrip(".,?:"))
        return tuple(self.sp.encode(" " + word)), len(bare) - 1


@dataclass
class Packed:
    """Some of the questions of one picture, or of one pair, in one sequence."""

    picture: int  # its number in the batch
    base: int  # the first position after the pictures
    tokens: list[int] = field(default_factory=lambda: [BOS])
    positions: list[int] = field(default_factory=lambda: [0])
    block: list[int] = field(default_factory=lambda: [0])  # question number, 1..; 0 is <s>
    targets: list[tuple[int, int, float, int, int]] = field(default_factory=list)  # row, id, weight, kind, question
    names: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)  # row, codes
    evidence: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    letters: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    links: list[tuple[int, int, int]] = field(default_factory=list)  # row, row of the first name, of the last


def append_question(words: Words, packed: Packed, q: Question) -> None:
    number, start = packed.block[-1] + 1, len(packed.tokens)
    for t in q.turns:
        _append_turn(words, packed, t, q.kind, number)
    more = len(packed.tokens) - start
    packed.positions += range(packed.base, packed.base + more)
    packed.block += [number] * more


def _append_turn(words: Words, packed: Packed, t: Turn, kind: str, number: int) -> None:
    if packed.targets and packed.targets[-1][4] == number:
        packed.tokens.append(EOS)  # of the turn before
    start = len(packed.tokens)
    ids, last_of = [USER], []
    for word in t.prompt.split(" "):
        encoded, last = words.encode(word)
        last_of.append(len(ids) + last)
        ids += encoded
    ids.append(ASSISTANT)
    names = [(start + last_of[index], owners) for index, owners in t.refs]
    if names:
        packed.links.append((start + len(ids) - 2, names[0][0], names[-1][0]))
    packed.names += names
    answer: list[int] = []
    for word, owners in zip(t.answer.split(" "), t.answer_refs):
        encoded, last = words.encode(word)
        rows = [start + len(ids) + len(answer) - 1 + i for i in range(last + 1)]
        if t.spells >= 0:
            packed.letters += [(row, (letter_code(t.spells, len(answer) + i),)) for i, row in enumerate(rows)]
        elif owners:
            packed.evidence += [(row, owners) for row in rows]
        answer += encoded
    weight = WEIGHTS.get(kind, 1.0)
    packed.targets += [(start + len(ids) - 1 + i, a, weight, KIND_ORDER.index(kind), number)
                       for i, a in enumerate(answer + [EOS])]
    packed.tokens += ids + answer


def pack(words: Words, questions: list[Question], picture: int, base: int) -> list[Packed]:
    """All questions in few lines: the longest first, each into the first line that has room."""
    def length(q: Question) -> int:
        alone = Packed(picture, base)
        append_question(words, alone, q)
        return len(alone.tokens) - 1
    lines: list[Packed] = []
    for more, q in sorted(((length(q), q) for q in questions), key=lambda each: -each[0]):
        line = next((p for p in lines if len(p.tokens) + more <= LINE), None)
        if line is None:
            line = Packed(picture, base)
            lines.append(line)
        append_question(words, line, q)
    return lines


@dataclass
class Text:
    """A batch of packed questions: L lines about B pictures."""

    picture: torch.Tensor  # [L], ascending: whose visual tokens a line sees
    tokens: torch.Tensor  # [L, T]
    positions: torch.Tensor  # [L, T]
    mask: torch.Tensor  # [L, 1, T, n + T], 0 or -inf
    targets: tuple[torch.Tensor, ...]  # line, row, id, weight, kind, question
    names: tuple[torch.Tensor, ...]  # line, row, one owner's patches [R, n], the owner's share
    evidence: tuple[torch.Tensor, ...]  # likewise
    letters: tuple[torch.Tensor, ...]  # likewise
    links: tuple[torch.Tensor, ...]  # line, row, first, last

    def to(self, device) -> "Text":
        fields = (tuple(t.to(device) for t in f) if isinstance(f, tuple) else f.to(device) for f in vars(self).values())
        return Text(*fields)


def collate(packs: list[Packed], codes: torch.Tensor) -> Text:
    """codes: [B, n, 3], what each visual token shows."""
    n, t, visual = len(packs), max(len(p.tokens) for p in packs), codes.shape[1]
    picture = torch.tensor([p.picture for p in packs])
    tokens, positions = torch.zeros(n, t, dtype=torch.long), torch.zeros(n, t, dtype=torch.long)
    block = torch.full((n, t), -1)
    for i, p in enumerate(packs):
        k = len(p.tokens)
        tokens[i, :k], positions[i, :k], block[i, :k] = map(torch.tensor, (p.tokens, p.positions, p.block))
    text = (block[:, :, None] == block[:, None, :]) & torch.ones(t, t, dtype=torch.bool).tril()
    text[:, :, 0] = True  # everybody sees <s>; so does padding, which keeps its rows finite
    allowed = torch.cat(((block != 0)[:, :, None].expand(n, t, visual), text), dim=2)
    mask = torch.zeros(n, t, visual + t).masked_fill_(~allowed, float("-inf"))[:, None].to(NUMBER)

    def rows(lists, width):
        found = [(i, *entry) for i, entries in enumerate(lists) for entry in entries]
        return tuple(torch.tensor(column) for column in zip(*found)) if found else (torch.zeros(0).long(),) * width

    def patches(lists):
        found = [(i, r, o, 1 / len(ids)) for i, e in enumerate(lists) for r, ids in e for o in ids]
        line, row, code = (torch.tensor([f[k] for f in found], dtype=torch.long) for k in range(3))
        where = (codes[picture[line]] == code[:, None, None]).any(-1)
        share = torch.tensor([f[3] for f in found]) * where.any(1)  # what no patch shows cannot be looked at
        return line, row, where, share

    return Text(picture, tokens, positions, mask, rows([p.targets for p in packs], 6), patches([p.names for p in packs]),
                patches([p.evidence for p in packs]), patches([p.letters for p in packs]), rows([p.links for p in packs], 4))


def pair_codes(codes: torch.Tensor) -> torch.Tensor:
    """[B, n, 3] -> [B/2, 2n, 3]: the second of each two pictures has codes of its own."""
    first, second = codes[0::2], codes[1::2]
    return torch.cat((first, torch.where(second > 0, second + SECOND, second)), dim=1)
