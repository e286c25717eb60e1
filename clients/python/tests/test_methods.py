"""Every method of both clients, against a fake server."""

import hashlib
import inspect
import tempfile
import time
import unittest
from pathlib import Path

from clients import with_both

import binocle
from binocle import _requests

PICTURE = b"\x89PNG and so on"


@with_both
class Methods:
    def test_ask(self):
        response = self.client.ask("What is it?", [PICTURE], id="7", n=2)
        self.assertEqual(response.answer, "a green heart")
        self.assertEqual((response.id, response.model, response.finish_reason), ("7", "fake", "stop"))
        self.assertEqual(response.usage, binocle.Usage(9, 4, 3, 2, 1))
        self.assertEqual(response.timings.total, 3.25)
        self.assertEqual([answer.token_ids for answer in response.answers], [(0, 1, 2)] * 2)
        self.assertEqual(response.prompt_token_ids, (1, 7, 7))
        self.assertEqual(response.interventions, binocle.Interventions())
        request = self.server.requests[0]
        self.assertEqual((request.prompt, request.images[0].data), ("What is it?", PICTURE))

    def test_a_stream_tells_deltas_and_then_what_ask_would(self):
        stream = self.client.stream("What is it?", [PICTURE], id="7", n=2)
        deltas = list(stream)
        self.assertEqual([delta.text for delta in deltas if delta.answer == 1], ["a ", "green ", "heart"])
        self.assertEqual(stream.started.prompt_tokens, 9)
        result = stream.result()
        asked = self.client.ask("What is it?", [PICTURE], id="7", n=2)
        self.assertEqual(result.usage, asked.usage)
        self.assertEqual(result.timings, asked.timings)
        self.assertEqual(result.answers, asked.answers)
        self.assertEqual((result.id, result.model, result.answer), (asked.id, asked.model, asked.answer))

    def test_the_result_of_a_stream_reads_what_is_left(self):
        stream = self.client.stream("What is it?")
        self.assertEqual(next(stream).text, "a ")
        self.assertEqual(stream.result().answer, "a green heart")
        self.assertEqual(list(stream), [])

    def test_embed(self):
        response = self.client.embed([PICTURE], ["a heart", "a key"], pooling="tokens", normalize=True, model="fake")
        self.assertEqual(response.images, (binocle.Embedding(rows=1, width=2, values=(0.5, -0.25)),))
        self.assertEqual(len(response.texts), 2)
        request = self.server.requests[0]
        self.assertEqual((request.model, list(request.texts)), ("fake", ["a heart", "a key"]))
        self.assertEqual((request.pooling, request.normalize), (4, True))

    def test_explain(self):
        response = self.client.explain("What is it?", [PICTURE], layers=binocle.Layers(2, 5), heads=[0, 3], cosine=0.8)
        self.assertEqual(response.response.answer, "a green heart")
        self.assertEqual(response.words[0].map.patches[0].weights, (0.25, 0.5))
        self.assertEqual((response.layers, response.rows, response.cols), (binocle.Layers(0, 5), 1, 2))
        sink = response.sinks.layers[0].sinks[0]
        self.assertEqual((sink.massive, sink.phi, sink.image), (True, None, None))
        request = self.server.requests[0]
        self.assertEqual((request.layers.first, request.layers.last, list(request.heads)), (2, 5, [0, 3]))

    def test_an_upload_goes_in_pieces_and_is_named_later(self):
        file = bytes(range(256)) * 2000
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "scene.png")
            path.write_bytes(file)
            upload = self.client.upload(path)
        digest = hashlib.sha256(file).hexdigest()
        self.assertEqual(upload, binocle.UploadImageResponse(id=digest, bytes=len(file)))
        metadata, *chunks = self.server.requests[0]
        self.assertEqual((metadata.metadata.id, metadata.metadata.bytes), (digest, len(file)))
        self.assertEqual(b"".join(chunk.chunk for chunk in chunks), file)
        self.assertLessEqual(max(len(chunk.chunk) for chunk in chunks), _requests.UPLOAD_CHUNK)
        self.client.ask("What is it?", [upload])
        self.assertEqual(self.server.requests[1].images[0].id, digest)

    def test_models_and_server(self):
        self.assertEqual([model.name for model in self.client.list_models()], ["fake"])
        model = self.client.get_model("fake", tensors=True)
        self.assertEqual((model.parts[0].name, model.composite_layers), ("anchor", (1, 2)))
        self.assertTrue(self.server.requests[1].tensors)
        info = self.client.server_info()
        self.assertEqual((info.version, info.limits.max_images), ("0.1.0", 16))

    def test_health(self):
        self.assertEqual(self.client.health(), "serving")
        self.assertEqual(self.client.health("binocle.v1.ModelService"), "serving")
        self.server.health.enter_graceful_shutdown()
        self.assertEqual(self.client.health(), "not_serving")
        with self.assertRaises(binocle.NotFound):
            self.client.health("no.such.Service")

    def test_messages_take_the_place_of_the_prompt(self):
        turns = [
            binocle.Message("user", "What is it?", [PICTURE]),
            binocle.Message("assistant", "a heart"),
            binocle.Message("user", "Which colour?"),
        ]
        self.client.ask(messages=turns)
        request = self.server.requests[0]
        self.assertFalse(request.HasField("prompt"))
        self.assertEqual([message.role for message in request.messages], [1, 2, 1])
        self.assertEqual(request.messages[0].images[0].data, PICTURE)

    def test_metadata(self):
        client = self.connect(self.server.address, token="s3cret")
        client.ask("Well?", metadata=[("x-request-id", "mine"), ("traceparent", "00-1-2-00")])
        client.list_models()
        sent = self.server.metadata
        self.assertEqual((sent[0]["x-request-id"], sent[0]["traceparent"]), ("mine", "00-1-2-00"))
        self.assertEqual([call["authorization"] for call in sent], ["Bearer s3cret"] * 2)
        self.assertEqual(len(sent[1]["x-request-id"]), 32)

    def test_an_unknown_option_is_a_type_error_that_names_it(self):
        for method, option in (("ask", "temprature"), ("stream", "temprature"), ("explain", "priority")):
            with self.assertRaisesRegex(TypeError, option):
                getattr(self.client, method)("Well?", **{option: 1})
        self.assertEqual(self.server.requests, [])

    def test_several_addresses_take_turns(self):
        other = type(self.server)()
        self.addCleanup(other.close)
        client = self.connect([self.server.address, other.address])
        end = time.monotonic() + 30  # the second connection comes when it comes
        while min(len(self.server.requests), len(other.requests)) < 2:
            self.assertLess(time.monotonic(), end)
            client.list_models()


class Surface(unittest.TestCase):
    def test_both_clients_have_the_same_methods_with_the_same_arguments(self):
        pairs = ((binocle.Client, binocle.AsyncClient), (binocle.Stream, binocle.AsyncStream))
        for ours, theirs in pairs:
            names = [name for name in vars(ours) if not name.startswith("_")]
            self.assertEqual(names, [name for name in vars(theirs) if not name.startswith("_")])
            for name in ("__init__", *names):
                one, other = getattr(ours, name), getattr(theirs, name)
                if callable(one):
                    parameters = inspect.signature(one).parameters, inspect.signature(other).parameters
                    self.assertEqual(*parameters, name)


if __name__ == "__main__":
    unittest.main()
