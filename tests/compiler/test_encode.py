"""Bytes are made in one way only: map entries in the order of their keys."""

from __future__ import annotations

from typing import Any

from xds_server.compiler.encode import encode, struct
from xds_server.wire import message_class, pack

KEYS = [f"key-{number:02}" for number in range(40)]


def labels(keys: list[str]) -> Any:
    filter_metadata = {key: {"fields": {each: {"string_value": each} for each in keys}} for key in keys}
    metadata = {"filter_metadata": filter_metadata}
    return message_class("envoy.config.cluster.v3.Cluster")(name="c", metadata=metadata)


def in_order(body: bytes) -> bool:
    """Whether the first mention of each key comes after that of the one before."""
    places = [body.index(key.encode()) for key in KEYS]
    return places == sorted(places)


def test_a_resources_maps_are_sorted() -> None:
    for keys in (KEYS, KEYS[::-1]):
        assert in_order(encode(labels(keys), "c").body)


def test_so_are_those_of_what_is_packed() -> None:
    for keys in (KEYS, KEYS[::-1]):
        assert in_order(pack(labels(keys))["value"])


def test_so_are_structs_at_every_depth() -> None:
    backwards = {key: {"list": [dict.fromkeys(KEYS[::-1], key)]} for key in KEYS[::-1]}
    made = struct(backwards)
    assert bytes(made) == bytes(struct({key: {"list": [dict.fromkeys(KEYS, key)]} for key in KEYS}))
    assert [*made.fields] == KEYS


def test_the_version_is_of_the_bytes_and_not_of_the_origin() -> None:
    one, two = encode(labels(KEYS), "c", "a.yaml:1"), encode(labels(KEYS[::-1]), "c", "b.yaml:9")
    assert one.version == two.version
    assert one == two
    assert one.version != encode(labels(KEYS[1:]), "c").version
    assert one.version != encode(labels(KEYS), "d").version
