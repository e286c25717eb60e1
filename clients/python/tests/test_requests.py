"""From arguments to messages: every field, and what fits none."""

import tempfile
import unittest
from pathlib import Path

import binocle
from binocle import _explanation, _results  # noqa: F401, they define mirrors
from binocle._mirror import Mirror
from binocle._options import AskOptions, ExplainOptions
from binocle._proto.v1 import answer_pb2, explanation_pb2, generation_pb2, image_pb2, interventions_pb2, model_pb2, model_service_pb2
from binocle._proto.v1 import vision_language_service_pb2 as service
from binocle._requests import explain_request, generate_request

FILES = (answer_pb2, explanation_pb2, generation_pb2, image_pb2, interventions_pb2, model_pb2, model_service_pb2, service)


def ask(prompt="Well?", images=(), **options):
    return generate_request("ask", service.AskRequest(), prompt, images, options)


class Options(unittest.TestCase):
    def check(self, options, **expected):
        """`options` give a request with `expected` and nothing else; in Generate too."""
        self.assertEqual(ask(**options), service.AskRequest(prompt="Well?", **expected))
        generate = generate_request("stream", service.GenerateRequest(), "Well?", (), options)
        self.assertEqual(generate, service.GenerateRequest(prompt="Well?", **expected))

    def test_nothing_is_said_of_what_is_not_given(self):
        self.check({})
        self.check(dict.fromkeys(AskOptions.__annotations__))

    def test_request(self):
        for name, value in (("model", "tiny"), ("id", "7"), ("system", ""), ("logprobs", 5), ("priority", -3)):
            self.check({name: value}, **{name: value})
        self.check({"grounding": False}, grounding=False)
        self.check({"prompt_format": "raw"}, prompt_format=generation_pb2.PROMPT_FORMAT_RAW)

    def test_sampling(self):
        values = {
            "max_new_tokens": 64, "temperature": 0.0, "top_k": 0, "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 1.1,
            "seed": 2**64 - 1, "stop": ["END", "\n"], "n": 3,
        }
        self.assertEqual(set(values), set(generation_pb2.Sampling.DESCRIPTOR.fields_by_name))
        for name, value in values.items():
            self.check({name: value}, sampling={name: value})
        self.check(values, sampling=values)

    def test_an_intervention_without_values_is_on(self):
        for name, kind in (
            ("var", binocle.Var), ("modulate", binocle.Modulate), ("pai", binocle.Pai), ("guidance", binocle.Guidance),
            ("vcd", binocle.Vcd),
        ):
            self.check({name: kind()}, interventions={name: {}})
            self.assertTrue(ask(**{name: kind()}).interventions.HasField(name))

    def test_interventions(self):
        layers = binocle.Layers(2, 30)
        span = interventions_pb2.Layers(first=2, last=30)
        for name, options, field in (
            ("var", {"p": 0.0, "rho": 0.5, "tau": 20.0, "mass": 0.2, "dims": [1415, 2533]}, {}),
            ("var", {"layers": layers, "compat": "release"}, {"layers": span, "compat": "VAR_COMPAT_RELEASE"}),
            ("modulate", {"alpha": 0.7, "beta": 0.4, "local": 0.25, "spatial": 0.0}, {}),
            ("modulate", {"layers": layers, "heads": "calibrated", "start": "decode"},
             {"layers": span, "heads": "MODULATION_HEADS_CALIBRATED", "start": "INTERVENTION_START_DECODE"}),
            ("pai", {"alpha": 0.2, "layers": layers, "start": "prefill"},
             {"alpha": 0.2, "layers": span, "start": "INTERVENTION_START_PREFILL"}),
            ("guidance", {"gamma": 1.1, "cut": 0.1}, {}),
            ("vcd", {"alpha": 1.0, "beta": 0.1, "steps": 0}, {}),
        ):
            with self.subTest(name=name, options=options):
                self.check({name: getattr(binocle, name.capitalize())(**options)}, interventions={name: field or options})

    def test_attention(self):
        self.check({"attention": "composite"}, attention={"kind": "ATTENTION_KIND_COMPOSITE"})
        self.check({"composite_layers": binocle.Layers(0, 3)}, attention={"composite_layers": [{"first": 0, "last": 3}]})
        several = [binocle.Layers(0, 3), binocle.Layers(7, 7)]
        self.check({"composite_layers": several}, attention={"composite_layers": [{"first": 0, "last": 3}, {"first": 7, "last": 7}]})
        self.check({"aligner": "vo_ffn"}, attention={"aligner": "ALIGNER_VO_FFN"})

    def test_constraint(self):
        self.check({"choices": ["yes", "no"]}, constraint={"choices": {"values": ["yes", "no"]}})
        self.check({"choices": []}, constraint={"choices": {}})
        self.check({"regex": "[0-9]+"}, constraint={"regex": "[0-9]+"})
        self.check({"json_schema": '{"type": "object"}'}, constraint={"json_schema": '{"type": "object"}'})
        self.check({"json_schema": {"type": "object"}}, constraint={"json_schema": '{"type": "object"}'})
        with self.assertRaisesRegex(ValueError, "regex: not together with choices"):
            ask(choices=["yes"], regex="no")

    def test_explain(self):
        faithfulness = {"blocks": 16, "curve_points": 8, "word_curves": True, "seed": 3}
        made = explain_request(
            "Well?", (), {"temperature": 0.5, "cosine": 0.8, "heads": [1], "layers": binocle.Layers(1, 2),
                          "faithfulness": binocle.FaithfulnessOptions(**faithfulness)}
        )
        self.assertEqual(made, service.ExplainRequest(
            prompt="Well?", sampling={"temperature": 0.5}, cosine=0.8, heads=[1], layers={"first": 1, "last": 2},
            faithfulness=faithfulness))

    def test_what_does_not_fit_is_named(self):
        for options, error, message in (
            ({"max_new_tokens": "many"}, TypeError, "max_new_tokens: "),
            ({"top_k": 2**40}, ValueError, "top_k: "),
            ({"stop": "END"}, TypeError, "stop: found one str, expected a list"),
            ({"prompt_format": "row"}, ValueError, "prompt_format: found 'row', expected 'chat' or 'raw'"),
            ({"var": {"p": 1}}, TypeError, "var: found dict, expected Var"),
            ({"var": binocle.Var(layers=(2, 3))}, TypeError, "var: layers: found tuple, expected Layers"),
            ({"images": "scene.png"}, TypeError, "images: found one str, expected a list"),
            ({"images": [3]}, TypeError, "found int, expected a path or the bytes of a file"),
        ):
            with self.subTest(options=options), self.assertRaisesRegex(error, message):
                ask(**options)


