"""binocle eval list, describe, run, merge and judge from outside: tables and JSON, resuming, shards from variables, a server, failures."""

import json
import os
import signal
import subprocess
import time

from eval_data import PlainRuns, final_files, journal_lines, write_scenes
from program import TESTS, Folder, environment, main, program, run
from server import CALL_SECONDS, Server

TASKS = TESTS.parent / "eval" / "tasks"


class EvalRuns(Folder):
    def setUp(self):
        super().setUp()
        self.data = write_scenes(self.folder / "data", 3, 4)
        self.out = self.folder / "out"

    def run_eval(self, *arguments, out=None, status=0, task="scenes", **options):
        result = run("eval", "run", task, "--data", self.data, "--out", out or self.out, *arguments, seconds=CALL_SECONDS, **options)
        self.assertEqual(result.status, status, result.stderr)
        return result

    def plain_run(self, out):
        """A run without options over the data as they were written."""
        return PlainRuns.copy(3, 4, out)

    def results(self, out=None):
        return json.loads(((out or self.out) / "binocle-tiny_results.json").read_text())

    def with_variables(self, variables, *arguments, status=0):
        command = [program(), "eval", "run", "scenes", "--data", self.data, "--out", self.out, *arguments]
        done = subprocess.run([os.fspath(word) for word in command], env={**environment(), **variables}, capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr


class EvalTasks(Folder):
    def test_tasks_are_listed_and_described(self):
        tasks = run("eval", "list", "--json").json["tasks"]
        self.assertEqual([task["name"] for task in tasks], sorted(path.stem for path in TASKS.glob("*.json")))
        lines = run("eval", "list").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines], [task["name"] for task in tasks])
        for name in (task["name"] for task in tasks):
            written = json.loads((TASKS / f"{name}.json").read_text())
            told = run("eval", "describe", name, "--json").json
            self.assertEqual((told["version"], told["data"]["how_to_get"]), (written["version"], written["data"]["how_to_get"]))
            self.assertEqual(told["prompts"]["default"]["text"], written["prompts"]["default"]["text"])
            self.assertIn(name, run("eval", "describe", TASKS / f"{name}.json").stdout)

    def test_a_task_that_is_none_is_told_with_those_that_are(self):
        result = run("eval", "describe", "scene")
        self.assertEqual(result.status, 1)
        self.assertRegex(result.stderr, r"\ANOT_FOUND: task scene does not come with Binocle, expected the path of a file or one of chair_coco, .*, vqav2\n\Z")
        self.assertRegex(run("eval", "describe", "none.json").stderr, r"\ANOT_FOUND: none.json: no such file\n\Z")


