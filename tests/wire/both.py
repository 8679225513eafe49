"""A message through both encoders: upb, and envoy-data-plane's own (betterproto2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from betterproto2 import Message as DataPlaneMessage
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from xds_server.wire import message_class
from xds_server.wire.schema import find_class

_ANY = "google.protobuf.Any"


def parse(name: str, body: bytes) -> Message:
    """The body as a upb message."""
    message = message_class(name)()
    message.ParseFromString(body)
    return message


def reencode(name: str, body: bytes) -> bytes:
    """The body decoded and encoded again by envoy-data-plane."""
    cls: type[DataPlaneMessage] = find_class(name)
    return bytes(cls.parse(body))


def walk(message: Message) -> Iterator[Message]:
    """The message and every message in it, those that are packed in an `Any` included."""
    yield message
    if message.DESCRIPTOR.full_name == _ANY:
        yield from walk(unpack(message))
        return
    for field, value in message.ListFields():
        inner = field.message_type
        if inner is None:
            continue
        if inner.GetOptions().map_entry:
            if inner.fields_by_name["value"].message_type is not None:
                for each in value.values():
                    yield from walk(each)
        elif field.is_repeated:
            for each in value:
                yield from walk(each)
        else:
            yield from walk(value)


def unpack(holder: Any) -> Message:
    """What is in an `Any`."""
    return parse(holder.type_url.rpartition("/")[2], holder.value)


def list_encoded(message: Message) -> list[Message]:
    """The message and those packed in it: all that was encoded by itself."""
    return [message, *(unpack(each) for each in walk(message) if each.DESCRIPTOR.full_name == _ANY)]


def has_unknown_fields(message: Message) -> bool:
    return any(len(UnknownFieldSet(each)) for each in walk(message))  # type: ignore[arg-type]
