#!/usr/bin/env python3
"""An evaluation in parts as deploy/slurm and deploy/kubernetes/evaluation run it, with stand-ins for sbatch and for the Job's controller.

    eval_parts_test.py PROGRAM [unittest arguments]        PROGRAM: build/dev/bin/binocle

The parts run for real, some of them killed in the middle, and the files at the end are those of a run without parts.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "cli"))

from eval_data import final_files, write_scenes  # noqa: E402
from program import Folder, environment, main, program  # noqa: E402
from server import CALL_SECONDS  # noqa: E402

try:
    import yaml
except ImportError:
    yaml = None

SLURM = REPOSITORY / "deploy" / "slurm"
KUBERNETES = REPOSITORY / "deploy" / "kubernetes" / "evaluation"
PICTURES = 8

# Runs what it is given at once: an array task by task, a job that depends on another only where that one ended well.
SBATCH = r"""#!/bin/bash
set -u
array="" after="" output=/dev/null
while [ $# -gt 0 ]; do
  case $1 in
    --array=*) array=${1#*=} ;;
    --dependency=afterok:*) after=${1##*:} ;;
    --output=*) output=${1#*=} ;;
    --parsable | --kill-on-invalid-dep=yes) ;;
    -*) echo "sbatch: $1?" >&2; exit 1 ;;
    *) break ;;
  esac
  shift
done
number=$(($(cat "$FAKE/jobs") + 1))
echo "$number" >"$FAKE/jobs"
echo "$number;cluster"
cp "$1" "$FAKE/script"
shift
status=0
if [ -n "$after" ] && [ "$(cat "$FAKE/status.$after")" != 0 ]; then
  status=1
