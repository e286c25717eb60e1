"""Command lines that are wrong are refused with status 2 and name what was typed."""

import json
import subprocess

from bad_input import EXHAUSTED, INVALID, LLAVA, NOT_FOUND, QUESTION, BadInput
from program import SCENE, SECONDS, environment, main, program, run


class BadCommandLines(BadInput):
    def refused_line(self, arguments, mentions=(), code=INVALID):
        self.refused(code, arguments, mentions, status=2)

    def test_an_unknown_command_is_named_and_the_commands_are_listed(self):
        commands = ["ask", "chat", "inspect", "(see binocle --help)"]
        for arguments in (["foo"], ["foo", "--image", "a.png"], ["foo", "ask", "What?"]):
            with self.subTest(arguments):
                self.refused_line(arguments, ["INVALID_ARGUMENT: foo is not a command, expected ask, ", *commands])
        self.refused_line([], ["a command is missing, expected ask, ", *commands])
        self.refused_line(["\x1b[31m\n"], r"\x1b[31m\n is not a command")
        self.refused_line([b"\xff\xfe"], r"\xff\xfe is not a command")

    def test_unknown_options_and_arguments_are_named(self):
        rows = [(["--verbose"], "--verbose is not an option of binocle (see binocle --help)"),
                (["--verbose", "ask", "What?"], "--verbose is not an option of binocle (see binocle --help)"),
                (["ask", "What?", "--temprature", "1"], "--temprature is not an option of binocle ask (see binocle ask --help)"),
                (["chat", "--requests", "q.jsonl"], "--requests is not an option of binocle chat"),
                (["ask", "What?", "more"], "more is one argument too many for binocle ask"), (["ask", "What?", "chat"], "chat is one argument too many"),
                (["inspect", "a", "b"], "b is one argument too many for binocle inspect")]
        for arguments, message in rows:
            with self.subTest(arguments):
                self.refused_line(arguments, message)

    def test_options_without_a_value_are_refused(self):
        for arguments in (["ask", "What?", "--image"], ["ask", "--model"], ["chat", "--system"]):
            with self.subTest(arguments):
                self.refused_line(arguments, [arguments[-1], "binocle --help"])

    def test_empty_values_are_refused(self):
        for option, expected in (("--image", "a path"), ("--requests", "a path"), ("--model", "a value"), ("--stop", "at least one character"), ("--n", "an integer"),
                                 ("--temperature", "a number"), ("--memory-limit", "a value"), ("--fusion", "a value"), ("--composite-layers", "a value")):
            for value in ([option, ""], [option + "="]):
                with self.subTest(value):
                    self.refused_line(["ask", *value, "What?"], f"INVALID_ARGUMENT: {option} is empty, expected {expected}")
        self.refused_line(["inspect", ""], "the model's path is empty")
        self.refused_line(["chat", "--image="], "--image is empty")

    def test_a_missing_question_is_refused(self):
        for arguments in (["ask"], ["ask", ""], ["ask", "--image", SCENE]):
            with self.subTest(arguments):
                self.refused_line(arguments, "the question is missing")

    def test_values_out_of_range_name_the_option_as_typed_and_what_was_found(self):
        rows = {
            "--temperature": ["nan", "inf", "-0.5", "101", "100.000001", "hot", "1e999"], "--top-p": ["2", "-0.1", "nan", "x"], "--min-p": ["1.5", "-1", "nan"],
            "--repetition-penalty": ["0", "-1", "nan", "1000"], "--top-k": ["-1", "1e99", "2.5", "k", "9223372036854775808"],
            "--max-new-tokens": ["0", "-5", "1e99", "99999999", "9223372036854775808", "many", "2.5"], "--seed": ["-1", "18446744073709551616", "1.5", "seed"],
            "--n": ["0", "-1", "65", "1000000000", "two", "010"], "--logprobs": ["-1", "100000", "all"], "--threads": ["-1", "1025", "3000000000", "99999999999999999999", "two"],
            "--context-tokens": ["-1", "99999999999", "x"], "--prefill-chunk-tokens": ["0", "-1", "65537", "nan"], "--max-images": ["-1", "5000"],
            "--max-image-bytes": ["0", "-1", "1e30", "99999999999999"], "--max-image-pixels": ["0", "-1", "99999999999999"],
            "--memory-limit": ["nan", "-1", "0", "lots", "1X", "1e99", "inf", "5 apples", "0x40", "1e9", " 64M", "1.5.M"], "--prompt-format": ["html"],
            "--fusion": ["glue", "ftz"], "--attention": ["linear"], "--aligner": ["glue"], "--device": ["tpu"], "--compute": ["f8"],
            "--composite-layers": ["5-1", "0-99", "-1", "x", "1-", "0-99999999999999999999", "1,", "1,,2", "0-1,1", "2,1-99", "1 2"],
        }
        for option, values in rows.items():
            for value in values:
                with self.subTest(option, value=value):
                    self.refused_line(["ask", "--model", LLAVA, "--json", "What?", f"{option}={value}"], [f"INVALID_ARGUMENT: {option} is {value}, expected "])

    def test_a_range_is_told_with_its_ends(self):
        for option, value, ends in (("--max-new-tokens", "0", "1 to 1048576"), ("--threads", "3000000000", "0 to 1024"), ("--temperature", "101", "0 to 100"),
                                    ("--seed", "-1", "an integer from 0 to 18446744073709551615"), ("--logprobs", "332", "0 to 331")):
            with self.subTest(option):
                self.refused_line(["ask", "--model", LLAVA, "--json", "What?", option, value], f"{option} is {value}, expected {ends}")

    def test_a_stop_string_that_cannot_be_is_refused(self):
        self.refused_line(["ask", "--model", LLAVA, "What?", "--stop", "x" * 5000], "--stop is a text of 5000 bytes, expected at most 1024")
        self.refused_line(["ask", "--model", LLAVA, "What?", "--stop", "fine", "--stop", ""], "--stop is empty")
        self.refused_line(["ask", "--model", LLAVA, "What?", *["--stop", "x"] * 65], "--stop is given 65 times, expected at most 64")

    def test_values_out_of_range_are_found_before_a_model_is_looked_for(self):
        for command in (["ask", "What?"], ["ask", "--requests", "none.jsonl"], ["chat"]):
            for option in ("--temperature=101", "--max-new-tokens=0", "--n=65", "--stop=", "--seed=-1"):
                with self.subTest(command, option=option):
                    self.refused_line([*command, "--model", "none", option], option.split("=")[0] + " is ")

    def test_a_file_of_requests_does_not_change_how_options_are_refused(self):
        path = self.write("q.jsonl", '{"prompt": "Hi"}\n')
        for option in ("--logprobs=332", "--composite-layers=0-99", "--temperature=101"):
            with self.subTest(option):
                self.refused_line(["ask", "--model", LLAVA, "--requests", path, option], option.replace("=", " is "))

    def test_without_a_gpu_the_cpu_answers_and_it_is_said(self):
        plain = run("ask", "--model", LLAVA, "What?", "--json")
        asked = run("ask", "--model", LLAVA, "What?", "--json", "--device", "cuda")
        if json.loads(asked.stdout)["device"] != "cpu":
            self.skipTest("there is a GPU")
        self.assertEqual(json.loads(asked.stdout)["token_ids"], json.loads(plain.stdout)["token_ids"])
        said = r"^binocle: --device cuda: .+: running on the CPU\n$"
        self.assertRegex(asked.stderr, said)
        for command in (["inspect", "--json", "--model", LLAVA], ["bench", "model", "--json", "--model", LLAVA, "--rounds", "1", "--decode-tokens", "1", "--batch", "1"]):
            with self.subTest(command[0]):
                told = run(*command, "--device", "cuda", seconds=60)
                self.assertEqual((told.status, json.loads(told.stdout)["device"]), (0, "cpu"))
                self.assertRegex(told.stderr, said)

    def test_options_that_contradict_each_other_are_refused(self):
        rows = [["--attention", "stock", "--composite-layers", "0-1"], ["--prompt-format", "raw", "--system", "Be brief."],
                ["--requests", "x.jsonl"], ["--logprobs", "3"], ["--attention", "stock", "--aligner", "vo"], ["--aligner", "vo"],
                ["--pai", "alpha=0.2", "--modulate", "alpha=0.7"], ["--vcd", "alpha=1", "--guidance", "gamma=1.1"],
                ["--vcd", "alpha=1"], ["--guidance", "gamma=1.1"],  # without a picture
                ["--var", "p=0.6,dims=9999"], ["--var", "p=0.6,dims=1,layers=0-99"]]
        for options in rows:
            with self.subTest(options):
                self.refused_line(["ask", "--model", LLAVA, "What?", *options], options[-2])
        self.refused_line(["chat", "--model", LLAVA, "--prompt-format", "raw"], "--prompt-format raw")
        self.refused_line(["chat", "--model", LLAVA, "--n", "2"], "--n")
        self.refused_line(["chat", "--model", LLAVA, "--logprobs", "2"], "--logprobs")
        self.refused_line(["inspect", LLAVA, "--model", LLAVA], "--model")

    def test_what_fails_for_a_reason_outside_the_command_line_has_status_1(self):
        rows = [(NOT_FOUND, ["--model", "none"], "none: no such model directory"), (NOT_FOUND, ["--image", "none.png"], "none.png: no such file"),
                (EXHAUSTED, ["--memory-limit", "1k"], ["the memory limit is 1024", "binocle inspect"]), (INVALID, ["--context-tokens", "2"], "prompt: has "),
                (EXHAUSTED, ["--image", SCENE, "--max-images", "0"], "the limit is 0"), (INVALID, ["--prompt-format", "raw", "--image", SCENE], "<image>")]
        for code, options, message in rows:
            with self.subTest(options):
                self.refused(code, ["ask", "--model", LLAVA, "What?", *options] if "--model" not in options else ["ask", "What?", *options], message, status=1)

    def test_a_chat_that_cannot_begin_is_refused(self):
        self.refused(NOT_FOUND, ["chat", "--model", self.folder / "none"], "no such model directory")
        self.refused(NOT_FOUND, ["chat", "--model", LLAVA, "--image", self.folder / "none.png"], "none.png: no such file")

    def test_output_that_cannot_be_written_is_an_error(self):
        for arguments in (["ask", "--model", str(LLAVA), *QUESTION], ["inspect", "--model", str(LLAVA)], ["inspect", "--json", "--model", str(LLAVA)],
                          ["--help"], ["ask", "--help"], ["--version"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([program(), *arguments], stdout=full, stderr=subprocess.PIPE, timeout=SECONDS, env=environment(), check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr.decode(), r"\ADATA_LOSS: standard output: [^\n]+\n\Z")


if __name__ == "__main__":
    main()