class EvalRun(EvalRuns):
    def test_a_run_prints_a_table_and_writes_its_files(self):
        result = self.run_eval()
        self.assertEqual(result.stderr, "", "nothing on stderr unless it is a terminal or takes long")
        table = result.stdout.splitlines()
        self.assertEqual(table[0].split(), ["task", "scorer", "metric", "score", "samples", "answered", "failed", "empty", "skipped"])
        self.assertEqual(table[1].split()[:3] + table[1].split()[4:], ["scenes", "exact_match", "score", "12", "12", "0", "0", "0"])
        results = self.results()
        self.assertEqual(results["results"]["scenes"]["samples"], 12)
        self.assertEqual(results["n-samples"], {"scenes": {"original": 12, "effective": 12}})
        ours = results["binocle"]["tasks"]["scenes"]
        self.assertEqual(ours["data"][0]["file"], "questions.jsonl")
        self.assertEqual(list(ours["scorers"]["exact_match"]["categories"]), ["k0", "k1", "k2"])
        again = self.run_eval("--json").json
        self.assertEqual(again["tasks"][0]["score"], ours["score"])
        self.assertEqual(again["results_file"], str(self.out / "binocle-tiny_results.json"))

    def test_answers_are_those_of_ask(self):
        self.plain_run(self.out)
        samples = [json.loads(line) for line in (self.out / "binocle-tiny_samples_scenes.jsonl").read_text().splitlines()]
        requests = self.write("data/requests.jsonl", "".join(json.dumps({"id": s["id"], "images": s["images"], "prompt": s["input"]}) + "\n" for s in samples))
        asked = run("ask", "--requests", requests, "--max-new-tokens", "48", seconds=CALL_SECONDS).lines
        self.assertEqual([(s["id"], s["filtered_resps"]) for s in samples], [(a["id"], a["answer"]) for a in asked])

    def test_scores_are_those_of_eval_score(self):
        self.plain_run(self.out)
        summary = run("eval", "score", "--scorer", "exact_match", self.out / "binocle-tiny_samples_scenes.jsonl").lines[-1]["summary"]
        self.assertEqual(summary["score"], self.results()["results"]["scenes"]["exact_match,none"])

    def test_generation_and_interventions_reach_the_model_and_the_journal(self):
        self.run_eval("--max-new-tokens", "1", "--var", "p=0.6,dims=3", "--grounding", "--logprobs", "2", "--seed", "5")
        line = journal_lines(self.out)[0]
        self.assertEqual((line["completion_tokens"], len(line["grounding"]), len(line["logprobs"][0])), (1, 1, 2))
        run_json = self.results()["binocle"]
        self.assertEqual(run_json["settings"]["interventions"]["var"]["p"], 0.6)
        self.assertEqual(run_json["request"]["seed"], 5)
        self.assertEqual(run_json["tasks"]["scenes"]["cut_off"], 12)

    def test_an_option_that_is_not_for_the_model_ends_the_run(self):
        result = self.run_eval("--var", "p=0.6", status=2)
        self.assertRegex(result.stderr, r"--var.dims is empty")
        self.assertEqual(journal_lines(self.out), [])

    def test_something_else_in_the_folder_is_refused_with_what_differs(self):
        self.run_eval("--limit", "2")
        result = self.run_eval("--limit", "3", status=1)
        self.assertRegex(result.stderr, r"\AFAILED_PRECONDITION: .*journal_0_of_1.jsonl: is the journal of another run: limit is 2, expected 3; .*begin anew, or name another folder\n\Z")
        self.run_eval("--limit", "3", "--fresh")
        self.assertEqual(len(journal_lines(self.out)), 3)

    def test_damaged_rows_are_told_and_cost_themselves_alone(self):
        with open(self.data / "questions.jsonl", "a", encoding="utf-8") as lines:
            lines.write('{"id": "x", "image": "gone.png", "prompt": "Is it?", "answer": "no", "kind": "k"}\n{"id": "0000-00"}\n')
        result = self.run_eval()
        self.assertEqual(result.stderr.splitlines(), ["questions.jsonl:13: picture gone.png is not there; skipped", "questions.jsonl:14: has no column prompt; skipped"])
        self.assertEqual(self.results()["binocle"]["tasks"]["scenes"]["skipped"], {"skipped": 2, "column": 1, "image": 1})

    def test_a_file_that_could_not_be_read_to_its_end_gives_a_score_of_a_part(self):
        rows = [json.loads(line) for line in (self.data / "questions.jsonl").read_text().splitlines()]
        text = json.dumps(rows, indent=1)
        fault = text.index('"' + rows[3]["id"] + '"')
        (self.data / "questions.json").write_text(text[:fault] + text[fault + 1:])
        task = json.loads((TASKS / "scenes.json").read_text())
        task["data"] |= {"format": "json", "files": ["questions.json"]}
        (self.folder / "scenes.json").write_text(json.dumps(task))
        result = self.run_eval(task=self.folder / "scenes.json")
        self.assertIn("questions.json:", result.stderr)
        ours = self.results()["binocle"]["tasks"]["scenes"]
        unread = ours["skipped"]["unread_bytes"]
        self.assertGreater(unread, len(text) / 2)
        self.assertEqual((ours["answered"], ours["complete"]), (3, False))
        self.assertEqual(result.stdout.splitlines()[2], f"* scenes: the data was not read to its end, {unread} bytes are left")
        report = run("eval", "report", self.out, "--out", self.folder / "report.html")
        self.assertIn(f"* scenes: the data was not read to its end, {unread} bytes are left", report.stdout)
        page = (self.folder / "report.html").read_text()
        self.assertTrue(f"incomplete: data not read to its end, {unread} bytes left" in page)
        other = self.folder / "other"
        self.run_eval("--max-new-tokens", "2", task=self.folder / "scenes.json", out=other)
        compared = run("eval", "compare", self.out, other, "--out", self.folder / "compare.html")
        self.assertRegex(compared.stdout, r"\* scenes, .*: the data was not read to its end")
        self.assertTrue("incomplete: data not read to its end" in (self.folder / "compare.html").read_text())

    def test_a_list_that_ends_behind_a_record_is_a_part_too(self):
        rows = [json.loads(line) for line in (self.data / "questions.jsonl").read_text().splitlines()]
        (self.data / "questions.json").write_text(json.dumps(rows)[:-1])
        task = json.loads((TASKS / "scenes.json").read_text())
        task["data"] |= {"format": "json", "files": ["questions.json"]}
        (self.folder / "scenes.json").write_text(json.dumps(task))
        result = json.loads(self.run_eval("--json", task=self.folder / "scenes.json").stdout)
        self.assertEqual((result["complete"], result["tasks"][0]["unread_bytes"], result["tasks"][0]["answered"]), (False, 0, 12))

    def test_a_picture_that_is_none_fails_its_questions_alone(self):
        (self.data / "0001.png").write_bytes(b"no picture")
        result = self.run_eval(status=1)
        self.assertRegex(result.stderr, r"\AFAILED_PRECONDITION: eval run: 4 samples failed and are counted apart; .*; the first: INVALID_ARGUMENT: .*0001.png")
        ours = self.results()["binocle"]["tasks"]["scenes"]
        self.assertEqual((ours["answered"], ours["failed"], ours["failed_by_code"]), (8, 4, {"INVALID_ARGUMENT": 4}))
        self.assertEqual(self.results()["results"]["scenes"]["samples"], 8)
        # A score of a part says so wherever it stands, in lmms-eval's tables too.
        self.assertFalse(ours["complete"])
        self.assertEqual(self.results()["results"]["scenes"]["alias"], "scenes (incomplete: 8 of 12)")
        table = result.stdout.splitlines()
        self.assertRegex(table[1], r"^scenes +exact_match +score +[01]\.\d{4}\* ")
        self.assertEqual(table[2], "* scenes: of 8 of 12 samples alone")
        report = run("eval", "report", self.out)
        self.assertRegex(report.stdout, r"(?m)^scenes +exact_match +score +[01]\.\d{4}\* ")
        self.assertIn("\n* scenes: of 8 of 12 samples alone\n", report.stdout)
        self.assertIn("incomplete: 8 of 12 answered", (self.out / "report.html").read_text())

    def test_ctrl_c_leaves_a_run_that_goes_on(self):
        data = write_scenes(self.folder / "more", 60)
        command = [program(), "eval", "run", "scenes", "--data", data, "--out", self.out]
        process = subprocess.Popen([os.fspath(word) for word in command], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        journal = self.out / "journal_0_of_1.jsonl"
        while process.poll() is None and not (journal.exists() and len(journal.read_bytes().splitlines()) > 3):
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=CALL_SECONDS)
        self.assertEqual(process.returncode, 1, stderr)
        self.assertRegex(stderr.decode(), r"\ACANCELLED: eval run: stopped with \d+ of 360 samples done; the same command goes on from there\n\Z")

    def test_command_lines_that_are_wrong(self):
        for arguments, message in (
            ([], "the task is missing"), (["scenes"], "--data is missing"), (["scenes", "--data", "d"], "--out is missing"),
            (["scenes", "--data", "d", "--out", "o", "--shard", "4/4"], "--shard is 4/4, expected I/N"), (["scenes", "--data", "d", "--out", "o", "--shard", "x"], "--shard is x"),
            (["scenes", "--data", self.data, "--out", "o", "--limit", "0"], "--limit is 0, expected 1 to "), (["scenes", "--data", self.data, "--out", "o", "--n", "2"], "--n is 2, expected 1 to 1"),
            (["scenes", "--data", self.data, "--out", "o", "--concurrency", "0"], "--concurrency is 0"), (["scenes", "--data", self.data, "--out", "o", "--prompt", "loud"], "--prompt is loud, expected one that task scenes has: default"),
            (["scenes", "--data", "d", "--out", "o", "--temperature", "101"], "--temperature is 101"),
        ):
            with self.subTest(arguments):
                result = run("eval", "run", *arguments, cwd=self.folder, seconds=CALL_SECONDS)
                self.assertEqual((result.status, result.stdout), (2, ""), result.stderr)
                self.assertTrue(result.stderr.startswith(f"INVALID_ARGUMENT: {message}"), result.stderr)
        self.assertFalse((self.folder / "o").exists())
        result = run("eval", "run", "scenes", "--data", "none", "--out", "o", cwd=self.folder, seconds=CALL_SECONDS)
        self.assertRegex(result.stderr, r"\ANOT_FOUND: .*questions.jsonl.*; how to get the data of scenes: ")


