"""The pictured world: determinism, ground truth that matches pixels, held-out rules. Needs Pillow and NumPy only."""

import hashlib
import itertools
import json
import random
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE))

import generate  # noqa: E402
from score import mentions, parts  # noqa: E402
from world import SIZE, VERSION, clipart, facts, objects, words  # noqa: E402
from world.asking import Asker  # noqa: E402
from world.facts import Facts  # noqa: E402
from world.objects import Kind, held_out  # noqa: E402
from world.questions import KIND_ORDER  # noqa: E402
from world.render import letters, look  # noqa: E402
from world.sample import sample  # noqa: E402
from world.scene import CELLS, PANEL_ID, Panel, Scene, Thing  # noqa: E402

# Of the questions about eight pictures of each set, seed 1. A change of one of these is a new VERSION of the world.
HASHES = {
    "in_style": "7dcb9c570ae7c1d3", "unseen": "82adcd3bdd4172ad", "clip_art": "2eb7cd084b0924b3",
    "small_far": "1bc046fa976ebc95", "long_text": "a23504921d4df4d1"}
MEANS = {"in_style": 142.44, "unseen": 119.22, "clip_art": 163.49, "small_far": 180.29, "long_text": 117.31}  # of the first picture
HAVE_CLIP_ART = clipart.ROOT.exists()


def sights(name: str, seed: int, count: int):
    return list(itertools.islice(generate.sight_stream(name, seed), count))


def training(count: int):
    return [look(sample(random.Random(f"test of training {i}"), "train")) for i in range(count)]


class Objects(unittest.TestCase):
    def test_there_is_enough_to_see(self):
        self.assertGreaterEqual(len(objects.NAMES), 300)
        self.assertEqual((len(objects.SHAPES), len(objects.COLOURS)), (8, 12))
        self.assertGreaterEqual(len(words.FAMILIES), 12)
        self.assertGreaterEqual(len(clipart.table()), 40)

    def test_names_do_not_collide(self):
        names = [*objects.NAMES, *objects.SHAPES, *objects.COLOUR_NAMES]
        self.assertEqual(len(names), len(set(names)))
        plurals = [objects.plural(n) for n in (*objects.NAMES, *objects.SHAPES)]
        self.assertEqual(len(plurals), len(set(plurals)))
        self.assertLessEqual(set(clipart.table()), set(objects.NAMES))

    def test_what_is_arguable_is_spelled_right(self):
        names = {*objects.NAMES, *objects.SHAPES}
        for name, others in facts.ARGUABLE_NAMES.items():
            self.assertLessEqual({name, *(o.replace("_", " ") for o in others.split(" "))}, names)
        for name, categories in objects.ARGUABLE.items():
            self.assertIn(name, names)
            self.assertLessEqual({c.replace("_", " ") for c in categories.split(" ")}, set(objects.CATEGORIES))

    def test_words_are_split(self):
        self.assertFalse(set(words.TRAIN_WORDS) & set(words.HELD_OUT_WORDS))
        self.assertGreater(len(words.HELD_OUT_WORDS), 80)


class HeldOut(unittest.TestCase):
    def test_training_never_shows_what_is_held_out(self):
        for sight in training(300):
            scene = sight.scene
            self.assertFalse(any(held_out(t.kind, scene.backdrop) for t in scene.things))
            self.assertFalse(any(t.style.startswith("clip") for t in scene.things))
            for panel in scene.panels:
                self.assertFalse({w.lower() for line in panel.lines for w in line.split()} & set(words.HELD_OUT_WORDS) - {"an"})

    def test_unseen_scenes_show_it(self):
        shown = [any(held_out(t.kind, s.scene.backdrop) for t in s.scene.things) for s, _ in sights("unseen", 2, 100)]
        self.assertGreater(sum(shown) / len(shown), 0.9)

    def test_small_things_are_small(self):
        for sight, _ in sights("small_far", 2, 60):
            self.assertLessEqual(max(t.size for t in sight.scene.things), 28)

    def test_long_texts_are_long(self):
        texts = [p.text for s, _ in sights("long_text", 2, 60) for p in s.scene.panels]
        self.assertGreater(sum(" " in t for t in texts), 40)

    @unittest.skipUnless(HAVE_CLIP_ART, "needs openclipart-png")
    def test_clip_art_is_all_that_is_drawn(self):
        for sight, _ in sights("clip_art", 2, 20):
            self.assertTrue(all(t.kind.is_shape or t.style.startswith("clip") for t in sight.scene.things))


