#!/usr/bin/env python3
"""binocle.eval_ray: two workers, one of them killed in the middle; servers elsewhere; what ends an evaluation.

    eval_ray_test.py PROGRAM [unittest arguments]        PROGRAM: build/dev/bin/binocle

Needs a Python with tests/clients/ray_requirements.txt and the package's own requirements; exits with 77 (ctest: skipped) where it has not.
Ray runs on this machine with two processors and an object store of 80 MB.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

SKIPPED = 77
try:
    import google.rpc  # noqa: F401
    import grpc_tools  # noqa: F401
    import ray  # noqa: F401
except ImportError as error:
    print(f"skipped: {error}; see {Path(__file__).name}")
    sys.exit(SKIPPED)

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "clients" / "python"
sys.path.insert(0, str(REPOSITORY / "tests" / "cli"))

from eval_data import final_files, write_scenes  # noqa: E402
from program import Folder, environment, main, program  # noqa: E402
from server import CALL_SECONDS, Server  # noqa: E402

PICTURES, QUESTIONS, SHARDS = 60, 6, 6
RUN_SECONDS = 10 * CALL_SECONDS
WORKER = re.compile(r"^worker (\d+): process (\d+) on ", re.MULTILINE)


def children_of(parent):
    """Command lines by process; of Linux."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if f"\nPPid:\t{parent}\n" in status.read_text():
                found[int(status.parent.name)] = (status.parent / "cmdline").read_text().split("\0")
        except OSError:
            continue  # it has ended
    return found


