"""grpc.health.v1 without its generated code, whose package would be one more dependency.

Its request is a string and its response an enum, both field 1; so are StringValue's and Int32Value's.
"""

from __future__ import annotations

from typing import cast

from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from ._errors import Error
from ._results import HealthStatus

METHOD = "/grpc.health.v1.Health/Check"
_STATUSES = ("unknown", "serving", "not_serving")

serialize = StringValue.SerializeToString
deserialize = Int32Value.FromString


def request_of(service: str) -> StringValue:
    return StringValue(value=service)


def status_of(response: Int32Value) -> HealthStatus:
    if not 0 <= response.value < len(_STATUSES):
        raise Error("INTERNAL", f"a health status of {response.value}")
    return cast(HealthStatus, _STATUSES[response.value])
