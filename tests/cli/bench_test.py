#!/usr/bin/env python3
"""`binocle bench`: which stages and contenders there are, that their parts add up, and what is refused. What they take is nobody's business here."""

import statistics

from program import main, run, unittest

SMALL = ["--prompt-tokens", "40", "--decode-tokens", "3", "--rounds", "2", "--batch", "1", "--batch", "3"]
LEVELS = ["scalar", "avx2", "avx512", "vnni", "bf16", "amx"]  # each has what the ones before it have


def refused(test, command, *cases):
    for arguments, words in cases:
        with test.subTest(arguments):
            result = run("bench", command, *arguments)
            test.assertEqual(result.status, 2, result.stderr)
            test.assertTrue(result.stderr.startswith("INVALID_ARGUMENT: "), result.stderr)
            test.assertIn(words, result.stderr)
            test.assertEqual(result.stdout, "")


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
                          ("picture_again", 1, 0, 208), ("second_question", 1, 0, 63), ("language_stock", 1, 20, 84), ("language_composite", 1, 20, 84), ("questions", 1, 20, 1),
                          ("questions", 3, 20, 3)])
        for stage in bench["stages"]:
            with self.subTest(stage["stage"]):
                times = stage["milliseconds"]
                self.assertTrue(0 < times["lower"] <= times["median"] <= times["upper"], times)
                self.assertGreater(stage["first_milliseconds"], 0)
                self.assertAlmostEqual(sum(op["milliseconds"] for op in stage["ops"]), times["median"], delta=1e-6 * times["median"])
                self.assertIn("linear", [op["op"] for op in stage["ops"]])
                self.assertEqual(stage["gigabytes_per_second"] > 0, stage["stage"] == "decode")
                if stage["stage"] == "decode":
                    self.assertAlmostEqual(stage["read_share"] * stage["read_gigabytes_per_second"], stage["gigabytes_per_second"])

    def test_composite_layers_leave_visual_rows_out_of_the_ffn(self):
        ops = {stage["stage"]: {op["op"]: op["calls"] for op in stage["ops"]} for stage in self.stages("--visual-tokens", "20")["stages"]}
        self.assertEqual(ops["language_stock"]["attention"], ops["language_composite"]["attention"], "text alone attends")
        self.assertNotEqual(ops["language_stock"]["linear"], ops["language_composite"]["linear"], "a picture goes through products of its own")

    def test_what_does_not_fit_is_refused_by_its_option(self):
        refused(self, "model", (["--visual-tokens", "0"], "--visual-tokens is 0, expected 1 to 65536"),
                (["--visual-tokens", "4000"], "--visual-tokens is 4000, expected 1 to"),
                (["--batch", "65"], "--batch is 65, expected 1 to 64"),
                (["--rounds", "0"], "--rounds is 0, expected 1 to 1000"),
                (["--prompt-tokens", "600"], "--prompt-tokens is 600, expected 1 to"),
                (["--compute", "int5"], "int5"))


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


class Machine(unittest.TestCase):
    def test_rates_are_those_of_the_level(self):
        result = run("bench", "machine", "--rounds", "2", "--threads", "1", "--json", seconds=120)
        self.assertEqual(result.status, 0, result.stderr)
        self.assertEqual(result.stderr, "")
        bench = result.json
        self.assertEqual(list(bench), ["cpu_level", "threads", "rounds", "read_rate", "f32_rate", "bf16_rate", "int8_rate"])
        self.assertEqual((bench["threads"], bench["rounds"]), (1, 2))
        for rate, levels in (("read_rate", LEVELS), ("f32_rate", LEVELS), ("int8_rate", LEVELS[3:]), ("bf16_rate", LEVELS[4:])):
            with self.subTest(rate):
                spread = bench[rate]
                self.assertTrue(0 <= spread["lower"] <= spread["median"] <= spread["upper"], spread)
                self.assertEqual(spread["lower"] > 0, bench["cpu_level"] in levels, bench)

    def test_a_table_has_a_line_for_each_rate(self):
        result = run("bench", "machine", "--rounds", "1", seconds=120)
        self.assertEqual(result.status, 0, result.stderr)
        self.assertEqual([line.split()[0] for line in result.stdout.splitlines()[1:]], ["read", "f32", "bf16", "int8"])

    def test_what_is_out_of_range_is_refused(self):
        refused(self, "machine", (["--rounds", "0"], "--rounds is 0, expected 1 to 1000"),
                (["--threads", "1025"], "--threads is 1025, expected 0 to 1024"),
                (["--threads", "two"], "--threads is two, expected an integer of 64 bits"))


