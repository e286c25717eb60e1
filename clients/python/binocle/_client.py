"""The client for threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc

from . import _health
from ._call import Call, Metadata, Retry
from ._connection import Connection, Tls
from ._explanation import ExplainResponse
from ._options import AskOptions, ExplainOptions, ImageInput, Pooling, UploadImageResponse
from ._proto.v1 import model_service_pb2, model_service_pb2_grpc, vision_language_service_pb2_grpc
from ._proto.v1 import vision_language_service_pb2 as service
from ._requests import embed_request, explain_request, file_of, generate_request, upload_requests
from ._results import (
    AskResponse,
    EmbedResponse,
    GenerateDelta,
    GenerateStarted,
    GetServerInfoResponse,
    HealthStatus,
    Model,
    ModelSummary,
)
from ._transcript import Transcript

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class Client:
    """Talks to a Binocle server. May be used by several threads at once.

    address: "HOST:PORT", "dns:///NAME:PORT" or a list of IP:PORT; calls go to all addresses in turn.
    token: sent as a bearer token; without `tls` anybody on the way can read it.
    tls: True, or a Tls with certificates.
    timeout: seconds for a call with all its attempts.
    retry: what is tried again; Retry(max_attempts=1): nothing.
    keepalive: seconds of silence after which the connection is tested, at least 10.
    max_message_bytes: largest message either way; the server has a limit of its own.
    """

    def __init__(
        self,
        address: str | Sequence[str],
        *,
        token: str | None = None,
        tls: bool | Tls = False,
        timeout: float = 120.0,
        retry: Retry = Retry(),  # noqa: B008, it is frozen
        keepalive: float = 20.0,
        max_message_bytes: int = 64 << 20,
    ) -> None:
        self._connection = connection = Connection(address, token, tls, timeout, retry, keepalive, max_message_bytes)
        if connection.credentials is None:
            self._channel = grpc.insecure_channel(connection.target, connection.options)
        else:
            self._channel = grpc.secure_channel(connection.target, connection.credentials, connection.options)
        self._vision: Any = vision_language_service_pb2_grpc.VisionLanguageServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._models: Any = model_service_pb2_grpc.ModelServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._check = self._channel.unary_unary(_health.METHOD, _health.serialize, _health.deserialize)

    def ask(
        self,
        prompt: str | None = None,
        images: Sequence[ImageInput] = (),
        *,
        timeout: float | None = None,
        metadata: Metadata = (),
        **options: Unpack[AskOptions],
    ) -> AskResponse:
        """Answers a question about pictures, in one piece."""
        request = generate_request("ask", service.AskRequest(), prompt, images, options)
        return AskResponse.from_proto(self._call(self._vision.Ask, request, timeout, metadata))

    def stream(
        self,
        prompt: str | None = None,
        images: Sequence[ImageInput] = (),
        *,
        timeout: float | None = None,
        metadata: Metadata = (),
        **options: Unpack[AskOptions],
    ) -> Stream:
        """Answers piece by piece. `timeout` is for the whole answer."""
        request = generate_request("stream", service.GenerateRequest(), prompt, images, options)
        return Stream(self._vision.Generate, request, self._connection.call(timeout, metadata))

    def explain(
        self,
        prompt: str | None = None,
        images: Sequence[ImageInput] = (),
        *,
        timeout: float | None = None,
        metadata: Metadata = (),
        **options: Unpack[ExplainOptions],
    ) -> ExplainResponse:
        """Answers about at least one picture, and tells what the answer looked at."""
        request = explain_request(prompt, images, options)
        return ExplainResponse.from_proto(self._call(self._vision.Explain, request, timeout, metadata))

    def embed(
        self,
        images: Sequence[ImageInput] = (),
        texts: Sequence[str] = (),
        *,
        model: str | None = None,
        pooling: Pooling | None = None,
        normalize: bool | None = None,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> EmbedResponse:
        """Vectors of pictures and texts."""
        request = embed_request(images, texts, model, pooling, normalize)
        return EmbedResponse.from_proto(self._call(self._vision.Embed, request, timeout, metadata))

    def upload(
        self, image: str | os.PathLike[str] | bytes, *, timeout: float | None = None, metadata: Metadata = ()
    ) -> UploadImageResponse:
        """Leaves a picture with the server: what comes back goes into `images` of later calls."""
        file = file_of(image)
        response = self._attempts(lambda **how: self._vision.UploadImage(upload_requests(file), **how), timeout, metadata)
        return UploadImageResponse.from_proto(response)

    def list_models(self, *, timeout: float | None = None, metadata: Metadata = ()) -> Sequence[ModelSummary]:
        """All models, the default one first."""
        response = self._call(self._models.ListModels, model_service_pb2.ListModelsRequest(), timeout, metadata)
        return tuple(ModelSummary.from_proto(model) for model in response.models)

    def get_model(
        self, model: str = "", *, tensors: bool = False, timeout: float | None = None, metadata: Metadata = ()
    ) -> Model:
        """One model in full; without a name the default one."""
        request = model_service_pb2.GetModelRequest(model=model, tensors=tensors)
        return Model.from_proto(self._call(self._models.GetModel, request, timeout, metadata).model)

    def server_info(self, *, timeout: float | None = None, metadata: Metadata = ()) -> GetServerInfoResponse:
        """Version, limits and counters."""
        request = model_service_pb2.GetServerInfoRequest()
        return GetServerInfoResponse.from_proto(self._call(self._models.GetServerInfo, request, timeout, metadata))

    def health(self, service: str = "", *, timeout: float | None = None, metadata: Metadata = ()) -> HealthStatus:
        """Of the server, or of a service such as "binocle.v1.VisionLanguageService"."""
        return _health.status_of(self._call(self._check, _health.request_of(service), timeout, metadata))

    def close(self) -> None:
        """Ends calls that are under way."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: Callable[..., Any], request: object, timeout: float | None, metadata: Metadata) -> Any:
        return self._attempts(lambda **how: method(request, **how), timeout, metadata)

    def _attempts(self, attempt: Callable[..., Any], timeout: float | None, metadata: Metadata) -> Any:
        call = self._connection.call(timeout, metadata)
        while True:
            try:
                return attempt(timeout=call.remaining(), metadata=call.metadata)
            except grpc.RpcError as failure:
                time.sleep(call.pause_after(failure))


