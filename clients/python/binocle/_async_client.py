"""The client for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

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


class AsyncClient:
    """Client for asyncio: the same arguments and methods, to be awaited. Connects with the first call, in the loop of that call.

    A path among pictures is read when the call is made, on the loop; where files are slow, read them elsewhere and give the bytes.
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
        self._connection = Connection(address, token, tls, timeout, retry, keepalive, max_message_bytes)

    # Made late: a client is often a global, and there is no loop yet when globals are made.
    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        connection = self._connection
        if connection.credentials is None:
            return grpc.aio.insecure_channel(connection.target, connection.options)
        return grpc.aio.secure_channel(connection.target, connection.credentials, connection.options)

    @cached_property
    def _vision(self) -> Any:
        return vision_language_service_pb2_grpc.VisionLanguageServiceStub(self._channel)  # type: ignore[no-untyped-call]

    @cached_property
    def _models(self) -> Any:
        return model_service_pb2_grpc.ModelServiceStub(self._channel)  # type: ignore[no-untyped-call]

    async def ask(
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
        return AskResponse.from_proto(await self._call(self._vision.Ask, request, timeout, metadata))

    def stream(
        self,
        prompt: str | None = None,
        images: Sequence[ImageInput] = (),
        *,
        timeout: float | None = None,
        metadata: Metadata = (),
        **options: Unpack[AskOptions],
    ) -> AsyncStream:
        """Answers piece by piece. `timeout` is for the whole answer."""
        request = generate_request("stream", service.GenerateRequest(), prompt, images, options)
        return AsyncStream(self._vision.Generate, request, self._connection.call(timeout, metadata))

    async def explain(
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
        return ExplainResponse.from_proto(await self._call(self._vision.Explain, request, timeout, metadata))

    async def embed(
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
        return EmbedResponse.from_proto(await self._call(self._vision.Embed, request, timeout, metadata))

    async def upload(
        self, image: str | os.PathLike[str] | bytes, *, timeout: float | None = None, metadata: Metadata = ()
    ) -> UploadImageResponse:
        """Leaves a picture with the server: what comes back goes into `images` of later calls."""
        file = file_of(image)
        response = await self._attempts(lambda **how: self._vision.UploadImage(upload_requests(file), **how), timeout, metadata)
        return UploadImageResponse.from_proto(response)

    async def list_models(self, *, timeout: float | None = None, metadata: Metadata = ()) -> Sequence[ModelSummary]:
        """All models, the default one first."""
        response = await self._call(self._models.ListModels, model_service_pb2.ListModelsRequest(), timeout, metadata)
        return tuple(ModelSummary.from_proto(model) for model in response.models)

    async def get_model(
        self, model: str = "", *, tensors: bool = False, timeout: float | None = None, metadata: Metadata = ()
    ) -> Model:
        """One model in full; without a name the default one."""
        request = model_service_pb2.GetModelRequest(model=model, tensors=tensors)
        return Model.from_proto((await self._call(self._models.GetModel, request, timeout, metadata)).model)

    async def server_info(self, *, timeout: float | None = None, metadata: Metadata = ()) -> GetServerInfoResponse:
        """Version, limits and counters."""
        request = model_service_pb2.GetServerInfoRequest()
        return GetServerInfoResponse.from_proto(await self._call(self._models.GetServerInfo, request, timeout, metadata))

    async def health(self, service: str = "", *, timeout: float | None = None, metadata: Metadata = ()) -> HealthStatus:
        """Of the server, or of a service such as "binocle.v1.VisionLanguageService"."""
        check = self._channel.unary_unary(_health.METHOD, _health.serialize, _health.deserialize)
        return _health.status_of(await self._call(check, _health.request_of(service), timeout, metadata))

    async def close(self) -> None:
        """Ends calls that are under way."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, method: Callable[..., Any], request: object, timeout: float | None, metadata: Metadata) -> Any:
        return await self._attempts(lambda **how: method(request, **how), timeout, metadata)

    async def _attempts(self, attempt: Callable[..., Any], timeout: float | None, metadata: Metadata) -> Any:
        call = self._connection.call(timeout, metadata)
        while True:
            try:
                return await attempt(timeout=call.remaining(), metadata=call.metadata)
            except grpc.RpcError as failure:
                await asyncio.sleep(call.pause_after(failure))


class AsyncStream(AsyncIterator[GenerateDelta]):
    """The deltas of an answer. Closing it, leaving its `async with` block or dropping it cancels the call."""

    def __init__(self, method: Callable[..., Any], request: service.GenerateRequest, call: Call) -> None:
        self._method = method
        self._request = request
        self._call = call
        self._transcript = Transcript()
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._reading: asyncio.Task[Any] | None = None  # of the next message
        self._responses = self._attempt()

    @property
    def started(self) -> GenerateStarted | None:
        """What is known since the request left the queue."""
        return self._transcript.started

    async def result(self) -> AskResponse:
        """Reads what is left and gives the whole answer, as `ask` would; prompt_token_ids is empty."""
        async for _ in self:
            pass
        return self._transcript.response()

    async def close(self) -> None:
        self._closed = True
        self._responses.cancel()

    def __del__(self) -> None:
        # grpc.aio keeps a call that nobody holds. The collector may run on any thread, and later than the loop.
        if not self._closed:
            with contextlib.suppress(AttributeError, RuntimeError):
                self._loop.call_soon_threadsafe(self._responses.cancel)

    async def _next_message(self) -> Any:
        """The next message. A caller that stops waiting, as wait_for does, leaves it to the next one that asks: cancelling the read would cancel
        the call."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._responses.read())
            self._reading.add_done_callback(lambda reading: reading.cancelled() or reading.exception())  # seen, should nobody ask again
        try:
            message = await asyncio.shield(self._reading)
        except asyncio.CancelledError:
            if self._reading.done():  # the call was cancelled, and not who waits
                self._reading = None
            raise
        except grpc.RpcError:
            self._reading = None
            raise
        self._reading = None
        return message

    async def __anext__(self) -> GenerateDelta:
        while not self._closed:
            try:
                message = await self._next_message()
            except grpc.RpcError as failure:
                if self._closed:
                    break
                await asyncio.sleep(self._call.pause_after(failure, may_retry=self._transcript.empty))
                if not self._closed:
                    self._responses = self._attempt()
                continue
            except asyncio.CancelledError:
                if self._closed:
                    break
                raise
            if message is grpc.aio.EOF:
                self._closed = True
                self._transcript.check_finished(self._call.request_id)
            elif (delta := self._transcript.add(message)) is not None:
                return delta
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _attempt(self) -> Any:
        return self._method(self._request, timeout=self._call.remaining(), metadata=self._call.metadata)
