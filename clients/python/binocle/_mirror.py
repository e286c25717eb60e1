"""Dataclasses that have the names and fields of the messages of binocle.v1, and the way there and back.

Values of enums are the texts of the command line: FINISH_REASON_STOP is "stop".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

from google.protobuf.message import Message

# google.protobuf.descriptor has them, but what messages give are those of the implementation in C.
FieldDescriptor = Any
EnumDescriptor = Any

M = TypeVar("M", bound="Mirror")


class Mirror:
    """Subclasses are frozen dataclasses whose name is a message's and whose fields are that message's."""

    classes: ClassVar[dict[str, type[Mirror]]] = {}

    def __init_subclass__(cls) -> None:
        Mirror.classes[cls.__name__] = cls

    @classmethod
    def from_proto(cls: type[M], message: Message) -> M:
        fields: Any = dataclasses.fields(cls)  # type: ignore[arg-type]
        return cls(**{field.name: _python_value(message, field) for field in fields})

    def to_proto(self, message: Message) -> None:
        """What is None stays unset."""
        message.SetInParent()
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            set_field(message, field.name, getattr(self, field.name))


def set_field(message: Message, name: str, value: Any) -> None:
    """Sets a field, unless the value is None. TypeError and ValueError name the field that the value does not fit."""
    if value is None:
        return
    field: FieldDescriptor = message.DESCRIPTOR.fields_by_name[name]
    try:
        if field.is_repeated:
            _extend(getattr(message, name), field, value)
        elif field.message_type is not None:
            _expect(field, value).to_proto(getattr(message, name))
        elif field.enum_type is not None:
            setattr(message, name, _enum_number(field.enum_type, value))
        else:
            setattr(message, name, value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def _extend(container: Any, field: FieldDescriptor, values: Iterable[Any]) -> None:
    # A text is a sequence of texts too: stop="END" would be three stops.
    if isinstance(values, (str, bytes)):
        raise TypeError(f"found one {type(values).__name__}, expected a list")
    for value in values:
        if field.message_type is None:
            container.append(value)
        else:
            _expect(field, value).to_proto(container.add())


def _expect(field: FieldDescriptor, value: Any) -> Mirror:
    expected = Mirror.classes[field.message_type.name]
    if not isinstance(value, expected):
        raise TypeError(f"found {type(value).__name__}, expected {expected.__name__}")
    return value


def _prefix(enum: EnumDescriptor) -> str:
    """Values begin with their enum's name, and the first is ENUM_NAME_UNSPECIFIED."""
    first: str = enum.values[0].name
    return first[: -len("UNSPECIFIED")]


def _enum_number(enum: EnumDescriptor, text: str) -> int:
    prefix = _prefix(enum)
    known = {value.name[len(prefix) :].lower(): value.number for value in enum.values[1:]}
    if text not in known:
        raise ValueError(f"found {text!r}, expected {' or '.join(repr(name) for name in known)}")
    return int(known[text])


def _enum_text(enum: EnumDescriptor, number: int) -> str:
    """A number that this client does not know, from a newer server, stays a number."""
    value = enum.values_by_number.get(number)
    return str(number) if value is None else value.name[len(_prefix(enum)) :].lower()


def _python_value(message: Message, target: dataclasses.Field[Any]) -> Any:
    """None where the message has nothing and the dataclass may say so; else what protobuf takes the absent for: zero, empty."""
    field: FieldDescriptor = message.DESCRIPTOR.fields_by_name[target.name]
    value = getattr(message, target.name)
    if field.is_repeated:
        return tuple(_scalar_or_mirror(field, item) for item in value)
    # Enums have no presence: their zero says that nothing is said.
    absent = not message.HasField(target.name) if field.has_presence else field.enum_type is not None and value == 0
    if absent and target.default is None:
        return None
    return _scalar_or_mirror(field, value)


def _scalar_or_mirror(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return Mirror.classes[field.message_type.name].from_proto(value)
    return value if field.enum_type is None else _enum_text(field.enum_type, value)
