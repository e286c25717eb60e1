"""The client against a real server with the default model.

BINOCLE_PROGRAM: the program, such as build/dev/bin/binocle. Without it the tests report skipped.
"""

import asyncio
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import test_reflection

import binocle

PROGRAM = os.environ.get("BINOCLE_PROGRAM")
PICTURE = Path(__file__).resolve().parents[3] / "examples" / "images" / "home.png"
QUESTION, ANSWER = "What colour is the heart?", "green"  # examples/images/README.md
SECONDS = 120


class Server:
    """`binocle serve` on ports of its own."""

    def __init__(self, folder):
        ports = Path(folder, "ports.json")
        command = [PROGRAM, "serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--port-file", str(ports)]
        self.process = subprocess.Popen(command)
        end = time.monotonic() + SECONDS
        while not ports.exists() or not ports.read_text().rstrip().endswith("}"):
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise AssertionError(f"{' '.join(command)} is not ready; status {self.process.wait()}")
            time.sleep(0.05)
        self.address = f"127.0.0.1:{json.loads(ports.read_text())['grpc']}"

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(SECONDS)
        if status != 0:
            raise AssertionError(f"the server ended with {status}")


@unittest.skipUnless(PROGRAM, "BINOCLE_PROGRAM is not set: it names the binocle program to test with")
class ServerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.server = Server(folder.name)
        cls.addClassCleanup(cls.server.close)
        cls.client = binocle.Client(cls.server.address, timeout=SECONDS)
        cls.addClassCleanup(cls.client.close)

    def test_asks_about_a_picture(self):
        response = self.client.ask(QUESTION, images=[PICTURE], id="7", logprobs=2, grounding=True)
        self.assertEqual((response.answer, response.finish_reason, response.id), (ANSWER, "stop", "7"))
        self.assertGreater(response.usage.image_tokens, 0)
        self.assertEqual(len(response.prompt_token_ids), response.usage.prompt_tokens)
        answer = response.answers[0]
        self.assertEqual(len(answer.token_ids), response.usage.completion_tokens)
        self.assertEqual([len(step.tokens) for step in answer.logprobs], [2] * len(answer.token_ids))
        self.assertEqual(len(answer.grounding), len(answer.token_ids))

    def test_streams_what_ask_answers(self):
        question = "Describe the picture."
        stream = self.client.stream(question, images=[PICTURE])
        text = "".join(delta.text for delta in stream)
        result, asked = stream.result(), self.client.ask(question, images=[PICTURE])
        self.assertEqual(text, asked.answer)
        self.assertEqual((result.answers, result.finish_reason), (asked.answers, "stop"))
        self.assertEqual(result.usage.completion_tokens, asked.usage.completion_tokens)
        self.assertGreater(result.timings.total, 0)

    def test_several_at_once_over_asyncio(self):
        async def run():
            async with binocle.AsyncClient(self.server.address, timeout=SECONDS) as client:
                upload = await client.upload(PICTURE)
                return await asyncio.gather(*(client.ask(QUESTION, images=[upload]) for _ in range(4)))

        self.assertEqual([response.answer for response in asyncio.run(run())], [ANSWER] * 4)

    def test_options_reach_the_model(self):
        response = self.client.ask(QUESTION, images=[PICTURE], choices=["red", "blue"], n=2, temperature=1.0, seed=3)
        self.assertEqual(len(response.answers), 2)
        self.assertTrue({answer.text for answer in response.answers} <= {"red", "blue"})
        response = self.client.ask(QUESTION, images=[PICTURE], guidance=binocle.Guidance())
        self.assertEqual(response.interventions, binocle.Interventions(guidance=binocle.Guidance(gamma=1.1, cut=0.1)))

    def test_a_dialogue(self):
        turns = [binocle.Message("user", QUESTION, [PICTURE])]
        turns += [binocle.Message("assistant", self.client.ask(messages=turns).answer), binocle.Message("user", "And the key?")]
        self.assertTrue(self.client.ask(messages=turns).answer)

    def test_embeds(self):
        response = self.client.embed([PICTURE], normalize=True)
        vector = response.images[0]
        self.assertEqual((vector.rows, len(vector.values)), (1, vector.width))
        self.assertAlmostEqual(sum(value * value for value in vector.values), 1, places=4)

    def test_explains(self):
        response = self.client.explain(QUESTION, images=[PICTURE])
        self.assertEqual(response.response.answer, ANSWER)
        self.assertEqual([word.text for word in response.words], [ANSWER])
        self.assertEqual(len(response.words[0].map.patches[0].weights), response.rows * response.cols)

    def test_uploads(self):
        upload = self.client.upload(PICTURE)
        self.assertEqual(upload.bytes, PICTURE.stat().st_size)
        for image in (upload, binocle.Image(id=upload.id)):
            self.assertEqual(self.client.ask(QUESTION, images=[image]).answer, ANSWER)

    def test_tells_about_itself(self):
        self.assertEqual(self.client.health(), "serving")
        self.assertEqual(self.client.health("binocle.v1.VisionLanguageService"), "serving")
        summary = self.client.list_models()[0]
        model = self.client.get_model(summary.name, tensors=True)
        self.assertEqual((model.name, model.parameters), (summary.name, summary.parameters))
        self.assertTrue(model.tensors)
        self.assertTrue(self.client.server_info().version)

    def test_all_faults_of_a_request_come_at_once(self):
        with self.assertRaises(binocle.InvalidArgument) as caught:
            self.client.ask(QUESTION, images=[PICTURE], temperature=-1, top_p=2, metadata=[("x-request-id", "mine")])
        fields = {violation.field for violation in caught.exception.violations}
        self.assertEqual(fields, {"sampling.temperature", "sampling.top_p"})
        self.assertEqual(caught.exception.request_id, "mine")
        with self.assertRaises(binocle.NotFound):
            self.client.ask(QUESTION, model="no such model")
        with self.assertRaises(binocle.NotFound):
            self.client.ask(QUESTION, images=[binocle.Image(id="0" * 64)])

    def test_a_client_that_has_reflection_alone(self):
        done = test_reflection.run(self.server.address)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_deadline(self):
        with self.assertRaises(binocle.DeadlineExceeded):
            self.client.ask("Describe the picture.", images=[PICTURE], timeout=0.001)


if __name__ == "__main__":
    unittest.main()
