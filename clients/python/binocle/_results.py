"""What comes back, in the names of the messages: units and ranges are in proto/binocle/v1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ._mirror import Mirror
from ._options import Interventions

FinishReason = Literal["stop", "length", "cancelled"]
HealthStatus = Literal["unknown", "serving", "not_serving"]


@dataclass(frozen=True)
class TokenLogProbability(Mirror):
    id: int
    value: float


@dataclass(frozen=True)
class TokenLogProbabilities(Mirror):
    """The most probable tokens at one step."""

    tokens: Sequence[TokenLogProbability]


@dataclass(frozen=True)
class Answer(Mirror):
    """One of the n answers."""

    text: str
    finish_reason: FinishReason
    token_ids: Sequence[int]
    logprobs: Sequence[TokenLogProbabilities]
    grounding: Sequence[float]


@dataclass(frozen=True)
class Usage(Mirror):
    """What a request took, in tokens and pictures."""

    prompt_tokens: int
    image_tokens: int
    completion_tokens: int
    prefix_tokens: int
    image_hits: int


@dataclass(frozen=True)
class Timings(Mirror):
    """Where the time went, in milliseconds."""

    load: float
    decode: float
    anchor: float
    augment: float
    fusion: float
    prefill: float
    first_token: float
    total: float
    per_token: float


@dataclass(frozen=True)
class AskResponse(Mirror):
    """`answer` and `finish_reason` are the first answer's; `answers` has all n."""

    id: str
    model: str
    answer: str
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    answers: Sequence[Answer]
    prompt_token_ids: Sequence[int]
    interventions: Interventions


@dataclass(frozen=True)
class GenerateStarted(Mirror):
    """What is known when a request leaves the queue."""

    id: str
    model: str
    prompt_tokens: int
    image_tokens: int


@dataclass(frozen=True)
class GenerateDelta(Mirror):
    """New text of one answer, never cumulative; may be empty, as text may lag behind tokens."""

    answer: int
    text: str
    token_ids: Sequence[int]


@dataclass(frozen=True)
class AnswerEnd(Mirror):
    finish_reason: FinishReason
    completion_tokens: int
    logprobs: Sequence[TokenLogProbabilities]
    grounding: Sequence[float]


@dataclass(frozen=True)
class GenerateFinished(Mirror):
    """The last message of a stream."""

    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    answers: Sequence[AnswerEnd]
    interventions: Interventions


@dataclass(frozen=True)
class Embedding(Mirror):
    """`values` is rows × width, row-major."""

    rows: int
    width: int
    values: Sequence[float]


@dataclass(frozen=True)
class EmbedResponse(Mirror):
    """Per picture and per text, in the order of the request."""

    model: str
    images: Sequence[Embedding]
    texts: Sequence[Embedding]


@dataclass(frozen=True)
class ModelSummary(Mirror):
    name: str
    family: str
    parameters: int
    context_tokens: int
    image_tokens: int


@dataclass(frozen=True)
class PartProperty(Mirror):
    name: str
    value: str


@dataclass(frozen=True)
class Part(Mirror):
    """A tower, the fusion, the projector or the language model."""

    name: str
    type: str
    properties: Sequence[PartProperty]
    parameters: int
    weight_bytes: int
    activation_bytes: int


@dataclass(frozen=True)
class Tensor(Mirror):
    name: str
    dtype: str
    shape: Sequence[int]


@dataclass(frozen=True)
class Model(Mirror):
    """A model in full; `tensors` only when asked for."""

    name: str
    family: str
    parts: Sequence[Part]
    tensors: Sequence[Tensor]
    vocabulary: int
    context_tokens: int
    image_tokens: int
    image_token_id: int
    attention: str
    aligner: str
    composite_layers: Sequence[int]
    fusion: str
    conversation: str
    file_bytes: int
    kv_bytes: int
    planned_bytes: int
    parameters: int
    workspace_bytes: int


@dataclass(frozen=True)
class ServerLimits(Mirror):
    """What the server refuses to go beyond."""

    max_message_bytes: int
    max_images: int
    max_image_bytes: int
    max_request_image_bytes: int
    max_image_pixels: int
    max_messages: int
    max_prompt_bytes: int


@dataclass(frozen=True)
class ImageStoreInfo(Mirror):
    """What the uploaded pictures take."""

    entries: int
    bytes: int
    budget_bytes: int
    hits: int
    misses: int
    evictions: int


@dataclass(frozen=True)
class GetServerInfoResponse(Mirror):
    """The server at this moment."""

    version: str
    start_time: int
    in_flight: int
    draining: bool
    limits: ServerLimits
    images: ImageStoreInfo
