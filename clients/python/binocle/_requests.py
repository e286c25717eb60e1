"""From arguments to messages of binocle.v1."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ._mirror import set_field
from ._options import AskOptions, ExplainOptions, Image, ImageInput, Layers, Message, UploadImageResponse
from ._proto.v1 import generation_pb2, image_pb2, interventions_pb2
from ._proto.v1 import vision_language_service_pb2 as service

UPLOAD_CHUNK = 256 * 1024  # pieces of 64 KiB to 1 MiB serve well, says the proto

# Where requests have the options that are not fields of their own.
_PLACES = {
    **{name: ("sampling", name) for name in generation_pb2.Sampling.DESCRIPTOR.fields_by_name},
    **{name: ("interventions", name) for name in interventions_pb2.Interventions.DESCRIPTOR.fields_by_name},
    "attention": ("attention", "kind"),
    "composite_layers": ("attention", "composite_layers"),
    "aligner": ("attention", "aligner"),
}
_CONSTRAINTS = tuple(generation_pb2.Constraint.DESCRIPTOR.fields_by_name)


R = TypeVar("R", service.AskRequest, service.GenerateRequest)


def image_of(value: ImageInput) -> Image:
    if isinstance(value, Image):
        if sum(source is not None for source in (value.data, value.id, value.uri)) != 1:
            raise ValueError("Image: expected exactly one of data, id and uri")
        return value
    if isinstance(value, UploadImageResponse):
        return Image(id=value.id)
    return Image(data=file_of(value))


def file_of(value: str | os.PathLike[str] | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, (str, os.PathLike)):
        with open(value, "rb") as file:
            return file.read()
    raise TypeError(f"found {type(value).__name__}, expected a path or the bytes of a file")


def images_of(values: Sequence[ImageInput]) -> list[Image]:
    # A path is a sequence of texts, and bytes are one of numbers: images="scene.png" would be nine pictures.
    if isinstance(values, (str, bytes, os.PathLike)):
        raise TypeError(f"images: found one {type(values).__name__}, expected a list")
    return [image_of(value) for value in values]


def generate_request(method: str, request: R, prompt: str | None, images: Sequence[ImageInput], options: AskOptions) -> R:
    _fill(method, request, prompt, images, options, AskOptions.__annotations__)
    return request


def explain_request(prompt: str | None, images: Sequence[ImageInput], options: ExplainOptions) -> service.ExplainRequest:
    request = service.ExplainRequest()
    _fill("explain", request, prompt, images, options, ExplainOptions.__annotations__)
    return request


def embed_request(
    images: Sequence[ImageInput], texts: Sequence[str], model: str | None, pooling: str | None, normalize: bool | None
) -> service.EmbedRequest:
    request = service.EmbedRequest()
    set_field(request, "images", images_of(images))
    for name, value in (("texts", texts), ("model", model), ("pooling", pooling), ("normalize", normalize)):
        set_field(request, name, value)
    return request


def upload_requests(file: bytes) -> Iterator[service.UploadImageRequest]:
    """Size and digest go first: the server refuses what is too large before it comes, and what arrives damaged."""
    metadata = image_pb2.ImageMetadata(bytes=len(file), id=hashlib.sha256(file).hexdigest())
    yield service.UploadImageRequest(metadata=metadata)
    for begin in range(0, len(file), UPLOAD_CHUNK):
        yield service.UploadImageRequest(chunk=file[begin : begin + UPLOAD_CHUNK])


def _fill(
    method: str,
    request: Any,
    prompt: str | None,
    images: Sequence[ImageInput],
    options: Mapping[str, Any],
    known: Mapping[str, Any],
) -> None:
    for name in options:
        if name not in known:
            raise TypeError(f"{method}() got an unexpected option {name!r}")
    set_field(request, "prompt", prompt)
    set_field(request, "images", images_of(images))
    for name, value in options.items():
        if value is None:
            continue
        if name == "composite_layers" and isinstance(value, Layers):
            value = [value]
        if name == "messages":
            set_field(request, name, [_with_images(message) for message in value])
        elif name in _CONSTRAINTS:
            _set_constraint(request.constraint, name, value)
        else:
            place, field = _PLACES.get(name, ("", name))
            set_field(getattr(request, place) if place else request, field, value)


def _with_images(message: Message) -> Message:
    return dataclasses.replace(message, images=images_of(message.images))


def _set_constraint(constraint: generation_pb2.Constraint, name: str, value: Any) -> None:
    # Protobuf would keep the last one and say nothing.
    if other := constraint.WhichOneof("kind"):
        raise ValueError(f"{name}: not together with {other}")
    if name == "choices":
        constraint.choices.SetInParent()
        set_field(constraint.choices, "values", value)
    else:
        set_field(constraint, name, json.dumps(value) if isinstance(value, Mapping) else value)
