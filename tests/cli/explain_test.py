"""binocle explain: files that a viewer opens, numbers that agree with each other and with `ask`, nothing lost that was there."""

import json
import math
import struct
import unittest

from answers import FTZ, LLAVA, OTHER_SCENE, SHORT, Answers, golden_tensors
from program import GOLDEN, SCENE, main, run

QUESTION = ["--image", SCENE, *SHORT, "What is it?"]


def png_size(path):
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n", path
    return struct.unpack(">II", content[16:24])


class Explain(Answers):
    def explain(self, *arguments, model=FTZ, out=None):
        out = out or self.folder / "out"
        result = self.fine("explain", "--model", model, "--out", out, "--json", *arguments)
        self.assertEqual(result.stderr, "")
        written = json.loads((out / "explanation.json").read_text())
        self.assertEqual(written, result.json, "what is printed is what is written")
        return result.json

    def test_every_word_has_a_map_and_a_picture(self):
        for model in (FTZ, LLAVA):
            report = self.explain(*QUESTION, model=model, out=self.folder / model.name)
            e = report["explanation"]
            self.assertTrue(e["words"])
            names = list(e["map"]["overlays"])
            for word in e["words"]:
                self.assertEqual(report["answer"].encode()[word["begin"] : word["end"]].decode(), word["text"])
                (patches,) = word["map"]["patches"]
                self.assertEqual(len(patches), e["rows"] * e["cols"])
                self.assertLessEqual(sum(patches), word["map"]["visual_mass"] + 1e-5)
                self.assertLess(word["map"]["visual_mass"], 1)
                names += word["map"]["overlays"]
            self.assertEqual(len(set(names)), 1 + len(e["words"]))
            seen = e["pictures"][0]
            for name in names:
                width, height = png_size(self.folder / model.name / name)
                self.assertGreaterEqual(min(width, height), 336)
                self.assertEqual(width * seen["height"], height * seen["width"], "the picture's shape")

    def test_it_answers_as_ask_does(self):
        report = self.explain(*QUESTION, "--logprobs", "3")
        asked = self.ask("--image", SCENE, "--grounding", "--logprobs", "3", "What is it?", model=FTZ)
        for key in ("answer", "token_ids", "logprobs", "prompt_token_ids", "grounding"):
            self.assertEqual(report[key], asked[key], key)
        self.assertEqual([t["grounding"] for t in report["explanation"]["tokens"]], asked["grounding"])
        self.assertEqual("".join(t["text"] for t in report["explanation"]["tokens"]), report["answer"])

    def near(self, got, want, what):
        self.assertEqual(len(got), len(want), what)
        for i, (g, w) in enumerate(zip(got, want)):
            self.assertAlmostEqual(g, w, delta=2e-5, msg=f"{what}, {i}")

    def test_weights_are_those_of_transformers(self):
        """Visual masses, maps and grounding against eager attention (tools/reference/attention_goldens.py)."""
        for model in ("llava_sinks", "binocle_sinks_mixed"):
            folder = GOLDEN / model
            kept = golden_tensors(folder / "attention.safetensors")
            for run_of in json.loads((folder / "attention.json").read_text())["runs"]:
                name, tokens = run_of["name"], len(run_of["token_ids"])
                options = [word for key, text in run_of["options"].items() for word in (f"--{key}", text)]
                images = [word for image in run_of["images"] for word in ("--image", (folder / image).resolve())]
                report = self.explain(
                    *images, *options, "--prompt-format", "raw", "--max-new-tokens", str(tokens), run_of["prompt"],
                    model=folder, out=self.folder / f"{model}-{name}",
                )
                with self.subTest(model=model, run=name):
                    e = report["explanation"]
                    self.assertEqual(report["token_ids"], run_of["token_ids"])
                    self.near(report["grounding"], kept[f"{name}.grounding"], "grounding")
                    maps = kept[f"{name}.maps"]
                    rows = [maps[at : at + len(maps) // tokens] for at in range(0, len(maps), len(maps) // tokens)]
                    self.near([t["visual_mass"] for t in e["tokens"]], [sum(row) for row in rows], "visual mass")
                    patches = e["rows"] * e["cols"]
                    self.assertEqual(len(rows[0]) % patches, 0)
                    for word in e["words"]:
                        mine = rows[word["first_token"] : word["end_token"]]
                        for picture, got in enumerate(word["map"]["patches"]):
                            begin = picture * patches
                            want = [sum(row[begin + p] for row in mine) / len(mine) for p in range(patches)]
                            self.near(got, want, f"map of {word['text']}")
                    self.assertTrue(e["words"], "a run without words compares no map")
                    last_row = kept[f"{name}.last_row"]
                    prompt = len(report["prompt_token_ids"])
                    for layer in e["sinks"]["layers"]:
                        for sink in layer["sinks"]:
                            self.assertAlmostEqual(sink["mass"], last_row[layer["layer"] * prompt + sink["position"]], delta=2e-5)

    def test_a_map_over_everything_is_the_mean_of_the_maps_of_single_heads(self):
        whole = self.explain(*QUESTION, model=LLAVA)["explanation"]
        layers = whole["layers"][1] + 1
        parts = []
        for layer in range(layers):
            for head in whole["heads"]:
                out = self.folder / f"{layer}-{head}"
                parts.append(self.explain(*QUESTION, "--layers", str(layer), "--heads", str(head), model=LLAVA, out=out)["explanation"])
        for w, word in enumerate(whole["words"]):
            for patch, weight in enumerate(word["map"]["patches"][0]):
                mean = sum(p["words"][w]["map"]["patches"][0][patch] for p in parts) / len(parts)
                self.assertTrue(math.isclose(weight, mean, rel_tol=1e-4, abs_tol=1e-7), (weight, mean))

    def test_interventions_show_in_the_map(self):
        plain = self.explain(*QUESTION, model=LLAVA)["explanation"]
        pai = self.explain(*QUESTION, "--pai", "alpha=3,layers=0-2", model=LLAVA, out=self.folder / "pai")["explanation"]
        self.assertGreater(pai["tokens"][0]["visual_mass"], plain["tokens"][0]["visual_mass"])

    def test_planted_sinks_are_reported_where_they_are(self):
        model = self.model("llava_sinks")
        self.fine("calibrate", "sinks", "--model", model, "--image", SCENE, "--image", OTHER_SCENE)
        e = self.explain(*QUESTION, model=model)["explanation"]
        self.assertEqual(e["sinks"]["dims"], [11, 40])
        last = e["sinks"]["layers"][-1]
        massive = [s for s in last["sinks"] if s["massive"]]
        self.assertTrue(massive)
        for sink in massive:
            self.assertGreaterEqual(sink["phi"], e["sinks"]["tau"] * 0.999)
            self.assertTrue(0 <= sink["mass"] < 1)
        first = next(s for s in last["sinks"] if s["position"] == 0)
        self.assertTrue(first["aligned"])
        self.assertAlmostEqual(first["cosine"], 1, places=5)

    def test_two_pictures_have_two_maps_and_files(self):
        report = self.explain("--image", SCENE, "--image", OTHER_SCENE, *SHORT, "Which?")
        e = report["explanation"]
        self.assertEqual(len(e["pictures"]), 2)
        for word in e["words"]:
            self.assertEqual(len(word["map"]["patches"]), 2)
            self.assertEqual(len(word["map"]["overlays"]), 2)
            for name in word["map"]["overlays"]:
                png_size(self.folder / "out" / name)

    def test_faithfulness_is_within_its_ranges(self):
        e = self.explain(*QUESTION, "--faithfulness", "--blocks", "4", "--curve-points", "4", "--word-curves")["explanation"]
        self.assertGreater(e["block"], 0)
        for measured in [e["faithfulness"], *[w["faithfulness"] for w in e["words"]]]:
            (f,) = measured
            for name in ("pearson", "spearman"):
                self.assertTrue(f[name] is None or -1 <= f[name] <= 1)
            curves = f["curves"]
            for name in ("by_map", "by_drop", "random"):
                self.assertEqual(curves[name]["share"], [0, 0.25, 0.5, 0.75, 1])
                # Nothing covered and everything covered are the same in every order.
                self.assertAlmostEqual(curves[name]["probability"][0], curves["by_map"]["probability"][0])
                self.assertAlmostEqual(curves[name]["probability"][-1], curves["by_map"]["probability"][-1])

    def test_an_explanation_stays_unless_it_may_be_replaced(self):
        self.explain(*QUESTION)
        out = self.folder / "out"
        other = self.folder / "other"
        other.mkdir()
        (other / "answer.png").write_bytes(b"mine")
        taken = run("explain", "--model", FTZ, "--out", other, "--image", SCENE, "Where?")
        self.assertEqual((taken.status, taken.stderr.split(":")[0]), (1, "ALREADY_EXISTS"))
        self.assertEqual((other / "answer.png").read_bytes(), b"mine")
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        refused = run("explain", "--model", FTZ, "--out", out, "--image", SCENE, "Where?")
        self.assertEqual((refused.status, refused.stderr.split(":")[0]), (1, "ALREADY_EXISTS"))
        self.assertEqual({path.name: path.read_bytes() for path in out.iterdir()}, before)
        (out / "mine.png").write_bytes(b"mine")
        self.explain("--image", SCENE, "--max-new-tokens", "1", "--overwrite", "Where?")
        names = {path.name for path in out.iterdir()}
        report = json.loads((out / "explanation.json").read_text())["explanation"]
        wanted = {"mine.png", "explanation.json", *report["map"]["overlays"]}
        self.assertEqual(names, wanted.union(*[set(w["map"]["overlays"]) for w in report["words"]]))

    def test_tables_for_people(self):
        result = self.fine("explain", "--model", FTZ, "--out", self.folder / "out", *QUESTION)
        for part in ("word ", "sinks:", "heads:", "layer   0"):
            self.assertIn(part, result.stdout)

    def test_what_is_wrong_is_said_before_the_model_is_loaded(self):
        file = self.write("file", "")
        for arguments, code, text in (
            (["--image", SCENE, "Q"], "INVALID_ARGUMENT", "--out"),
            (["--out", self.folder / "o", "Q"], "INVALID_ARGUMENT", "--image"),
            (["--out", self.folder / "o", "--image", SCENE], "INVALID_ARGUMENT", "question"),
            (["--out", self.folder / "o", "--image", SCENE, "--layers", "x", "Q"], "INVALID_ARGUMENT", "--layers is x"),
            (["--out", self.folder / "o", "--image", SCENE, "--layers", "0-99", "Q"], "INVALID_ARGUMENT", "--layers is 0-99"),
            (["--out", self.folder / "o", "--image", SCENE, "--heads", "0+99", "Q"], "INVALID_ARGUMENT", "--heads has 99"),
            (["--out", self.folder / "o", "--image", SCENE, "--heads", "0++1", "Q"], "INVALID_ARGUMENT", "--heads is 0++1"),
            (["--out", self.folder / "o", "--image", SCENE, "--cosine", "2", "Q"], "INVALID_ARGUMENT", "--cosine is 2"),
            (["--out", self.folder / "o", "--image", SCENE, "--side", "1", "Q"], "INVALID_ARGUMENT", "--side is 1"),
            (["--out", self.folder / "o", "--image", SCENE, "--n", "2", "Q"], "INVALID_ARGUMENT", "--n is 2"),
            (["--out", self.folder / "o", "--image", SCENE, "--faithfulness", "--blocks", "2", "Q"], "INVALID_ARGUMENT", "--blocks is 2"),
            (["--out", self.folder / "o", "--image", SCENE, "--word-curves", "Q"], "INVALID_ARGUMENT", "--faithfulness"),
            (["--out", self.folder / "o" / "p" / "q", "--image", self.folder / "none.png", "Q"], "NOT_FOUND", "none.png"),
            (["--out", file, "--image", SCENE, *SHORT, "Q"], "INVALID_ARGUMENT", "file"),
            (["--out", file / "below", "--image", SCENE, *SHORT, "Q"], "", "file"),
        ):
            result = run("explain", "--model", FTZ, *arguments)
            self.assertNotEqual(result.status, 0, arguments)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
            self.assertIn(text, result.stderr)
            self.assertTrue(result.stderr.startswith(code), result.stderr)
            self.assertFalse((self.folder / "o").exists(), "nothing is written")


if __name__ == "__main__":
    main()
