"""What a call fails with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True)
class FieldViolation:
    """One fault of a request: the path of a field, such as `sampling.temperature`, and what is wrong with it."""

    field: str
    description: str


class Error(Exception):
    """A call that failed. `code` is gRPC's, in capitals; codes that are often told apart have a class of their own."""

    def __init__(
        self,
        code: str,
        message: str,
        violations: Sequence[FieldViolation] = (),
        retry_delay: float | None = None,
        reason: str = "",
        request_id: str = "",
    ) -> None:
        # All of them, so that an error survives pickling.
        super().__init__(code, message, violations, retry_delay, reason, request_id)
        self.code = code
        self.message = message
        self.violations = tuple(violations)  # all faults of the request at once
        self.retry_delay = retry_delay  # seconds after which another attempt may succeed
        self.reason = reason  # such as TOKEN_RATE_LIMIT, or empty
        self.request_id = request_id  # as in the server's log

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Cancelled(Error):
    """CANCELLED: by this client, or by a server that shuts down."""


class InvalidArgument(Error):
    """INVALID_ARGUMENT: `violations` tells where."""


class DeadlineExceeded(Error):
    """DEADLINE_EXCEEDED: not done within `timeout`."""


class NotFound(Error):
    """NOT_FOUND: no such model, or an upload that the server keeps no longer."""


class PermissionDenied(Error):
    """PERMISSION_DENIED: such as a `file:` URI that is not allowed."""


class ResourceExhausted(Error):
    """RESOURCE_EXHAUSTED: a full queue or a token over its limit where there is a retry_delay; something too large otherwise."""


class FailedPrecondition(Error):
    """FAILED_PRECONDITION: the model lacks what the request needs."""


class Unimplemented(Error):
    """UNIMPLEMENTED: an option that this model or server does not have."""


class Unavailable(Error):
    """UNAVAILABLE: no connection, or a server that is about to stop."""


class Unauthenticated(Error):
    """UNAUTHENTICATED: no token, or one that the server does not know."""


_CLASSES = {
    "CANCELLED": Cancelled,
    "INVALID_ARGUMENT": InvalidArgument,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "NOT_FOUND": NotFound,
    "PERMISSION_DENIED": PermissionDenied,
    "RESOURCE_EXHAUSTED": ResourceExhausted,
    "FAILED_PRECONDITION": FailedPrecondition,
    "UNIMPLEMENTED": Unimplemented,
    "UNAVAILABLE": Unavailable,
    "UNAUTHENTICATED": Unauthenticated,
}


def error_of(failure: grpc.RpcError, request_id: str) -> Error:
    call: Any = failure  # what clients catch is a grpc.Call too, or a grpc.aio.AioRpcError; their base class says nothing of it
    code = call.code().name
    violations: tuple[FieldViolation, ...] = ()
    retry_delay = None
    reason = ""
    for detail in _details(call.trailing_metadata()):
        bad, retry, info = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo(), error_details_pb2.ErrorInfo()
        if detail.Unpack(bad):
            violations = tuple(FieldViolation(fault.field, fault.description) for fault in bad.field_violations)
        elif detail.Unpack(retry):
            retry_delay = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        elif detail.Unpack(info):
            reason = info.reason
    return _CLASSES.get(code, Error)(code, call.details() or "", violations, retry_delay, reason, request_id)


def _details(metadata: Any) -> Any:
    """Of google.rpc.Status; none where a proxy answered, or where they are damaged: the status itself still counts."""
    for key, value in metadata or ():
        if key == "grpc-status-details-bin":
            try:
                return status_pb2.Status.FromString(value).details
            except DecodeError:
                return ()
    return ()
