"""binocle calibrate composite: PyTorch's movements, a proposal that --composite-layers takes and that keeps its promise, errors in one line."""

import json
import unittest

from answers import LLAVA, OTHER_SCENE, Answers
from program import GOLDEN, SCENE, main, run

SINKS = GOLDEN / "llava_sinks"
PICTURES = [str(GOLDEN / "images" / f"scene_{size}.png") for size in ("61x83", "130x70", "70x70")]


class CalibrateComposite(Answers):
    def calibrate(self, model, *arguments, pictures=PICTURES):
        out = self.folder / "composite_layers.json"
        out.unlink(missing_ok=True)
        images = [part for picture in pictures for part in ("--image", picture)]
        result = self.fine("calibrate", "composite", "--model", model, *images, "--max-new-tokens", "16", "--out", out, "--json", *arguments)
        self.assertEqual(result.stderr, "")
        found = result.json
        self.assertEqual({**json.loads(out.read_text()), "path": str(out)}, found)
        return found

    def near(self, got, want):
        self.assertEqual([m["layer"] for m in got], [m["layer"] for m in want])
        for a, b in zip(got, want):
            self.assertAlmostEqual(a["movement"], b["movement"], delta=max(1e-4 * b["movement"], 1e-6))
            self.assertEqual(a["changed_tokens"], b["changed_tokens"])
            self.assertAlmostEqual(a["saved"], b["saved"], delta=1e-12)

    def test_movements_are_those_of_pytorch(self):
        for model in (LLAVA, SINKS):
            golden = json.loads((model / "composite.json").read_text())
            for run_of in golden["runs"]:
                found = self.calibrate(model, "--aligner", run_of["aligner"])
                self.assertEqual(found["aligner"], run_of["aligner"])
                self.near(found["evidence"]["alone"], run_of["alone"])
                self.near(found["evidence"]["together"], run_of["together"])
                self.assertEqual((found["evidence"]["pictures"], found["evidence"]["tokens"]), (3, 48))

    def test_what_is_proposed_is_what_composite_layers_takes(self):
        before = 0
        for budget, layers in (("0", "5"), ("0.01", "4-5"), ("0.02", "4-5"), ("0.022", "3-5"), ("0.5", "1-5"), ("1", "0-5")):
            found = self.calibrate(SINKS, "--budget", budget)
            self.assertEqual((found["layers"], found["budget"]), (layers, float(budget)))
            self.assertLessEqual(found["movement"], float(budget))
            self.assertGreaterEqual(found["evidence"]["proposed"], before)
            before = found["evidence"]["proposed"]
            asked = self.ask("--image", SCENE, "--composite-layers", found["layers"], "--aligner", found["aligner"], "What?", model=SINKS)
            self.assertEqual(asked["attention"], "composite" if layers == "0-5" else "mixed")

    def test_a_budget_of_nothing_changes_nothing(self):
        found = self.calibrate(SINKS, "--budget", "0")
        self.assertEqual((found["movement"], found["changed_tokens"]), (0, 0))
        question = ["--image", SCENE, "--logprobs", "5", "What is it?"]
        plain = self.ask(*question, model=SINKS)
        free = self.ask(*question, "--composite-layers", found["layers"], "--aligner", "vo_ffn", model=SINKS)
        for key in ("token_ids", "logprobs"):
            self.assertEqual(free[key], plain[key])

    def test_the_order_of_the_pictures_does_not_matter(self):
        found = self.calibrate(LLAVA)
        self.assertEqual(self.calibrate(LLAVA, pictures=PICTURES[::-1]), found)

    def test_people_get_a_table_and_the_file_lies_beside_the_model(self):
        model = self.model("llava")
        result = self.fine("calibrate", "composite", "--model", model, "--image", SCENE, "--image", OTHER_SCENE, "--budget", "100")
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0].split(), ["layer", "nats", "alone", "changed", "|", "together", "changed", "saved", "%"])
        self.assertEqual(sum(line.endswith("<- composite") for line in lines), 3)
        self.assertRegex(lines[-2], r"\A--composite-layers 0-2 --aligner vo_ffn: [\d.e-]+ nats a token of at most 100, \d+ of \d+ tokens change, [\d.]+ % ")
        self.assertEqual(lines[-1], str(model / "composite_layers.json"))
        self.assertEqual(json.loads((model / "composite_layers.json").read_text())["layers"], "0-2")
        again = run("calibrate", "composite", "--model", model, "--image", SCENE)
        self.assertEqual((again.status, again.stderr.split(":")[0]), (1, "ALREADY_EXISTS"))

    def test_composite_layers_that_a_model_has_are_the_beginning(self):
        mixed = self.calibrate(GOLDEN / "binocle_mixed_vo")
        self.assertEqual(mixed["evidence"]["own_layers"], "0,2")
        self.assertEqual([m["layer"] for m in mixed["evidence"]["alone"]], [1, 3])
        self.assertEqual(mixed["aligner"], "vo")
        given = self.calibrate(SINKS, "--composite-layers", "5,2-3", "--budget", "0")
        self.assertEqual((given["layers"], given["evidence"]["own_layers"], given["evidence"]["proposed"]), ("2-3,5", "2-3,5", 0))
        out = self.folder / "none.json"
        result = run("calibrate", "composite", "--model", GOLDEN / "binocle_vo", "--image", SCENE, "--out", out)
        self.assertEqual((result.status, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"\AFAILED_PRECONDITION: binocle-vo: every layer is composite already, expected a stock one .*\n\Z")
        self.assertFalse(out.exists())
        stock = self.calibrate(GOLDEN / "binocle_vo", "--attention", "stock")
        self.assertEqual((stock["evidence"]["own_layers"], stock["aligner"]), ("", "vo"))

    def test_command_lines_that_mean_nothing_are_refused(self):
        picture = ["--image", SCENE]
        for arguments, message in (
            ([], "--image is missing"),
            ([*picture, "--budget", "-1"], "--budget is -1, expected 0 to 100"),
            ([*picture, "--budget", "101"], "--budget is 101, expected 0 to 100"),
            ([*picture, "--budget", "nan"], "--budget is nan, expected 0 to 100"),
            ([*picture, "--budget", "little"], "--budget is little, expected a number"),
            ([*picture, "--aligner", "glue"], "--aligner is glue, expected vo, vo_ffn or none"),
            ([*picture, "--clip", "1,1"], "--clip is not an option"),
            ([*picture, "--model", LLAVA, "--composite-layers", "0-9"], "--composite-layers is 0-9, expected layers within 0-2"),
            ([*picture, "--model", LLAVA, "--composite-layers", "1,0-1"], "--composite-layers is 1,0-1, expected layers such as 0-3,7,12-15: 1 is in it twice"),
            ([*picture, "--model", GOLDEN / "binocle_mixed_vo", "--aligner", "none"], "--aligner is none, expected vo: the model's composite layers have it"),
        ):
            with self.subTest(message):
                result = run("calibrate", "composite", *arguments, "--out", self.folder / "never.json")
                self.assertEqual((result.status, result.stdout), (2, ""), result.stderr)
                self.assertTrue(result.stderr.startswith(f"INVALID_ARGUMENT: {message}"), result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)
        self.assertFalse((self.folder / "never.json").exists())


if __name__ == "__main__":
    main()
