"""What belongs to one run of `binocle eval run` and what does not: other kinds of computing, other parts, other folders, what an earlier run left."""

import json
import os
import shutil
import signal
import stat
import subprocess
import threading
import time

from eval_data import PlainRuns, final_files, write_scenes
from program import GOLDEN, Folder, environment, main, program, run
from server import CALL_SECONDS


class Identity(Folder):
    def setUp(self):
        super().setUp()
        self.data, self.out = write_scenes(self.folder / "data", 3, 4), self.folder / "out"

    def run_eval(self, *arguments, status=0, out=None):
        result = run("eval", "run", "scenes", "--data", self.data, "--out", out or self.out, *arguments, seconds=CALL_SECONDS)
        self.assertEqual(result.status, status, result.stderr)
        return result

    def cut_journal(self, lines):
        journal = self.out / "journal_0_of_1.jsonl"
        journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:lines]))

    def test_a_fresh_run_that_is_stopped_has_no_results_and_no_times_of_the_last(self):
        self.data = write_scenes(self.folder / "more", 60)
        self.run_eval("--limit", "3")
        self.assertTrue((self.out / "binocle-tiny_results.json").exists())
        command = [program(), "eval", "run", "scenes", "--data", self.data, "--out", self.out, "--fresh"]
        process = subprocess.Popen([os.fspath(word) for word in command], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        journal = self.out / "journal_0_of_1.jsonl"
        while process.poll() is None and len(journal.read_bytes().splitlines()) != 2:
            time.sleep(0.001)  # 4 lines of the old one, none, then one after the other
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=CALL_SECONDS)
        self.assertIn(b"CANCELLED: eval run: stopped", stderr)
        self.assertEqual(list(final_files(self.out)), [])
        self.assertEqual(len((self.out / "times_0_of_1.jsonl").read_text().splitlines()), 1)
        self.assertEqual(run("eval", "report", self.out).status, 1)

    def test_parts_computed_in_another_way_are_another_run(self):
        PlainRuns.copy(3, 4, self.out)
        self.cut_journal(5)
        result = self.run_eval("--compute", "int4", "--compute-parts", "language=f32,head=f32", status=1)
        self.assertRegex(result.stderr, r"\AFAILED_PRECONDITION: .*settings\.engine\.compute_parts\.")

    def test_a_part_elsewhere_that_changed_is_another_model(self):
        for name in ("assembled_siglip_dinov2_qwen2", "siglip", "dinov2_registers"):
            shutil.copytree(GOLDEN / name, self.folder / name)
        model = self.folder / "assembled_siglip_dinov2_qwen2"
        self.run_eval("--model", model, "--limit", "2")
        self.cut_journal(2)
        self.run_eval("--model", model, "--limit", "2")
        weights = next(path for path in sorted(model.rglob("*.safetensors")) if path.parent != model)
        data = bytearray(weights.read_bytes())
        data[-2] ^= 1
        weights.write_bytes(data)
        result = self.run_eval("--model", model, "--limit", "2", status=1)
        self.assertRegex(result.stderr, r"\AFAILED_PRECONDITION: .*model\.digest is ")

    def test_a_gguf_file_is_a_model_too(self):
        gguf = GOLDEN / "gguf_models"
        arguments = ["--model", gguf / "llava.gguf", "--projector", gguf / "llava_mmproj.gguf", "--conversation", "vicuna_v1", "--limit", "2"]
        self.run_eval(*arguments)
        again = json.loads(self.run_eval(*arguments, "--json").stdout)
        self.assertTrue(again["complete"])

    def test_a_constraint_of_ones_own_beside_the_tasks_is_refused(self):
        result = self.run_eval("--choices", "zebra", "--choices", "lion", "--task-constraint", status=2)
        self.assertRegex(result.stderr, r"\AINVALID_ARGUMENT: --choices and --task-constraint each say")
        self.assertIn("scenes says nothing of what its answers may be", self.run_eval("--task-constraint", "--limit", "1").stderr)

    def test_a_merge_replaces_no_other_run(self):
        PlainRuns.copy(3, 4, self.out)
        journal = (self.out / "journal_0_of_1.jsonl").read_bytes()
        refused = self.run_eval("--shard", "0/2", "--max-new-tokens", "1", status=1)
        self.assertRegex(refused.stderr, r"(?m)^FAILED_PRECONDITION: .*journal_0_of_1\.jsonl: is the journal of another run, which a merge would replace: ")
        parts = self.folder / "parts"
        for shard in ("0/2", "1/2"):
            self.run_eval("--shard", shard, "--max-new-tokens", "1", out=parts)
            name = f"journal_{shard.replace('/', '_of_')}.jsonl"
            shutil.copyfile(parts / name, self.out / name)
        merged = run("eval", "merge", self.out)
        self.assertRegex(merged.stderr, r"\AFAILED_PRECONDITION: .*journal_0_of_1\.jsonl: is the journal of another run: ")
        self.assertEqual((self.out / "journal_0_of_1.jsonl").read_bytes(), journal)
        self.assertEqual(run("eval", "merge", parts).status, 0)
        self.assertEqual(run("eval", "merge", parts).status, 0, "its own result may be there")

    def test_a_report_that_is_there_is_told_before_the_work(self):
        PlainRuns.copy(3, 4, self.out)
        self.assertEqual(run("eval", "report", self.out).status, 0)
        again = run("eval", "report", self.out, "--resamples", "100000000", seconds=CALL_SECONDS)
        self.assertRegex(again.stderr, r"\AALREADY_EXISTS: .*report\.html")


class NewFiles(Folder):
    def score(self, out, *arguments):
        path = self.write("answers.jsonl", '{"prediction": "red", "answer": "Red"}\n')
        return run("eval", "score", "--scorer", "exact_match", path, "--out", out, *arguments)

    def test_what_a_link_leads_to_is_replaced_and_not_the_link(self):
        target, link = self.write("target.jsonl", "old"), self.folder / "link.jsonl"
        link.symlink_to(target.name)
        self.assertEqual(self.score(link, "--overwrite").status, 0)
        self.assertTrue(link.is_symlink())
        self.assertIn("score", target.read_text())

    def test_a_pipe_stays_one(self):
        pipe, read = self.folder / "pipe", []
        os.mkfifo(pipe)
        reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
        reader.start()
        self.assertEqual(self.score(pipe, "--overwrite").status, 0)
        reader.join()
        self.assertIn("score", read[0])
        self.assertTrue(stat.S_ISFIFO(pipe.stat().st_mode))

    def test_nobodys_file_is_written_meanwhile(self):
        other = self.write("keep.jsonl.part", "mine")
        self.assertEqual(self.score(self.folder / "keep.jsonl").status, 0)
        self.assertEqual(other.read_text(), "mine")
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["answers.jsonl", "keep.jsonl", "keep.jsonl.part"])
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual(stat.S_IMODE((self.folder / "keep.jsonl").stat().st_mode), 0o666 & ~mask)

    def test_a_folder_behind_a_link_is_replaced_where_it_is(self):
        real, link = self.folder / "real", self.folder / "link"
        shutil.copytree(GOLDEN / "llava", real)
        link.symlink_to("real")
        result = run("convert", "--model", GOLDEN / "llava", "--to", "binocle", "--conversation", "vicuna_v1", "--out", link, "--overwrite")
        self.assertEqual(result.status, 0, result.stderr)
        self.assertTrue(link.is_symlink())
        self.assertEqual(json.loads((real / "config.json").read_text())["model_type"], "binocle")


if __name__ == "__main__":
    main()
