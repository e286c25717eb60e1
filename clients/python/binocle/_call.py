"""One call with all its attempts: how long it may take, what goes with it, and what is tried again."""

from __future__ import annotations

import math
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import grpc

from ._errors import Error, error_of

Metadata = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Retry:
    """How often, and after how many seconds. The pause doubles with each attempt; `max_attempts=1` tries once."""

    max_attempts: int = 5
    initial_backoff: float = 0.2
    max_backoff: float = 5.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or not 0 < self.initial_backoff <= self.max_backoff:
            raise ValueError(f"{self}: expected max_attempts >= 1 and 0 < initial_backoff <= max_backoff")

    def pause(self, error: Error, attempts: int) -> float | None:
        """Seconds until the next attempt, after so many; None where there is none."""
        if attempts >= self.max_attempts or not _may_retry(error):
            return None
        backoff = min(self.initial_backoff * 2.0 ** (attempts - 1), self.max_backoff)
        # Never before the server's time, and never all clients at once.
        return max(error.retry_delay or 0.0, backoff / 2) + random.uniform(0, backoff / 2)


def _may_retry(error: Error) -> bool:
    """RESOURCE_EXHAUSTED without a delay is a message or a picture that is too large, and stays so. INTERNAL with a reset of the stream
    comes from proxies whose server has died."""
    if error.code == "RESOURCE_EXHAUSTED":
        return error.retry_delay is not None
    return error.code == "UNAVAILABLE" or (error.code == "INTERNAL" and "RST_STREAM" in error.message)


class Call:
    def __init__(self, timeout: float, retry: Retry, metadata: Metadata) -> None:
        if not (math.isfinite(timeout) and timeout > 0):
            raise ValueError(f"timeout is {timeout}, expected seconds above 0")
        self._end = time.monotonic() + timeout
        self._retry = retry
        self._attempts = 0
        ids = [value for key, value in metadata if key == "x-request-id"]
        self.request_id = ids[0] if ids else uuid.uuid4().hex
        self.metadata = (*metadata, *(() if ids else (("x-request-id", self.request_id),)))

    def remaining(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def pause_after(self, failure: grpc.RpcError, may_retry: bool = True) -> float:
        """Seconds to wait before the next attempt; raises what the caller is told where there is none, or no time for one."""
        self._attempts += 1
        error = error_of(failure, self.request_id)
        pause = self._retry.pause(error, self._attempts) if may_retry else None
        if pause is None or pause >= self.remaining():
            raise error from failure
        return pause
