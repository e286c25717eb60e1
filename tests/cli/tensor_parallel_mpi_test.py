#!/usr/bin/env python3
"""The same under Open MPI's mpirun, which starts the processes and has no other part in it. Skipped where there is none."""

import json
import shutil
import sys
import unittest

from program import GOLDEN, main, run
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


if __name__ == "__main__":
    if shutil.which("mpirun") is None:
        print("skipped: no mpirun (tools/install_deps.sh --test)")
        sys.exit(77)
    main()
