"""A server without a model: it writes down what it is asked, and fails when it is told to."""

import threading
import time
from concurrent import futures

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from binocle._proto.v1 import (
    answer_pb2,
    explanation_pb2,
    model_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    vision_language_service_pb2_grpc,
)
from binocle._proto.v1 import vision_language_service_pb2 as service

WORDS = ["a ", "green ", "heart"]
SERVICES = ("binocle.v1.VisionLanguageService", "binocle.v1.ModelService")
USAGE = answer_pb2.Usage(prompt_tokens=9, image_tokens=4, completion_tokens=3, prefix_tokens=2, image_hits=1)
TIMINGS = answer_pb2.Timings(first_token=1.5, total=3.25)


class Failure(Exception):
    """What a call ends with: a code and google.rpc details."""

    def __init__(self, code, message="told to", details=()):
        super().__init__(code, message, details)
        self.code, self.message, self.details = code, message, details

    def abort(self, context):
        if self.details:
            status = status_pb2.Status(code=self.code.value[0], message=self.message)
            for detail in self.details:
                packed = Any()
                packed.Pack(detail)
                status.details.append(packed)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(self.code, self.message)


def retry_info(seconds):
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromNanoseconds(int(seconds * 1e9))
    return info


class Vision(vision_language_service_pb2_grpc.VisionLanguageServiceServicer):
    def __init__(self, server):
        self.server = server

    def Ask(self, request, context):
        self.server.enter(request, context)
        if request.model not in ("", "fake"):
            context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.model}")
        return response_of(request)

    def Generate(self, request, context):
        if self.server.hold:
            context.add_callback(self.server.note_end)
        self.server.enter(request, context)
        prompt = {"prompt_tokens": USAGE.prompt_tokens, "image_tokens": USAGE.image_tokens}
        yield service.GenerateResponse(started=service.GenerateStarted(id=request.id, model="fake", **prompt))
        self.server.fail_at("delta", context)
        n = request.sampling.n or 1
        for token, word in enumerate(WORDS):
            for answer in range(n):
                yield service.GenerateResponse(delta=service.GenerateDelta(answer=answer, text=word, token_ids=[token]))
            self.server.fail_at("after", context)
            if self.server.hold:
                self.server.hold.wait()
        if self.server.cut:
            return
        end = service.AnswerEnd(finish_reason=answer_pb2.FINISH_REASON_STOP, completion_tokens=3)
        finished = service.GenerateFinished(
            finish_reason=answer_pb2.FINISH_REASON_STOP,
            usage=USAGE,
            timings=TIMINGS,
            answers=[end] * n,
            interventions=request.interventions,
        )
        yield service.GenerateResponse(finished=finished)

    def Embed(self, request, context):
        self.server.enter(request, context)
        one = service.Embedding(rows=1, width=2, values=[0.5, -0.25])
        return service.EmbedResponse(model="fake", images=[one] * len(request.images), texts=[one] * len(request.texts))

    def Explain(self, request, context):
        self.server.enter(request, context)
        where = explanation_pb2.AttentionMap(patches=[explanation_pb2.PatchMap(weights=[0.25, 0.5])], visual_mass=0.75)
        sink = explanation_pb2.ExplainedSink(position=0, text="<s>", cosine=1, massive=True)
        return service.ExplainResponse(
            response=response_of(request),
            layers={"first": 0, "last": 5},
            rows=1,
            cols=2,
            words=[explanation_pb2.ExplainedWord(text="heart", begin=8, end=13, map=where)],
            map=where,
            sinks=explanation_pb2.SinkReport(layers=[explanation_pb2.SinkLayer(sinks=[sink])]),
        )

    def UploadImage(self, requests, context):
        received = list(requests)
        self.server.enter(received, context)
        return service.UploadImageResponse(
            id=received[0].metadata.id, bytes=sum(len(request.chunk) for request in received)
        )


class Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, server):
        self.server = server

    def ListModels(self, request, context):
        self.server.enter(request, context)
        return model_service_pb2.ListModelsResponse(models=[model_pb2.ModelSummary(name="fake", context_tokens=1024)])

    def GetModel(self, request, context):
        self.server.enter(request, context)
        return model_service_pb2.GetModelResponse(
            model=model_pb2.Model(name="fake", parts=[model_pb2.Part(name="anchor")], composite_layers=[1, 2])
        )

    def GetServerInfo(self, request, context):
        self.server.enter(request, context)
        return model_service_pb2.GetServerInfoResponse(version="0.1.0", limits={"max_images": 16})


def response_of(request):
    text = "".join(WORDS)
    answer = answer_pb2.Answer(text=text, finish_reason=answer_pb2.FINISH_REASON_STOP, token_ids=[0, 1, 2])
    return service.AskResponse(
        id=request.id,
        model="fake",
        answer=text,
        finish_reason=answer_pb2.FINISH_REASON_STOP,
        usage=USAGE,
        timings=TIMINGS,
        answers=[answer] * (request.sampling.n or 1),
        prompt_token_ids=[1, 7, 7],
        interventions=request.interventions,
    )


class FakeServer:
    """`requests` and `metadata` of all calls, in order. `failures` are taken one a call; `point` is where: "start" of a call, before
    the first "delta" of a stream, or "after" it."""

    listen = "127.0.0.1:0"

    def __init__(self, credentials=None):
        self.requests, self.metadata, self.times, self.failures = [], [], [], []
        self.point = "start"
        self.cut = False  # whether streams end without `finished`
        self.hold = None  # an event that streams wait for after their first delta
        self.cancelled = threading.Event()
        self.grpc = grpc.server(futures.ThreadPoolExecutor(8))
        vision_language_service_pb2_grpc.add_VisionLanguageServiceServicer_to_server(Vision(self), self.grpc)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(self), self.grpc)
        self.health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.grpc)
        for name in ("", *SERVICES):
            self.health.set(name, health_pb2.HealthCheckResponse.SERVING)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self.grpc)
        if credentials:
            port = self.grpc.add_secure_port(self.listen, credentials)
        else:
            port = self.grpc.add_insecure_port(self.listen)
        self.address = f"127.0.0.1:{port}"
        self.grpc.start()

    def close(self):
        if self.hold:
            self.hold.set()
        self.grpc.stop(0).wait()

    def enter(self, request, context):
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.times.append(time.monotonic())
        self.fail_at("start", context)

    def fail_at(self, point, context):
        if point == self.point and self.failures:
            self.failures.pop(0).abort(context)

    def note_end(self):
        self.cancelled.set()
        self.hold.set()
