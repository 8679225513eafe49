"""Resources as people read them: the JSON form of Envoy's API, with what is packed inside unpacked."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.json_format import MessageToDict

from xds_server.snapshot import Resource
from xds_server.wire import descriptor_pool, message_class

_ANY = "google.protobuf.Any"
_FREE_FORM = "google.protobuf."


def show(resource: Resource) -> dict[str, Any]:
    """A resource's message as a JSON object with Envoy's field names: fields in declared order, map keys sorted.

    Raises ``google.protobuf.message.DecodeError`` if the bytes are not a message of the resource's type.
    """
    message = message_class(resource.type_url.rpartition("/")[2])()
    message.ParseFromString(resource.body)
    plain = MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=descriptor_pool())
    # The content of an `Any` comes as a dict of another class; a trip through JSON leaves plain ones.
    shown: dict[str, Any] = _sort_maps(json.loads(json.dumps(plain)), message.DESCRIPTOR)
    return shown


def _sort_maps(value: Any, descriptor: Any) -> Any:
    # Protobuf keeps maps in an order of its own, another one in each process.
    if isinstance(value, list):
        return [_sort_maps(each, descriptor) for each in value]
    if not isinstance(value, dict) or not value:
        return value
    if descriptor.full_name == _ANY:
        packed = descriptor_pool().FindMessageTypeByName(value["@type"].rpartition("/")[2])
        return {"@type": value["@type"], **_sort_maps(value, packed)}
    if descriptor.full_name.startswith(_FREE_FORM):
        return _sort_keys(value)
    return {name: _sort_field(each, descriptor, name) for name, each in value.items() if name != "@type"}


def _sort_field(value: Any, descriptor: Any, name: str) -> Any:
    inner = descriptor.fields_by_name[name].message_type
    if inner is None:
        return value
    if not inner.GetOptions().map_entry:
        return _sort_maps(value, inner)
    entry = inner.fields_by_name["value"].message_type
    return {key: value[key] if entry is None else _sort_maps(value[key], entry) for key in sorted(value)}


def _sort_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sort_keys(value[key]) for key in sorted(value)}
    return [_sort_keys(each) for each in value] if isinstance(value, list) else value
