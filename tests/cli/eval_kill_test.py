"""binocle eval run, killed with SIGKILL at random moments and begun again: nothing lost, nothing answered twice, the same bytes.

    python3 tests/cli/eval_kill_test.py PROGRAM [--data FOLDER] [--samples N] [--kills N] [--shards N] [--seed N]

Without --data a small set is drawn. The claim of docs/evaluation.md: --data FOLDER --samples 2000 --kills 50.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
import unittest
from collections import Counter
from pathlib import Path

from eval_data import final_files, journal_lines, write_scenes
from program import SANITIZED, Folder, environment, main, program, run

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path)
parser.add_argument("--samples", type=int, default=24)
parser.add_argument("--kills", type=int, default=6)
parser.add_argument("--shards", type=int, default=4)
parser.add_argument("--seed", type=int, default=None)
OPTIONS, sys.argv[1:] = parser.parse_known_args()
SEED = OPTIONS.seed if OPTIONS.seed is not None else random.SystemRandom().randrange(1 << 30)
SECONDS = 3600
IN_START = 0.2  # share of kills at any moment since the process began; the others wait for the journal to grow


class Killed(Folder):
    def setUp(self):
        super().setUp()
        self.data = OPTIONS.data or write_scenes(self.folder / "data", (OPTIONS.samples + 5) // 6)
        self.random = random.Random(SEED)
        print(f"seed {SEED}", file=sys.stderr)

    def command(self, out, *more):
        return ["eval", "run", "scenes", "--data", self.data, "--out", out, "--limit", str(OPTIONS.samples), *more]

    undisturbed = None  # the files of a run that nothing happens to, and how long its journal is

    def whole(self):
        if Killed.undisturbed is None:
            out = self.folder / "whole"
            result = run(*self.command(out), seconds=SECONDS)
            self.assertEqual(result.status, 0, result.stderr)
            Killed.undisturbed = final_files(out), (out / "journal_0_of_1.jsonl").stat().st_size
        return Killed.undisturbed[0]

    def kill_once(self, command, journal, after_bytes):
        """Begins the run and kills it when the journal has so many bytes, or at some moment of its start. Whether it was still there."""
        process = subprocess.Popen([program(), *map(os.fspath, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
        try:
            if self.random.random() < IN_START:
                time.sleep(self.random.random() * (5 if SANITIZED else 0.5))
            else:
                while process.poll() is None and not (journal.exists() and journal.stat().st_size >= after_bytes):
                    time.sleep(0.0005)
                time.sleep(self.random.random() * 0.02)
        finally:
            process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL

    def run_killed(self, out, name, kills, *more):
        """A whole run with so many kills; then it is let through. How many kills met a process."""
        command, journal = self.command(out, *more), out / name
        whole_bytes = Killed.undisturbed[1] * (1 if not more else 1 / OPTIONS.shards)
        moments = sorted(self.random.random() * whole_bytes * 0.95 for _ in range(kills))
        met = sum(self.kill_once(command, journal, moment) for moment in moments)
        result = run(*command, seconds=SECONDS)
        self.assertEqual(result.status, 0, result.stderr)
        return met

    def check_journal(self, out):
        counted = Counter(line["doc_id"] for line in journal_lines(out))
        self.assertEqual(len(counted), OPTIONS.samples, "no sample is lost")
        self.assertEqual(set(counted.values()), {1}, "none is answered twice")

    def test_a_killed_run_goes_on_to_the_same_files(self):
        whole = self.whole()
        out = self.folder / "killed"
        met = self.run_killed(out, "journal_0_of_1.jsonl", OPTIONS.kills)
        print(f"{met} of {OPTIONS.kills} kills met the run", file=sys.stderr)
        self.assertGreaterEqual(met, OPTIONS.kills // 2)
        self.check_journal(out)
        self.assertEqual(final_files(out), whole)

    def test_killed_shards_merge_to_the_same_files(self):
        whole = self.whole()
        out = self.folder / "shards"
        kills = max(1, OPTIONS.kills // OPTIONS.shards)
        met = 0
        for index in range(OPTIONS.shards):
            part = f"{index}/{OPTIONS.shards}"
            met += self.run_killed(out, f"journal_{index}_of_{OPTIONS.shards}.jsonl", kills, "--shard", part)
        print(f"{met} of {kills * OPTIONS.shards} kills met a shard", file=sys.stderr)
        self.check_journal(out)
        merged = self.folder / "merged"
        result = run("eval", "merge", out, "--out", merged, seconds=SECONDS)
        self.assertEqual(result.status, 0, result.stderr)
        self.assertEqual(final_files(merged), whole)
        self.check_journal(merged)


if __name__ == "__main__":
    main()
