"""The default model's tables from judged sets that are made up here."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE))

from cost import language, multiplications, tower  # noqa: E402
from generate import SETS  # noqa: E402
from score import mentions, named  # noqa: E402
from report import accuracies, comparison, interval, judged_folder, kinds_table, markdown, read, replace_table, tables  # noqa: E402

SETS_OF = (3, 20)
TEXT = {"hidden_size": 8, "intermediate_size": 6, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "vocab_size": 10}


def config(fusion: str = "ftz", aligner: str | None = "vo") -> dict:
    one = {"hidden_size": 4, "num_hidden_layers": 1, "image_size": 8, "patch_size": 4, "intermediate_size": 5}
    out = {"anchor_config": one, "fusion_config": {"type": fusion}, "text_config": TEXT}
    if fusion != "anchor":
        out["augment_config"] = {"hidden_size": 4, "num_hidden_layers": 1, "image_size": 12, "patch_size": 4, "mlp_ratio": 2, "num_register_tokens": 1}
    return out | ({"composite_attention": {"aligner": aligner}} if aligner else {})


def judged(folder: Path, wrong: set[int], pictures: int = 20) -> None:
    """Two questions a picture, one of each kind; in the pictures of `wrong` the second is answered wrongly."""
    folder.mkdir(parents=True)
    asked = [(f"{i:04d}-{n:02d}", kind) for i in range(pictures) for n, kind in enumerate(("exist", "read"))]
    (folder / "questions.jsonl").write_text("".join(json.dumps({"id": i, "image": "x.png", "prompt": "?", "answer": "CAT", "kind": k}) + "\n" for i, k in asked))
    for file in ("pairs.jsonl", "dialogues.jsonl"):
        (folder / file).write_text("")
    said = ({"id": i, "answer": "DOG" if k == "read" and int(i[:4]) in wrong else "CAT"} for i, k in asked)
    (folder / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in said))
    (folder / "about.jsonl").write_text("".join(json.dumps({"id": i, "about": "objects" if k == "exist" else "", "held_out": k == "read"}) + "\n"
                                               for i, k in asked))
    (folder / "score.json").write_text("{}")


def run(runs: Path, name: str, wrong: set[int], settings: dict) -> None:
    for set_name in SETS:
        judged(judged_folder(runs / name, *SETS_OF) / set_name, wrong)
    (runs / name / "model").mkdir()
    (runs / name / "model/config.json").write_text(json.dumps(settings))
    stage = {"stage": "picture", "milliseconds": {"median": 3.0}}
    (runs / name / "bench.json").write_text(json.dumps([{"stages": [stage]}] * 3))


class Descriptions(unittest.TestCase):
    def test_what_they_name_stands_where_they_say(self):
        text = "2 goats, an orange circle with a label, a traffic light, a goat, 2 signs and 3 scarves"
        found = named(text)
        self.assertEqual([(name, times) for name, times, _, _ in found],
                         [("goat", 2), ("orange circle", 1), ("traffic light", 1), ("goat", 1), ("scarf", 3)])
        self.assertEqual([text[begin:end] for _, _, begin, end in found], ["goats", "orange circle", "traffic light", "goat", "scarves"])
        self.assertEqual(mentions(text)["goat"], 3)

    def test_what_is_none_names_nothing(self):
        self.assertEqual(mentions(""), {})
        self.assertEqual(mentions("a sign"), {})


class Costs(unittest.TestCase):
    def test_counted_one_by_one(self):
        rows, text = 4, 3
        square, kv, ffn = 8 * 8, 2 * 8 * 4, 3 * 8 * 6
        keys = {"stock": rows * (rows + 1) // 2, "composite": 0}
        seen = sum(rows + i + 1 for i in range(text))
        whole = 2 * square + kv + ffn
        self.assertEqual(language(TEXT, None, rows, text), 2 * ((rows + text) * whole + 2 * 8 * (seen + keys["stock"])))
        self.assertEqual(language(TEXT, {"aligner": "vo"}, rows, text), 2 * (text * whole + rows * (kv + square) + 2 * 8 * seen))
        self.assertEqual(language(TEXT, {"aligner": "none"}, rows, text), 2 * (text * whole + rows * kv + 2 * 8 * seen))
        self.assertEqual(tower(config()["anchor_config"]), (3 * 4 * 16 * 4 + 5 * (4 * 16 + 2 * 4 * 5) + 2 * 25 * 4, 4))

    def test_parts_add_up(self):
        one, two = multiplications(config("anchor")), multiplications(config("ftz"))
        keys = 9
        fuse = 2 * 4 * 16 + 2 * keys * 16 + 2 * 4 * keys * 4
        self.assertEqual(two.vision - one.vision, tower(config()["augment_config"])[0] + fuse)
        self.assertEqual((one.visual_tokens, multiplications(config("interleave")).visual_tokens), (4, 8))
        self.assertEqual(one.prefill, two.prefill)


class Tables(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.runs = Path(folder.name)

    def test_an_interval_holds_what_the_pictures_say(self):
        judged(self.runs / "set", set(range(5)))
        values = accuracies(read(self.runs / "set"), ("read",))
        self.assertEqual(values[0], 0.75)
        self.assertAlmostEqual(float(values[1:].std()), (0.75 * 0.25 / 20) ** 0.5, delta=0.01)
        self.assertEqual(interval(accuracies(read(self.runs / "set"), ("exist",))), "1.000 [1.000, 1.000]")
        self.assertEqual(accuracies(read(self.runs / "set"), None)[0], 0.875)

    def test_designs_are_compared_picture_by_picture(self):
        run(self.runs, "anchor-1", set(range(10)), config("anchor"))
        run(self.runs, "anchor-2", set(range(6)), config("anchor"))
        run(self.runs, "default-1", set(range(4)), config())
        run(self.runs, "default-2", set(range(4)), config())
        table = comparison(self.runs, SETS_OF, ("default", "anchor", "augment"), "anchor", relative=False)
        rows = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in table.splitlines()[2:]}
        self.assertEqual(list(rows), ["ftz", "anchor"], "designs without a run have no row")
        self.assertRegex(rows["ftz"][1], r"^0\.900, \+10\.0 \[\+\d\.\d, \+1\d\.\d\]$")
        self.assertRegex(rows["ftz"][2], r"^0\.800, \+20\.0 \[\+\d\.\d, \+3\d\.\d\]$")
        self.assertEqual(rows["anchor"][:3], ["0.750 0.850", "0.800", "0.600"])
        table = kinds_table(self.runs, SETS_OF, (("default", "anchor"), ("vo", "stock")))
        self.assertEqual(table.splitlines()[0], "| kind | ftz from anchor, points |", "no stock was run")
        self.assertRegex(table, r"\| read \| \+20\.0 \[")
        self.assertRegex(table, r"\| exist \| \+0\.0 \[\+0\.0, \+0\.0\] \|")

    def test_only_what_was_measured_is_written(self):
        self.assertEqual(tables(self.runs, SETS_OF), {})
        run(self.runs, "stock-1", set(), config(aligner=None))
        run(self.runs, "vo-1", {1}, config())
        self.assertEqual(list(tables(self.runs, SETS_OF)), ["aligners", "kinds"])
        run(self.runs, "default", {1}, config())
        made = tables(self.runs, SETS_OF)
        self.assertEqual(sorted(made), ["accuracy", "aligners", "kinds"], "nothing was captioned")
        self.assertEqual(tables(self.runs, (3, 21)), {}, "other sets")
        (judged_folder(self.runs / "default", *SETS_OF) / "unseen/score.json").unlink()
        self.assertEqual(list(tables(self.runs, SETS_OF)), ["aligners", "kinds"], "one set is not done")
        self.assertIn("| any kind: never shown | 20 | 0.950 [", made["accuracy"])
        self.assertIn("| all kinds, points from in style |  |  | +0.0 [", made["accuracy"])
        self.assertIn("| read | 20 | 0.950 [", made["accuracy"])

    def test_words_around_a_table_stay(self):
        page = "a\n<!-- x -->\nold\n<!-- end x -->\nb\n"
        self.assertEqual(replace_table(page, "x", markdown(["", "n"], [["k", "1"]])),
                         "a\n<!-- x -->\n|  | n |\n| --- | ---: |\n| k | 1 |\n<!-- end x -->\nb\n")
        with self.assertRaisesRegex(SystemExit, "no place for the table 'y'"):
            replace_table(page, "y", "")


if __name__ == "__main__":
    unittest.main()