class Stream(Iterator[GenerateDelta]):
    """The deltas of an answer. Closing it, leaving its `with` block or dropping it cancels the call."""

    def __init__(self, method: Callable[..., Any], request: service.GenerateRequest, call: Call) -> None:
        self._method = method
        self._request = request
        self._call = call
        self._transcript = Transcript()
        self._closed = threading.Event()
        self._responses = self._attempt()

    @property
    def started(self) -> GenerateStarted | None:
        """What is known since the request left the queue."""
        return self._transcript.started

    def result(self) -> AskResponse:
        """Reads what is left and gives the whole answer, as `ask` would; prompt_token_ids is empty."""
        for _ in self:
            pass
        return self._transcript.response()

    def close(self) -> None:
        self._closed.set()
        self._responses.cancel()

    def __next__(self) -> GenerateDelta:
        while not self._closed.is_set():
            try:
                for message in self._responses:
                    delta = self._transcript.add(message)
                    if delta is not None:
                        return delta
            except grpc.RpcError as failure:
                if self._closed.is_set():
                    break
                # Not sleep: another thread may close the stream meanwhile.
                if not self._closed.wait(self._call.pause_after(failure, may_retry=self._transcript.empty)):
                    self._responses = self._attempt()
            else:
                self._closed.set()
                self._transcript.check_finished(self._call.request_id)
        self._responses.cancel()  # an attempt that began while another thread closed the stream
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _attempt(self) -> Any:
        return self._method(self._request, timeout=self._call.remaining(), metadata=self._call.metadata)
