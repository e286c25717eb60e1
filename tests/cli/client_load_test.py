"""`binocle client load`: what it counts, checks and reports."""

from asking import HOME, Asking
from program import SCENE, main


class Load(Asking):
    def test_mixed_load_with_checked_answers(self):
        arguments = ["--requests", "150", "--concurrency", "12", "--distinct", "20", "--max-new-tokens", "10", "--image", HOME, "--image", SCENE,
                     "--cancel-share", "0.2", "--malformed-share", "0.1", "--check", "--seed", "3", "--json"]
        report = self.fine("load", *arguments).json
        self.assertEqual(report["requests"], 150)
        self.assertEqual(sum(report["codes"].values()), 150)
        self.assertLessEqual(set(report["codes"]), {"OK", "CANCELLED", "INVALID_ARGUMENT"})
        self.assertGreater(report["codes"]["INVALID_ARGUMENT"], 3)
        self.assertGreater(report["codes"]["CANCELLED"], 3)
        self.assertGreater(report["checked"], 50)
        self.assertEqual((report["wrong"], report["unexpected"]), (0, 0))
        for times in ("first_token_ms", "between_tokens_ms", "total_ms"):
            spread = [report[times][key] for key in ("p50", "p90", "p99", "max")]
            self.assertEqual(spread, sorted(spread))
            self.assertGreater(report[times]["count"], 0)
        self.assertGreater(report["requests_per_second"], 0)
        self.assertGreater(report["tokens_per_second"], 0)

    def test_report_for_people(self):
        prompts = self.write("prompts.txt", "Hello\n\nWhat is it?\n")
        result = self.fine("load", "--requests", "12", "--concurrency", "4", "--max-new-tokens", "4", "--prompts", prompts, "--upload", "--image", HOME)
        self.assertRegex(result.stdout, r"\A12 requests in [0-9.]+ s, 4 at a time: [0-9.]+ requests/s, [0-9.]+ tokens/s\nOK 12; unexpected 0\n")
        self.assertRegex(result.stdout, r"first token( +[0-9.]+){4}\nbetween tokens( +[0-9.]+){4}\ntotal( +[0-9.]+){4}\n\Z")

    def test_an_unexpected_code_is_told(self):
        missing = "upload:" + 64 * "0"
        result = self.client("load", "--requests", "20", "--concurrency", "2", "--max-new-tokens", "2", "--image", missing)
        self.assertEqual(result.status, 1)
        self.assertRegex(result.stdout, r"NOT_FOUND [0-9]+, OK [0-9]+; unexpected [0-9]+")
        self.assertRegex(result.stderr, r"\AFAILED_PRECONDITION: load: 0 wrong answers, [0-9]+ unexpected codes; the first: request [0-9]+ ended with NOT_FOUND: .*\n\Z")

    def test_no_model_no_load(self):
        self.fails(1, "NOT_FOUND: --model is other, .*", "load", "--model", "other")


if __name__ == "__main__":
    main()
