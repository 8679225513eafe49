"""Any message of the schema, made from its descriptor: every kind of field, nested a few levels deep."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from xds_server.wire import message_class, pack

F = FieldDescriptor
_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    F.TYPE_DOUBLE: st.floats(allow_nan=False),
    F.TYPE_FLOAT: st.floats(width=32, allow_nan=False),
    F.TYPE_BOOL: st.booleans(),
    F.TYPE_STRING: st.text(max_size=5),
    F.TYPE_BYTES: st.binary(max_size=5),
    F.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    F.TYPE_SINT32: st.integers(-(2**31), 2**31 - 1),
    F.TYPE_SFIXED32: st.integers(-(2**31), 2**31 - 1),
    F.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    F.TYPE_SINT64: st.integers(-(2**63), 2**63 - 1),
    F.TYPE_SFIXED64: st.integers(-(2**63), 2**63 - 1),
    F.TYPE_UINT32: st.integers(0, 2**32 - 1),
    F.TYPE_FIXED32: st.integers(0, 2**32 - 1),
    F.TYPE_UINT64: st.integers(0, 2**64 - 1),
    F.TYPE_FIXED64: st.integers(0, 2**64 - 1),
}
_ANY = "google.protobuf.Any"
_PACKED = "envoy.config.route.v3.ScopedRouteConfiguration"
_DURATION = "google.protobuf.Duration"
_TIMESTAMP = "google.protobuf.Timestamp"


@st.composite
def messages(draw: st.DrawFn, name: str, depth: int = 3) -> Message:
    """A message of the type with some of its fields set, at most one of each oneof."""
    message = message_class(name)()
    fill(draw, message, depth)
    return message


def fill(draw: st.DrawFn, message: Message, depth: int) -> None:
    descriptor = message.DESCRIPTOR
    if descriptor.full_name in (_DURATION, _TIMESTAMP):
        fill_time(draw, message)
        return
    if descriptor.full_name == _ANY:
        message.MergeFrom(message_class(_ANY)(**pack(draw(messages(_PACKED, 1)))))
        return
    usable = [each for each in descriptor.fields if depth > 0 or each.message_type is None]
    chosen = (
        draw(st.lists(st.sampled_from(usable), unique_by=lambda each: each.name, max_size=6))
        if usable
        else []
    )
    for field in chosen:
        set_field(draw, message, field, depth)


def fill_time(draw: st.DrawFn, message: Any) -> None:
    # envoy-data-plane holds both as Python's own types, which count microseconds; negative ones it writes wrongly, and
    # none of ours is negative.
    micros = draw(st.integers(0, 10**14))
    message.seconds, message.nanos = micros // 10**6, micros % 10**6 * 1000


def set_field(draw: st.DrawFn, message: Message, field: Any, depth: int) -> None:
    value = getattr(message, field.name)
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        key, inner = kind.fields_by_name["key"], kind.fields_by_name["value"]
        for each in draw(st.lists(scalar(key), unique=True, max_size=3)):
            if inner.message_type is not None:
                fill(draw, value[each], depth - 1)
            else:
                value[each] = draw(scalar(inner))
    elif field.is_repeated and kind is not None:
        for _ in range(draw(st.integers(0, 3))):
            fill(draw, value.add(), depth - 1)
    elif field.is_repeated:
        value.extend(draw(st.lists(scalar(field), max_size=3)))
    elif kind is not None:
        value.SetInParent()
        fill(draw, value, depth - 1)
    else:
        setattr(message, field.name, draw(scalar(field)))


def scalar(field: Any) -> st.SearchStrategy[Any]:
    if field.type == F.TYPE_ENUM:
        return st.sampled_from([each.number for each in field.enum_type.values])
    return _SCALARS[field.type]