elif [ -n "$array" ]; then
  last=${array#0-}
  for index in $(seq 0 "$last"); do
    SLURM_ARRAY_TASK_ID=$index SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=$last SLURM_ARRAY_TASK_STEP=1 \
      SLURM_ARRAY_TASK_COUNT=$((last + 1)) bash "$FAKE/script" "$@" </dev/null >>"${output//%a/$index}" 2>&1 || status=$?
  done
else
  bash "$FAKE/script" "$@" </dev/null >>"$output" 2>&1 || status=$?
fi
echo "$status" >"$FAKE/status.$number"
"""


class InParts(Folder):
    def setUp(self):
        super().setUp()
        self.data = write_scenes(self.folder / "data", PICTURES)
        self.arguments = ["scenes", "--data", str(self.data)]

    def whole(self):
        """The files of a run without parts."""
        out = self.folder / "whole"
        done = subprocess.run([program(), "eval", "run", *self.arguments, "--out", out], env=environment(), capture_output=True, timeout=CALL_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        return final_files(out)

    def kill_part(self, command, variables, journal):
        """Begins a part and kills it when its journal has grown."""
        process = subprocess.Popen(command, env={**environment(), **variables}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (journal.exists() and journal.stat().st_size > 2000):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()


class Slurm(InParts):
    def setUp(self):
        super().setUp()
        fake = self.folder / "fake"
        fake.mkdir()
        (fake / "jobs").write_text("41\n")
        (fake / "sbatch").write_text(SBATCH)
        (fake / "sbatch").chmod(0o755)
        self.variables = {"FAKE": str(fake), "PATH": f"{fake}:{os.environ['PATH']}", "BINOCLE": program()}
        self.fake, self.out = fake, self.folder / "out"

    def submit(self, *arguments):
        return subprocess.run([SLURM / "submit.sh", *arguments], env={**environment(), **self.variables}, capture_output=True, text=True, timeout=CALL_SECONDS)

    def test_an_array_and_its_merge(self):
        variables = {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_STEP": "1", "SLURM_ARRAY_TASK_COUNT": "4"}
        command = ["bash", str(SLURM / "eval.sbatch"), *self.arguments, "--out", str(self.out)]
        self.kill_part(command, {**self.variables, **variables}, self.out / "journal_1_of_4.jsonl")
        done = self.submit("4", self.out, *self.arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, f"parts: job 42, logs in {self.out}/logs; merge: job 43\n")
        logs = {path.name: path.read_text() for path in (self.out / "logs").iterdir()}
        self.assertEqual(sorted(logs), ["merge.log", "part_0.log", "part_1.log", "part_2.log", "part_3.log"])
        self.assertEqual((self.fake / "status.43").read_text(), "0\n", logs)
        whole = self.whole()
        self.assertEqual(final_files(self.out), whole)
        self.assertEqual(self.submit("4", self.out, *self.arguments).returncode, 0, "again, when all is done")
        self.assertEqual(final_files(self.out), whole)

    def test_a_part_alone_is_that_part_again(self):
        variables = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "3", "SLURM_ARRAY_TASK_COUNT": "1"}
        command = ["bash", str(SLURM / "eval.sbatch"), "4", *self.arguments, "--out", str(self.out)]
        done = subprocess.run(command, env={**environment(), **self.variables, **variables}, capture_output=True, text=True, timeout=CALL_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([path.name for path in self.out.glob("journal_*")], ["journal_3_of_4.jsonl"])

    def test_a_part_that_fails_keeps_the_merge_from_running(self):
        (self.data / "0003.png").write_bytes(b"no picture")
        done = self.submit("2", self.out, *self.arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.fake / "status.43").read_text(), "1\n")
        self.assertFalse((self.out / "logs" / "merge.log").exists())

    def test_command_lines_that_are_wrong(self):
        for arguments in ((), ("0", "out", "scenes"), ("x", "out", "scenes"), ("2", "out")):
            done = self.submit(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("submit.sh PARTS OUT ARGUMENT", done.stderr)


class Kubernetes(InParts):
    def setUp(self):
        if yaml is None:
            self.skipTest("no PyYAML")
        super().setUp()
        self.job, self.merge = (yaml.safe_load((KUBERNETES / name).read_text()) for name in ("job.yaml", "merge.yaml"))

    def command(self, job):
        """The container's command, with folders of this machine in the place of the pod's."""
        container, = job["spec"]["template"]["spec"]["containers"]
        folders = {"/data": str(self.data), "/results": str(self.folder / "results")}
        words = [re.sub(r"^/(data|results)", lambda match: folders[match.group()], word) for word in container["args"]]
        words = ["scenes" if word == "scenes_pope" else word for word in words]
        return [program(), *words], {variable["name"]: variable["value"] for variable in container.get("env", [])}

    def test_an_indexed_job_and_its_merge(self):
        command, variables = self.command(self.job)
        parts = self.job["spec"]["completions"]
        self.assertEqual((self.job["spec"]["completionMode"], variables["JOB_COMPLETIONS"]), ("Indexed", str(parts)))
        merge, _ = self.command(self.merge)
        out = Path(merge[-1])
        self.assertEqual(command[command.index("--out") + 1], str(out))
        self.kill_part(command, {**variables, "JOB_COMPLETION_INDEX": "2"}, out / f"journal_2_of_{parts}.jsonl")
        early = subprocess.run(merge, env=environment(), capture_output=True, text=True, timeout=CALL_SECONDS)
        self.assertEqual(early.returncode, 1, "parts are missing")
        for index in range(parts):
            done = subprocess.run(command, env={**environment(), **variables, "JOB_COMPLETION_INDEX": str(index)}, capture_output=True, timeout=CALL_SECONDS)
            self.assertEqual(done.returncode, 0, done.stderr)
        done = subprocess.run(merge, env=environment(), capture_output=True, timeout=CALL_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(final_files(out), self.whole())

    def test_both_jobs_see_the_same_results(self):
        volumes = [job["spec"]["template"]["spec"]["volumes"][-1] for job in (self.job, self.merge)]
        self.assertEqual(volumes[0], volumes[1])

    def test_a_wrong_command_line_is_not_tried_again(self):
        command, _ = self.command(self.job)
        done = subprocess.run([*command, "--no-such-option"], env=environment(), capture_output=True, timeout=CALL_SECONDS)
        rule = self.job["spec"]["podFailurePolicy"]["rules"][0]
        self.assertEqual((rule["action"], rule["onExitCodes"]["values"]), ("FailJob", [done.returncode]))


if __name__ == "__main__":
    main()
