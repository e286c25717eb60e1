"""What a stream has told so far."""

from __future__ import annotations

from collections import defaultdict

from ._errors import Cancelled, Error
from ._proto.v1 import vision_language_service_pb2 as service
from ._results import Answer, AskResponse, GenerateDelta, GenerateFinished, GenerateStarted


class Transcript:
    def __init__(self) -> None:
        self.started: GenerateStarted | None = None
        self.finished: GenerateFinished | None = None
        self._texts: defaultdict[int, list[str]] = defaultdict(list)
        self._token_ids: defaultdict[int, list[int]] = defaultdict(list)

    @property
    def empty(self) -> bool:
        """Whether there was no delta, so that another attempt would repeat nothing."""
        return not self._texts

    def add(self, message: service.GenerateResponse) -> GenerateDelta | None:
        event = message.WhichOneof("event")
        if event == "started":
            self.started = GenerateStarted.from_proto(message.started)
        elif event == "finished":
            self.finished = GenerateFinished.from_proto(message.finished)
        elif event == "delta":
            delta = GenerateDelta.from_proto(message.delta)
            self._texts[delta.answer].append(delta.text)
            self._token_ids[delta.answer].extend(delta.token_ids)
            return delta
        return None

    def check_finished(self, request_id: str) -> None:
        """A stream that ends well has said so: a proxy may cut one and call it OK."""
        if self.finished is None:
            raise Error("DATA_LOSS", "the stream ended without `finished`", request_id=request_id)

    def response(self) -> AskResponse:
        """As `ask` would have answered; streams do not tell prompt_token_ids."""
        if self.started is None or self.finished is None:
            raise Cancelled("CANCELLED", "the stream was closed before its end")
        answers = tuple(
            Answer("".join(self._texts[i]), end.finish_reason, tuple(self._token_ids[i]), end.logprobs, end.grounding)
            for i, end in enumerate(self.finished.answers)
        )
        return AskResponse(
            id=self.started.id,
            model=self.started.model,
            answer="".join(self._texts[0]),
            finish_reason=self.finished.finish_reason,
            usage=self.finished.usage,
            timings=self.finished.timings,
            answers=answers,
            prompt_token_ids=(),
            interventions=self.finished.interventions,
        )