class EvalRay(Folder):
    @classmethod
    def setUpClass(cls):
        if not (PACKAGE / "binocle" / "_proto").is_dir():
            subprocess.run([sys.executable, "generate.py"], cwd=PACKAGE, check=True)

    def setUp(self):
        super().setUp()
        self.data = write_scenes(self.folder / "data", PICTURES)
        self.out = self.folder / "out"

    def command(self, *arguments, task="scenes", data=None):
        command = [sys.executable, "-m", "binocle.eval_ray", task, "--data", data or self.data, "--out", self.out, "--program", program(), *arguments]
        return list(map(str, command))

    def begin(self, *arguments, **options):
        """The driver; what it says goes to a file."""
        variables = {"HOME": str(self.folder), "PYTHONPATH": str(PACKAGE), "RAY_TMPDIR": str(self.folder), "OMP_NUM_THREADS": "1"}
        self.said_file = self.folder / "said"
        with open(self.said_file, "wb") as said:
            return subprocess.Popen(self.command(*arguments, **options), env={**environment(), **variables}, stdout=subprocess.PIPE, stderr=said, text=True)

    @property
    def said(self):
        return self.said_file.read_text()

    def end(self, process, status=0):
        stdout, _ = process.communicate(timeout=RUN_SECONDS)
        self.assertEqual(process.returncode, status, self.said)
        return stdout

    def server(self):
        server = Server(self.folder, "--threads", "1")
        self.addCleanup(server.close)
        return server

    def whole(self, *arguments):
        """The files of one process that asks a server, and what it prints."""
        out = self.folder / "whole"
        command = [program(), "eval", "run", "scenes", "--data", self.data, "--out", out, "--server", f"127.0.0.1:{self.server().grpc}", *arguments]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=RUN_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        return final_files(out), done.stdout

    def stop_a_part(self):
        """Stops a part in its middle: whether there is one. `stopped` is then its worker, what that began, and the part's number."""
        for _, worker in WORKER.findall(self.said):
            children = children_of(int(worker))
            for child, words in children.items():
                if "--shard" not in words:
                    continue
                shard = words[words.index("--shard") + 1].split("/")[0]
                journal = self.out / f"journal_{shard}_of_{SHARDS}.jsonl"
                if not journal.exists() or len(journal.read_bytes().splitlines()) < 4:
                    continue
                os.kill(child, signal.SIGSTOP)
                if len(journal.read_bytes().splitlines()) < PICTURES * QUESTIONS // SHARDS:
                    self.stopped = int(worker), children, shard
                    return True
                os.kill(child, signal.SIGCONT)
        return False

    def wait_for(self, process, what):
        end = time.monotonic() + RUN_SECONDS
        while process.poll() is None and not what():
            self.assertLess(time.monotonic(), end, self.said)
            time.sleep(0.005)

    def test_a_worker_that_is_killed_costs_nothing(self):
        process = self.begin("--shards", SHARDS, "--serve-arguments", "--threads 1")
        self.wait_for(process, self.stop_a_part)
        self.assertIsNone(process.poll(), self.said)
        worker, children, shard = self.stopped
        os.kill(worker, signal.SIGKILL)
        printed = self.end(process)
        self.assertRegex(self.said, rf"worker \d is lost; part {shard}/{SHARDS} is done again")
        self.assertEqual(len(set(re.findall(r"did part (\d+)/", self.said))), SHARDS)
        self.assertEqual(len(WORKER.findall(self.said)), 3, "another worker came in its place")
        self.assertEqual([child for child in children if Path(f"/proc/{child}").exists()], [], "what it had begun ended with it")
        asked = [json.loads(line) for path in self.out.glob(f"journal_*_of_{SHARDS}.jsonl") for line in path.read_text().splitlines()[1:]]
        self.assertEqual(len(asked), PICTURES * QUESTIONS)
        self.assertEqual(len({line["doc_id"] for line in asked}), PICTURES * QUESTIONS, "nothing is asked twice")
        whole, table = self.whole()
        self.assertEqual(final_files(self.out), whole)
        self.assertEqual(printed.replace(str(self.out), ""), table.replace(str(self.folder / "whole"), ""))

    def test_a_server_that_dies_is_started_again(self):
        process = self.begin("--shards", SHARDS, "--workers", 1, "--serve-arguments", "--threads 1", "--", "--attempts", "1")
        self.wait_for(process, self.stop_a_part)
        self.assertIsNone(process.poll(), self.said)
        _, children, shard = self.stopped
        server, = (child for child, words in children.items() if "serve" in words)
        part, = (child for child, words in children.items() if "run" in words)
        os.kill(server, signal.SIGKILL)
        os.kill(part, signal.SIGCONT)
        self.end(process)
        self.assertRegex(self.said, rf"worker 0, part {shard}/{SHARDS}: FAILED_PRECONDITION: eval run: \d+ samples failed")
        whole, _ = self.whole()
        self.assertEqual(final_files(self.out), whole)

    def test_servers_that_are_there_already(self):
        server = self.server()
        process = self.begin("--shards", 3, *(["--server", f"127.0.0.1:{server.grpc}"] * 2), "--", "--max-new-tokens", "2")
        self.end(process)
        whole, _ = self.whole("--max-new-tokens", "2")
        self.assertEqual(final_files(self.out), whole)

    def test_a_part_that_fails_is_tried_again_and_ends_the_run(self):
        (self.data / "0001.png").write_bytes(b"no picture")
        process = self.begin("--workers", 1, "--shards", 2, "--attempts", 2, "--serve-arguments", "--threads 1")
        self.assertEqual(self.end(process, 1), "")
        self.assertRegex(self.said, r"part \d/2 failed 2 times, the last time: FAILED_PRECONDITION: eval run: 6 samples failed")
        self.assertFalse((self.out / "binocle-tiny_results.json").exists())

    def test_what_would_be_wrong_again_is_not_tried_again(self):
        process = self.begin("--workers", 1, "--", "--no-such-option")
        self.assertEqual(self.end(process, 1), "")
        self.assertIn("--no-such-option", self.said)
        process = self.begin("--workers", 1, "--serve-arguments", "--model /none")
        self.assertEqual(self.end(process, 1), "")
        self.assertRegex(self.said, r"worker 0: the server ended with 1: NOT_FOUND: .*/none")

    def test_a_task_that_is_none_is_told_before_anything_starts(self):
        process = self.begin("--workers", 1, task="scene")
        self.assertEqual(self.end(process, 1), "")
        self.assertRegex(self.said, r"\ANOT_FOUND: task scene does not come with Binocle, .*\n\Z")

    def test_command_lines_that_are_wrong(self):
        for arguments, message in ((("--", "--shard", "0/2"), "--shard cannot follow --"), (("--workers", "0"), "--workers is 0, expected 1 or more")):
            process = self.begin(*arguments)
            self.assertEqual(self.end(process, 2), "")
            self.assertIn(message, self.said)


if __name__ == "__main__":
    main()