class Images(unittest.TestCase):
    def test_sources(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "scene.png")
            path.write_bytes(b"file")
            sources = [str(path), path, b"bytes", binocle.UploadImageResponse("ab", 3), binocle.Image(id="cd"),
                       binocle.Image(uri="file:///a.png", exif=False), binocle.Image(b"turned", exif=True)]
            made = ask(images=sources).images
        expected = [{"data": b"file"}, {"data": b"file"}, {"data": b"bytes"}, {"id": "ab"}, {"id": "cd"},
                    {"uri": "file:///a.png", "exif": False}, {"data": b"turned", "exif": True}]
        self.assertEqual(list(made), [image_pb2.Image(**fields) for fields in expected])

    def test_a_file_that_is_not_there_is_an_error_of_the_file(self):
        with self.assertRaises(FileNotFoundError):
            ask(images=["no such file.png"])

    def test_exactly_one_source(self):
        for image in (binocle.Image(), binocle.Image(b"data", id="ab")):
            with self.assertRaisesRegex(ValueError, "exactly one"):
                ask(images=[image])


class Mirrors(unittest.TestCase):
    """The package has what the .proto files have."""

    def test_a_mirror_has_its_message_s_fields(self):
        messages = {name: message for file in FILES for name, message in file.DESCRIPTOR.message_types_by_name.items()}
        for name, mirror in Mirror.classes.items():
            self.assertEqual(set(mirror.__dataclass_fields__), set(messages[name].fields_by_name), name)

    def test_every_field_of_a_request_is_an_option(self):
        sampling, interventions, constraint = (
            set(message.DESCRIPTOR.fields_by_name)
            for message in (generation_pb2.Sampling, interventions_pb2.Interventions, generation_pb2.Constraint)
        )
        inner = sampling | interventions | constraint | {"attention", "composite_layers", "aligner"}
        apart = {"prompt", "images", "sampling", "interventions", "constraint"}
        for options, request in (
            (AskOptions, service.AskRequest), (AskOptions, service.GenerateRequest), (ExplainOptions, service.ExplainRequest)
        ):
            fields = set(request.DESCRIPTOR.fields_by_name)
            self.assertEqual(set(options.__annotations__), inner | fields - apart, request.DESCRIPTOR.name)

    def test_every_response_comes_back_whole(self):
        for message in (service.AskResponse, service.ExplainResponse, service.EmbedResponse, model_pb2.Model):
            filled = fill(message())
            mirror = Mirror.classes[message.DESCRIPTOR.name].from_proto(filled)
            back = message()
            mirror.to_proto(back)
            self.assertEqual(back, filled)

    def test_values_of_enums_from_a_newer_server_stay_numbers(self):
        answer = binocle.Answer.from_proto(answer_pb2.Answer(finish_reason=99))
        self.assertEqual(answer.finish_reason, "99")


def fill(message):
    """Something in every field."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type:
            inner = getattr(message, field.name)
            fill(inner.add() if field.is_repeated else inner)
        else:
            value = {field.TYPE_STRING: "text", field.TYPE_BYTES: b"bytes"}.get(field.type, 1)
            getattr(message, field.name).append(value) if field.is_repeated else setattr(message, field.name, value)
    return message


if __name__ == "__main__":
    unittest.main()
