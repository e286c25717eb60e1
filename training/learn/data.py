"""From generated scenes to tensors: pixels of both views, per-patch labels, packed questions."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from PIL import Image

from nets import heads as H
from nets.shape import ANCHOR, AUGMENT, VISUAL
from scenes import world
from scenes.questions import KIND_ORDER, Question, ask
from scenes.render import SIGN_ID, owner_map, render, sign_letters
from scenes.scene import Scene, sample_scene

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COVERED = 0.15  # share of a patch that something must cover to name it
TEXT_BUDGET = 256  # packed tokens a picture; `describe` goes in first, so what overflows is a short question
BOS, EOS, USER, ASSISTANT = 1, 2, 4, 5
# A token's weight in the answer loss: a description has about 25 tokens, and counting is what is learnt last.
WEIGHTS = {"describe": 0.35, "count": 2.0}


def scene_at(stage: str, index: int, split: str = "train") -> tuple[Scene, list[Question]]:
    """Scene number `index` of a stage's stream. Seeded each by itself, so that a resumed run sees the same scenes."""
    rng = random.Random(f"binocle stage {stage} {index}")
    scene = sample_scene(rng, split)
    return scene, ask(scene, rng)


def pixels(picture: Image.Image, size: int, mean, std) -> np.ndarray:
    """[3, size, size] as the processors make them: Pillow's bicubic, 1/255, normalised."""
    if picture.width != size:
        picture = picture.resize((size, size), Image.BICUBIC)
    x = np.asarray(picture, np.float32) * np.float32(1 / 255)
    return ((x - np.float32(mean)) / np.float32(std)).transpose(2, 0, 1)


def patch_owners(owner: np.ndarray, side: int, things: int) -> np.ndarray:
    """[side²]: the owner that covers most of each patch, 0 where nothing covers enough."""
    p = world.SIZE // side
    ids = [*range(1, things + 1), SIGN_ID]
    covered = np.stack([(owner == i).reshape(side, p, side, p).mean((1, 3)).ravel() for i in ids])
    best = covered.argmax(0)
    return np.where(covered.max(0) >= COVERED, np.asarray(ids)[best], 0)


