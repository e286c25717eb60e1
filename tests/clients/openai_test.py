#!/usr/bin/env python3
"""The openai package and the llm program, unmodified, against `binocle serve` with the default model.

    openai_test.py PROGRAM [unittest arguments]        PROGRAM: build/dev/bin/binocle

Needs a Python with tests/http/requirements.txt; exits with 77 (ctest: skipped) where it has not:

    python3 -m venv .venv && .venv/bin/pip install --require-hashes -r tests/http/requirements.txt
    .venv/bin/python tests/clients/openai_test.py build/dev/bin/binocle
"""

import asyncio
import base64
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

SKIPPED = 77
REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests" / folder) for folder in ("cli", "http")]
try:
    import openai
    from llm_here import llm_folder, llm_here, llm_program
except ImportError as error:
    print(f"skipped: {error}; see {Path(__file__).name}")
    sys.exit(SKIPPED)

from program import main  # noqa: E402
from server import CALL_SECONDS, LLAVA, Server, Serving, free_ports  # noqa: E402

MODEL = REPOSITORY / "models" / "binocle-tiny"
HOME = REPOSITORY / "examples" / "images" / "home.png"
# examples/images/README.md has the answers.
COLOUR = "What colour is the heart?"
DESCRIBE, DESCRIPTION = "Describe the picture.", "a doughnut, a blue diamond, a key, a green heart, a giraffe and the word home"
URL = "data:image/png;base64," + base64.b64encode(HOME.read_bytes()).decode()
IMAGE = {"type": "image_url", "image_url": {"url": URL}}
LONG = {"max_tokens": 340, "temperature": 1}  # of the random model: about a third of a second


def text(words):
    return {"type": "text", "text": words}


def user(*content):
    return [{"role": "user", "content": list(content)}]


def together(stream):
    """(text of each answer, finish reasons, usage) of a stream."""
    texts, reasons, usage = {}, {}, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            reasons[choice.index] = choice.finish_reason or reasons.get(choice.index)
    return texts, reasons, usage


class WithServer(Serving):
    def serve_tiny(self, *arguments):
        return self.serve("--model", f"tiny={MODEL}", *arguments)

    def client_of(self, server, key="any", **options):
        options = {"max_retries": 0, "timeout": CALL_SECONDS, **options}
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.http}/v1", api_key=key, **options)
        self.addCleanup(client.close)
        return client


