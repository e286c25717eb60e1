"""Where the system gives little: small stacks, few threads. An answer or one line, never a signal."""

import resource
import unittest

from answers import FTZ, SHORT, Answers
from program import GOLDEN, SANITIZED, SCENE, main, run

QUESTION = ["--image", SCENE, *SHORT, "What is it?"]


@unittest.skipIf(SANITIZED, "sanitizers need stacks and threads of their own")
class Limits(Answers):
    def test_a_small_stack_is_enough(self):
        for options in ([], ["--var", "p=0.6,layers=0-2,dims=1,tau=2"], ["--pai", "alpha=0.2,layers=0-2"]):
            with self.subTest(options=options):
                want = run("ask", "--model", FTZ, *options, *QUESTION)
                got = run("ask", "--model", FTZ, *options, *QUESTION, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_STACK, (384 << 10, 384 << 10)))
                self.assertEqual((got.status, got.stdout), (0, want.stdout), got.stderr)

    def test_threads_that_cannot_start_are_an_error(self):
        # Threads need address space for their stacks.
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        result = run("ask", "--model", FTZ, "--threads", "1000", *QUESTION, preexec_fn=limit)
        self.assertEqual(result.status, 1, result.stderr)
        self.assertRegex(result.stderr, r"^RESOURCE_EXHAUSTED: .*threads: the system gave \d+ of 1000 .*\n$")

    def test_little_memory_is_an_error(self):
        for mebibytes in (250, 300, 350, 400, 450):
            limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))
            if run("--version", preexec_fn=limit).status < 0:
                continue  # a library found no room before the program began
            result = run("ask", "--model", FTZ, "--threads", "1", *QUESTION, preexec_fn=limit)
            self.assertIn(result.status, (0, 1, 127), result.stderr)  # 127: the loader found no room for a library
            if result.status == 1:
                self.assertEqual(result.stderr.count("\n"), 1, result.stderr)

    def test_names_are_those_of_the_folder_however_it_is_spelled(self):
        for spelling in (f"{FTZ}/", f"{FTZ}/."):
            self.assertEqual(self.ask("hello", model=spelling)["model"], self.ask("hello", model=FTZ)["model"])
        llava = GOLDEN / "llava"
        self.assertEqual(self.ask("hello", model=f"{llava}/")["model"], "llava")


if __name__ == "__main__":
    main()
