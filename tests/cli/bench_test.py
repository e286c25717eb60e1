#!/usr/bin/env python3
"""`binocle bench`: which stages and contenders there are, that their parts add up, and what is refused. What they take is nobody's business here."""

from program import main, run, unittest

SMALL = ["--prompt-tokens", "40", "--decode-tokens", "3", "--rounds", "2", "--batch", "1", "--batch", "3"]


class Model(unittest.TestCase):
    def stages(self, *arguments):
        result = run("bench", "model", "--json", *SMALL, *arguments, seconds=120)  # a gibibyte is read, and the system makes it first
        self.assertEqual(result.status, 0, result.stderr)
        return result.json

    def test_every_stage_has_its_rows_and_its_time_is_that_of_its_ops(self):
        bench = self.stages("--visual-tokens", "20", "--compute", "int8")
        self.assertEqual((bench["compute"], bench["rounds"]), ("int8", 2))
        self.assertEqual([(s["stage"], s["batch"], s["visual_tokens"], s["tokens"]) for s in bench["stages"]],
                         [("encode", 1, 0, 144), ("prefill", 1, 0, 40), ("decode", 1, 0, 1), ("decode", 3, 0, 3), ("picture", 1, 0, 208),
                          ("picture_again", 1, 0, 208), ("language_stock", 1, 20, 84), ("language_composite", 1, 20, 84), ("questions", 1, 20, 1),
                          ("questions", 3, 20, 3)])
        for stage in bench["stages"]:
            with self.subTest(stage["stage"]):
                times = stage["milliseconds"]
                self.assertTrue(0 < times["lower"] <= times["median"] <= times["upper"], times)
                self.assertGreater(stage["first_milliseconds"], 0)
                self.assertAlmostEqual(sum(op["milliseconds"] for op in stage["ops"]), times["median"], delta=1e-6 * times["median"])
                self.assertIn("linear", [op["op"] for op in stage["ops"]])
                self.assertEqual(stage["gigabytes_per_second"] > 0, stage["stage"] == "decode")

    def test_composite_layers_leave_visual_rows_out_of_the_ffn(self):
        ops = {stage["stage"]: {op["op"]: op["calls"] for op in stage["ops"]} for stage in self.stages("--visual-tokens", "20")["stages"]}
        self.assertEqual(ops["language_stock"]["attention"], ops["language_composite"]["attention"], "text alone attends")
        self.assertNotEqual(ops["language_stock"]["linear"], ops["language_composite"]["linear"], "a picture goes through products of its own")

    def test_what_does_not_fit_is_refused_by_its_option(self):
        for arguments, words in ((["--visual-tokens", "0"], "--visual-tokens is 0, expected 1 to 65536"),
                                 (["--visual-tokens", "4000"], "--visual-tokens is 4000, expected 1 to"),
                                 (["--batch", "65"], "--batch is 65, expected 1 to 64"),
                                 (["--rounds", "0"], "--rounds is 0, expected 1 to 1000"),
                                 (["--prompt-tokens", "600"], "--prompt-tokens is 600, expected 1 to"),
                                 (["--compute", "int5"], "int5")):
            with self.subTest(arguments):
                result = run("bench", "model", *arguments)
                self.assertEqual(result.status, 2, result.stderr)
                self.assertTrue(result.stderr.startswith("INVALID_ARGUMENT: "), result.stderr)
                self.assertIn(words, result.stderr)
                self.assertEqual(result.stdout, "")


class Attention(unittest.TestCase):
    def test_contenders_take_turns_in_both_phases(self):
        result = run("bench", "attention", "--tokens", "16", "--model-shape", "tiny", "--rounds", "1", "--json", seconds=120)
        self.assertEqual(result.status, 0, result.stderr)
        seen = {(row["contender"], row["phase"]) for row in result.json["attention"]}
        self.assertLessEqual({("core", "prefill"), ("core", "decode"), ("two_pass", "prefill"), ("two_pass", "decode")}, seen)
        for row in result.json["attention"]:
            self.assertGreater(row["milliseconds"]["median"], 0)
            if row["contender"] == "core":
                self.assertEqual(row["ratio"]["median"], 1)


if __name__ == "__main__":
    main()
