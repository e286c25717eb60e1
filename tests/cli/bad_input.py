"""What the tests of bad input share: every refusal is one clear line with the canonical code, in bounded time and memory.

Exit status 1 says that something failed, 2 that the command line itself is wrong (docs/CLI.md).
"""

import re

from program import GOLDEN, MEMORY_BYTES, SANITIZED, SCENE, SECONDS, Folder, run

INVALID = "INVALID_ARGUMENT"
NOT_FOUND = "NOT_FOUND"
DENIED = "PERMISSION_DENIED"
EXHAUSTED = "RESOURCE_EXHAUSTED"
UNIMPLEMENTED = "UNIMPLEMENTED"

LLAVA = GOLDEN / "llava"
QUESTION = ["What is it?", "--max-new-tokens", "2"]


class BadInput(Folder):
    def refused(self, code, arguments, mentions=(), stdout=r"\Z", status=1, **options):
        """The run ends with the status and one line `code: …` that mentions the given texts, and prints nothing else."""
        result = run(*arguments, **options)
        shown = f"\nexit {result.status}, stderr: {result.stderr[:2000]}\nstdout: {result.stdout[:300]}"
        self.assertGreater(result.status, -1, "ended by a signal (or took too long)" + shown)
        self.assertEqual(result.status, status, "the exit status" + shown)
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 1, "lines on stderr" + shown)
        self.assertTrue(lines[0].startswith(code + ": "), f"expected {code}" + shown)
        self.assertLess(len(lines[0].encode()), 8000, "the line is too long to read" + shown)
        self.assertRegex(lines[0], r"\A[^\x00-\x1f\x7f]*\Z", "control characters" + shown)
        for text in (mentions,) if isinstance(mentions, str) else mentions:
            self.assertIn(text, lines[0], "the line must say what is wrong" + shown)
        self.assertTrue(re.match(stdout, result.stdout), "stdout" + shown)
        self.assertLess(result.seconds, SECONDS, "too slow" + shown)
        if not SANITIZED:
            self.assertLess(result.memory, MEMORY_BYTES, "too much memory" + shown)
        return result

    def refused_picture(self, code, path, mentions=(), *options):
        self.refused(code, ["ask", "--model", LLAVA, "--image", path, *options, *QUESTION], mentions)

    def refused_model(self, code, model, mentions=()):
        """Asking and inspecting refuse it alike."""
        asked = self.refused(code, ["ask", "--model", model, "--image", SCENE, *QUESTION], mentions)
        inspected = self.refused(code, ["inspect", "--model", model], mentions)
        self.assertEqual(asked.stderr, inspected.stderr, "ask and inspect must say the same")

    def refused_table(self, rows, check):
        for name, *row in rows:
            with self.subTest(name):
                check(*row)
