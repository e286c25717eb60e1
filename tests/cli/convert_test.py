"""Model directories rewritten by the program, and asked again."""

import os
import subprocess
import tempfile

from answers import FTZ, LLAVA, Answers
from program import GOLDEN, main, run


class Converting(Answers):
    def setUp(self):
        super().setUp()
        self.answers = {}  # of the models that copies are made of

    def answer(self, model):
        return self.ask("--logprobs", "3", "--image", GOLDEN / "images" / "scene_70x70.png", "What is it?", model=model)

    def same_answers(self, one, other):
        if one not in self.answers:
            self.answers[one] = self.answer(one)
        first, second = self.answers[one], self.answer(other)
        self.assertEqual(first["token_ids"], second["token_ids"])
        self.assertEqual(first["logprobs"], second["logprobs"], "bit for bit")

    def test_a_llava_directory_answers_the_same_in_binocles_form_and_back(self):
        for name in ("llava", "llava_model_prefix", "llava_siglip", "llava_dinov2", "llava_granite"):
            binocle, hf = self.folder / (name + "_binocle"), self.folder / (name + "_hf")
            report = self.fine("convert", "--model", GOLDEN / name, "--to", "binocle", "--out", binocle, "--json").json
            self.assertEqual(report["model_type"], "binocle")
            self.assertEqual(sorted(report["files"]), sorted(os.listdir(binocle)))
            self.same_answers(GOLDEN / name, binocle)
            self.fine("convert", "--model", binocle, "--to", "hf", "--out", hf)
            self.same_answers(GOLDEN / name, hf)

    def test_a_form_that_stays_answers_the_same(self):
        self.fine("convert", "--model", FTZ, "--out", self.folder / "ftz", "--shard-size", "1MiB")
        self.same_answers(FTZ, self.folder / "ftz")

    def test_tinyllava_and_assembled_models_become_whole_directories(self):
        for name in ("tinyllava", "assembled_siglip_dinov2_qwen2", "assembled_clip_dinov2_mof"):
            whole = self.folder / name
            self.fine("convert", "--model", GOLDEN / name, "--to", "binocle", "--out", whole)
            self.same_answers(GOLDEN / name, whole)
            self.assertNotIn('"path"', (whole / "config.json").read_text())

    def test_an_adapter_changes_the_answer_and_a_merged_one_does_not_come_apart(self):
        adapter = GOLDEN / "lora" / "llava_rank_stabilized"
        report = self.fine("convert", "--model", LLAVA, "--lora", adapter, "--out", self.folder / "merged", "--json").json
        self.assertEqual(report["merged_tensors"], 7)
        prompt = ("--image", GOLDEN / "images" / "scene_70x70.png", "What is it?")
        self.assertNotEqual(self.ask("--logprobs", "1", *prompt)["logprobs"], self.ask("--logprobs", "1", *prompt, model=self.folder / "merged")["logprobs"])

    def test_refusals_are_one_line_and_leave_nothing(self):
        out = self.folder / "out"
        text = self.folder / "text"
        self.fine("make-random", "--preset", "tiny-llama", "--out", text)
        gguf = next((GOLDEN / "gguf_models").glob("*.gguf"))
        (self.folder / "taken").mkdir()
        (self.folder / "taken" / "x").write_text("x")
        for words, status, says in [
            (["--model", LLAVA], 2, "--out is missing"),
            (["--out", out], 2, "--model is missing"),
            (["--model", LLAVA, "--out", out, "--to", "onnx"], 2, "--to is onnx, expected binocle or hf"),
            (["--model", LLAVA, "--out", out, "--dtype", "q4_0"], 2, "--dtype is q4_0"),
            (["--model", LLAVA, "--out", out, "--shard-size", "7"], 2, "--shard-size is 7"),
            (["--model", LLAVA, "--out", LLAVA / "inner"], 2, "which is inside"),
            (["--model", LLAVA, "--out", self.folder / "taken"], 1, "ALREADY_EXISTS"),
            (["--model", LLAVA, "--out", self.folder / "taken", "--overwrite"], 1, "has no config.json"),
            (["--model", self.folder / "none", "--out", out], 1, "NOT_FOUND"),
            (["--model", gguf, "--out", out], 1, "UNIMPLEMENTED"),
            (["--model", text, "--to", "binocle", "--out", out], 1, "UNIMPLEMENTED"),
            (["--model", FTZ, "--to", "hf", "--out", out], 1, "FAILED_PRECONDITION"),
            (["--model", GOLDEN / "llava_siglip_default", "--to", "binocle", "--out", out], 1, "drops the first patch"),
            (["--model", GOLDEN / "assembled_clip_dinov2_mof", "--to", "hf", "--out", out], 1, "fusion_config: type is interleave"),
            (["--model", LLAVA, "--out", out, "--conversation", "qwen3"], 2, "--conversation goes with the form binocle"),
            (["--model", LLAVA, "--to", "binocle", "--out", out, "--conversation", "qwen9"], 2, "--conversation is 'qwen9', expected one of"),
            (["--model", text, "--lora", GOLDEN / "lora" / "llava_rank_stabilized", "--out", out], 1, "unmatched"),
        ]:
            with self.subTest(says):
                result = run("convert", *words)
                self.assertEqual(result.status, status, result.stderr)
                self.assertIn(says, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)
        self.assertEqual(sorted(os.listdir(self.folder)), ["taken", "text"])

    def test_a_full_disk_leaves_nothing(self):
        """A file system of 64 KiB, where one may be mounted: in a user namespace of its own."""
        script = 'mount -t tmpfs -o size=64k none "$1" && "$2" convert --model "$3" --out "$1/out"; status=$?; ls -A "$1"; exit $status'
        with tempfile.TemporaryDirectory() as place:
            command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", place, os.environ["BINOCLE_PROGRAM"], str(LLAVA)]
            try:
                result = subprocess.run(command, capture_output=True, text=True, check=False)
            except FileNotFoundError:
                self.skipTest("no unshare")
        if "unshare" in result.stderr or "mount:" in result.stderr:
            self.skipTest("no user namespaces here")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertTrue(result.stderr.startswith("RESOURCE_EXHAUSTED"), result.stderr)
        self.assertEqual(result.stdout, "")


if __name__ == "__main__":
    main()
