"""Random models made, inspected and asked."""

import os
import signal
import subprocess
import time

from answers import Answers
from program import GOLDEN, SANITIZED, main, program, run


class MakingRandomModels(Answers):
    def test_presets_are_listed(self):
        names = [preset["name"] for preset in self.fine("make-random", "--list", "--json").json["presets"]]
        self.assertIn("vicuna-7b", names)
        self.assertEqual(len(names), len(set(names)))
        table = self.fine("make-random", "--list").stdout
        self.assertEqual([line.split()[0] for line in table.splitlines()], names)

    def test_small_ones_load_and_answer(self):
        for preset, name, options in [("tiny-llama", "llama", []), ("tiny-llama", "llama.gguf", ["--dtype", "q4_0"]), ("tiny-llava", "llava", ["--dtype", "f32"]),
                                      ("tiny-binocle", "binocle", ["--dtype", "bf16"])]:
            with self.subTest(name):
                path = self.folder / name
                report = self.fine("make-random", "--preset", preset, "--out", path, "--json", *options).json
                info = self.fine("inspect", "--json", path).json
                # The last layer of a CLIP tower and the norm behind it are in the files and not used.
                self.assertLessEqual(info["parameters"], report["parameters"])
                self.assertGreater(info["parameters"], 0.8 * report["parameters"])
                picture = [] if preset == "tiny-llama" else ["--image", GOLDEN / "images" / "scene_70x70.png"]
                answer = self.fine("ask", "--model", path, "--json", "--prompt-format", "chat" if picture else "raw", "--max-new-tokens", "16", *picture, "What is it?").json
                self.assertGreaterEqual(len(set(answer["token_ids"])), min(6, len(answer["token_ids"])), "greedy tokens vary")

    def test_refusals_are_one_line(self):
        out = self.folder / "out"
        for words, status, says in [
            ([], 2, "--preset is missing"),
            (["--preset", "tiny-llama"], 2, "--out is missing"),
            (["--preset", "gpt-9", "--out", out], 2, "--preset is gpt-9, expected one of llava-1.5-7b"),
            (["--preset", "tiny-llama", "--out", out, "--dtype", "q4_0"], 2, "--dtype is q4_0"),
            (["--preset", "tiny-llava", "--out", self.folder / "x.gguf"], 2, "expected a text model"),
            (["--preset", "tiny-llama", "--out", out, "--seed", "-1"], 2, "--seed is -1"),
            (["--preset", "tiny-llama", "--out", self.folder / "no" / "where"], 1, "NOT_FOUND"),
        ]:
            with self.subTest(says):
                result = run("make-random", *words)
                self.assertEqual(result.status, status, result.stderr)
                self.assertIn(says, result.stderr)
                self.assertEqual(result.stderr.count("\n"), 1)
        self.assertEqual(os.listdir(self.folder), [])

    def stopped_by(self, each):
        """The line on stderr of a run that this signal came to while it wrote, in whatever job it runs: nohup's ignore SIGHUP."""
        process = subprocess.Popen([program(), "make-random", "--preset", "tinyllama-1.1b", "--out", self.folder / "out"], stderr=subprocess.PIPE, text=True,
                                   preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
        while not list(self.folder.glob("out.part/*.safetensors.part")):
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.send_signal(each)
        return process.communicate()[1]

    def test_ctrl_c_and_whoever_ends_jobs_leave_nothing(self):
        if SANITIZED:
            self.skipTest("takes gigabytes to be slow enough")
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(each):
                self.assertIn("CANCELLED", self.stopped_by(each))
                self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    main()
