"""binocle calibrate: planted sinks are found, what is written is what interventions read, nothing is overwritten unasked."""

import json
import struct
import unittest

from answers import FTZ, LLAVA, OTHER_SCENE, Answers
from program import GOLDEN, SCENE, edit_header, main, run

PICTURES = ["--image", SCENE, "--image", OTHER_SCENE]
SINKS = GOLDEN / "llava_sinks"
QUESTION = ["--image", SCENE, "--logprobs", "5", "What is it?"]


def half(value):
    return struct.pack("<e", value)


class Calibrate(Answers):
    def planted(self, *changes):
        """A copy of a LLaVA whose embedding table has `value` at [row, dimension]; row None: every row, and every visual token."""
        model = self.model("llava")

        def edit(header, data):
            def put(name, at, value):
                begin = header[name]["data_offsets"][0] + 2 * at
                data[begin : begin + 2] = half(value)

            table = next(name for name in header if name.endswith("embed_tokens.weight"))
            bias = next(name for name in header if name.endswith("linear_2.bias"))
            self.assertEqual(header[table]["dtype"], "F16")
            rows, width = header[table]["shape"]
            for row, dimension, value in changes:
                for r in [row] if row is not None else range(rows):
                    put(table, r * width + dimension, value)
                if row is None:
                    put(bias, dimension, value)

        edit_header(model / "model.safetensors", edit)
        return model

    def calibrate(self, what, *arguments):
        result = self.fine("calibrate", what, *PICTURES, "--json", *arguments)
        self.assertEqual(result.stderr, "")
        return result.json

    def test_planted_sinks_are_found_and_used(self):
        model = self.planted((1, 11, 60.0), (None, 23, 3.0))
        found = self.calibrate("sinks", "--model", model)
        self.assertEqual(found["dims"], [11], found)
        self.assertEqual(found["path"], str(model / "sink_dims.json"))
        self.assertTrue(found["evidence"]["strongest"][0]["first_token"])
        written = json.loads((model / "sink_dims.json").read_text())
        self.assertEqual({**written, "path": found["path"]}, found)
        applied = self.ask("--var", "p=0.6,layers=0-2,mass=0", *QUESTION, model=model)
        self.assertEqual((applied["interventions"]["var"]["dims"], applied["interventions"]["var"]["tau"]), ([11], found["tau"]))
        plain = self.ask(*QUESTION, model=model)
        self.assertNotEqual(applied["logprobs"], plain["logprobs"])
        named = self.ask("--var", "p=0.6,layers=0-2,mass=0,dims=11", *QUESTION, model=model)
        self.assertEqual(named["interventions"]["var"], applied["interventions"]["var"], "the same dims by name")
        other = self.ask("--var", "p=0.6,layers=0-2,mass=0,dims=12", *QUESTION, model=model)
        self.assertEqual(other["interventions"]["var"]["tau"], 20, "tau in the file belongs to its dims")
        own = self.ask("--var", "p=0.6,layers=0-2,mass=0,tau=3", *QUESTION, model=model)
        self.assertEqual(own["interventions"]["var"]["tau"], 3)

    @unittest.skipUnless(SINKS.exists(), "no golden model with planted sinks")
    def test_the_sinks_of_the_golden_models_are_found(self):
        for name in ("llava_sinks", "binocle_sinks_vo", "binocle_sinks_mixed"):
            found = self.calibrate("sinks", "--model", GOLDEN / name, "--out", self.folder / f"{name}.json")
            self.assertEqual(found["dims"], [11, 40], found)

    def test_a_model_without_sinks_gets_no_file(self):
        for model in (LLAVA, FTZ):
            out = self.folder / "dims.json"
            result = run("calibrate", "sinks", "--model", model, *PICTURES, "--out", out, "--json")
            self.assertEqual((result.status, result.stdout), (1, ""))
            self.assertRegex(result.stderr, r"\AFAILED_PRECONDITION: .*: no dimension of the hidden states .*\n\Z")
            self.assertFalse(out.exists())

    def test_factors_of_one_change_nothing_to_the_bit(self):
        model = self.model("llava")
        found = self.calibrate("heads", "--model", model, "--clip", "1,1")
        self.assertEqual(set(found["factors"]), {1})
        self.assertEqual(len(found["factors"]), found["layers"] * found["heads"])
        modulate = "alpha=2,beta=1,layers=0-2"
        uniform = self.ask("--modulate", modulate, *QUESTION, model=model)
        calibrated = self.ask("--modulate", modulate + ",heads=calibrated", *QUESTION, model=model)
        self.assertEqual(calibrated["interventions"]["modulate"]["heads"], "calibrated")
        for key in ("token_ids", "logprobs"):
            self.assertEqual(calibrated[key], uniform[key])
        self.calibrate("heads", "--model", model, "--clip", "0,4", "--overwrite")
        self.assertNotEqual(self.ask("--modulate", modulate + ",heads=calibrated", *QUESTION, model=model)["logprobs"], uniform["logprobs"])

    def test_what_is_there_is_not_overwritten_unless_told(self):
        out = self.write("heads.json", "mine")
        arguments = ["calibrate", "heads", "--model", LLAVA, *PICTURES, "--out", out]
        result = run(*arguments)
        self.assertEqual(result.status, 1)
        self.assertEqual(result.stderr, f"ALREADY_EXISTS: {out}: is there already (--overwrite replaces it)\n")
        self.assertEqual(out.read_text(), "mine")
        self.fine(*arguments, "--overwrite")
        self.assertEqual(json.loads(out.read_text())["clip"], [0.25, 4])
        self.assertEqual([path.name for path in self.folder.iterdir()], ["heads.json"], "nothing else is left")

    def test_command_lines_that_mean_nothing_are_refused(self):
        for arguments, message in (
            ([], "what to calibrate is missing, expected sinks, heads or composite"),
            (["sinks"], "--image is missing"),
            (["heads", *PICTURES, "--clip", "4,1"], "--clip is 4,1, expected LOW,HIGH"),
            (["heads", *PICTURES, "--clip", "1"], "--clip is 1, expected LOW,HIGH"),
            (["sinks", *PICTURES, "--clip", "1,1"], "--clip is not an option"),
            (["sinks", *PICTURES, "--max-new-tokens", "0"], "--max-new-tokens is 0"),
        ):
            result = run("calibrate", *arguments)
            self.assertEqual((result.status, result.stdout), (2, ""), arguments)
            self.assertTrue(result.stderr.startswith(f"INVALID_ARGUMENT: {message}"), result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1)

    def test_files_that_cannot_be_are_errors(self):
        result = run("calibrate", "heads", "--model", LLAVA, *PICTURES, "--out", self.folder / "none" / "heads.json")
        self.assertEqual((result.status, result.stderr.split(":")[0]), (1, "NOT_FOUND"))
        result = run("calibrate", "heads", "--model", LLAVA, "--image", self.folder / "none.png", "--out", self.folder / "heads.json")
        self.assertEqual((result.status, result.stderr.split(":")[0]), (1, "NOT_FOUND"))


if __name__ == "__main__":
    main()
