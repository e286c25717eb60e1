"""One question: its answer, its JSON object, its exit status."""

import json
import math
import signal
import subprocess
import time

from answers import FTZ, LLAVA, OTHER_SCENE, SHORT, Answers
from program import PICTURES, SCENE, SECONDS, environment, main, program, run

NUMBER = (int, float)


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
                          (["--help"], ["ask", "--help"], ["chat", "--help"], ["inspect", "--help"], ["--version"], ["ask", "--model", "none", "Hi"], ["ask"], [], ["ask", "--what"],
                           ["ask", "--n", "0", "Hi"])],
                         [0, 0, 0, 0, 0, 1, 2, 2, 2, 2])
        for arguments in (["--help"], ["ask", "--help"]):
            self.assertEqual(run(*arguments).stderr, "")
        self.assertRegex(run("--version").stdout, r"\Abinocle \d+\.\d+\.\d+\n\Z")

    def test_the_help_says_what_statuses_and_logprobs_are(self):
        text = " ".join(run("ask", "--help").stdout.split())
        self.assertIn("Exit status: 0 done; 1 failed; 2 the command line, or a file of options, is wrong", text)
        self.assertIn("natural logarithms of the K most probable tokens at each step, before sampling filters", text)
        self.assertIn("relative picture paths begin in its folder", text)

    def test_words_after_two_dashes_are_no_options(self):
        self.assertEqual(self.ask("--", "--stop=")["finish_reason"], "length")

    def test_every_option_is_in_the_help(self):
        text = run("ask", "--help").stdout
        for option in ("image prompt-format system max-new-tokens temperature top-k top-p min-p repetition-penalty seed stop n logprobs device compute threads memory-limit "
                       "fusion attention composite-layers aligner requests json no-exif model").split():
            self.assertRegex(text, rf"--{option}\b")


if __name__ == "__main__":
    main()
