"""binocle eval: scored lines and a summary, lists of scorers, bad lines by file and number."""

import json
import unittest

from program import Folder, main, run

VQA = {"prediction": "Two", "references": ["2", "2", "two", "3"]}
PERFECT = {"prediction": "red", "answer": "Red"}


def jsonl(*lines):
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)


class EvalScore(Folder):
    def score(self, content, *arguments, scorer="exact_match", status=0):
        """Runs on a file of `content`; the scored lines and the summary."""
        path = self.write("answers.jsonl", content)
        result = run("eval", "score", "--scorer", scorer, *arguments, path)
        self.assertEqual(result.status, status, result.stderr)
        return result

    def refused(self, content, message, *arguments, scorer="exact_match", code="INVALID_ARGUMENT"):
        result = self.score(content, *arguments, scorer=scorer, status=1)
        path = self.folder / "answers.jsonl"
        self.assertTrue(result.stderr.startswith(f"{code}: {path}: {message}"), result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1)
        return result

    def test_what_was_written_can_be_scored_again(self):
        path = self.write("a.jsonl", '{"id":1,"prediction":"a","answer":"a"}\n{"id":2,"prediction":"b","answer":"a"}\n')
        first, second = self.folder / "first.jsonl", self.folder / "second.jsonl"
        self.assertEqual(run("eval", "score", "--scorer", "exact_match", path, "--out", first).status, 0)
        result = run("eval", "score", "--scorer", "exact_match", first, "--out", second)
        self.assertEqual(result.status, 0, result.stderr)
        self.assertEqual(second.read_text(), first.read_text())

    def test_lines_come_back_with_scores_and_a_summary_follows(self):
        first = '{ "id":7, "extra": {"z":1.10, "a": 18446744073709551616}, "prediction":"Red","answer":"red"}'
        result = self.score(jsonl(first, {"id": "x", "prediction": "blue", "answer": "red"}))
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0], first[:-1] + ',"score":1.0}')
        self.assertEqual(list(json.loads(lines[1])), ["id", "prediction", "answer", "score"])
        self.assertEqual(lines[2], '{"summary":{"scorer":"exact_match","lines":2,"score":0.5,"no_answer":0,"empty":0,"skipped":0}}')
        self.assertEqual(result.stderr, "")

    def test_standard_input_is_read(self):
        result = run("eval", "score", "--scorer", "vqa_v2", "-", stdin=jsonl(VQA).encode())
        self.assertEqual((result.status, result.lines[0]["score"], result.lines[0]["parsed"]), (0, 0.75, "2"))

    def test_out_takes_the_lines_and_stdout_the_summary(self):
        out = self.folder / "scored.jsonl"
        plain = self.score(jsonl(PERFECT))
        table = self.score(jsonl(PERFECT), "--out", out)
        self.assertEqual(out.read_text(), plain.stdout)
        self.assertEqual(table.stdout.split()[:6], ["scorer", "exact_match", "lines", "1", "score", "1"])
        result = self.score(jsonl(PERFECT), "--out", out, status=1)
        self.assertEqual(result.stderr, f"ALREADY_EXISTS: {out}: is there already (--overwrite replaces it)\n")
        summary = self.score(jsonl(PERFECT), "--out", out, "--overwrite", "--json")
        self.assertEqual(summary.json, json.loads(plain.stdout.splitlines()[-1]))

    def test_nothing_is_written_when_a_line_is_bad(self):
        out = self.folder / "scored.jsonl"
        self.refused(jsonl(PERFECT, "{"), "line 2: not valid JSON", "--out", out)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["answers.jsonl"])

    def test_a_scored_file_without_its_summary_can_be_scored_again(self):
        scored = "\n".join(self.score(jsonl(VQA), scorer="vqa_v2").stdout.splitlines()[:-1]) + "\n"
        self.assertEqual(self.score(scored, scorer="vqa_v2").lines[0], json.loads(scored))

    def test_bad_lines_are_told_by_file_and_number(self):
        good = jsonl(PERFECT)
        for line, message in (
            ("nonsense", "not valid JSON"),
            ("[]", "is a JSON array, expected an object"),
            ('{"prediction": "a", "prediction": "a"}', "prediction is given twice"),
            ({"answer": "a"}, "prediction is missing, expected a text"),
            ({"prediction": 7, "answer": "a"}, "prediction is 7, expected a text"),
            ({"prediction": "a"}, "references is missing, expected a list of texts, or answer"),
            ({"prediction": "a", "answer": "a", "category": []}, "category is [], expected a text that is not empty"),
            ("[" * 100000, "JSON is nested deeper than 64 levels"),
        ):
            self.refused(good + "\n" + jsonl(line), f"line 3: {message}")
        self.refused(jsonl({"id": 1, **PERFECT}, {"id": 1, **PERFECT}), "line 2: id is 1, which an earlier line has")
        self.refused(b'{"prediction": "\xe9", "answer": "e"}\n', "line 1: not valid JSON")
        self.refused("\n \n", "holds no answers, expected one JSON object a line")

    def test_bad_lines_are_skipped_when_told(self):
        content = jsonl(PERFECT, "nonsense", {"prediction": "x"}, {"prediction": "blue", "answer": "red"})
        result = self.score(content, "--skip-bad")
        *lines, last = result.lines
        self.assertEqual([line["score"] for line in lines], [1, 0])
        summary = last["summary"]
        self.assertEqual((summary["lines"], summary["score"], summary["skipped"]), (2, 0.5, 2))
        self.assertEqual([skipped["line"] for skipped in summary["skipped_lines"]], [2, 3])
        self.assertRegex(result.stderr, r"\A\S+: line 2 skipped: not valid JSON.*\n\S+: line 3 skipped: references is missing.*\n\Z")
        many = self.score(jsonl(PERFECT, *["x"] * 30), "--skip-bad")
        self.assertEqual((many.lines[-1]["summary"]["skipped"], len(many.lines[-1]["summary"]["skipped_lines"])), (30, 20))
        self.assertTrue(many.stderr.endswith(": 10 more lines skipped\n"))
        self.refused(jsonl("x", "y"), "none of 2 lines could be scored; the first: not valid JSON", "--skip-bad")

    def test_a_line_that_is_too_long_is_one_line(self):
        long = '{"prediction": "' + "x" * (65 << 20) + '", "answer": "x"}'
        self.refused(jsonl(PERFECT, long), "line 2: is longer than 67108864 bytes", code="RESOURCE_EXHAUSTED")
        result = self.score(jsonl(PERFECT, long, PERFECT), "--skip-bad")
        self.assertEqual((result.lines[-1]["summary"]["lines"], result.lines[-1]["summary"]["skipped"]), (2, 1))

    def test_line_ends_and_blank_lines_do_not_matter(self):
        content = b"\xef\xbb\xbf" + jsonl(PERFECT).encode().replace(b"\n", b"\r\n\r\n") + json.dumps(PERFECT).encode()
        result = self.score(content)
        self.assertEqual(result.lines[-1]["summary"]["lines"], 2)
        self.assertNotIn("\r", result.stdout)

    def test_groups_of_mme_must_be_whole(self):
        line = {"prediction": "yes", "answer": "yes", "category": "count", "group": "a.jpg"}
        self.refused(jsonl(line), "group a.jpg of category count has 1 lines, expected 2", scorer="mme")
        summary = self.score(jsonl(line, line, {**line, "group": "b.jpg"}), "--skip-bad", scorer="mme").lines[-1]["summary"]
        self.assertEqual((summary["perception"], summary["incomplete_groups"]), (200, 1))

    def test_scorers_are_listed(self):
        result = run("eval", "scorers")
        listed = run("eval", "scorers", "--json").json["scorers"]
        self.assertEqual([line.split()[0] for line in result.stdout.splitlines()], [scorer["name"] for scorer in listed])
        self.assertGreaterEqual(len(listed), 18)
        for scorer in listed:
            self.assertEqual(list(scorer), ["name", "about", "required", "optional", "source"])

    def test_command_lines_that_mean_nothing_are_refused(self):
        path = self.write("answers.jsonl", jsonl(PERFECT))
        for arguments, message in (
            ([], "what to evaluate is missing, expected run, merge, "),
            (["score", path], "--scorer is missing, expected a name"),
            (["score", "--scorer", "exact_match"], "the file of answers is missing, expected a path or -"),
            (["score", "--scorer", "vqa", path], "--scorer is vqa, expected one of vqa_v2, textvqa"),
            (["score", "--scorer", "exact_match", path, "--out", ""], "--out is empty, expected a path"),
            (["score", "--scorer", "exact_match", path, path], f"{path} is one argument too many"),
        ):
            result = run("eval", *arguments)
            self.assertEqual((result.status, result.stdout), (2, ""), arguments)
            self.assertTrue(result.stderr.startswith(f"INVALID_ARGUMENT: {message}"), result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1)

    def test_files_that_cannot_be_read_or_written_are_errors(self):
        for arguments, code in (
            ([self.folder / "none.jsonl"], "NOT_FOUND"),
            ([self.folder], "INVALID_ARGUMENT"),
            ([self.write("answers.jsonl", jsonl(PERFECT)), "--out", self.folder / "none" / "out.jsonl"], "NOT_FOUND"),
        ):
            result = run("eval", "score", "--scorer", "exact_match", *arguments)
            self.assertEqual((result.status, result.stdout, result.stderr.split(":")[0]), (1, "", code))


if __name__ == "__main__":
    main()
