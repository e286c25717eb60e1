#!/usr/bin/env python3
"""A gRPC client that knows nothing of Binocle but its server: everything it needs comes by reflection (v1alpha).

    reflection_client.py HOST:PORT PICTURE

Lists the services, checks health, asks about the picture and streams the answer; exits with 0 when all of it is as it should be. Needs
requirements.txt of this folder (grpcio-reflection); exits with 77 (ctest: skipped) where it is not there:

    python3 -m venv .venv && .venv/bin/pip install --require-hashes -r tests/clients/requirements.txt
"""

import sys
from pathlib import Path

SKIPPED = 77
try:
    import grpc
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass
    from google.protobuf.wrappers_pb2 import Int32Value, StringValue
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
except ImportError as error:
    print(f"skipped: {error}; see {Path(__file__).name}")
    sys.exit(SKIPPED)

HEALTH, VISION, MODELS = "grpc.health.v1.Health", "binocle.v1.VisionLanguageService", "binocle.v1.ModelService"
SERVING = 1
QUESTION = "What do you see?"
SECONDS = 120


class Service:
    """Methods of a service, found by name."""

    def __init__(self, channel, pool, name):
        self.channel, self.descriptor = channel, pool.FindServiceByName(name)

    def call(self, method, **fields):
        """The response, or an iterator of them where the method streams."""
        found = self.descriptor.methods_by_name[method]
        path = f"/{self.descriptor.full_name}/{method}"
        kind = self.channel.unary_stream if found.server_streaming else self.channel.unary_unary
        request, response = GetMessageClass(found.input_type), GetMessageClass(found.output_type)
        return kind(path, request.SerializeToString, response.FromString)(request(**fields), timeout=SECONDS)


def expect(condition, what):
    if not condition:
        raise SystemExit(f"reflection_client.py: {what}")


def check_services(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    print("services:", ", ".join(sorted(services)))
    expect({HEALTH, VISION, MODELS} <= services, "a service is missing")
    return DescriptorPool(database)


def health_check(channel, pool):
    """A function from a service's name to its status. gRPC's C++ library lists Health and answers it, but need not know its descriptor:
    then its request and response, a string and an enum, both field 1, pass for StringValue and Int32Value."""
    try:
        health = Service(channel, pool, HEALTH)
    except KeyError:
        print("health: not described by reflection")
        check = channel.unary_unary(f"/{HEALTH}/Check", StringValue.SerializeToString, Int32Value.FromString)
        return lambda name: check(StringValue(value=name), timeout=SECONDS).value
    return lambda name: health.call("Check", service=name).status


def check_health(check):
    for name in ("", VISION, MODELS):
        status = check(name)
        expect(status == SERVING, f"the health of {name or 'the server'} is {status}")
    print("health: serving")


def check_models(models):
    names = [model.name for model in models.call("ListModels").models]
    print("models:", ", ".join(names))
    expect(names, "there are no models")


def check_ask(vision, picture):
    response = vision.call("Ask", prompt=QUESTION, images=[{"data": picture}], id="reflection")
    print("answer:", response.answer)
    expect(response.answer and response.answer == response.answers[0].text, "the answer is empty or is not the first of the answers")
    expect(response.id == "reflection", f"the id is {response.id!r}")
    expect(response.usage.image_tokens > 0, "the picture took no tokens")
    return response


def check_stream(vision, picture, asked):
    events = list(vision.call("Generate", prompt=QUESTION, images=[{"data": picture}]))
    kinds = [event.WhichOneof("event") for event in events]
    expect(kinds[0] == "started" and kinds[-1] == "finished", f"the events are {kinds}")
    expect(set(kinds[1:-1]) == {"delta"}, f"the events are {kinds}")
    text = "".join(event.delta.text for event in events[1:-1])
    expect(text == asked.answer, f"the stream is {text!r}, the answer {asked.answer!r}")
    finished = events[-1].finished
    expect(finished.usage.completion_tokens == asked.usage.completion_tokens, "the stream counts other tokens than the answer")
    print(f"stream: {len(events) - 2} deltas, the same answer")


def check_refusal(vision, picture):
    try:
        vision.call("Ask", prompt=QUESTION, images=[{"data": picture}], model="no such model")
    except grpc.RpcError as error:
        expect(error.code() == grpc.StatusCode.NOT_FOUND, f"an unknown model is {error.code().name}")
        print("refusal:", error.details())
    else:
        expect(False, "an unknown model is not refused")


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: reflection_client.py HOST:PORT PICTURE")
    picture = Path(sys.argv[2]).read_bytes()
    with grpc.insecure_channel(sys.argv[1]) as channel:
        pool = check_services(channel)
        check_health(health_check(channel, pool))
        check_models(Service(channel, pool, MODELS))
        vision = Service(channel, pool, VISION)
        check_stream(vision, picture, check_ask(vision, picture))
        check_refusal(vision, picture)


if __name__ == "__main__":
    main()
