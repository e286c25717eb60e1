"""Files of questions: one JSON object a line, in order."""

import json
import os
import pty
import subprocess
import threading

from answers import LLAVA, OTHER_SCENE, SHORT, Answers
from program import GOLDEN, PICTURES, SCENE, SECONDS, environment, main, program


class FilesOfQuestions(Answers):
    def test_answers_come_in_order_with_ids_unchanged(self):
        ids = [7, "seven", 2.5, {"set": [1, None]}, [], True, None, "", "é\n", 10**18, 7]
        lines = self.ask_file(self.requests(*({"id": id, "prompt": "Hi", "max_new_tokens": 1} for id in ids)))
        self.assertEqual([line["id"] for line in lines], ids)

    def test_a_request_without_id_gets_its_line_number(self):
        path = self.write("gaps.jsonl", '\n{"prompt": "a"}\n\n  \n{"prompt": "b"}\r\n{"prompt": "c"}')
        self.assertEqual([line["id"] for line in self.ask_file(path)], [2, 5, 6])

    def test_answers_are_those_of_single_questions(self):
        questions = [("What is it?", [SCENE]), ("What is it?", []), ("And these?", [SCENE, OTHER_SCENE]), ("What is it?", [OTHER_SCENE]), ("What is it?", [SCENE])]
        lines = self.ask_file(self.requests(*({"prompt": prompt, "images": [str(p) for p in pictures]} for prompt, pictures in questions)), "--logprobs", "2")
        for (prompt, pictures), line in zip(questions, lines):
            alone = self.ask(*[option for picture in pictures for option in ("--image", picture)], "--logprobs", "2", prompt)
            for key in ("answer", "token_ids", "prompt_token_ids", "logprobs", "finish_reason"):
                self.assertEqual(line[key], alone[key])

    def test_picture_paths_are_relative_to_the_file_or_else_to_the_working_directory(self):
        (self.folder / "set" / "pictures").mkdir(parents=True)
        (self.folder / "elsewhere").mkdir()
        self.write("set/pictures/a.png", SCENE.read_bytes())
        self.write("elsewhere/b.png", SCENE.read_bytes())
        path = self.requests({"prompt": "Hi", "images": ["pictures/a.png"]}, {"prompt": "Hi", "image": "b.png"}, {"prompt": "Hi", "images": "b.png"},
                             {"prompt": "Hi", "images": [str(SCENE)]}, name="set/q.jsonl")
        lines = self.ask_file(path, cwd=self.folder / "elsewhere")
        self.assertEqual([line["image_tokens"] for line in lines], [25] * 4)
        self.assertEqual(len({line["answer"] for line in lines}), 1)

    def test_of_two_pictures_the_one_beside_the_file_is_meant(self):
        (self.folder / "set").mkdir()
        self.write("a.png", b"no picture")
        self.write("set/a.png", SCENE.read_bytes())
        path = self.requests({"prompt": "Hi", "image": "a.png"}, name="set/q.jsonl")
        self.assertEqual(self.ask_file(path, cwd=self.folder)[0]["image_tokens"], 25)
        self.assertEqual(self.ask_file("set/q.jsonl", cwd=self.folder)[0]["image_tokens"], 25)
        lines = self.ask_file("-", stdin=b'{"prompt": "Hi", "image": "a.png"}', cwd=self.folder / "set")
        self.assertEqual(lines[0]["image_tokens"], 25)

    def test_pictures_of_a_file_are_turned_upright_unless_told_otherwise(self):
        path = self.requests({"prompt": "Hi", "logprobs": 3, "image": str(PICTURES / "exif_6.png")})
        upright, stored = self.ask_file(path)[0], self.ask_file(path, "--no-exif")[0]
        self.assertNotEqual(upright["logprobs"], stored["logprobs"])
        alone = self.ask("--image", PICTURES / "exif_6.png", "--no-exif", "--logprobs", "3", "Hi")
        self.assertEqual(stored["logprobs"], alone["logprobs"])

    def test_standard_input_is_read_as_a_file(self):
        lines = self.ask_file("-", stdin=b'{"id": "x", "prompt": "Hi", "images": ["scene_70x70.png"]}\n', cwd=GOLDEN / "images")
        self.assertEqual([(line["id"], line["image_tokens"]) for line in lines], [("x", 25)])

    def test_a_line_overrides_the_command_line(self):
        lines = self.ask_file(self.requests({"prompt": "Hi"}, {"prompt": "Hi", "max_new_tokens": 2, "logprobs": 3, "n": 2, "temperature": 1.5, "seed": 3}, {"prompt": "Hi"}))
        self.assertEqual([line["completion_tokens"] for line in lines], [6, 4, 6])
        self.assertEqual([len(line["logprobs"]) for line in lines], [0, 2, 0])
        self.assertEqual(lines[0]["token_ids"], lines[2]["token_ids"])

    def test_a_dialogue_can_be_asked_in_one_line(self):
        messages = [{"role": "user", "text": "Hi", "images": [str(SCENE)]}, {"role": "assistant", "text": "Hello."}, {"role": "user", "text": "Again?"}]
        line = self.ask_file(self.requests({"messages": messages}))[0]
        self.assertEqual(line["image_tokens"], 25)
        self.assertGreater(line["prompt_tokens"], self.ask("--image", SCENE, "Hi")["prompt_tokens"])

    def test_answers_arrive_one_by_one(self):
        with subprocess.Popen([program(), "ask", "--model", str(LLAVA), *SHORT, "--requests", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as process:
            process.stdin.write(b'{"prompt": "Hi"}\n' * 50)
            process.stdin.close()
            self.assertIn("answer", json.loads(process.stdout.readline()))
            self.assertEqual(len(process.stdout.read().splitlines()), 49)

    def test_a_line_is_answered_before_the_next_is_read(self):
        with subprocess.Popen([program(), "ask", "--model", str(LLAVA), *SHORT, "--requests", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as process:
            timer = threading.Timer(SECONDS, process.kill)
            timer.start()
            for number in range(3):
                process.stdin.write(json.dumps({"id": number, "prompt": "Hi"}).encode() + b"\n")
                process.stdin.flush()
                line = process.stdout.readline()
                self.assertTrue(line, "no answer came")
                self.assertEqual(json.loads(line)["id"], number)
            process.stdin.close()
            self.assertEqual(process.wait(), 0)
            timer.cancel()

    def drawn(self, path, **options):
        """What a terminal on stderr shows."""
        ours, theirs = pty.openpty()
        done = subprocess.run([program(), "ask", "--model", str(LLAVA), *SHORT, "--requests", str(path)], stdout=subprocess.PIPE, stderr=theirs, env=environment(),
                              timeout=SECONDS, check=True, **options)
        os.close(theirs)
        shown = os.read(ours, 65536).decode()
        os.close(ours)
        self.assertEqual(len(done.stdout.splitlines()), 3)
        self.assertTrue(shown.endswith("\n"))
        return shown

    def test_a_bar_is_drawn_on_a_terminal_only(self):
        path = self.requests(*[{"prompt": "Hi"}] * 3)
        self.assertRegex(self.drawn(path), r"asking \[#+\] 3/3")

    def test_requests_without_an_end_in_sight_are_counted(self):
        self.assertRegex(self.drawn("-", input=b'{"prompt": "Hi"}\n' * 3), r"asking 3  [^\[\n]*\n\Z")


if __name__ == "__main__":
    main()
