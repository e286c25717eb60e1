"""Questions that cannot be asked are refused, alone and in files of requests."""

import json

from bad_input import EXHAUSTED, INVALID, LLAVA, NOT_FOUND, BadInput
from program import SCENE, main, run

DIFFERENT = "FAILED_PRECONDITION"  # the code of requests that failed with several


class BadRequests(BadInput):
    def refused_ask(self, code, arguments, mentions=(), **options):
        self.refused(code, ["ask", "--model", LLAVA, *arguments], mentions, **options)

    def test_image_marks_must_match_the_pictures(self):
        raw = ["--prompt-format", "raw"]
        rows = [("none for one", [*raw, "--image", SCENE, "What?"]), ("two for one", [*raw, "--image", SCENE, "<image><image> What?"]),
                ("one for none", [*raw, "<image> What?"]), ("one for two", [*raw, "--image", SCENE, "--image", SCENE, "<image> What?"]),
                ("chat, two for one", ["--image", SCENE, "<image> <image> What?"]), ("chat, one for none", ["<image> What?"]),
                ("a thousand", [*raw, "--image", SCENE, "<image>" * 1000])]
        self.refused_table(rows, lambda arguments: self.refused_ask(INVALID, arguments, "<image>"))

    def test_a_prompt_longer_than_the_context_is_refused(self):
        self.refused_ask(INVALID, ["word " * 2000], ["prompt: has ", "context of"])
        self.refused_ask(INVALID, ["--image", SCENE, "--context-tokens", "20", "What?", "--max-new-tokens", "2"], "context of 20")
        self.refused_ask(INVALID, ["--image", SCENE] * 40 + ["What?"], "40 pictures")

    def test_too_many_pictures_are_refused(self):
        self.refused_ask(EXHAUSTED, ["--image", SCENE] * 65 + ["What?"], "65 pictures")

    def test_a_prompt_that_is_no_utf8_is_read_with_replacement_characters(self):
        for text in (b"\xff\xfe", b"caf\xe9?", b"\xf0\x9f", b"\xed\xa0\x80", b"\xc0\xaf"):
            with self.subTest(text):
                result = run("ask", "--model", LLAVA, "--max-new-tokens", "2", "--json", b"What is " + text)
                self.assertEqual((result.status, result.stderr), (0, ""))
                self.assertEqual(result.json["finish_reason"], "length")

    def test_a_prompt_of_a_mebibyte_is_refused_in_bounded_time(self):
        # The operating system takes 128 KiB in one argument, so the large ones come in a file.
        for text, code in (("a" * (1 << 20), EXHAUSTED), ("word " * (1 << 18), EXHAUSTED), ("é" * (1 << 19), EXHAUSTED), ("<image>" * (1 << 17), INVALID),
                           ("\u2581" * (1 << 18), INVALID), (" " * (1 << 20), EXHAUSTED)):
            path = self.write("large.jsonl", json.dumps({"prompt": text}) + "\n")
            with self.subTest(text[:7]):
                self.refused_ask(code, ["--requests", path], "1 of 1 requests failed", stdout=rf'\{{"id":1,"error":\{{"code":"{code}","message":"[^\n]{{,200}}\n\Z')


