"""What a process takes at its peak, beside what `inspect` says that it will."""

import shutil
import sys
from pathlib import Path

from answers import Answers
from program import SANITIZED, main

TOLERANCE = 0.10
CONTEXT = 768
CHUNK = 512  # the default
PICTURE = Path(__file__).resolve().parent.parent / "golden" / "images" / "scene_70x70.png"


class PlanningMemory(Answers):
    def peak_and_plan(self, model, *options):
        """Bytes at the peak of a process that reads a chunk and more with a picture in it, and the plan."""
        options = ["--context-tokens", str(CONTEXT), "--threads", "2", *options]
        plan = self.fine("inspect", "--json", "--model", model, *options).json["memory"]["planned_bytes"]
        result = self.fine("ask", "--model", model, "--json", *options, "--max-new-tokens", "2", "--image", PICTURE, "What is it? " * 28, seconds=60)
        return result.memory, plan, result.json

    def test_the_peak_is_within_a_tenth_of_the_plan(self):
        if not Path("/proc/self/status").exists() or not sys.platform.startswith("linux"):
            self.skipTest("needs /proc")
        if SANITIZED:
            self.skipTest("sanitizers take memory of their own")
        if shutil.disk_usage(self.folder).free < 1 << 30:
            self.skipTest("needs 1 GiB of disk")
        self.fine("make-random", "--preset", "tiny-llava", "--out", self.folder / "tiny")
        peak, plan, _ = self.peak_and_plan(self.folder / "tiny")
        program = peak - plan  # libraries, the picture's decoder, threads
        small, packed = self.folder / "small", self.folder / "packed"
        self.fine("make-random", "--preset", "small-llava", "--out", small, seconds=60)
        self.fine("quantize", "--model", small, "--compute", "int8", "--out", packed, seconds=60)
        for name, model, options in (("f32", small, ["--compute", "f32"]), ("int8", small, ["--compute", "int8"]), ("int8, packed", packed, [])):
            with self.subTest(name):
                peak, plan, answer = self.peak_and_plan(model, *options)
                self.assertGreater(answer["prompt_tokens"], CHUNK)
                of_model = peak - program
                print(f"{name}: {of_model / 1e6:.1f} MB of {plan / 1e6:.1f} planned, program {program / 1e6:.1f}", file=sys.stderr)
                self.assertLess(abs(of_model - plan), TOLERANCE * plan, f"{of_model} bytes, the plan is {plan}")


if __name__ == "__main__":
    main()
