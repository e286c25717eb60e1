"""What the command line does when all is well: one question, files of questions, dialogues, models described."""

import json
import math
import os
import pty
import re
import select
import signal
import subprocess
import time

from program import GOLDEN, PICTURES, SCENE, SECONDS, Folder, edit_json, environment, main, program, run

LLAVA = GOLDEN / "llava"
FTZ = GOLDEN / "binocle_ftz"
OTHER_SCENE = GOLDEN / "images" / "scene_61x83.png"
SHORT = ["--max-new-tokens", "6"]
NUMBER = (int, float)


class Answers(Folder):
    def fine(self, *arguments, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.status, 0, result.stderr)
        return result

    def ask(self, *arguments, model=LLAVA, **options):
        """The JSON object of one question."""
        result = self.fine("ask", "--model", model, "--json", *SHORT, *arguments, **options)
        self.assertEqual(result.stderr, "")
        self.assertEqual(result.stdout.count("\n"), 1, "one line")
        return result.json

    def ask_file(self, path, *arguments, **options):
        result = self.fine("ask", "--model", LLAVA, *SHORT, "--requests", path, *arguments, **options)
        self.assertEqual(result.stderr, "", "nothing on stderr unless it is a terminal")
        return result.lines

    def requests(self, *requests, name="requests.jsonl"):
        return self.write(name, "".join(json.dumps(request) + "\n" for request in requests))


