"""The generator: determinism, ground truth that matches pixels, held-out combinations. Needs Pillow and NumPy only."""

import itertools
import json
import random
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from generate import scene_stream, write  # noqa: E402
from scenes import world  # noqa: E402
from scenes.questions import KIND_ORDER, ask  # noqa: E402
from scenes.render import SIGN_ID, owner_map, render, sign_letters  # noqa: E402
from scenes.scene import Scene, sample_scene  # noqa: E402
from score import mentions  # noqa: E402


def scenes(split: str, seed: int, count: int):
    return list(itertools.islice(scene_stream(seed, split), count))


def combinations(scene: Scene) -> list[bool]:
    return [world.held_out(t.kind, scene.background, scene.font) for t in scene.things]


class World(unittest.TestCase):
    def test_every_emoji_has_its_unicode_name(self):
        self.assertGreaterEqual(len(world.EMOJI_NAMES), 70)
        self.assertEqual(set(world.emoji_characters()), set(world.EMOJI_NAMES))

    def test_names_do_not_collide(self):
        names = [*world.EMOJI_NAMES, *world.SHAPES, *world.WORDS]
        self.assertEqual(len(names), len(set(names)))
        self.assertGreaterEqual(len(world.SHAPES) * len(world.COLOURS), 48)

    def test_the_held_out_share_is_fixed(self):
        fonts = ("", *world.FONT_NAMES)
        held = [world.held_out(k, b, f) for k in world.KINDS for b in world.BACKGROUNDS for f in fonts]
        self.assertAlmostEqual(sum(held) / len(held), world.HELD_OUT_PERCENT / 100, delta=0.01)


class Splits(unittest.TestCase):
    def test_training_never_shows_a_held_out_combination(self):
        for seed in range(3):
            for scene, _ in scenes("train", seed, 400):
                self.assertFalse(any(combinations(scene)))

    def test_training_stages_never_show_one_either(self):
        for index in range(400):
            scene = sample_scene(random.Random(f"binocle stage join {index}"), "train")
            self.assertFalse(any(combinations(scene)))

    def test_test_scenes_show_them(self):
        shown = [any(combinations(scene)) for scene, _ in scenes("test", 1, 400)]
        self.assertGreater(sum(shown) / len(shown), 0.95)


class Determinism(unittest.TestCase):
    def test_the_same_seed_writes_the_same_files(self):
        with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
            self.assertEqual(write(11, 4, Path(a), "test"), write(11, 4, Path(b), "test"))
            for name in sorted(p.name for p in Path(a).iterdir()):
                self.assertEqual((Path(a) / name).read_bytes(), (Path(b) / name).read_bytes(), name)

    def test_other_seeds_write_others(self):
        self.assertNotEqual([q.prompt for _, qs in scenes("test", 1, 5) for q in qs],
                            [q.prompt for _, qs in scenes("test", 2, 5) for q in qs])

    def test_lines_have_the_promised_keys(self):
        with tempfile.TemporaryDirectory() as folder:
            write(3, 5, Path(folder), "test")
            for line in (Path(folder) / "questions.jsonl").read_text().splitlines():
                row = json.loads(line)
                self.assertEqual(set(row), {"id", "image", "prompt", "answer", "kind"})
                self.assertIn(row["kind"], KIND_ORDER)


class GroundTruth(unittest.TestCase):
    def test_things_are_inside_and_in_reading_order(self):
        for scene, _ in scenes("test", 4, 300):
            cells = [t.cell for t in scene.things]
            self.assertEqual(cells, sorted(set(cells)))
            for t in scene.things:
                left, top, right, bottom = t.box
                self.assertTrue(0 <= left and 0 <= top and right <= world.SIZE and bottom <= world.SIZE)
                if scene.sign:
                    self.assertNotIn(t.cell, scene.sign.cells)

    def test_everything_stays_visible(self):
        for scene, _ in scenes("test", 5, 200):
            owner = owner_map(scene)
            for i, t in enumerate(scene.things):
                self.assertGreater((owner == i + 1).sum(), 0.08 * t.size ** 2, t)
            if scene.sign:
                self.assertGreater((owner == SIGN_ID).sum(), 0.8 * scene.sign.width * scene.sign.height)

    def test_pixels_change_only_where_something_is(self):
        for scene, _ in scenes("test", 6, 50):
            drawn = np.asarray(render(scene)).astype(int)
            empty = np.asarray(render(Scene(scene.background, scene.background_seed))).astype(int)
            changed = np.abs(drawn - empty).max(-1) > 0
            boxes = np.zeros_like(changed)
            for item in [*scene.things, *([scene.sign] if scene.sign else [])]:
                left, top, right, bottom = item.box
                boxes[max(0, top - 1):bottom + 1, max(0, left - 1):right + 1] = True
            self.assertFalse((changed & ~boxes).any())

    def test_words_fit_their_sign(self):
        for scene, _ in scenes("test", 7, 200):
            if scene.sign:
                size, letters = sign_letters(scene.sign)
                self.assertGreaterEqual(size, 16)
                self.assertGreaterEqual(letters[0][1], scene.sign.box[0])
                self.assertLessEqual(letters[-1][3], scene.sign.box[2])


class Questions(unittest.TestCase):
    def test_answers_follow_from_the_scene(self):
        for scene, questions in scenes("test", 8, 300):
            labels = [t.kind.label for t in scene.things]
            names = set(labels) | {t.kind.name for t in scene.things}
            for q in questions:
                with self.subTest(prompt=q.prompt, answer=q.answer):
                    if q.kind == "exist" and "sign" not in q.prompt:
                        asked = next(w for w in sorted([k.label for k in world.KINDS] + list(world.SHAPES), key=len,
                                                       reverse=True) if f" {w}" in q.prompt.rstrip("?") + " ")
                        self.assertEqual(q.answer == "yes", asked in names)
                    elif q.kind == "what" and q.answer != "nothing":
                        self.assertIn(q.answer, labels)
                    elif q.kind == "where":
                        found = [t for t in scene.things if t.kind.label in q.prompt and world.CELLS[t.cell] == q.answer]
                        self.assertTrue(found)
                    elif q.kind == "say":
                        self.assertEqual(q.answer, scene.sign.word if scene.sign else "nothing")
                    elif q.kind == "describe":
                        self.assertEqual(sorted(mentions(q.answer).elements()), sorted(labels))

    def test_references_point_at_the_named_thing(self):
        for scene, questions in scenes("test", 9, 200):
            for q in questions:
                self.assertEqual(len(q.answer_refs), len(q.answer.split(" ")))
                for word, owners in q.refs:
                    self.assertLess(word, len(q.prompt.split(" ")))
                    self.assertTrue(all(o == SIGN_ID or 1 <= o <= len(scene.things) for o in owners))

    def test_no_majority_answer_gets_near_the_goals(self):
        answers: dict[str, list[str]] = {}
        for _, questions in scenes("test", 10, 400):
            for q in questions:
                answers.setdefault(q.kind, []).append(q.answer)
        self.assertEqual(set(answers), set(KIND_ORDER))
        for kind, given in answers.items():
            share = max(given.count(a) for a in set(given)) / len(given)
            self.assertLess(share, 0.56 if kind == "exist" else 0.45, kind)

    def test_asking_is_deterministic(self):
        scene = sample_scene(random.Random(3), "test")
        self.assertEqual(ask(scene, random.Random(1)), ask(scene, random.Random(1)))


if __name__ == "__main__":
    unittest.main()
