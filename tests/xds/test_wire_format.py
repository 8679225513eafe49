from __future__ import annotations

from typing import Any

import pytest

from xds_server.protocol import Node, Response
from xds_server.protocol import types as t
from xds_server.server.wire_format import Encoder, MalformedRequestError, decode_delta, decode_sotw
from xds_server.snapshot import Resource
from xds_server.wire import message_class

DISCOVERY = "envoy.service.discovery.v3."


def new(name: str) -> Any:
    return message_class(DISCOVERY + name)()


RESOURCES = tuple(
    Resource.of(t.CLUSTER, name, b"x" * size)
    for name, size in [("a", 0), ("b", 127), ("ü", 128), ("d", 70_000)]
)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_A5_A6_P1_a_sotw_response_is_what_protobuf_would_write(count: int) -> None:
    resources = RESOURCES[:count]
    expected = new("DiscoveryResponse")
    expected.version_info, expected.type_url, expected.nonce = "v", t.CLUSTER, "n"
    expected.control_plane.identifier = "fairlead"
    for resource in resources:
        expected.resources.add(type_url=t.CLUSTER, value=resource.body)
    encoder = Encoder("fairlead")
    for _ in range(2):
        found = new("DiscoveryResponse")
        found.ParseFromString(encoder.sotw(Response(t.CLUSTER, "n", "v", resources)))
        assert found == expected


@pytest.mark.parametrize("count", [0, 1, 4])
def test_A5_G5_P1_a_delta_response_is_what_protobuf_would_write(count: int) -> None:
    resources = RESOURCES[:count]
    expected = new("DeltaDiscoveryResponse")
    expected.system_version_info, expected.type_url, expected.nonce = "v", t.CLUSTER, "n"
    expected.control_plane.identifier = "fairlead"
    expected.removed_resources.extend(["gone", "away"])
    for resource in resources:
        each = expected.resources.add(name=resource.name, version=resource.version)
        each.resource.type_url, each.resource.value = t.CLUSTER, resource.body
    encoder = Encoder("fairlead")
    for _ in range(2):
        found = new("DeltaDiscoveryResponse")
        found.ParseFromString(encoder.delta(Response(t.CLUSTER, "n", "v", resources, ("gone", "away"))))
        assert found == expected


def test_K1_no_response_carries_a_ttl() -> None:
    found = new("DeltaDiscoveryResponse")
    found.ParseFromString(Encoder("x").delta(Response(t.CLUSTER, "n", "v", RESOURCES)))
    assert not any(resource.HasField("ttl") for resource in found.resources)


def test_N6_streams_share_encoded_resources_but_not_each_others() -> None:
    encoder = Encoder("x")
    one = encoder.sotw(Response(t.CLUSTER, "1", "v", RESOURCES))
    other = encoder.sotw(Response(t.CLUSTER, "2", "v", RESOURCES))
    assert one.replace(b"\x2a\x011", b"\x2a\x012") == other
    middle = (RESOURCES[0], Resource.of(t.CLUSTER, "b", b"new"), *RESOURCES[2:])
    found = new("DiscoveryResponse")
    found.ParseFromString(encoder.sotw(Response(t.CLUSTER, "3", "v", middle)))
    assert found.resources[1].value == b"new"
    for turn in range(100):
        encoder.sotw(Response(t.CLUSTER, "n", "v", (Resource.of(t.CLUSTER, "a", bytes([turn])),)))
    assert len(encoder._shared) == 16


def test_requests_are_read() -> None:
    delta = new("DeltaDiscoveryRequest")
    delta.node.id, delta.node.cluster, delta.node.locality.region = "n", "edge", "eu"
    delta.node.user_agent_name = "envoy"
    delta.node.user_agent_build_version.version.major_number = 1
    delta.node.user_agent_build_version.version.minor_number = 40
    delta.type_url, delta.response_nonce = t.CLUSTER, "7"
    delta.resource_names_subscribe.extend(["a", "b"])
    delta.resource_names_unsubscribe.append("c")
    delta.initial_resource_versions["a"] = "1"
    request = decode_delta(delta.SerializeToString())
    assert request.node == Node("n", "edge", "eu", "envoy 1.40.0", release=(1, 40))
    assert (request.subscribe, request.unsubscribe) == (("a", "b"), ("c",))
    assert request.initial_versions == {"a": "1"}
    assert (request.nonce, request.error) == ("7", None)
    sotw = new("DiscoveryRequest")
    sotw.type_url, sotw.version_info = t.CLUSTER, "5"
    sotw.resource_names.append("a")
    sotw.error_detail.SetInParent()
    request = decode_sotw(sotw.SerializeToString())
    assert (request.names, request.version, request.error, request.node) == (("a",), "5", "", None)


def test_A15_unknown_fields_are_ignored() -> None:
    assert decode_sotw(b"\x22\x01t" + b"\xfa\x3e\x03new").type_url == "t"


@pytest.mark.parametrize("decode", [decode_sotw, decode_delta])
def test_bytes_that_are_no_request_are_refused(decode: Any) -> None:
    with pytest.raises(MalformedRequestError):
        decode(b"\xff\xff")