class Ops(unittest.TestCase):
    def test_lines_have_their_sizes_and_shares(self):
        result = run("bench", "ops", "--rows", "2", "--shape", "96x64", "--shape", "1x200", "--compute", "int8", "--rounds", "1", "--json", seconds=300)
        self.assertEqual(result.status, 0, result.stderr)
        self.assertEqual(result.stderr, "")
        self.assertEqual(list(result.json), ["machine", "ops"])
        machine, ops = result.json["machine"], result.json["ops"]
        self.assertEqual([(op["n"], op["k"], op["rows"], op["compute"]) for op in ops if op["op"] == "linear"],
                         [(96, 64, 2, "int8"), (1, 200, 2, "int8")])
        self.assertEqual([(op["rows"], op["keys"], op["heads"], op["kv_heads"], op["head_dim"], op["compute"]) for op in ops if op["op"] == "attention"],
                         [(rows, keys, *heads, "bf16") for heads in ((32, 4, 64), (32, 32, 128)) for rows, keys in ((512, 512), (1, 576), (1, 2880))])
        self.assertEqual({op["op"] for op in ops}, {"linear", "swiglu", "linear_activate", "attention", "rms_norm", "layer_norm", "rope", "silu_mul", "gelu",
                                                    "gelu_tanh", "quick_gelu", "kv_write"})
        for op in ops:
            with self.subTest(op["op"], rows=op["rows"], keys=op["keys"]):
                self.assertGreater(op["milliseconds"]["median"], 0)
                self.assertGreater(op["read_share"]["median"], 0)
                products = op["n"] > 0 or op["keys"] > 0
                self.assertEqual(op["operations_per_second"]["median"] > 0, products)
                rate = machine[op["compute"] + "_rate"]["median"]
                self.assertEqual(op["arithmetic_share"]["median"] > 0, products and rate > 0)
        # Of one op a share may be anything where others use the processors: it and the machine are not measured at the same moment.
        products = [op for op in ops if op["n"] > 0 or op["keys"] > 0]
        for share in ("arithmetic_share", "read_share"):  # of rows alone they may come from a cache
            self.assertLess(statistics.median(op[share]["median"] for op in products), 1.5, share)

    def test_what_is_out_of_range_is_refused(self):
        refused(self, "ops", (["--rows", "0"], "--rows is 0, expected 1 to 8192"),
                (["--rows", "1", "--rows", "8193"], "--rows is 8193, expected 1 to 8192"),
                (["--shape", "0x64"], "--shape is 0x64, expected NxK with N from 1 to 262144 and K from 1 to 65536"),
                (["--shape", "64x65537"], "--shape is 64x65537, expected NxK with N from 1 to 262144 and K from 1 to 65536"),
                (["--shape", "64"], "--shape is 64, expected NxK, e.g. 2048x5632"),
                (["--shape", "64x"], "--shape is 64x, expected NxK, e.g. 2048x5632"),
                (["--shape", "64x64x64"], "--shape is 64x64x64, expected NxK, e.g. 2048x5632"),
                (["--shape="], "--shape is empty, expected NxK, e.g. 2048x5632"),
                (["--compute", "blocks"], "--compute is blocks, expected f32, bf16, int8 or int4"),
                (["--compute="], "--compute is empty, expected f32, bf16, int8 or int4"),
                (["--threads", "-1"], "--threads is -1, expected 0 to 1024"),
                (["--rounds", "1001"], "--rounds is 1001, expected 1 to 1000"))

    def test_a_matrix_that_the_machine_has_no_room_for_is_refused_before_it_is_made(self):
        result = run("bench", "ops", "--shape", "262144x65536", "--rows", "8192")
        self.assertEqual(result.status, 1, result.stderr)
        self.assertTrue(result.stderr.startswith("RESOURCE_EXHAUSTED: bench: the matrices and rows take "), result.stderr)


class Commands(unittest.TestCase):
    def test_what_to_measure_has_to_be_said(self):
        result = run("bench")
        self.assertEqual((result.status, result.stderr), (2, "INVALID_ARGUMENT: what to measure is missing, expected attention, machine, model or ops\n"))


if __name__ == "__main__":
    main()
