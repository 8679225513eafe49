"""Message classes by full name, built on first use in a private descriptor pool.

A private pool keeps these classes apart from any other package that ships Envoy's protos in this process.
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from .derivation import NAME, load
from .well_known import FILES

_building = Lock()


def descriptor_pool() -> DescriptorPool:
    """The pool that holds every message reachable from ``ROOTS``; for JSON in and out of ``Any``."""
    with _building:  # two threads that come first together would make two
        return _build()


@cache
def _build() -> DescriptorPool:
    pool = DescriptorPool()
    for well_known in FILES:
        pool.AddSerializedFile(well_known.serialized_pb)
    pool.AddSerializedFile(load())
    # All classes now: protobuf makes one when it first meets it, and two threads may meet it together.
    for name in (*(each.name for each in FILES), NAME):
        for descriptor in pool.FindFileByName(name).message_types_by_name.values():
            _make_classes(descriptor)
    return pool


def _make_classes(descriptor: Descriptor) -> None:
    GetMessageClass(descriptor)
    for nested in descriptor.nested_types:
        _make_classes(nested)


@cache
def message_class(name: str) -> type[Message]:
    """The upb class of an Envoy API message.

    ``name`` is a full protobuf name, as ``envoy.config.route.v3.RouteConfiguration``. The class takes nested
    dicts and lists as keyword arguments. Raises ``KeyError`` if nothing in ``ROOTS`` reaches the message.
    """
    return GetMessageClass(descriptor_pool().FindMessageTypeByName(name))


@cache  # every resource has one: the same text for all of a type
def type_url(name: str) -> str:
    """The type URL of a message: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#resource-types."""
    return f"type.googleapis.com/{name}"


def pack(message: Message) -> dict[str, Any]:
    """The message as the content of an ``Any``: ``{"type_url", "value"}``, encoded deterministically."""
    return {
        "type_url": type_url(message.DESCRIPTOR.full_name),
        "value": message.SerializeToString(deterministic=True),
    }
