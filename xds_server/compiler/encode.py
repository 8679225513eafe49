"""From messages to resources: the one place where bytes are made.

The fleet's few resources are envoy-data-plane messages, checked field by field as they are built; the many per-endpoint
ones are upb messages of the same schema. Both end as a ``Resource`` whose version is the hash of its bytes, so the
same input gives the same version in any process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any as Anything
from typing import Protocol

import betterproto2
from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig
from envoy_data_plane.google.protobuf import Any, Struct

from xds_server.snapshot import Resource
from xds_server.wire import message_class, type_url

from .names import EXTENSION_CONFIG


class _UpbMessage(Protocol):
    DESCRIPTOR: Anything

    def SerializeToString(self, *, deterministic: bool) -> bytes: ...  # noqa: N802 (protobuf's name)


def encode(message: _UpbMessage, name: str, origin: str = "", needs: Iterable[str] = ()) -> Resource:
    """A upb message as a resource; map entries are sorted by key.

    ``origin`` is ``file:line`` of its manifest, ``needs`` the clusters that must be there before it.
    """
    url = type_url(message.DESCRIPTOR.full_name)
    return Resource.of(url, name, message.SerializeToString(deterministic=True), origin, needs)


def encode_typed(message: betterproto2.Message, name: str, origin: str = "") -> Resource:
    """An envoy-data-plane message as a resource. Its maps must have been filled in sorted order."""
    packed = Any.pack(message)
    return Resource.of(packed.type_url, name, packed.value, origin)


def encode_extension(message: betterproto2.Message, name: str, uses: Iterable[str] = ()) -> Resource:
    """A filter's configuration as an ECDS resource, whose name is the filter's; ``uses`` are clusters it sends to."""
    config = TypedExtensionConfig(name=name, typed_config=Any.pack(message))
    return Resource.of(type_url(EXTENSION_CONFIG), name, bytes(config), uses=uses)


def flat_struct(values: Mapping[str, bool | float | str]) -> Anything:
    """A Struct of plain values, as a upb message.

    Given as a dict, protobuf takes the Struct's own `fields` for a key of it where the field is not in a map.
    """
    # `True` is a number to Python, so it is asked for first.
    kinds = ((bool, "bool_value"), (str, "string_value"), (int | float, "number_value"))
    fields = {
        key: {next(field for kind, field in kinds if isinstance(value, kind)): value}
        for key, value in values.items()
    }
    return message_class("google.protobuf.Struct")(fields=fields)


def struct(value: dict[str, Anything]) -> Struct:
    """A JSON object as a Struct, keys in sorted order at every depth."""
    built: Struct = Struct.from_dict(_sort(value))
    return built


def _sort(value: Anything) -> Anything:
    if isinstance(value, dict):
        return {key: _sort(value[key]) for key in sorted(value)}
    return [_sort(item) for item in value] if isinstance(value, list) else value
