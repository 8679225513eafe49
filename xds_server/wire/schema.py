"""Reads message and enum definitions out of envoy-data-plane's dataclass metadata.

The metadata of a generated class holds all that a ``FieldDescriptorProto`` needs: number, type, cardinality,
oneof group, map entry types, and the wrapper a Python value stands for.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, get_args, get_type_hints

from betterproto2 import FieldMetadata, Message
from envoy_data_plane.message_pool import default_message_pool
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto

_TYPES = {
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "float": FieldDescriptorProto.TYPE_FLOAT,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "fixed64": FieldDescriptorProto.TYPE_FIXED64,
    "fixed32": FieldDescriptorProto.TYPE_FIXED32,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "string": FieldDescriptorProto.TYPE_STRING,
    "message": FieldDescriptorProto.TYPE_MESSAGE,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "enum": FieldDescriptorProto.TYPE_ENUM,
    "sfixed32": FieldDescriptorProto.TYPE_SFIXED32,
    "sfixed64": FieldDescriptorProto.TYPE_SFIXED64,
    "sint32": FieldDescriptorProto.TYPE_SINT32,
    "sint64": FieldDescriptorProto.TYPE_SINT64,
}


def find_class(full_name: str) -> type[Message]:
    """The envoy-data-plane class of a message, imported on first use.

    ``full_name`` is the protobuf name, as ``envoy.config.route.v3.Route``. Raises ``LookupError`` if there is none.
    """
    package = ".".join(part for part in full_name.split(".") if part[:1].islower())
    try:
        importlib.import_module(f"envoy_data_plane.{package}")
        return default_message_pool.url_to_type[f"type.googleapis.com/{full_name}"]
    except (ImportError, KeyError):
        raise LookupError(f"envoy-data-plane has no message {full_name}") from None


def full_name(cls: type[Message]) -> str:
    """The protobuf name of an envoy-data-plane class."""
    return default_message_pool.type_to_url[cls].rpartition("/")[2]


def enum_name(cls: type[IntEnum]) -> str:
    """The name an enum gets here: its package and flattened Python name."""
    return f"{cls.__module__.removeprefix('envoy_data_plane.')}.{cls.__name__}"


def describe_enum(cls: type[IntEnum]) -> EnumDescriptorProto:
    """The descriptor of an enum; proto3 wants the zero value first."""
    described = EnumDescriptorProto(name=cls.__name__)
    for member in sorted(cls, key=lambda value: (value.value != 0, value.value)):
        described.value.add(name=member.name, number=member.value)
    return described


def describe_message(cls: type[Message]) -> tuple[DescriptorProto, set[type[Any]]]:
    """The descriptor of one message without its nested messages, and the classes its fields use."""
    described = DescriptorProto(name=full_name(cls).rpartition(".")[2])
    oneofs: dict[str, int] = {}
    used: set[type[Any]] = set()
    hints = get_type_hints(cls, vars(sys.modules[cls.__module__]), {})
    for field, meta in _fields(cls):
        name = field.name.rstrip("_")
        if meta.map_meta is not None:
            entry = described.nested_type.add(name=_entry_name(name))
            entry.options.map_entry = True
            for index, (part, part_meta) in enumerate(zip(("key", "value"), meta.map_meta, strict=True)):
                kind = part_meta.unwrap() if part_meta.unwrap else _type_of(hints, field.name, index)
                used |= _fill(entry.field.add(name=part, number=index + 1), part_meta.proto_type, kind)
            target = described.field.add(
                name=name, number=meta.number, label=FieldDescriptorProto.LABEL_REPEATED
            )
            target.type = FieldDescriptorProto.TYPE_MESSAGE
            target.type_name = f".{full_name(cls)}.{entry.name}"
            continue
        target = described.field.add(name=name, number=meta.number)
        kind = meta.unwrap() if meta.unwrap else _type_of(hints, field.name)
        used |= _fill(target, meta.proto_type, kind)
        if meta.repeated:
            target.label = FieldDescriptorProto.LABEL_REPEATED
        if meta.group:
            if meta.group not in oneofs:
                oneofs[meta.group] = len(oneofs)
                described.oneof_decl.add(name=meta.group)
            target.oneof_index = oneofs[meta.group]
    # proto3 `optional` is a oneof of one, and those stand after the real ones.
    for _, meta in _fields(cls):
        if meta.optional and not meta.group and not meta.repeated and meta.proto_type != "message":
            target = next(each for each in described.field if each.number == meta.number)
            target.oneof_index = len(described.oneof_decl)
            target.proto3_optional = True
            described.oneof_decl.add(name=f"_{target.name}")
    return described, used


def _fields(cls: type[Message]) -> Iterator[tuple[dataclasses.Field[Any], FieldMetadata]]:
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # generated as a dataclass
        yield field, FieldMetadata.get(field)


def _type_of(hints: dict[str, Any], name: str, index: int = 0) -> type[Any]:
    # `list[Route]`, `Route | None`, `dict[str, Route]`: the message stands inside; a plain one is itself.
    arguments = get_args(hints[name])
    kind: type[Any] = arguments[index] if arguments else hints[name]
    return kind


def _fill(target: FieldDescriptorProto, proto_type: str, kind: type[Any]) -> set[type[Any]]:
    target.type = _TYPES[proto_type]
    target.label = FieldDescriptorProto.LABEL_OPTIONAL
    if proto_type == "message":
        target.type_name = f".{full_name(kind)}"
        return {kind}
    if proto_type == "enum":
        target.type_name = f".{enum_name(kind)}_.{kind.__name__}"
        return {kind}
    return set()


def _entry_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_")) + "Entry"
