"""What a request may say. Names, ranges and defaults: docs/CLI.md and docs/interventions.md; None leaves an option to the server."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, Union

from ._mirror import Mirror

Role = Literal["user", "assistant"]
PromptFormat = Literal["chat", "raw"]
AttentionKind = Literal["stock", "composite"]
Aligner = Literal["vo", "vo_ffn", "none"]
Pooling = Literal["mean", "class_token", "pooled", "tokens"]
InterventionStart = Literal["prefill", "decode"]


@dataclass(frozen=True)
class Image(Mirror):
    """A picture in full: exactly one of `data` (a JPEG, PNG or WebP file), `id` (of an upload) and `uri` (`file:`, where allowed)."""

    data: bytes | None = None
    id: str | None = None
    uri: str | None = None
    exif: bool | None = None


@dataclass(frozen=True)
class UploadImageResponse(Mirror):
    """A picture that the server keeps. It goes into `images` as it is; `Image(id=…)` names it later."""

    id: str
    bytes: int


# A path, whose file is sent; the bytes of a file; an upload; or an Image.
ImageInput = Union[str, "os.PathLike[str]", bytes, UploadImageResponse, Image]


@dataclass(frozen=True)
class Message(Mirror):
    """One turn of a dialogue: user first, then in turn, user last. Pictures belong to user's turns."""

    role: Role
    text: str
    images: Sequence[ImageInput] = ()


@dataclass(frozen=True)
class Layers(Mirror):
    """Layers of the language model, 0-based, inclusive."""

    first: int
    last: int


@dataclass(frozen=True)
class Var(Mirror):
    """Redistributes the attention that sinks receive."""

    p: float | None = None
    rho: float | None = None
    tau: float | None = None
    mass: float | None = None
    layers: Layers | None = None
    dims: Sequence[int] = ()
    compat: Literal["paper", "release"] | None = None


@dataclass(frozen=True)
class Modulate(Mirror):
    """Raises the scores of the picture's local and summary patches. Not together with Pai."""

    alpha: float | None = None
    beta: float | None = None
    local: float | None = None
    spatial: float | None = None
    layers: Layers | None = None
    heads: Literal["uniform", "calibrated"] | None = None
    start: InterventionStart | None = None


@dataclass(frozen=True)
class Pai(Mirror):
    """Raises the scores of every visual token."""

    alpha: float | None = None
    layers: Layers | None = None
    start: InterventionStart | None = None


@dataclass(frozen=True)
class Guidance(Mirror):
    """Leads away from what the model would say without the picture. Not together with Vcd."""

    gamma: float | None = None
    cut: float | None = None


@dataclass(frozen=True)
class Vcd(Mirror):
    """Visual contrastive decoding: leads away from what the model says about a noised picture."""

    alpha: float | None = None
    beta: float | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Interventions(Mirror):
    """What a response says was applied, every default filled in; None is off."""

    var: Var | None = None
    modulate: Modulate | None = None
    pai: Pai | None = None
    guidance: Guidance | None = None
    vcd: Vcd | None = None


@dataclass(frozen=True)
class FaithfulnessOptions(Mirror):
    """Tests maps against covered parts of the picture."""

    blocks: int | None = None
    curve_points: int | None = None
    word_curves: bool | None = None
    seed: int | None = None


class PromptOptions(TypedDict, total=False):
    """What ask, stream and explain have in common. `messages` takes the place of the prompt."""

    model: str | None
    id: str | None
    messages: Sequence[Message] | None
    prompt_format: PromptFormat | None
    system: str | None

    max_new_tokens: int | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    repetition_penalty: float | None
    seed: int | None
    stop: Sequence[str] | None
    n: int | None
    logprobs: int | None

    var: Var | None
    modulate: Modulate | None
    pai: Pai | None
    guidance: Guidance | None
    vcd: Vcd | None

    attention: AttentionKind | None
    composite_layers: Layers | Sequence[Layers] | None
    aligner: Aligner | None

    choices: Sequence[str] | None
    regex: str | None
    json_schema: str | Mapping[str, object] | None


class AskOptions(PromptOptions, total=False):
    """Options of ask and stream."""

    priority: int | None
    grounding: bool | None


class ExplainOptions(PromptOptions, total=False):
    """Options of explain."""

    layers: Layers | None
    heads: Sequence[int] | None
    cosine: float | None
    faithfulness: FaithfulnessOptions | None
