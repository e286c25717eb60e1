#!/usr/bin/env python3
"""Writes a held-out set of pictures and questions with exact answers.

    python3 training/sights/generate.py --set in_style --seed 7 --images 200 --out /tmp/sights

OUT/0000.png ... (RGB, 224 x 224) and three files of one object a line, which `binocle ask --requests` reads:
questions.jsonl: {"id": "0000-03", "image": "0000.png", "prompt": "...", "answer": "...", "kind": "what"};
pairs.jsonl, about two pictures: "images" instead of "image"; dialogues.jsonl, second questions: "messages" instead of both.
about.jsonl has what only scores need: {"id", "about": a part of the kind, "held_out": whether it is about what training never showed}.
The same arguments give the same questions everywhere, and the same pixels with the same Pillow and FreeType.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path

from world import VERSION, words
from world.asking_more import ask
from world.facts import Facts
from world.pairs import ask_pair
from world.objects import held_out
from world.questions import Question
from world.render import Sight, look
from world.sample import RECIPES, sample
from world.scene import PANEL_ID

FILES, ABOUT = ("questions.jsonl", "pairs.jsonl", "dialogues.jsonl"), "about.jsonl"
SETS = tuple(name for name in RECIPES if name != "train")


def sight_stream(name: str, seed: int) -> Iterator[tuple[Sight, random.Random]]:
    """Endless sights that show something. No stream of a set is one that training draws from."""
    index = 0
    while True:
        rng = random.Random(f"binocle sights {VERSION} set {name} {seed} {index}")
        sight = look(sample(rng, name))
        index += 1
        if sight.scene.things:
            yield sight, rng


def questions_about(name: str, sight: Sight, rng: random.Random) -> list[Question]:
    pool = words.HELD_OUT_WORDS if RECIPES[name].held_out == "always" else words.TRAIN_WORDS
    return ask(Facts(sight), rng, pool)


def shows_held_out(sight: Sight, owner: int) -> bool:
    """Whether training never shows this thing here, or a word of this panel."""
    if owner >= PANEL_ID:
        return any(word.lower() in words.HELD_OUT_WORDS for word in sight.scene.panels[owner - PANEL_ID].text.split(" "))
    return held_out(sight.scene.things[owner - 1].kind, sight.scene.backdrop)


def about(identity: str, sight: Sight, q: Question) -> dict:
    owners = {o for t in q.turns for found in [o for _, o in t.refs] + t.answer_refs for o in found}
    return {"id": identity, "about": q.about, "held_out": any(shows_held_out(sight, o) for o in owners)}


def row(identity: str, images: list[str], q: Question) -> dict:
    end = {"answer": q.answer, "kind": q.kind}
    if len(q.turns) > 1:
        texts = [text for t in q.turns for text in (("user", t.prompt), ("assistant", t.answer))][:-1]
        messages = [{"role": role, "text": text} for role, text in texts]
        messages[0]["images"] = images
        return {"id": identity, "messages": messages, **end}
    return {"id": identity, **({"image": images[0]} if len(images) == 1 else {"images": images}), "prompt": q.prompt, **end}


def file_of(line: dict) -> str:
    return "dialogues.jsonl" if "messages" in line else "pairs.jsonl" if "images" in line else "questions.jsonl"


def rows(name: str, seed: int, images: int) -> Iterator[tuple[str, Sight, list[dict], list[dict]]]:
    """A picture's file name, the sight, its questions, every second picture's also those about it and the one before, and what they are about."""
    stream, last = sight_stream(name, seed), None
    for index in range(images):
        sight, rng = next(stream)
        file = f"{index:04d}.png"
        made = [([file], q) for q in questions_about(name, sight, rng)]
        if last and index % 2:
            made += [([f"{index - 1:04d}.png", file], q) for q in ask_pair(Facts(last), Facts(sight), rng)]
        last = sight
        named = [(f"{index:04d}-{n:02d}", files, q) for n, (files, q) in enumerate(made)]
        yield (file, sight, [row(*each) for each in named],
               [about(identity, sight, q) for identity, files, q in named if len(files) == 1])


def write(name: str, seed: int, images: int, out: Path) -> int:
    """Writes `images` pictures and their questions; returns how many questions."""
    out.mkdir(parents=True, exist_ok=True)
    total = 0
    with contextlib.ExitStack() as stack:
        files = {f: stack.enter_context(open(out / f, "w", encoding="utf-8")) for f in (*FILES, ABOUT)}
        for picture, sight, made, parts in rows(name, seed, images):
            sight.picture.save(out / picture)
            for line in made:
                files[file_of(line)].write(json.dumps(line) + "\n")
            files[ABOUT].writelines(json.dumps(line) + "\n" for line in parts)
            total += len(made)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a held-out set of pictures and questions about them.")
    parser.add_argument("--set", choices=SETS, default="in_style", dest="name")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.images < 0:
        parser.error(f"--images is {args.images}, expected 0 or more")
    print(f"{args.images} pictures and {write(args.name, args.seed, args.images, args.out)} questions in {args.out}")


if __name__ == "__main__":
    main()
