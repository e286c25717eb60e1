#!/usr/bin/env python3
"""Public clients, unmodified, against the HTTP server: the openai package and the llm command line.

    clients_test.py PROGRAM [unittest arguments]        PROGRAM: build/dev/bin/http_test_server

Needs a Python with requirements.txt of this folder; exits with 77 (ctest: skipped) where it has not:

    python3 -m venv .venv && .venv/bin/pip install --require-hashes -r tests/http/requirements.txt
    .venv/bin/python tests/http/clients_test.py build/dev/bin/http_test_server
"""

import asyncio
import base64
import os
import struct
import subprocess
import sys
import time
import unittest
from pathlib import Path

SKIPPED = 77
try:
    import openai
    from llm_here import llm_folder, llm_here, llm_program
except ImportError as error:
    print(f"skipped: {error}; see {Path(__file__).name}")
    sys.exit(SKIPPED)

TESTS = Path(__file__).resolve().parent.parent
SCENE = TESTS / "golden" / "images" / "scene_70x70.png"
JPEG = next((TESTS / "data" / "images").glob("*.jpg"))
PROGRAM = None
SECONDS = 60


def data_url(path, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def image_part(path=SCENE, kind="image/png"):
    return {"type": "image_url", "image_url": {"url": data_url(path, kind), "detail": "low"}}


class Server:
    """The test server; ends when its standard input does."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([PROGRAM, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/v1"

    def close(self):
        self.process.stdin.close()
        status = self.process.wait(SECONDS)
        self.process.stdout.close()
        if status != 0:
            raise AssertionError(f"the server ended with {status}")


class WithServer(unittest.TestCase):
    arguments = ()
    key = "any"

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.arguments)
        cls.addClassCleanup(cls.server.close)
        cls.client = openai.OpenAI(base_url=cls.server.url, api_key=cls.key, max_retries=0, timeout=SECONDS)

    def chat(self, content, **options):
        return self.client.chat.completions.create(model="fake", messages=[{"role": "user", "content": content}], **options)


class OpenAiPackage(WithServer):
    def test_asks_about_a_picture_in_either_order(self):
        text = {"type": "text", "text": "What is it?"}
        for content in ([text, image_part()], [image_part(), text], [image_part(JPEG, "image/jpeg"), text]):
            reply = self.chat(content, max_tokens=50, temperature=0, seed=1)
            self.assertEqual(reply.choices[0].message.content, "You asked: What is it? I see 1 picture.")
            self.assertEqual(reply.choices[0].finish_reason, "stop")
            self.assertEqual(reply.usage.prompt_tokens, 9)
            self.assertEqual(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens)
            self.assertEqual(reply.model, "fake")
            self.assertTrue(reply._request_id)

    def test_streams_about_a_picture(self):
        start = time.monotonic()
        times, text, usage, reasons = [], "", None, []
        stream = self.chat([image_part(), {"type": "text", "text": "Well?"}], stream=True, stream_options={"include_usage": True})
        for chunk in stream:
            times.append(time.monotonic() - start)
            usage = usage or chunk.usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasons.append(choice.finish_reason)
        self.assertEqual(text, "You asked: Well? I see 1 picture.")
        self.assertEqual([reason for reason in reasons if reason], ["stop"])
        self.assertEqual(usage.completion_tokens, 7)
        # Words come one by one, and without the 40 ms that split writes cost.
        self.assertGreater(times[-1] - times[0], 0.1)
        self.assertLess(times[-1], 0.02 * 7 + 2)

    def test_several_answers_and_log_probabilities(self):
        reply = self.chat("Hi", n=3, max_completion_tokens=2, logprobs=True, top_logprobs=2)
        self.assertEqual([choice.index for choice in reply.choices], [0, 1, 2])
        self.assertEqual(reply.choices[2].finish_reason, "length")
        first = reply.choices[0].logprobs.content[0]
        self.assertEqual((first.token, first.logprob, bytes(first.bytes)), ("w1 ", -0.25, b"w1 "))
        self.assertEqual(len(first.top_logprobs), 2)

    def test_the_stream_helper_puts_the_answer_together(self):
        with self.client.chat.completions.stream(model="fake", messages=[{"role": "user", "content": "Hi"}], logprobs=True) as stream:
            for _ in stream:
                pass
            final = stream.get_final_completion()
        self.assertEqual(final.choices[0].message.content, "You asked: Hi I see 0 pictures.")
        self.assertEqual(len(final.choices[0].logprobs.content), 7)

    def test_a_dialogue_with_an_answer_sent_back(self):
        first = self.chat("Hi").choices[0].message
        reply = self.client.chat.completions.create(model="fake", messages=[
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}, first, {"role": "user", "content": "And?"}])
        self.assertEqual(reply.choices[0].message.content, "You asked: And? I see 0 pictures.")

    def test_our_options_in_the_extra_body(self):
        reply = self.chat("Hi", extra_body={"binocle": {"top_k": 5, "grounding": True, "interventions": {"var": {"p": 0.5}}}})
        self.assertEqual(len(reply.choices[0].binocle["grounding"]), 7)

    def test_errors_are_the_packages_own(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat("Hi", frequency_penalty=1)
        self.assertEqual((caught.exception.param, caught.exception.type), ("frequency_penalty", "invalid_request_error"))
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "Hi"}])
        self.assertEqual(caught.exception.code, "model_not_found")
        with self.assertRaises(openai.NotFoundError):
            self.client.responses.create(model="fake", input="Hi")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}])
        self.assertEqual(caught.exception.param, "messages[0].content[0].image_url.url")
        with self.assertRaises(openai.InternalServerError):
            self.chat("fail please")

    def test_a_failure_in_mid_stream_is_an_error(self):
        text = ""
        with self.assertRaises(openai.APIError) as caught:
            for chunk in self.chat("fail please", stream=True):
                text += chunk.choices[0].delta.content or ""
        self.assertEqual(text, "You asked:")
        self.assertIn("the backend broke in mid-stream", str(caught.exception))

    def test_models_and_embeddings(self):
        self.assertEqual([model.id for model in self.client.models.list()], ["fake", "org/other"])
        self.assertEqual(self.client.models.retrieve("org/other").id, "org/other")
        # The package asks for base64 by itself.
        reply = self.client.embeddings.create(model="fake", input=["four", "sixsix"])
        self.assertEqual([vector.embedding for vector in reply.data], [[4, 0.5, -0.25], [6, 0.5, -0.25]])
        floats = self.client.embeddings.create(model="fake", input="four", encoding_format="float")
        self.assertEqual(floats.data[0].embedding, [4, 0.5, -0.25])
        raw = self.client.embeddings.with_raw_response.create(model="fake", input="four", encoding_format="base64").http_response.json()
        self.assertEqual(struct.unpack("<3f", base64.b64decode(raw["data"][0]["embedding"])), (4, 0.5, -0.25))

    def test_sixteen_streams_at_a_time(self):
        async def one(client, i):
            stream = await client.chat.completions.create(model="fake", stream=True, messages=[{"role": "user", "content": f"Number {i}?"}])
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        async def all_of_them():
            async with openai.AsyncOpenAI(base_url=self.server.url, api_key="any", max_retries=0) as client:
                return await asyncio.gather(*(one(client, i) for i in range(16)))

        self.assertEqual(asyncio.run(all_of_them()), [f"You asked: Number {i}? I see 0 pictures." for i in range(16)])

    def test_leaving_a_stream_does_not_disturb_the_next(self):
        stream = self.chat("one two three four five six seven eight nine ten", stream=True)
        next(iter(stream))
        stream.close()
        self.assertEqual(self.chat("Hi").choices[0].message.content, "You asked: Hi I see 0 pictures.")


class WithAKey(WithServer):
    arguments = ("sesame",)
    key = "sesame"

    def test_the_right_key_and_a_wrong_one(self):
        self.assertEqual(self.chat("Hi").choices[0].finish_reason, "stop")
        wrong = openai.OpenAI(base_url=self.server.url, api_key="wrong", max_retries=0)
        with self.assertRaises(openai.AuthenticationError):
            wrong.models.list()


class LlmCommandLine(WithServer):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = llm_folder(("fake", "fake"), cls.server.url)
        cls.addClassCleanup(cls.folder.cleanup)

    def llm(self, *arguments):
        return llm_here(self.folder.name, *arguments)

    def test_asks_about_a_picture_and_streams(self):
        question = ("-m", "fake", "What is it?", "-a", str(SCENE))
        for done in (llm_program(self.folder.name, *question, seconds=SECONDS), self.llm(*question), self.llm(*question, "--no-stream")):
            self.assertEqual(done.stdout.strip(), "You asked: What is it? I see 1 picture.", done.stderr)
            self.assertEqual(done.returncode, 0)

    def test_system_and_options(self):
        done = self.llm("-m", "fake", "Hi", "-s", "Be brief.", "-o", "temperature", "0.5", "-o", "max_tokens", "3", "-o", "seed", "7")
        self.assertEqual(done.stdout.strip(), "You asked: Hi", done.stderr)

    def test_an_error_is_told(self):
        done = self.llm("-m", "fake", "Hi", "-o", "presence_penalty", "1")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("presence_penalty is not supported", done.stderr)


if __name__ == "__main__":
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(f"usage: {sys.argv[0]} PROGRAM [unittest arguments]")
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