def patch_labels(scene: Scene, owners: np.ndarray, side: int) -> dict[str, np.ndarray]:
    """Classes of each patch; -1 where a class does not apply.

    `centre` is the owner's centre in 0..1; `middle` marks the one patch of each thing that holds its centre.
    """
    n = side * side
    out = {"object": np.zeros(n, np.int64), "colour": np.full(n, -1), "word": np.full(n, -1),
           "centre": np.zeros((n, 2), np.float32), "owner": owners.astype(np.int64), "middle": np.zeros(n, np.int64)}
    for i, thing in enumerate(scene.things):
        mine = owners == i + 1
        shape = thing.kind.is_shape
        out["object"][mine] = (H.SHAPE_CLASS if shape else H.EMOJI_CLASS)[thing.kind.name]
        if shape:
            out["colour"][mine] = H.COLOUR_CLASS[thing.kind.colour]
        out["centre"][mine] = (thing.x / world.SIZE, thing.y / world.SIZE)
        out["middle"][thing.y * side // world.SIZE * side + thing.x * side // world.SIZE] = 1
    if scene.sign:
        mine = owners == SIGN_ID
        out["object"][mine], out["word"][mine] = H.SIGN_CLASS, H.WORD_CLASS[scene.sign.word]
        out["centre"][mine] = (scene.sign.x / world.SIZE, scene.sign.y / world.SIZE)
    return out


def letter_labels(scene: Scene, side: int) -> dict[str, np.ndarray]:
    """Which letter (1..26) and which place in the word each patch centre lies on; 0 and -1 elsewhere."""
    letter, place = np.zeros((side, side), np.int64), np.full((side, side), -1)
    if scene.sign:
        centres = (np.arange(side) + 0.5) * world.SIZE / side
        for i, (char, left, top, right, bottom) in enumerate(sign_letters(scene.sign)[1]):
            cells = np.ix_((centres >= top - 3) & (centres <= bottom + 3), (centres >= left) & (centres < right))
            letter[cells], place[cells] = ord(char) - 64, min(i, H.LETTER_PLACES - 1)
    return {"letter": letter.ravel(), "place": place.ravel()}


def presence(scene: Scene) -> np.ndarray:
    out = np.zeros(H.PRESENCE, np.float32)
    for thing in scene.things:
        out[H.KIND_CLASS[thing.kind]] = 1
    out[-1] = scene.sign is not None
    return out


class Words:
    """Word-by-word encoding. No piece crosses a space, so it equals encoding the whole rendered string at once."""

    def __init__(self, model: Path):
        self.sp = sentencepiece.SentencePieceProcessor(model_file=str(model))
        self.pieces = self.sp.get_piece_size()

    @lru_cache(maxsize=None)
    def encode(self, word: str) -> tuple[tuple[int, ...], int]:
        """A word's ids (with the space before it) and the index of its last one before any punctuation."""
        bare = self.sp.encode(" " + word.rstrip(".,?"))
        return tuple(self.sp.encode(" " + word)), len(bare) - 1


@dataclass
class Packed:
    """The questions of one picture in one sequence."""

    tokens: list[int] = field(default_factory=lambda: [BOS])
    positions: list[int] = field(default_factory=lambda: [0])
    block: list[int] = field(default_factory=lambda: [0])  # question number, 1..; 0 is <s>
    targets: list[tuple[int, int, float, int, int]] = field(default_factory=list)  # row, id, weight, kind, question
    names: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)  # row, owners
    evidence: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    links: list[tuple[int, int, int]] = field(default_factory=list)  # row, row of the first name, of the last


def append_question(words: Words, packed: Packed, q: Question) -> None:
    start, number = len(packed.tokens), packed.block[-1] + 1
    ids, last_of = [USER], []
    for word in q.prompt.split(" "):
        encoded, last = words.encode(word)
        last_of.append(len(ids) + last)
        ids += encoded
    ids.append(ASSISTANT)
    names = [(start + last_of[index], owners) for index, owners in q.refs]
    if names:
        packed.links.append((start + len(ids) - 2, names[0][0], names[-1][0]))
    packed.names += names
    weight, kind = WEIGHTS.get(q.kind, 1.0), KIND_ORDER.index(q.kind)
    answer: list[int] = []
    for word, owners in zip(q.answer.split(" "), q.answer_refs):
        encoded, last = words.encode(word)
        if owners:
            packed.evidence += [(start + len(ids) + len(answer) - 1 + i, owners) for i in range(last + 1)]
        answer += encoded
    answer.append(EOS)
    packed.targets += [(start + len(ids) - 1 + i, a, weight, kind, number) for i, a in enumerate(answer)]
    ids += answer[:-1]
    packed.tokens += ids
    packed.positions += range(VISUAL + 1, VISUAL + 1 + len(ids))
    packed.block += [number] * len(ids)


def pack(words: Words, questions: list[Question]) -> Packed:
    packed = Packed()
    for q in sorted(questions, key=lambda q: q.kind != "describe"):
        one = Packed()
        append_question(words, one, q)
        if len(packed.tokens) + len(one.tokens) - 1 <= TEXT_BUDGET:
            append_question(words, packed, q)
    return packed


@dataclass
class Text:
    """A batch of packed questions."""

    tokens: torch.Tensor  # [B, T]
    positions: torch.Tensor  # [B, T]
    mask: torch.Tensor  # [B, 1, T, n + T], 0 or -inf
    targets: tuple[torch.Tensor, ...]  # batch, row, id, weight, kind, question
    names: tuple[torch.Tensor, ...]  # batch, row, one owner's patches [R, n], the owner's share
    evidence: tuple[torch.Tensor, ...]  # likewise
    links: tuple[torch.Tensor, ...]  # batch, row, first, last