class Determinism(unittest.TestCase):
    def test_the_sets_are_what_they_were(self):
        self.assertEqual(VERSION, 2)
        for name, want in HASHES.items():
            if name == "clip_art" and not HAVE_CLIP_ART:
                continue
            digest, first = hashlib.sha256(), None
            for _, sight, made, _ in generate.rows(name, 1, 8):
                first = np.asarray(sight.picture).mean() if first is None else first
                for line in made:
                    digest.update(json.dumps(line, sort_keys=True).encode())
            self.assertEqual(digest.hexdigest()[:16], want, name)
            self.assertAlmostEqual(first, MEANS[name], delta=0.5)

    def test_the_same_seed_writes_the_same_files(self):
        with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
            self.assertEqual(generate.write("in_style", 11, 4, Path(a)), generate.write("in_style", 11, 4, Path(b)))
            for name in sorted(p.name for p in Path(a).iterdir()):
                self.assertEqual((Path(a) / name).read_bytes(), (Path(b) / name).read_bytes(), name)


class Arguable(unittest.TestCase):
    """What somebody might say otherwise is not asked."""

    def facts(self, *panels: Panel) -> Facts:
        things = [Thing(Kind("apple"), 60, 50, 40), Thing(Kind("bell"), 60, 150, 40), Thing(Kind("star", "red"), 200, 120, 40, style="shape")]
        return Facts(look(Scene("plain", 1, things, list(panels))))

    def test_a_panel_may_be_what_lies_there_or_nearest(self):
        sign = Panel(["OPEN"], words.FONTS[0], 60, 100, 60, 20, 12, "white", (250, 250, 250), (0, 0, 0))
        plain, between = self.facts(), self.facts(sign)
        self.assertEqual([plain.in_direction(0, "below"), plain.closest(0)], [[1], 1])
        self.assertNotEqual(len(between.in_direction(0, "below")), 1)
        self.assertEqual(between.in_direction(2, "above", shapes_only=True), plain.in_direction(2, "above", shapes_only=True))
        self.assertIsNone(between.closest(0))

    def test_a_cell_with_an_edge_in_it_is_not_empty(self):
        facts = self.facts()
        self.assertTrue(facts.empty(2))
        self.assertFalse(facts.empty(0))
        self.assertFalse(facts.empty(5))

    def test_every_shape_that_training_shows_is_also_denied(self):
        shown = {k.label for k in objects.SHAPE_KINDS if not objects.held_out_shape(k)}
        denied, rng = set(), random.Random(5)
        asker = Asker(self.facts(), rng, words.TRAIN_WORDS)
        for _ in range(30000):
            denied.add(asker.absent())
        self.assertLessEqual(shown - {"red star"}, denied)
        self.assertFalse(denied & ({k.label for k in objects.SHAPE_KINDS} - shown))


