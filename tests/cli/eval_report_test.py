"""binocle eval report and compare from outside: pages that need nothing else, tables and JSON, runs that do not belong together, damage."""

import base64
import json
import re
from html.parser import HTMLParser

from eval_data import PlainRuns, write_scenes
from program import TESTS, Folder, edit_json, main, run
from server import CALL_SECONDS

MODEL = TESTS.parent / "models" / "binocle-tiny"
VOID = {"meta", "img"}


class Page(HTMLParser):
    """What a page is made of. Fails where an element is closed that is not open."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.sources, self.open, self.text, self.handlers = [], [], [], "", []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        self.text += data


class EvalReports(Folder):
    def setUp(self):
        super().setUp()
        self.data = write_scenes(self.folder / "data", 4, 4)

    def run_eval(self, out, *arguments, task="scenes", status=0):
        result = run("eval", "run", task, "--data", self.data, "--out", self.folder / out, *arguments, seconds=CALL_SECONDS)
        self.assertEqual(result.status, status, result.stderr)
        return self.folder / out

    def plain_run(self, out):
        """A run without options over the data as they were written."""
        return PlainRuns.copy(4, 4, self.folder / out)

    def page(self, path):
        page = Page(path.read_text())
        self.assertNotIn("script", page.elements)
        self.assertEqual(page.handlers, [])
        for source in page.sources:
            self.assertTrue(source.startswith("data:image/"), source[:60])
        return page

    def assert_fails(self, result, pattern, status=1):
        self.assertEqual((result.status, result.stdout), (status, ""), result.stderr)
        self.assertRegex(result.stderr, pattern)


class EvalReport(EvalReports):
    def test_a_report_is_a_page_of_its_own(self):
        out = self.plain_run("out")
        result = run("eval", "report", out, "--data", self.data)
        self.assertEqual(result.status, 0, result.stderr)
        self.assertRegex(result.stdout.splitlines()[1], r"^scenes +exact_match +score +[\d.]+ +[\d.]+ to [\d.]+ +16 +4  ")
        self.assertEqual(result.stdout.splitlines()[-1], f"report: {out}/report.html")
        page = self.page(out / "report.html")
        pictures = [base64.b64decode(source.split(",")[1]) for source in page.sources]
        self.assertGreater(len(pictures), 0)
        self.assertTrue(set(pictures) <= {path.read_bytes() for path in self.data.glob("*.png")})
        for part in ("k0", "k1", "k2", "pope_llava", "pope_opera", "pope_vcd", "pope_lmms", "distinct-2", "Worst answers"):
            self.assertIn(part, page.text)

    def test_scores_are_those_of_the_run(self):
        out = self.plain_run("out")
        told = run("eval", "report", out, "--json", "--resamples", "1000", "--seed", "3").json["tasks"][0]
        wanted = json.loads((out / "binocle-tiny_results.json").read_text())["results"]["scenes"]
        self.assertAlmostEqual(told["score"]["value"], wanted["score,none"], places=12)
        self.assertLessEqual(told["score"]["low"], told["score"]["value"])
        self.assertGreaterEqual(told["score"]["high"], told["score"]["value"])
        self.assertEqual((told["samples"], told["groups"], told["answered"]), (16, 4, 16))

    def test_a_model_shows_what_it_looked_at(self):
        out = self.run_eval("out", "--guidance", "gamma=1.5", "--var", "p=0.6,dims=3+5,layers=1-2")
        plain, mapped = self.folder / "plain.html", self.folder / "mapped.html"
        self.assertEqual(run("eval", "report", out, "--data", self.data, "--worst", "3", "--out", plain).status, 0)
        result = run("eval", "report", out, "--data", self.data, "--worst", "3", "--out", mapped, "--model", MODEL, seconds=CALL_SECONDS)
        self.assertEqual(result.status, 0, result.stderr)
        text, worst = self.page(mapped).text, self.page(plain).sources
        self.assertEqual(len(self.page(mapped).sources), 2 * len(worst))
        self.assertEqual(len(re.findall(r"looked at, with 0\.\d\d of the weight; grounding: ", text)), len(worst))
        # Asked as the run asked: with its interventions the answers are the same.
        self.assertNotIn("the answer here is", text)
        self.assertNotIn("no map", text)
        self.assert_fails(run("eval", "report", out, "--model", MODEL), "INVALID_ARGUMENT: --data is missing", status=2)
        self.assert_fails(run("eval", "report", out, "--data", self.data, "--model", "none", "--overwrite"), r"\ANOT_FOUND: .*none")

    def test_pictures_in_rows_are_shown_and_explained(self):
        task = json.loads((TESTS.parent / "eval" / "tasks" / "scenes.json").read_text())
        task |= {"name": "rows", "images": {"form": "base64", "column": "image"}}
        lines = [json.loads(line) for line in (self.data / "questions.jsonl").read_text().splitlines()]
        pictures = {line["image"]: (self.data / line["image"]).read_bytes() for line in lines}
        for line in lines:
            line |= {"image": base64.b64encode(pictures[line["image"]]).decode(), "answer": "wrong"}
        rows = self.folder / "rows"
        rows.mkdir()
        (rows / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        path, out = self.write("rows.json", json.dumps(task)), self.folder / "out"
        self.assertEqual(run("eval", "run", path, "--data", rows, "--out", out, "--limit", "4", seconds=CALL_SECONDS).status, 0)
        result = run("eval", "report", out, "--data", rows, "--worst", "2", "--model", MODEL, seconds=CALL_SECONDS)
        self.assertEqual(result.status, 0, result.stderr)
        page = self.page(out / "report.html")
        sources = [base64.b64decode(source.split(",")[1]) for source in page.sources]
        self.assertEqual(len(sources), 4, "a picture and a map for each of two samples")
        self.assertEqual(len(set(sources) & set(pictures.values())), len({sources[0], sources[2]}))
        self.assertIn("looked at, with 0.", page.text)

    def test_a_picture_that_is_none_has_no_map(self):
        out = self.plain_run("out")
        for path in self.data.glob("*.png"):
            path.write_bytes(b"no picture")
        result = run("eval", "report", out, "--data", self.data, "--worst", "1", "--model", MODEL, seconds=CALL_SECONDS)
        self.assertEqual(result.status, 0, result.stderr)
        text = self.page(out / "report.html").text
        self.assertIn("(no PNG, JPEG or WebP: not shown)", text)
        self.assertIn("no map: INVALID_ARGUMENT: ", text)

    def test_a_file_that_is_there_stays(self):
        out = self.run_eval("out", "--limit", "2")
        page = self.write("page.html", "mine")
        self.assert_fails(run("eval", "report", out, "--out", page), r"\AALREADY_EXISTS: .*page.html: is there already")
        self.assertEqual(page.read_text(), "mine")
        self.assertEqual(run("eval", "report", out, "--out", page, "--overwrite").status, 0)
        self.page(page)

    def test_pictures_come_from_the_data_alone(self):
        out = self.plain_run("out")
        secret = self.write("secret.png", (self.data / "0000.png").read_bytes() + b"secret")
        samples = out / "binocle-tiny_samples_scenes.jsonl"
        samples.write_text(samples.read_text().replace('"images":["0000.png"]', '"images":["../secret.png"]').replace('"images":["0001.png"]', f'"images":["{secret}"]'))
        self.assertEqual(run("eval", "report", out, "--data", self.data).status, 0)
        page = self.page(out / "report.html")
        self.assertIn("../secret.png: no file of that name in --data", page.text)
        self.assertFalse(any(b"secret" in base64.b64decode(source.split(",")[1]) for source in page.sources))

    def test_hostile_text_is_text(self):
        hostile = "</script><img src=x onerror=alert(1)><svg onload=alert(2)>\"'&"
        lines = [json.loads(line) for line in (self.data / "questions.jsonl").read_text().splitlines()]
        for line in lines:
            line.update(prompt=hostile, answer=hostile, kind=hostile)
        (self.data / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        out = self.run_eval("out")
        self.assertEqual(run("eval", "report", out, "--data", self.data).status, 0)
        self.assertIn(hostile, self.page(out / "report.html").text)

    def test_several_runs_are_curves(self):
        runs = [self.run_eval(f"gamma-{gamma}", "--guidance", f"gamma={gamma}") for gamma in ("1.5", "1.0", "2.0")]
        page = self.folder / "sweep.html"
        result = run("eval", "report", *runs, "--out", page, "--json")
        self.assertEqual(result.status, 0, result.stderr)
        self.assertEqual([task["run"] for task in result.json["tasks"]], [str(path) for path in runs])
        text = self.page(page).text
        self.assertIn("What differs: interventions.guidance.gamma", text)
        for wanted in ("guidance.gamma=1.5", "guidance.gamma=2.0", "seconds an answer", "tokens an answer"):
            self.assertIn(wanted, text)
        self.assert_fails(run("eval", "report", *runs), "INVALID_ARGUMENT: --out is missing", status=2)

    def test_folders_without_a_run(self):
        self.assert_fails(run("eval", "report", "none", cwd=self.folder), r"\ANOT_FOUND: none: is no folder, expected one that binocle eval run wrote\n\Z")
        self.assert_fails(run("eval", "report", self.data), r"\ANOT_FOUND: .*data: holds no \*_results.json, expected a folder")
        out = self.run_eval("out", "--shard", "0/2")
        self.assert_fails(run("eval", "report", out), r"\ANOT_FOUND: .*the run is not finished .*binocle eval merge")
        self.assert_fails(run("eval", "report", self.plain_run("whole"), "--data", "none"), r"\ANOT_FOUND: none: is no folder, expected that of the data")

    def test_damaged_results(self):
        out = self.plain_run("out")
        results, samples = out / "binocle-tiny_results.json", out / "binocle-tiny_samples_scenes.jsonl"
        good_results, good_samples = results.read_text(), samples.read_text()
        for damage, message in (
            (lambda: results.write_text("{"), "results.json"), (lambda: results.write_text("{}"), "has no member binocle"),
            (lambda: edit_json(results, lambda value: value["task_hashes"].clear()), "no whole results file"),
            (lambda: samples.write_text(good_samples[: len(good_samples) // 2]), "samples_scenes.jsonl: line"),
            (lambda: samples.write_text("".join(good_samples.splitlines(True)[:-1])), "has 15 samples, expected 16"),
            (lambda: samples.write_text(re.sub(r'"score":[01]\.0', '"score":0.21', good_samples)), "the mean score is 0.21 of 16 samples, expected"),
            (samples.unlink, "samples_scenes.jsonl: is not there"),
        ):
            with self.subTest(message):
                results.write_text(good_results)
                samples.write_text(good_samples)
                damage()
                self.assert_fails(run("eval", "report", out), rf"\A(DATA_LOSS|INVALID_ARGUMENT): .*{message}")
                self.assertFalse((out / "report.html").exists())

    def test_command_lines_that_are_wrong(self):
        out = self.run_eval("out", "--limit", "2")
        for arguments, message in (
            (["report"], "the run is missing"), (["report", out, "--resamples", "10"], "--resamples is 10, expected 1000 to 1000000"),
            (["report", out, "--worst", "-1"], "--worst is -1, expected 0 to 1000"), (["report", out, "--worst", "many"], "--worst is many"),
            (["compare", out], "a run is missing"), (["compare", out, out, "--seed", "x"], "--seed is x"),
        ):
            with self.subTest(message):
                self.assert_fails(run("eval", *arguments), rf"\AINVALID_ARGUMENT: {message}", status=2)


class EvalCompare(EvalReports):
    def test_a_run_beside_itself_is_the_same(self):
        out = self.plain_run("out")
        task = run("eval", "compare", out, out, "--json").json["tasks"][0]
        self.assertEqual((task["difference"], task["p"], task["changes"], task["pairs"]), ({"value": 0, "low": 0, "high": 0}, 1, [], 16))

    def test_runs_are_compared_sample_by_sample(self):
        before, after = self.plain_run("before"), self.run_eval("after", "--max-new-tokens", "1")
        page = self.folder / "compare.html"
        result = run("eval", "compare", before, after, "--out", page, "--json")
        self.assertEqual(result.status, 0, result.stderr)
        task = result.json["tasks"][0]
        scores = []
        for folder in (before, after):
            lines = (folder / "binocle-tiny_samples_scenes.jsonl").read_text().splitlines()
            scores.append({line["id"]: line["exact_match"] for line in map(json.loads, lines)})
        changed = {name for name in scores[0] if scores[0][name] != scores[1][name]}
        self.assertEqual({change["id"] for change in task["changes"]}, changed)
        self.assertEqual(task["better"] + task["worse"], len(changed))
        self.assertAlmostEqual(task["difference"]["value"], (sum(scores[1].values()) - sum(scores[0].values())) / 16, places=12)
        self.assertIn("tasks.scenes.generation.max_new_tokens is 1, not 48", result.json["settings"][0])
        self.assertIn("Asked otherwise", self.page(page).text)
        table = run("eval", "compare", before, after).stdout.splitlines()
        self.assertEqual(table[0], f"before: {before}")
        self.assertRegex(table[2], r"^scenes +score +16 +0 +[\d.]+ +[\d.]+ +[-+][\d.]+ +[-+][\d.]+ to [-+][\d.]+ +\d+ +\d+ +")

    def test_what_is_not_of_all_samples_is_marked(self):
        before = self.plain_run("before")
        picture = self.data / "0001.png"
        picture.write_bytes(b"\0" * picture.stat().st_size)
        after, page = self.run_eval("after", status=1), self.folder / "page.html"
        table = run("eval", "compare", before, after, "--out", page).stdout.splitlines()
        self.assertRegex(table[2], r"^scenes +score +12 +4 +[\d.]+\* +[\d.]+\* ")
        self.assertEqual(table[3], f"* scenes, {after}: of 12 of 16 samples alone; without a score: 0 before, 4 after")
        self.assertIn("incomplete: 12 of 16 in both runs", self.page(page).text)
        task = run("eval", "compare", before, after, "--json").json["tasks"][0]
        self.assertEqual((task["incomplete"], task["unscored_before"], task["unscored_after"]), (True, 0, 4))
        self.assertFalse(run("eval", "compare", before, before, "--json").json["tasks"][0]["incomplete"])
        report = run("eval", "report", before, after, "--out", page, "--overwrite").stdout.splitlines()
        self.assertEqual(report[3], f"* scenes, {after}: of 12 of 16 samples alone")

    def test_no_score_is_made_up_where_a_judge_has_not_graded(self):
        task = json.loads((TESTS.parent / "eval" / "tasks" / "scenes.json").read_text())
        for member in ("scorer", "also_scorers"):
            task.pop(member, None)
        path, page = self.write("judged.json", json.dumps(task | {"name": "judged", "judge": "wise"})), self.folder / "page.html"
        before, after = self.run_eval("before", task=path), self.run_eval("after", task=path)
        result = run("eval", "compare", before, after, "--out", page)
        self.assertEqual(result.status, 0, result.stderr)
        table = result.stdout.splitlines()
        self.assertRegex(table[2], r"^judged +score +0 +16 +- +- +- +- +0 +0 +-  ")
        self.assertEqual(table[3], f"judged, {after}: no sample has a score in both runs; without a score: 16 before, 16 after")
        told = run("eval", "compare", before, after, "--json").json["tasks"][0]
        self.assertEqual([told[member] for member in ("score_before", "score_after", "difference", "p")], [None] * 4)
        self.assertNotIn("0.0000", self.page(page).text)

    def test_a_change_is_shown_where_the_texts_begin_to_differ(self):
        folders = [self.plain_run("before"), self.plain_run("after")]
        for folder, end, score in zip(folders, ("left é", "right é"), (0.0, 1.0), strict=True):
            path = folder / "binocle-tiny_samples_scenes.jsonl"
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            lines[0] |= {"prediction": "é" * 100 + end + " and more", "scored": {"exact_match": {"score": score}}}
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
            scores = [line["scored"]["exact_match"]["score"] for line in lines]
            edit_json(folder / "binocle-tiny_results.json", lambda json_, mean=sum(scores) / 16: json_["binocle"]["tasks"]["scenes"].update(score=mean))
        result = run("eval", "compare", *folders)
        self.assertEqual(result.status, 0, result.stderr)
        self.assertRegex(result.stdout, "'…é+right é and more', before '…é+left é and more', wanted ")

    def test_runs_over_other_data_are_refused_with_what_differs(self):
        before = self.plain_run("before")
        limited = self.run_eval("limited", "--limit", "3")
        self.assert_fails(run("eval", "compare", before, limited), r"\AFAILED_PRECONDITION: .*limited: is a run over something else than .*before: scenes.samples is 3, not 16\n\Z")
        path = self.data / "questions.jsonl"
        path.write_text(path.read_text().replace("Is there a dog?", "Is there a cat?"))
        other = self.run_eval("other")
        page = self.folder / "page.html"
        self.assert_fails(run("eval", "compare", before, other, "--out", page), r"\AFAILED_PRECONDITION: .*scenes\.data\[0\]\.sha256 is .*, not ")
        self.assertFalse(page.exists())


if __name__ == "__main__":
    main()