class OneQuestion(Answers):
    KEYS = {"id": type(None), "model": str, "answer": str, "finish_reason": str, "prompt_tokens": int, "image_tokens": int, "completion_tokens": int,
            "prompt_token_ids": list, "token_ids": list, "logprobs": list, "timings_ms": dict, "cache": dict, "device": str, "compute": str,
            "attention": str, "interventions": dict}
    TIMINGS = {"load", "decode", "anchor", "augment", "fusion", "prefill", "first_token", "total", "per_token"}

    def test_the_json_object_has_the_documented_keys_in_order(self):
        for model in (LLAVA, FTZ):
            answer = self.ask("--image", SCENE, "What is it?", model=model)
            self.assertEqual(list(answer), list(self.KEYS))
            for key, kind in self.KEYS.items():
                self.assertIsInstance(answer[key], kind, key)
            self.assertEqual(set(answer["timings_ms"]), self.TIMINGS)
            for name, value in answer["timings_ms"].items():
                self.assertIsInstance(value, NUMBER, name)
                self.assertGreaterEqual(value, 0, name)
            self.assertEqual(set(answer["cache"]), {"image_hits", "prefix_tokens"})
            self.assertIn(answer["finish_reason"], ("stop", "length"))
            self.assertEqual((answer["device"], answer["compute"], answer["attention"]), ("cpu", "f32", "stock"))

    def test_the_counts_agree_with_the_ids(self):
        answer = self.ask("--image", SCENE, "--image", OTHER_SCENE, "What is it?", model=FTZ)
        info = self.fine("inspect", "--json", FTZ).json
        self.assertEqual(answer["prompt_tokens"], len(answer["prompt_token_ids"]))
        self.assertEqual(answer["completion_tokens"], len(answer["token_ids"]))
        self.assertEqual(answer["image_tokens"], 2 * info["image_tokens"])
        self.assertEqual(answer["prompt_token_ids"].count(info["image_token_id"]), answer["image_tokens"])
        self.assertEqual(answer["completion_tokens"], 6)
        self.assertEqual(answer["finish_reason"], "length")
        self.assertEqual(answer["model"], info["name"])

    def test_what_streams_to_the_terminal_is_the_answer(self):
        for model in (LLAVA, FTZ):
            arguments = ["--image", SCENE, "--max-new-tokens", "100", "What is it?"]
            answer = self.fine("ask", "--model", model, "--json", *arguments).json["answer"]
            streamed = self.fine("ask", "--model", model, *arguments)
            self.assertEqual(streamed.stdout_bytes.decode("utf-8"), answer + "\n")
            self.assertEqual(streamed.stderr, "")

    def test_the_same_question_gets_the_same_answer(self):
        arguments = ["--image", SCENE, "--temperature", "1", "--seed", "7", "What is it?"]
        self.assertEqual(self.ask(*arguments)["token_ids"], self.ask(*arguments, "--threads", "1")["token_ids"])

    def test_logprobs_are_the_most_probable_tokens_of_each_step(self):
        answer = self.ask("--image", SCENE, "--logprobs", "4", "What is it?")
        self.assertEqual(len(answer["logprobs"]), len(answer["token_ids"]))
        for step, token in zip(answer["logprobs"], answer["token_ids"]):
            self.assertEqual(len(step), 4)
            self.assertEqual(step[0][0], token, "greedy takes the most probable")
            values = [value for _, value in step]
            self.assertEqual(values, sorted(values, reverse=True))
            self.assertLess(sum(math.exp(value) for value in values), 1 + 1e-6)
            self.assertEqual(len({token for token, _ in step}), 4)
        everything = self.ask("--logprobs", "331", "What is it?")["logprobs"][0]
        self.assertLess(len(everything), 332, "no more than there are tokens")
        self.assertAlmostEqual(sum(math.exp(value) for _, value in everything), 1, places=1)
        self.assertEqual(self.ask("What is it?")["logprobs"], [])

    def test_n_answers_use_the_seeds_that_follow(self):
        arguments = ["--temperature", "2", "What is it?"]
        three = self.ask("--n", "3", "--seed", "5", *arguments)
        self.assertEqual(len(three["answers"]), 3)
        for i, answer in enumerate(three["answers"]):
            self.assertEqual(set(answer), {"answer", "finish_reason", "token_ids", "logprobs"})
            self.assertEqual(answer["token_ids"], self.ask("--seed", str(5 + i), *arguments)["token_ids"])
        self.assertEqual(three["answer"], three["answers"][0]["answer"])
        self.assertEqual(three["completion_tokens"], sum(len(answer["token_ids"]) for answer in three["answers"]))
        streamed = self.fine("ask", "--model", LLAVA, *SHORT, "--n", "3", "--seed", "5", *arguments).stdout
        self.assertEqual(streamed, "".join(answer["answer"] + "\n" for answer in three["answers"]))

    def test_a_stop_string_ends_the_answer_before_it(self):
        whole = self.fine("ask", "--model", LLAVA, "--json", "--max-new-tokens", "40", "What is it?").json
        text = whole["answer"]
        stop = next(c for c in text[3:] if c.isascii() and c.isalnum())
        cut = self.fine("ask", "--model", LLAVA, "--json", "--max-new-tokens", "40", "--stop", stop, "--stop", "never seen", "What is it?").json
        self.assertEqual(cut["answer"], text[: text.index(stop)])
        self.assertEqual(cut["finish_reason"], "stop")

    def test_pictures_are_turned_upright_unless_told_otherwise(self):
        def logprobs(name, *options):
            return self.ask("--image", PICTURES / name, "--logprobs", "3", *options, "What is it?")["logprobs"]

        self.assertNotEqual(logprobs("exif_6.png"), logprobs("exif_6.png", "--no-exif"))
        self.assertEqual(logprobs("exif_1.jpg"), logprobs("exif_1.jpg", "--no-exif"))

    def test_pictures_keep_their_order(self):
        first = self.ask("--image", SCENE, "--image", OTHER_SCENE, "--logprobs", "3", "What is it?")["logprobs"]
        second = self.ask("--image", OTHER_SCENE, "--image", SCENE, "--logprobs", "3", "What is it?")["logprobs"]
        self.assertNotEqual(first, second)

    def test_a_raw_prompt_is_the_whole_prompt(self):
        raw = self.ask("--prompt-format", "raw", "--image", SCENE, "<image> Hi")
        chat = self.ask("--image", SCENE, "Hi")
        self.assertLess(raw["prompt_tokens"], chat["prompt_tokens"])

    def test_a_system_text_is_part_of_the_prompt(self):
        lengths = [self.ask(*options, "Hi")["prompt_tokens"] for options in (["--system", ""], ["--system", "Answer in one word, please."])]
        self.assertLess(lengths[0], lengths[1])

    def test_composite_attention_can_be_asked_for(self):
        for options, name in ((["--attention", "composite"], "composite"), (["--composite-layers", "0-1", "--aligner", "vo"], "mixed")):
            self.assertEqual(self.ask("--image", SCENE, *options, "Hi", model=FTZ)["attention"], name)

    def test_timings_go_to_stderr(self):
        result = self.fine("ask", "--model", LLAVA, *SHORT, "--timings", "Hi")
        self.assertRegex(result.stderr, r"\Aload .*per token\n\Z")

    def test_the_model_comes_from_the_environment_when_none_is_named(self):
        done = subprocess.run([program(), "ask", "--json", *SHORT, "Hi"], env={**environment(), "BINOCLE_MODEL": str(LLAVA)}, capture_output=True, timeout=SECONDS,
                              check=True)
        self.assertEqual(json.loads(done.stdout)["model"], "llava")


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

    def test_picture_paths_are_relative_to_the_working_directory_or_the_file(self):
        (self.folder / "set" / "pictures").mkdir(parents=True)
        (self.folder / "elsewhere").mkdir()
        self.write("set/pictures/a.png", SCENE.read_bytes())
        self.write("elsewhere/b.png", SCENE.read_bytes())
        path = self.requests({"prompt": "Hi", "images": ["pictures/a.png"]}, {"prompt": "Hi", "image": "b.png"}, {"prompt": "Hi", "images": "b.png"},
                             {"prompt": "Hi", "images": [str(SCENE)]}, name="set/q.jsonl")
        lines = self.ask_file(path, cwd=self.folder / "elsewhere")
        self.assertEqual([line["image_tokens"] for line in lines], [25] * 4)
        self.assertEqual(len({line["answer"] for line in lines}), 1)

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

    def test_a_bar_is_drawn_on_a_terminal_only(self):
        path = self.requests(*[{"prompt": "Hi"}] * 3)
        ours, theirs = pty.openpty()
        done = subprocess.run([program(), "ask", "--model", str(LLAVA), *SHORT, "--requests", str(path)], stdout=subprocess.PIPE, stderr=theirs, env=environment(),
                              timeout=SECONDS, check=True)
        os.close(theirs)
        drawn = os.read(ours, 65536).decode()
        os.close(ours)
        self.assertRegex(drawn, r"asking \[#+\] 3/3")
        self.assertTrue(drawn.endswith("\n"))
        self.assertEqual(len(done.stdout.splitlines()), 3)