class WithTiny(WithServer):
    """A server of the default model for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="binocle-")
        cls.addClassCleanup(folder.cleanup)
        cls.server = Server(Path(folder.name), "--model", f"tiny={MODEL}")
        cls.addClassCleanup(cls.server.close)


class Answers(WithTiny):
    def setUp(self):
        super().setUp()
        self.client = self.client_of(self.server)

    def chat(self, messages, **options):
        return self.client.chat.completions.create(model="tiny", messages=messages, **options)

    def test_a_picture_before_and_behind_the_text_and_with_a_system_message(self):
        for messages in (user(text(COLOUR), IMAGE), user(IMAGE, text(COLOUR)), [{"role": "user", "content": [IMAGE, text(COLOUR)], "name": "ann"}]):
            reply = self.chat(messages)
            self.assertEqual((reply.choices[0].message.content, reply.choices[0].finish_reason, reply.model), ("green", "stop", "tiny"))
            self.assertEqual(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens)
        for role in ("system", "developer"):
            reply = self.chat([{"role": role, "content": "Answer with one word."}, *user(IMAGE, text(COLOUR))])
            self.assertGreater(reply.usage.completion_tokens, 0)

    def test_streams_are_the_whole_answer(self):
        whole = self.chat(user(IMAGE, text(DESCRIBE)))
        self.assertEqual(whole.choices[0].message.content, DESCRIPTION)
        texts, reasons, usage = together(self.chat(user(IMAGE, text(DESCRIBE)), stream=True, stream_options={"include_usage": True}))
        self.assertEqual((texts, reasons), ({0: DESCRIPTION}, {0: "stop"}))
        self.assertEqual((usage.prompt_tokens, usage.completion_tokens), (whole.usage.prompt_tokens, whole.usage.completion_tokens))
        texts, reasons, usage = together(self.chat(user(IMAGE, text(DESCRIBE)), stream=True))
        self.assertEqual((texts, reasons, usage), ({0: DESCRIPTION}, {0: "stop"}, None))

    def test_several_answers_are_those_of_their_seeds(self):
        options = {"temperature": 1.5, "max_completion_tokens": 12}
        reply = self.chat(user(text("hello")), n=3, seed=5, **options)
        own = [self.chat(user(text("hello")), seed=5 + i, **options).choices[0].message.content for i in range(3)]
        self.assertEqual([choice.message.content for choice in reply.choices], own)
        texts, _, _ = together(self.chat(user(text("hello")), n=3, seed=5, stream=True, **options))
        self.assertEqual([texts[i] for i in range(3)], own)

    def test_stop_texts(self):
        for stop, expected in ((",", "a doughnut"), ([" key", " blue"], "a doughnut, a"), (["zebra"], DESCRIPTION)):
            reply = self.chat(user(IMAGE, text(DESCRIBE)), stop=stop)
            self.assertEqual((reply.choices[0].message.content, reply.choices[0].finish_reason), (expected, "stop"))
            texts, _, _ = together(self.chat(user(IMAGE, text(DESCRIBE)), stop=stop, stream=True))
            self.assertEqual(texts[0], expected)

    def test_the_longest_answer(self):
        for name in ("max_completion_tokens", "max_tokens"):
            reply = self.chat(user(IMAGE, text(DESCRIBE)), **{name: 2})
            self.assertEqual((reply.choices[0].finish_reason, reply.usage.completion_tokens), ("length", 2))

    def test_response_formats(self):
        self.assertEqual(self.chat(user(IMAGE, text(COLOUR)), response_format={"type": "text"}).choices[0].message.content, "green")
        schema = {"type": "object", "properties": {"colour": {"enum": ["red", "green"]}}, "required": ["colour"], "additionalProperties": False}
        named = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
        reply = self.chat(user(IMAGE, text(COLOUR)), response_format=named, max_tokens=40)
        self.assertIn(json.loads(reply.choices[0].message.content)["colour"], ("red", "green"))
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(user(text("hello")), response_format={"type": "json_object"})
        self.assertIn("response_format", caught.exception.param)

    def test_log_probabilities(self):
        reply = self.chat(user(IMAGE, text(COLOUR)), logprobs=True, top_logprobs=3)
        steps = reply.choices[0].logprobs.content
        self.assertEqual(len(steps), reply.usage.completion_tokens - 1, "the token that ends the answer has no text")
        for step in steps:
            self.assertEqual(len(step.top_logprobs), 3)
            self.assertEqual(step.logprob, step.top_logprobs[0].logprob, "greedy takes the most probable")
        self.assertEqual("".join(step.token for step in steps).strip(), "green")

    def test_a_dialogue_with_the_answer_sent_back(self):
        first = self.chat(user(IMAGE, text(COLOUR))).choices[0].message
        reply = self.chat([*user(IMAGE, text(COLOUR)), first, {"role": "user", "content": "Where is the key?"}])
        self.assertTrue(reply.choices[0].message.content)

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], ["tiny"])
        self.assertEqual(self.client.models.retrieve("tiny").object, "model")
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("none")

    def test_embeddings_of_pictures(self):
        reply = self.client.embeddings.create(model="tiny", input=[IMAGE, IMAGE], extra_body={"binocle": {"normalize": True}})
        one, two = (vector.embedding for vector in reply.data)
        self.assertEqual(one, two)
        self.assertAlmostEqual(sum(value * value for value in one), 1, places=4)
        floats = self.client.embeddings.create(model="tiny", input=[IMAGE], encoding_format="float", extra_body={"binocle": {"normalize": True}})
        self.assertEqual([round(value, 5) for value in floats.data[0].embedding], [round(value, 5) for value in one])

    def test_embeddings_of_texts(self):
        hello, world, again = (vector.embedding for vector in self.client.embeddings.create(model="tiny", input=["hello", "world", "hello"]).data)
        self.assertEqual(hello, again)
        self.assertNotEqual(hello, world)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.embeddings.create(model="tiny", input="hello", dimensions=3)
        self.assertEqual(caught.exception.param, "dimensions")

    def test_an_explanation(self):
        body = {"model": "tiny", "messages": user(IMAGE, text(COLOUR))}
        reply = self.client.with_options(base_url=str(self.client.base_url).removesuffix("/v1/")).post("/explain", cast_to=dict, body=body)
        self.assertEqual((reply["answer"], [word["text"] for word in reply["words"]]), ("green", ["green"]))

    def test_what_is_not_there(self):
        for call in (lambda: self.client.responses.create(model="tiny", input="hello"), lambda: self.client.completions.create(model="tiny", prompt="hello"),
                     lambda: self.client.images.generate(model="tiny", prompt="hello"), lambda: self.client.files.list()):
            with self.assertRaises(openai.NotFoundError):
                call()
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.chat.completions.create(model="none", messages=user(text("hello")))
        self.assertEqual((caught.exception.code, caught.exception.param), ("model_not_found", "model"))

    def test_what_is_refused_names_its_place(self):
        tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
        for options, param in (({"tools": [tool]}, "tools"), ({"frequency_penalty": 1}, "frequency_penalty"), ({"logit_bias": {"1": 1}}, "logit_bias"),
                               ({"temperature": -1}, "temperature"), ({"n": 1000}, "n"), ({"extra_body": {"binocle": {"top": 1}}}, "binocle.top")):
            with self.subTest(options=options), self.assertRaises(openai.BadRequestError) as caught:
                self.chat(user(text("hello")), **options)
            self.assertEqual((caught.exception.param, caught.exception.type), (param, "invalid_request_error"))
        for url in ("https://example.org/a.png", "data:image/png;base64,AAAA", "data:image/png;base64,%"):
            with self.subTest(url=url), self.assertRaises(openai.BadRequestError) as caught:
                self.chat(user({"type": "image_url", "image_url": {"url": url}}, text("hello")))
            self.assertTrue(caught.exception.param.startswith("messages[0].content[0].image_url"), caught.exception.param)

    def test_sixteen_at_a_time_over_asyncio(self):
        async def one(client):
            stream = await client.chat.completions.create(model="tiny", stream=True, messages=user(IMAGE, text(COLOUR)))
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        async def all_of_them():
            async with openai.AsyncOpenAI(base_url=str(self.client.base_url), api_key="any", max_retries=0) as client:
                return await asyncio.gather(*(one(client) for _ in range(16)))

        self.assertEqual(asyncio.run(all_of_them()), ["green"] * 16)


class Refusals(WithServer):
    def test_keys(self):
        server = self.serve_tiny("--tokens", self.write("tokens", "secret-of-alice name=alice\nsecret-of-bob rpm=1\nsecret-of-carol max_in_flight=1\n"))
        ask = lambda key, **options: self.client_of(server, key, **options).chat.completions.create(model="tiny", messages=user(text("hello")), max_tokens=2)
        with self.assertRaises(openai.AuthenticationError) as caught:
            ask("wrong-secret")
        self.assertEqual(caught.exception.code, "invalid_api_key")
        self.assertTrue(ask("secret-of-alice").choices)
        ask("secret-of-bob")
        with self.assertRaises(openai.RateLimitError) as caught:
            ask("secret-of-bob")
        self.assertEqual(caught.exception.code, "rate_limit_exceeded")
        self.assertGreater(int(caught.exception.response.headers["Retry-After"]), 50, "a minute after its one request")
        self.assertEqual(caught.exception.response.headers["x-request-id"], caught.exception.request_id)

        # Two at a time with one place: the package waits as Retry-After says, and both are answered.
        replies = [None, None]

        def patient(i):
            client = self.client_of(server, "secret-of-carol", max_retries=8)
            replies[i] = client.chat.completions.create(model="tiny", messages=user(IMAGE, text(DESCRIBE))).choices[0].message.content
        threads = [threading.Thread(target=patient, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(replies, [DESCRIPTION] * 2)
        self.assertNotIn("secret", server.log)

    def test_a_body_and_a_time_that_are_too_much(self):
        client = self.client_of(self.serve_tiny("--max-message-bytes", "2048"))
        with self.assertRaises(openai.APIStatusError) as caught:
            client.chat.completions.create(model="tiny", messages=user(IMAGE, text(COLOUR)))
        self.assertEqual((caught.exception.status_code, caught.exception.code), (413, "too_large"))
        client = self.client_of(self.serve("--model", f"llava={LLAVA}", "--request-timeout-seconds", "0.05"))
        with self.assertRaises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="llava", messages=user(text("a b c")), n=16, **LONG)
        self.assertEqual((caught.exception.status_code, caught.exception.code), (504, "deadline_exceeded"))


class Breaks(WithServer):
    """A stream that ends too early is never taken for a whole one."""

    def begun(self, server):
        stream = self.client_of(server).chat.completions.create(model="llava", messages=user(text("a b c")), stream=True, n=8, **LONG)
        next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
        return stream

    def test_a_server_that_is_killed(self):
        server = self.serve("--model", LLAVA)
        stream = self.begun(server)
        server.kill()
        with self.assertRaises(openai.APIConnectionError):
            for _ in stream:
                pass

    def test_a_server_that_stops_waiting(self):
        server = self.serve("--model", LLAVA, "--drain-seconds", "0.05")
        stream = self.begun(server)
        server.terminate()
        with self.assertRaises(openai.APIError) as caught:
            for _ in stream:
                pass
        self.assertEqual(server.wait(), 0)
        self.assertIn(caught.exception.code, ("unavailable", "cancelled"))

    def test_a_client_that_leaves_ends_its_request(self):
        server = self.serve("--model", LLAVA)
        self.begun(server).close()
        end = time.monotonic() + CALL_SECONDS
        while sum(server.metrics()["binocle_active_requests"].values()) > 0:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)
        self.assertEqual(sum(value for key, value in server.metrics()["binocle_requests_total"].items() if ("outcome", "cancelled") in key), 1)

    def test_the_package_tries_again_until_a_server_is_there(self):
        grpc, http = free_ports(2)
        fixed = {"listen": f"127.0.0.1:{grpc}", "http_address": f"127.0.0.1:{http}"}
        first = self.serve("--model", LLAVA, **fixed)
        client = self.client_of(first, max_retries=8)
        first.kill()
        began = []
        thread = threading.Timer(0.5, lambda: began.append(self.serve("--model", LLAVA, **fixed)))
        thread.start()
        reply = client.chat.completions.create(model="llava", messages=user(text("a b c")), max_tokens=4)
        thread.join()
        self.assertEqual(reply.usage.completion_tokens, 4)


class LlmProgram(WithTiny):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        configuration = llm_folder(("binocle", "tiny"), f"http://127.0.0.1:{cls.server.http}/v1")
        cls.addClassCleanup(configuration.cleanup)
        cls.configuration = configuration.name

    def llm(self, *arguments, expect=0):
        return self.said(llm_here(self.configuration, *arguments), expect)

    def said(self, done, expect=0):
        self.assertEqual(done.returncode, expect, done.stderr)
        return (done.stderr if expect else done.stdout).strip()

    def test_asks_about_a_picture_and_streams(self):
        question = ("-m", "binocle", DESCRIBE, "-a", str(HOME))
        self.assertEqual(self.said(llm_program(self.configuration, *question, seconds=CALL_SECONDS)), DESCRIPTION)
        for extra in ([], ["--no-stream"]):
            self.assertEqual(self.llm(*question, *extra), DESCRIPTION)

    def test_goes_on_with_the_last_conversation(self):
        self.assertEqual(self.llm("-m", "binocle", COLOUR, "-a", str(HOME)), "green")
        self.assertTrue(self.llm("-c", "Where is the key?"))

    def test_system_options_and_schema(self):
        self.assertEqual(self.llm("-m", "binocle", COLOUR, "-a", str(HOME), "-o", "temperature", "0", "-o", "max_tokens", "8", "-o", "seed", "7"), "green")
        self.llm("-m", "binocle", COLOUR, "-a", str(HOME), "-s", "Be brief.")
        answer = self.llm("-m", "binocle", COLOUR, "-a", str(HOME), "--schema", json.dumps({"type": "object", "properties": {"colour": {"enum": ["red", "green"]}}, "required": ["colour"]}))
        self.assertIn(json.loads(answer)["colour"], ("red", "green"))

    def test_an_error_is_told(self):
        self.assertIn("presence_penalty is not supported", self.llm("-m", "binocle", "Hi", "-o", "presence_penalty", "1", expect=1))


if __name__ == "__main__":
    main()