class EvalShards(EvalRuns):
    def test_shards_from_variables_merge_to_the_same_files(self):
        whole = self.plain_run(self.folder / "whole")
        sets = ({"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "2"},
                {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "3", "SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "1"},
                {"JOB_COMPLETION_INDEX": "2", "JOB_COMPLETIONS": "3"})
        for index, variables in enumerate(sets):
            self.assertRegex(self.with_variables(variables), rf"\Ashard {index}/3, says {next(iter(variables))}\n")
        result = run("eval", "merge", self.out)
        self.assertEqual(result.status, 0, result.stderr)
        self.assertEqual(final_files(self.out), final_files(whole))

    def test_the_option_wins_over_variables(self):
        self.with_variables({"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2"}, "--shard", "0/1", "--limit", "2")
        self.assertEqual(self.results()["results"]["scenes"]["samples"], 2)

    def test_variables_that_say_half_are_refused(self):
        self.assertRegex(self.with_variables({"JOB_COMPLETION_INDEX": "2"}, status=2), "JOB_COMPLETION_INDEX is 2 and JOB_COMPLETIONS is not set")
        self.assertRegex(self.with_variables({"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "3"}, status=2), "which is no part")

    def test_ranks_of_one_model_are_no_parts_and_all_of_them_are_one(self):
        """What says which rank a process is is read as nothing else; parts of a run are said by others."""
        parts = {"JOB_COMPLETION_INDEX": "2"}
        ranks = {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"}
        self.assertRegex(self.with_variables(parts | ranks, "--tensor-parallel", "2", status=2), "JOB_COMPLETION_INDEX is 2 and JOB_COMPLETIONS is not set")

    def test_an_array_that_may_be_some_parts_of_a_run_is_refused(self):
        """sbatch --array=3 of a run in sixteen parts must not do the whole run in its place."""
        for first, last, count in (("3", "3", "1"), ("5", "7", "3"), ("0", "6", "4"), ("3", "7", "2")):
            variables = {"SLURM_ARRAY_TASK_ID": first, "SLURM_ARRAY_TASK_MIN": first, "SLURM_ARRAY_TASK_MAX": last, "SLURM_ARRAY_TASK_COUNT": count}
            self.assertRegex(self.with_variables(variables, status=2), f"_MIN, _MAX and _COUNT are {first}, {last} and {count}, which may be some")
            self.assertFalse(self.out.exists())
        self.assertNotIn("says", self.with_variables(variables, "--shard", "3/16", "--limit", "32"))
        self.assertTrue((self.out / "journal_3_of_16.jsonl").exists())

    def test_shards_that_are_missing_are_told(self):
        self.run_eval("--shard", "1/3")
        result = run("eval", "merge", self.out)
        self.assertEqual((result.status, result.stderr), (1, "FAILED_PRECONDITION: shards are missing: 0/3, 2/3\n"))


class EvalJudged(EvalRuns):
    def test_a_judge_gets_a_file_and_gives_scores(self):
        task = json.loads((TASKS / "scenes.json").read_text())
        del task["scorer"]
        task.update(name="judged", judge="wise")
        path = self.write("judged.json", json.dumps(task))
        result = self.run_eval("--limit", "2", task=path)
        self.assertIn("judged", result.stdout)
        self.assertRegex(result.stdout, r"(?m)^judged +judge +score +- ")
        lines = [json.loads(line) for line in (self.out / "binocle-tiny_judge_judged.jsonl").read_text().splitlines()]
        verdicts = self.write("verdicts.jsonl", "".join(json.dumps({"id": line["id"], "score": 0.25}) + "\n" for line in lines))
        judged = run("eval", "judge", "judged", "--verdicts", verdicts, "--out", self.out, "--json")
        self.assertEqual(judged.status, 0, judged.stderr)
        self.assertEqual(judged.json["tasks"][0]["score"], 0.25)


class EvalServer(EvalRuns):
    def setUp(self):
        super().setUp()
        if "--server" not in run("eval", "run", "--help").stdout:
            self.skipTest("built without servers")

    def serve(self):
        server = Server(self.folder)
        self.addCleanup(server.close)
        return server

    def test_a_server_gives_the_same_answers(self):
        server, here = self.serve(), self.plain_run(self.folder / "here")
        self.run_eval("--server", f"127.0.0.1:{server.grpc}", "--concurrency", "5")
        samples = "binocle-tiny_samples_scenes.jsonl"
        self.assertEqual((self.out / samples).read_bytes(), (here / samples).read_bytes())

    def test_a_server_that_dies_costs_what_it_did_not_answer(self):
        data = write_scenes(self.folder / "more", 30)
        server = self.serve()
        command = [program(), "eval", "run", "scenes", "--data", data, "--out", self.out, "--server", f"127.0.0.1:{server.grpc}",
                   "--concurrency", "2", "--attempts", "2", "--json"]
        process = subprocess.Popen([os.fspath(word) for word in command], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        journal = self.out / "journal_0_of_1.jsonl"
        while process.poll() is None and not (journal.exists() and len(journal.read_bytes().splitlines()) > 20):
            time.sleep(0.002)
        server.kill()
        stdout, stderr = process.communicate(timeout=CALL_SECONDS)
        self.assertEqual(process.returncode, 1, stderr)
        task = json.loads(stdout)["tasks"][0]
        self.assertEqual(task["answered"] + task["failed"], 180)
        self.assertGreater(task["failed"], 0)
        self.assertRegex(stderr.decode(), rf"\AFAILED_PRECONDITION: eval run: {task['failed']} samples failed and are counted apart; .*: UNAVAILABLE: ")
        self.assertEqual(self.results()["results"]["scenes"]["samples"], task["answered"])

    def test_nobody_there_is_told_before_anything_else(self):
        result = self.run_eval("--server", "127.0.0.1:1", "--attempts", "1", status=1)
        self.assertRegex(result.stderr, r"\AUNAVAILABLE: ")
        self.assertFalse(self.out.exists())

    def test_options_of_the_other_are_refused(self):
        for arguments, message in ((["--server", "localhost:1", "--threads", "2"], "--threads is an option of the engine here"), (["--tls"], "--tls goes with --server")):
            result = self.run_eval(*arguments, status=2)
            self.assertRegex(result.stderr, rf"\AINVALID_ARGUMENT: {message}")


if __name__ == "__main__":
    main()