class Pipes(Answers):
    def cut_off(self, *arguments):
        """The program's status when its reader goes away after one line."""
        process = subprocess.Popen([program(), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        self.assertTrue(process.stdout.readline())
        process.stdout.close()
        noise = process.stderr.read().decode()
        process.stderr.close()
        self.assertIn(process.wait(SECONDS), (-signal.SIGPIPE, 0, 1))
        self.assertLess(len(noise.splitlines()), 2, noise)
        self.assertNotIn("terminate", noise)

    def test_a_reader_that_goes_away_ends_the_program_quietly(self):
        path = self.requests(*[{"prompt": "Hi", "max_new_tokens": 20}] * 3000)
        start = time.monotonic()
        self.cut_off("ask", "--model", LLAVA, "--requests", path)
        self.assertLess(time.monotonic() - start, SECONDS)
        self.cut_off("inspect", "--tensors", LLAVA)

    def test_exit_statuses_tell_success_errors_and_usage_apart(self):
        self.assertEqual([run(*arguments).status for arguments in
                          (["--help"], ["ask", "--help"], ["chat", "--help"], ["inspect", "--help"], ["--version"], ["ask"], ["ask", "--model", "none", "Hi"], [], ["ask", "--what"])],
                         [0, 0, 0, 0, 0, 1, 1, 2, 2])
        for arguments in (["--help"], ["ask", "--help"]):
            self.assertEqual(run(*arguments).stderr, "")
        self.assertRegex(run("--version").stdout, r"\Abinocle \d+\.\d+\.\d+\n\Z")

    def test_every_option_is_in_the_help(self):
        text = run("ask", "--help").stdout
        for option in ("image prompt-format system max-new-tokens temperature top-k top-p min-p repetition-penalty seed stop n logprobs device compute threads memory-limit "
                       "fusion attention composite-layers aligner requests json no-exif model").split():
            self.assertRegex(text, rf"--{option}\b")


class Inspecting(Answers):
    def test_the_description_agrees_with_itself_and_with_the_files(self):
        for name in ("llava", "binocle_ftz", "binocle_vo", "binocle_token_concat", "binocle_augment", "llava_model_prefix"):
            with self.subTest(name):
                info = self.fine("inspect", "--json", "--model", GOLDEN / name).json
                self.assertEqual(list(info), ["name", "family", "path", "parameters", "vocabulary", "context_tokens", "image_tokens", "image_token_id", "fusion", "attention",
                                              "composite_layers", "aligner", "conversation", "parts", "memory", "tensors"])
                self.assertEqual(info["parameters"], sum(part["parameters"] for part in info["parts"]))
                sizes = [math.prod(tensor["shape"]) for tensor in info["tensors"]]
                widths = {"f32": 4, "f16": 2, "bf16": 2}
                self.assertEqual(info["memory"]["file_bytes"], sum(size * widths[tensor["dtype"]] for size, tensor in zip(sizes, info["tensors"])))
                self.assertLessEqual(info["parameters"], sum(sizes))
                self.assertGreater(info["parameters"], 0.9 * sum(sizes) if name != "binocle_augment" else 0)
                self.assertGreaterEqual(info["memory"]["planned_bytes"],
                                        info["memory"]["kv_bytes"] + sum(part["weight_bytes"] + part["activation_bytes"] for part in info["parts"]))
                for part in info["parts"]:
                    self.assertEqual(set(part), {"name", "type", "properties", "parameters", "weight_bytes", "activation_bytes"})
                self.assertEqual(len({tensor["name"] for tensor in info["tensors"]}), len(info["tensors"]))

    def test_composite_layers_are_shown(self):
        def shown(*options):
            info = self.fine("inspect", "--json", "--model", *options).json
            return info["attention"], info["composite_layers"], info["aligner"]

        self.assertEqual(shown(GOLDEN / "binocle_vo"), ("composite", [0, 1, 2, 3], "vo"))
        self.assertEqual(shown(GOLDEN / "binocle_mixed_vo"), ("mixed", [0, 2], "vo"))
        self.assertEqual(shown(FTZ), ("stock", [], ""))
        self.assertEqual(shown(FTZ, "--composite-layers", "1-2"), ("mixed", [1, 2], "vo_ffn"))

    def test_the_plan_follows_the_limits(self):
        plans = [self.fine("inspect", "--json", LLAVA, *options).json["memory"]["kv_bytes"] for options in ([], ["--context-tokens", "64"])]
        self.assertEqual(plans[0], 8 * plans[1])

    def test_people_get_a_page_with_the_tensors_on_request(self):
        info = self.fine("inspect", "--json", FTZ).json
        brief, long = self.fine("inspect", FTZ).stdout, self.fine("inspect", FTZ, "--tensors").stdout
        self.assertIn(f"{len(info['tensors'])} tensors", brief)
        for part in info["parts"]:
            self.assertIn(part["type"], brief)
        for tensor in info["tensors"]:
            self.assertIn(tensor["name"], long)


class PipedChat(Answers):
    def chat(self, text, *options):
        return self.fine("chat", "--model", LLAVA, *SHORT, *options, stdin=text.encode())

    def answer(self, *arguments):
        return self.fine("ask", "--model", LLAVA, *SHORT, *arguments).stdout

    def test_a_chat_answers_lines(self):
        result = self.chat(f"/image {SCENE}\nWhat is it?\n/new\nHi\n/quit\nHi\n")
        self.assertEqual(result.stdout, self.answer("--image", SCENE, "What is it?") + self.answer("Hi"))
        self.assertIn("25 visual tokens", result.stderr)

    def test_a_picture_given_at_the_start_goes_with_the_first_question(self):
        self.assertEqual(self.chat("What is it?\n", "--image", SCENE).stdout, self.answer("--image", SCENE, "What is it?"))

    def test_the_dialogue_is_remembered(self):
        again = self.chat("Hi\nHi\n").stdout
        self.assertTrue(again.startswith(self.answer("Hi")))
        self.assertNotEqual(again, 2 * self.answer("Hi"))

    def test_a_wrong_path_is_reported_and_the_chat_goes_on(self):
        result = self.chat("/image none.png\n/image\nHi\n")
        self.assertIn("NOT_FOUND: none.png: no such file\n", result.stderr)
        self.assertEqual(result.stdout, self.answer("Hi"))

    def test_a_question_that_cannot_be_asked_leaves_the_dialogue_as_it_was(self):
        result = self.chat("word " * 3000 + "\nHi\n")
        self.assertIn("INVALID_ARGUMENT: prompt: has ", result.stderr)
        self.assertEqual(result.stdout, self.answer("Hi"))

    def test_an_unknown_command_shows_the_commands(self):
        result = self.chat("/what\n\nHi\n")
        self.assertIn("/image PATH", result.stderr)
        self.assertEqual(result.stdout, self.answer("Hi"))

    def test_a_system_text_starts_anew(self):
        self.assertEqual(self.chat("Hello\n/system Be brief.\nHi\n").stdout, self.answer("Hello") + self.answer("--system", "Be brief.", "Hi"))

    def test_the_end_of_input_is_the_end(self):
        self.assertEqual(self.chat("").stdout, "")
        self.assertEqual(self.chat("Hi").stdout, self.answer("Hi"))


class TerminalChat(Answers):
    def start(self, model=LLAVA, *options):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(program(), [program(), "chat", "--model", str(model), *options], {**environment(), "TERM": "xterm"})
        self.shown = ""
        self.addCleanup(self.finish)
        self.wait_for(r"> ")

    def finish(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
        os.close(self.terminal)

    def wait_for(self, pattern):
        """Reads what the program shows until it matches; what was read is used up."""
        end = time.monotonic() + SECONDS
        while not re.search(pattern, self.shown):
            ready, _, _ = select.select([self.terminal], [], [], max(0, end - time.monotonic()))
            if not ready:
                self.fail(f"waited for {pattern!r}, saw {self.shown[-1500:]!r}")
            try:
                self.shown += os.read(self.terminal, 4096).decode("utf-8", "replace")
            except OSError:  # the program has gone
                self.fail(f"it left before {pattern!r}, showing {self.shown[-1500:]!r}")
        seen, self.shown = self.shown, ""
        return seen

    def type(self, text):
        os.write(self.terminal, text.encode())

    def leaves(self):
        """The exit status, after everything that was still shown."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.05)[0]:
                try:
                    self.shown += os.read(self.terminal, 4096).decode("utf-8", "replace")
                except OSError:
                    pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
        self.fail(f"still there, showing {self.shown[-1500:]!r}")

    def endless(self):
        """A model with room for answers of many seconds."""
        model = self.model()
        edit_json(model / "config.json", lambda c: c["text_config"].update(max_position_embeddings=60000))
        return model

    def test_a_question_is_answered(self):
        self.start(LLAVA, *SHORT)
        answer = self.fine("ask", "--model", LLAVA, *SHORT, "Hi").stdout.strip()
        self.type("Hi\r")
        self.wait_for(re.escape(answer.split("\n")[0].rstrip()))
        self.type("/quit\r")
        self.assertEqual(self.leaves(), 0)

    def test_lines_can_be_edited_and_called_back(self):
        self.start(LLAVA, *SHORT)
        self.type("elpx\x7f\x01/h\r")  # backspace, to the front, two letters
        self.wait_for(r"Ctrl-C stops an answer")
        self.type("\x10\r")  # the line before
        self.wait_for(r"Ctrl-C stops an answer")
        self.type("\x1b[A\r")  # the same with the arrow
        self.wait_for(r"Ctrl-C stops an answer")

    def test_ctrl_d_leaves(self):
        self.start()
        self.type("\x04")
        self.assertEqual(self.leaves(), 0)

    def test_ctrl_c_at_the_prompt_drops_the_line_and_not_the_program(self):
        self.start(LLAVA, *SHORT)
        for _ in range(3):
            self.type("garbage")
            self.wait_for("garbage")
            self.type("\x03")
            self.wait_for(r"> ")
        self.type("/help\r")
        self.wait_for(r"Ctrl-C stops an answer\.\r?\n[^\n]*> ")  # the prompt is there: Ctrl-D is the editor's
        self.type("\x04")
        self.assertEqual(self.leaves(), 0)

    def test_ctrl_c_stops_an_answer_and_not_the_program(self):
        self.start(self.endless(), "--max-new-tokens", "59000")
        for _ in range(2):
            self.type("Hi\r")
            self.wait_for(r"Hi\r?\n[^\n]{20}")
            stopped = time.monotonic()
            self.type("\x03")
            self.wait_for(r"\n[^\n]*> \Z")
            self.assertLess(time.monotonic() - stopped, SECONDS / 5)
            self.type("/new\r")
            self.wait_for(r"> \Z")
        self.type("/help\r")
        self.wait_for(r"Ctrl-C stops an answer\.\r?\n[^\n]*> ")  # the prompt is there: Ctrl-D is the editor's
        self.type("\x04")
        self.assertEqual(self.leaves(), 0)

    def test_ctrl_c_ends_a_single_question(self):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(program(), [program(), "ask", "--model", str(self.endless()), "--max-new-tokens", "59000", "Hi"], environment())
        self.shown = ""
        self.addCleanup(self.finish)
        self.wait_for(r".{20}")
        self.type("\x03")
        self.assertEqual(self.leaves(), -signal.SIGINT)


if __name__ == "__main__":
    main()