def collate_text(packs: list[Packed], owners: torch.Tensor) -> Text:
    """owners: [B, n], the anchor grid's owner ids."""
    b, t = len(packs), max(len(p.tokens) for p in packs)
    tokens, positions = torch.zeros(b, t, dtype=torch.long), torch.zeros(b, t, dtype=torch.long)
    block = torch.full((b, t), -1)
    for i, p in enumerate(packs):
        k = len(p.tokens)
        tokens[i, :k], positions[i, :k], block[i, :k] = map(torch.tensor, (p.tokens, p.positions, p.block))
    text = (block[:, :, None] == block[:, None, :]) & torch.ones(t, t, dtype=torch.bool).tril()
    text[:, :, 0] = True  # everybody sees <s>; so does padding, which keeps its rows finite
    allowed = torch.cat(((block != 0)[:, :, None].expand(b, t, VISUAL), text), dim=2)
    mask = torch.zeros(b, t, VISUAL + t).masked_fill_(~allowed, float("-inf"))[:, None].bfloat16()

    def rows(lists):
        found = [(i, *entry) for i, entries in enumerate(lists) for entry in entries]
        return [torch.tensor(column) for column in zip(*found)]

    def patches(lists):
        found = [(i, r, o, 1 / len(ids)) for i, e in enumerate(lists) for r, ids in e for o in ids]
        batch, row, owner, share = (torch.tensor([f[k] for f in found]) for k in range(4))
        return batch.long(), row.long(), owners[batch.long()] == owner[:, None], share

    return Text(tokens, positions, mask, tuple(rows([p.targets for p in packs])), patches([p.names for p in packs]),
                patches([p.evidence for p in packs]), tuple(rows([p.links for p in packs])))


@dataclass
class Batch:
    anchor: torch.Tensor | None = None  # [B, 3, 96, 96]
    augment: torch.Tensor | None = None  # [B, 3, 192, 192]
    anchor_labels: dict[str, torch.Tensor] = field(default_factory=dict)
    augment_labels: dict[str, torch.Tensor] = field(default_factory=dict)
    text: Text | None = None


def make_batch(stage: str, first: int, size: int, words: Words | None, views: str) -> Batch:
    """Scenes first .. first + size - 1 of the stage's stream; `views`: which of "anchor", "augment", "text" to make."""
    batch, columns, packs = Batch(), {"a": [], "b": [], "la": [], "lb": []}, []
    for index in range(first, first + size):
        scene, questions = scene_at(stage, index)
        owner = owner_map(scene)
        picture = render(scene) if "anchor" in views or "augment" in views else None
        labels = patch_labels(scene, patch_owners(owner, ANCHOR.side, len(scene.things)), ANCHOR.side)
        columns["la"].append({**labels, "presence": presence(scene)})
        if "anchor" in views:
            columns["a"].append(pixels(picture, ANCHOR.image, CLIP_MEAN, CLIP_STD))
        if "augment" in views:
            columns["b"].append(pixels(picture, AUGMENT.image, IMAGENET_MEAN, IMAGENET_STD))
            fine = patch_labels(scene, patch_owners(owner, AUGMENT.side, len(scene.things)), AUGMENT.side)
            columns["lb"].append({**fine, **letter_labels(scene, AUGMENT.side)})
        if "text" in views:
            packs.append(pack(words, questions))
    batch.anchor_labels, batch.augment_labels = _stack(columns["la"]), _stack(columns["lb"])
    if columns["a"]:
        batch.anchor = torch.from_numpy(np.stack(columns["a"])).bfloat16()
    if columns["b"]:
        batch.augment = torch.from_numpy(np.stack(columns["b"])).bfloat16()
    if packs:
        batch.text = collate_text(packs, batch.anchor_labels["owner"])
    return batch


def _stack(rows: list[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]} if rows else {}
