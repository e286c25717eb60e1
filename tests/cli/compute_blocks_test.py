"""GGUF files whose matrices are in blocks, computed with as they are stored: `--compute blocks`."""

from answers import LLAVA, Answers
from program import main, run

TYPES = ("q8_0", "q4_0")  # that make-random writes; tests/core has the others


class ComputingWithBlocks(Answers):
    def random(self, dtype):
        path = self.folder / f"{dtype}.gguf"
        self.fine("make-random", "--preset", "tiny-llama", "--dtype", dtype, "--out", path)
        return path

    def logprobs(self, model, *options):
        return self.ask("--logprobs", "3", "--prompt-format", "raw", *options, "What is a model?", model=model)["logprobs"]

    def test_one_row_and_many_and_one_thread_and_two_give_the_same_bits(self):
        for dtype in TYPES:
            with self.subTest(dtype):
                model = self.random(dtype)
                want = self.logprobs(model, "--compute", "blocks", "--threads", "1")
                self.assertEqual(self.logprobs(model, "--compute", "blocks", "--threads", "2"), want)
                self.assertEqual(self.logprobs(model, "--compute", "blocks", "--prefill-chunk-tokens", "1"), want)

    def test_answers_are_near_those_of_f32_and_never_they(self):
        for dtype in TYPES:
            with self.subTest(dtype):
                model = self.random(dtype)
                kinds = {kind: self.ask("--logprobs", "1", "--prompt-format", "raw", "What?", "--compute", kind, model=model) for kind in ("f32", "blocks", "int8")}
                first = {kind: answer["logprobs"][0][0] for kind, answer in kinds.items()}
                self.assertNotEqual(first["blocks"], first["f32"], "activations are rounded")
                self.assertEqual(first["blocks"][0], first["f32"][0])
                self.assertAlmostEqual(first["blocks"][1], first["f32"][1], delta=0.1)
                self.assertEqual(kinds["blocks"]["compute"], "blocks")

    def test_the_plan_has_the_file_and_no_copy_of_it(self):
        model = self.random("q4_0")
        info = {kind: self.fine("inspect", "--json", "--model", model, "--compute", kind).json for kind in ("f32", "int8", "blocks")}
        plan = {kind: sum(part["weight_bytes"] for part in shown["parts"]) for kind, shown in info.items()}
        self.assertEqual(plan["blocks"], plan["f32"], "norms, and nothing of a matrix")
        self.assertLess(plan["blocks"], plan["int8"])
        memory = info["blocks"]["memory"]
        rest = memory["kv_bytes"] + memory["workspace_bytes"] + sum(part["activation_bytes"] for part in info["blocks"]["parts"])
        self.assertLessEqual(memory["planned_bytes"], rest + plan["blocks"] + memory["file_bytes"])

    def test_a_model_without_blocks_is_refused(self):
        for model, *words in ((LLAVA, "--compute", "blocks"), (LLAVA, "--compute-parts", "language=blocks"), (self.random("f16"), "--compute", "blocks")):
            result = run("ask", "--model", model, "--prompt-format", "raw", *words, "What?")
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
            self.assertIn("asks for blocks, but", result.stderr)
            self.assertIn("has none", result.stderr)
            self.assertNotEqual(result.status, 0)


if __name__ == "__main__":
    main()
