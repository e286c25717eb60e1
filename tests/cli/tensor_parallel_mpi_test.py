#!/usr/bin/env python3
"""The same under Open MPI's mpirun, which starts the processes and has no other part in it. Skipped where there is none."""

import json
import os
import shutil
import sys
import unittest
from pathlib import Path

from program import GOLDEN, main, program, run
from ranks import launched

LLAVA = GOLDEN / "llava"
# Also as root and with more processes than processors, as in containers.
MPIRUN = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--mca", "btl", "self,tcp", "-x", "MASTER_ADDR", "-x", "MASTER_PORT"]


class MpiRun(unittest.TestCase):
    def test_processes_of_mpirun_answer_as_one(self):
        arguments = ["ask", "--model", LLAVA, "--json", "--threads", "1", "--max-new-tokens", "24", "--image",
                     GOLDEN / "images" / "scene_61x83.png", "What is this?"]
        alone = run(*arguments).json
        for size in (2, 4):
            with self.subTest(ranks=size):
                status, out, err = launched([*MPIRUN, "-n", str(size)], *arguments, "--tensor-parallel", str(size))
                self.assertEqual(status, 0, err)
                self.assertEqual(json.loads(out)["token_ids"], alone["token_ids"])


    def test_what_ranks_say_to_each_other_and_a_divided_decoder(self):
        """Sums, broadcasts and decoders held against transformers', in a program of its own (tests/llm/decoder_ranks_test.cc)."""
        llm_test = Path(program()).parent / "llm_test"
        if not llm_test.exists():
            self.skipTest(f"no {llm_test}")
        for size in (2, 4):
            with self.subTest(ranks=size):
                status, out, err = launched([*MPIRUN, "-n", str(size)], "--gtest_filter=MpiRanks.*", "--gtest_color=no", program=llm_test)
                self.assertEqual(status, 0, out + err)
                self.assertEqual(out.count("[  PASSED  ] 1 test."), size, out)


if __name__ == "__main__":
    if shutil.which("mpirun") is None and os.environ.get("CI") == "true":
        sys.exit("no mpirun, which tools/install_deps.sh --test installs")
    if shutil.which("mpirun") is None:
        print("skipped: no mpirun (tools/install_deps.sh --test)")
        sys.exit(77)
    main()