class BadRequestFiles(BadInput):
    def refused_requests(self, code, path, mentions=(), **options):
        return self.refused(code, ["ask", "--model", LLAVA, "--max-new-tokens", "2", "--requests", path], mentions, **options)

    def test_a_missing_file_is_not_found(self):
        self.refused_requests(NOT_FOUND, self.folder / "none.jsonl", "none.jsonl")

    def test_a_directory_is_refused(self):
        self.refused_requests(INVALID, self.folder, "is a directory")

    def test_a_file_without_requests_is_refused(self):
        for content in ("", "\n\n  \n"):
            self.refused_requests(INVALID, self.write("empty.jsonl", content), "no requests")
            self.refused_requests(INVALID, "-", "standard input: holds no requests", stdin=content.encode())

    def test_an_endless_file_is_refused(self):
        self.refused_requests(EXHAUSTED, "/dev/zero", "longer than")

    def test_a_line_of_100_megabytes_is_refused(self):
        path = self.folder / "long.jsonl"
        with open(path, "wb") as file:
            file.write(b'{"prompt": "')
            for _ in range(100):
                file.write(b"a" * 1_000_000)
            file.write(b'"}\n')
        self.refused_requests(EXHAUSTED, path, "line 1 is longer than")

    def test_a_line_that_is_too_long_ends_a_pipe_after_the_answers_before_and_is_found_in_a_file_at_once(self):
        content = b'{"prompt": "Hi"}\n' + b"a" * (17 << 20)
        result = self.refused_requests(EXHAUSTED, "-", "standard input: line 2 is longer than", stdout=r".*", stdin=content)
        self.assertEqual([line["id"] for line in result.lines], [1])
        self.refused_requests(EXHAUSTED, self.write("long.jsonl", content), "line 2 is longer than")

    def test_bad_lines_become_errors_in_order_and_the_run_goes_on(self):
        good = {"prompt": "What is it?"}
        rows = [
            ("good", json.dumps({"id": "first", **good}), None),
            ("text", "What is it?", "not valid JSON"), ("a list", "[1]", "expected an object"), ("a number", "3", "expected an object"),
            ("cut off", '{"prompt": "Wha', "not valid JSON"), ("binary", b"\x00\x01\x02\xff\xfe\x80", "not valid JSON"), ("no UTF-8", b'{"prompt": "\xff"}', "not valid JSON"),
            ("two objects", '{"prompt": "a"} {"prompt": "b"}', "not valid JSON"), ("NaN", '{"prompt": "a", "temperature": NaN}', "not valid JSON"),
            ("nested", '{"prompt": ' + "[" * 100_000, "nested too deeply"), ("nested behind text", '{"a": "' + "]" * 200_000 + '", "prompt": ' + "[" * 150_000 + "]" * 150_000 + "}", "nested too deeply"),
            ("no prompt", "{}", "prompt"), ("empty prompt", '{"prompt": ""}', "prompt"), ("prompt is a number", '{"prompt": 7}', "prompt is 7"),
            ("unknown key", json.dumps({"temprature": 1, **good}), "temprature"), ("duplicate key", '{"prompt": "a", "prompt": "b"}', "prompt"),
            ("temperature as text", json.dumps({"temperature": "hot", **good}), "temperature"), ("temperature beyond", json.dumps({"temperature": 1000, **good}), "temperature"),
            ("temperature overflow", '{"prompt": "a", "temperature": 1e999}', ""), ("fractional count", json.dumps({"max_new_tokens": 2.5, **good}), "max_new_tokens"),
            ("no new tokens", json.dumps({"max_new_tokens": 0, **good}), "max_new_tokens"), ("huge count", '{"prompt": "a", "n": 18446744073709551615}', "n is"),
            ("negative seed", json.dumps({"seed": -1, **good}), "seed"), ("stop is a number", json.dumps({"stop": 3, **good}), "stop"),
            ("empty stop", json.dumps({"stop": [""], **good}), "stop"), ("images is a number", json.dumps({"images": 3, **good}), "images"),
            ("image is an object", json.dumps({"images": [{}], **good}), "images"), ("missing picture", json.dumps({"images": ["none.png"], **good}), "none.png"),
            ("a NUL in a path", json.dumps({"images": [str(SCENE) + "\0.png"], **good}), "NUL"),
            ("image beside images", json.dumps({"image": str(SCENE), "images": [str(SCENE)], **good}), "expected no images beside it"),
            ("image beside images in a message", json.dumps({"messages": [{"role": "user", "text": "x", "image": str(SCENE), "images": []}]}), "expected no images beside it"),
            ("unknown format", json.dumps({"prompt_format": "html", **good}), "prompt_format"), ("messages beside prompt", json.dumps({"messages": [], **good}), "messages"),
            ("no messages", '{"messages": []}', "messages"), ("message is text", '{"messages": ["hello"]}', "messages"),
            ("unknown role", '{"messages": [{"role": "system", "text": "x"}]}', "role"), ("unknown key in a message", '{"messages": [{"role": "user", "txet": "x"}]}', "txet"),
            ("assistant last", '{"messages": [{"role": "user", "text": "x"}, {"role": "assistant", "text": "y"}]}', "messages"),
            ("two users", '{"messages": [{"role": "user", "text": "x"}, {"role": "user", "text": "y"}]}', ""),
            ("good", json.dumps({"id": "last", **good}), None),
        ]
        content = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for _, line, _ in rows)
        bad = sum(mention is not None for _, _, mention in rows)
        result = self.refused_requests(DIFFERENT, self.write("mixed.jsonl", content), f"{bad} of {len(rows)} requests failed", stdout=r".*")
        self.assertEqual(len(result.lines), len(rows))
        for number, ((name, _, mention), line) in enumerate(zip(rows, result.lines), 1):
            with self.subTest(name):
                if mention is None:
                    self.assertIn("answer", line)
                    continue
                self.assertEqual(sorted(line), ["error", "id"])
                self.assertEqual(line["id"], number)
                self.assertEqual(sorted(line["error"]), ["code", "message"])
                self.assertEqual(line["error"]["code"], NOT_FOUND if name == "missing picture" else INVALID)
                self.assertIn(mention, line["error"]["message"])
                self.assertNotIn("\n", line["error"]["message"])

    def test_an_error_carries_the_id_of_its_request(self):
        lines = [{"id": "a", "prompt": ""}, {"id": {"x": 1}, "temprature": 1}, {"id": [2], "prompt": "?", "images": ["none.png"]}]
        path = self.write("ids.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        result = self.refused_requests(DIFFERENT, path, "3 of 3", stdout=r".*")
        self.assertEqual([line["id"] for line in result.lines], [line["id"] for line in lines])

    def test_the_last_line_counts_the_failures_and_has_their_code_if_they_share_one(self):
        fine, missing, empty = {"prompt": "Hi"}, {"prompt": "Hi", "image": "none.png"}, {"prompt": ""}
        for lines, code, count in (([fine, missing, fine, missing], NOT_FOUND, "2 of 4"), ([empty, fine, empty], INVALID, "2 of 3"), ([missing, empty], DIFFERENT, "2 of 2")):
            path = self.write("some.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
            with self.subTest(code):
                self.refused_requests(code, path, f"{path}: {count} requests failed; their lines carry the error", stdout=r".*")
        self.refused_requests(NOT_FOUND, "-", "standard input: 1 of 1 requests failed", stdout=r".*", stdin=json.dumps(missing).encode())

    def test_errors_of_a_line_name_its_keys(self):
        lines = [{"prompt": "Hi", "max_new_tokens": 0}, {"prompt": "Hi", "stop": [""]}, {"prompt": "Hi", "stop": ""}, {"prompt": "Hi", "images": [""]}]
        path = self.write("keys.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        result = self.refused_requests(INVALID, path, "4 of 4", stdout=r".*")
        self.assertEqual([line["error"]["message"] for line in result.lines],
                         ["max_new_tokens is 0, expected 1 to 1048576", *["stop is empty, expected at least one character"] * 2,
                          'line 4: images is [""], expected paths that are not empty'])

    def test_a_picture_that_is_nowhere_is_missed_in_the_folder_of_the_file(self):
        (self.folder / "set").mkdir()
        path = self.write("set/q.jsonl", json.dumps({"prompt": "Hi", "images": ["none.png"]}) + "\n")
        result = self.refused_requests(NOT_FOUND, path, "1 of 1", stdout=r".*")
        self.assertEqual(result.lines[0]["error"]["message"], f"{self.folder / 'set' / 'none.png'}: no such file")

    def test_many_brackets_in_a_prompt_are_just_text(self):
        path = self.write("brackets.jsonl", json.dumps({"prompt": "[" * 60 + "{" * 1200}) + "\n")
        result = self.refused_requests(INVALID, path, "1 of 1", stdout=r".*")
        self.assertIn("prompt: has ", result.lines[0]["error"]["message"])  # too long for the context, not nested


if __name__ == "__main__":
    main()