class GroundTruth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.seen = [sight for sight in training(250) if sight.scene.things]

    def test_everything_stays_inside_and_visible(self):
        for sight in self.seen:
            self.assertEqual(len(sight.boxes), len(sight.scene.things))
            for i, (left, top, right, bottom) in enumerate(sight.boxes):
                self.assertTrue(0 <= left < right <= SIZE and 0 <= top < bottom <= SIZE)
                self.assertGreaterEqual((sight.owner == i + 1).sum(), 60)
            for n, panel in enumerate(sight.scene.panels):
                mine = (sight.owner == PANEL_ID + n).sum()
                self.assertGreater(mine, 0.9 * panel.width * panel.height)

    def test_letters_lie_on_their_panel(self):
        for sight in self.seen:
            for panel in sight.scene.panels:
                placed = letters(panel)
                self.assertEqual("".join(c for c, *_ in placed), panel.text.replace(" ", ""))
                self.assertTrue(all(l >= panel.box[0] and r <= panel.box[2] for _, l, _, r, _ in placed))

    def test_scenes_are_many_and_hold_a_dozen_things_at_most(self):
        self.assertLessEqual(max(len(s.scene.things) for s in self.seen), 12)
        self.assertGreater(len({s.scene.backdrop for s in self.seen}), 15)


class Questions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.asked = [(s, generate.questions_about("in_style", s, rng)) for s, rng in sights("in_style", 8, 250)]

    def each(self, *kinds: str):
        for sight, made in self.asked:
            for q in made:
                if q.kind in kinds:
                    yield sight, Facts(sight), q

    def test_existence_follows_from_the_scene(self):
        names = sorted([k.label for k in objects.KINDS] + list(objects.SHAPES), key=len, reverse=True)
        for sight, known, q in self.each("exist"):
            said = q.prompt.lower().rstrip("?") + " "
            asked = next((n for n in names if f" {n} " in said or f" {objects.plural(n)} " in said), None)
            if asked and "word" not in said and "say" not in said:
                self.assertEqual(q.answer == "yes", asked in known.owners, q)

    def test_counts_places_and_texts_are_true(self):
        for sight, known, q in self.each("count"):
            if q.turns[0].refs and q.answer != "0":
                self.assertEqual(len(q.turns[0].refs[0][1]), int(q.answer))
        for sight, known, q in self.each("where"):
            owner = q.turns[0].refs[0][1][0]
            self.assertEqual(CELLS[known.cell(owner - 1)], q.answer)
        for sight, known, q in self.each("read"):
            self.assertEqual(sight.scene.panels[q.turns[0].spells].text, q.answer)

    def test_descriptions_name_everything_once(self):
        for sight, known, q in self.each("describe", "caption"):
            self.assertEqual(mentions(q.answer), mentions(", ".join(t.kind.label for t in sight.scene.things)), q.answer)

    def test_refusals_are_about_what_is_not_there(self):
        for sight, known, q in self.each("refuse"):
            name = q.answer.removeprefix("there is no ")
            self.assertNotIn(name, known.owners)

    def test_references_point_at_words_and_owners(self):
        for sight, made in self.asked:
            valid = {*range(1, len(sight.scene.things) + 1), *range(PANEL_ID, PANEL_ID + len(sight.scene.panels))}
            for turn in (t for q in made for t in q.turns):
                self.assertEqual(len(turn.answer_refs), len(turn.answer.split(" ")))
                for word, owners in turn.refs:
                    self.assertLess(word, len(turn.prompt.split(" ")))
                    self.assertLessEqual(set(owners), valid)

    def test_all_kinds_are_asked_and_no_answer_dominates(self):
        rows = [line for _, _, made, _ in generate.rows("in_style", 9, 300) for line in made]
        self.assertEqual({r["kind"] for r in rows}, set(KIND_ORDER))
        for kind in KIND_ORDER:
            given = [r["answer"] for r in rows if r["kind"] == kind]
            share = max(given.count(a) for a in set(given)) / len(given)
            self.assertLess(share, 0.62 if kind == "exist" else 0.5, kind)
        self.assertIn("read: words", {p for r in rows for p in parts(r)})

    def test_arguable_names_are_not_denied(self):
        volcano = next(s for s, _ in sights("in_style", 3, 800) if any(t.kind == Kind("volcano") for t in s.scene.things))
        self.assertFalse(Facts(volcano).absent("mountain"))


if __name__ == "__main__":
    unittest.main()
