"""The two encoders agree: on any message, and on each kind of field made by hand in both."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from envoy_data_plane.envoy.config.cluster.v3 import (
    Cluster,
    ClusterCommonLbConfig,
    ClusterDiscoveryType,
    ClusterEdsClusterConfig,
)
from envoy_data_plane.envoy.config.core.v3 import Metadata
from envoy_data_plane.envoy.config.endpoint.v3 import ClusterLoadAssignment, LocalityLbEndpoints
from envoy_data_plane.envoy.config.route.v3 import (
    QueryParameterMatcher,
    RouteAction,
    RouteMatch,
    WeightedCluster,
    WeightedClusterClusterWeight,
)
from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest
from envoy_data_plane.envoy.type.v3 import Percent
from envoy_data_plane.google.protobuf import Any as PackedAny
from envoy_data_plane.google.protobuf import Struct
from google.protobuf.json_format import MessageToDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wire.both import has_unknown_fields, parse, reencode
from tests.wire.messages import messages
from xds_server.wire import descriptor_pool, message_class, pack
from xds_server.wire.schema import full_name

TYPES = [
    "envoy.config.cluster.v3.Cluster",
    "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "envoy.config.route.v3.RouteConfiguration",
    "envoy.config.route.v3.ScopedRouteConfiguration",
    "envoy.config.route.v3.Route",
    "envoy.config.core.v3.Metadata",
    "envoy.config.core.v3.HealthCheck",
    "envoy.config.rbac.v3.RBAC",
    "envoy.service.discovery.v3.DeltaDiscoveryRequest",
    "envoy.service.discovery.v3.DeltaDiscoveryResponse",
    "envoy.service.discovery.v3.DiscoveryRequest",
    "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
    "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
]


@pytest.mark.parametrize("name", TYPES)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_upb_writes_envoy_data_plane_reads_and_writes_back(name: str, data: st.DataObject) -> None:
    message = data.draw(messages(name))
    again = parse(name, reencode(name, message.SerializeToString()))
    assert again == message
    assert not has_unknown_fields(again)


SAME: dict[str, tuple[Any, dict[str, Any]]] = {
    "strings, with an escape and beyond ASCII": (Cluster(name="a/b\n\0é☃"), {"name": "a/b\n\0é☃"}),
    "an unset message": (Cluster(), {}),
    "a message that is set and empty": (
        Cluster(eds_cluster_config=ClusterEdsClusterConfig()),
        {"eds_cluster_config": {}},
    ),
    "an enum inside a oneof": (Cluster(type=ClusterDiscoveryType.EDS), {"type": "EDS"}),
    "an enum's zero inside a oneof": (Cluster(type=ClusterDiscoveryType.STATIC), {"type": "STATIC"}),
    "a bool": (Cluster(ignore_health_on_host_removal=True), {"ignore_health_on_host_removal": True}),
    "a wrapper": (
        Cluster(per_connection_buffer_limit_bytes=5),
        {"per_connection_buffer_limit_bytes": {"value": 5}},
    ),
    "a wrapper around zero": (
        Cluster(per_connection_buffer_limit_bytes=0),
        {"per_connection_buffer_limit_bytes": {"value": 0}},
    ),
    "a double of zero in a message that is set": (
        Cluster(common_lb_config=ClusterCommonLbConfig(healthy_panic_threshold=Percent(value=0.0))),
        {"common_lb_config": {"healthy_panic_threshold": {}}},
    ),
    "a duration": (
        Cluster(connect_timeout=timedelta(seconds=2, milliseconds=250)),
        {"connect_timeout": timedelta(seconds=2.25)},
    ),
    "a duration of zero": (RouteAction(timeout=timedelta(0)), {"timeout": {}}),
    "a long duration": (
        Cluster(connect_timeout=timedelta(days=40)),
        {"connect_timeout": {"seconds": 40 * 86400}},
    ),
    "repeated messages": (
        RouteMatch(query_parameters=[QueryParameterMatcher(name="a"), QueryParameterMatcher(name="b")]),
        {"query_parameters": [{"name": "a"}, {"name": "b"}]},
    ),
    "an empty string that is chosen in a oneof": (RouteMatch(prefix=""), {"prefix": ""}),
    "a bool of a oneof that is false": (
        QueryParameterMatcher(name="a", present_match=False),
        {"name": "a", "present_match": False},
    ),
    "messages in messages": (
        RouteAction(
            weighted_clusters=WeightedCluster(clusters=[WeightedClusterClusterWeight(name="a", weight=1)])
        ),
        {"weighted_clusters": {"clusters": [{"name": "a", "weight": {"value": 1}}]}},
    ),
    "a map of messages": (
        Metadata(filter_metadata={"a": Struct.from_dict({"region": "x"})}),
        {"filter_metadata": {"a": {"fields": {"region": {"string_value": "x"}}}}},
    ),
    "a struct of every kind of value": (
        Struct.from_dict({"n": 1.5, "b": False, "z": None, "l": ["x", {}], "o": {"k": ""}}),
        {
            "fields": {
                "n": {"number_value": 1.5},
                "b": {"bool_value": False},
                "z": {"null_value": 0},
                "l": {"list_value": {"values": [{"string_value": "x"}, {"struct_value": {}}]}},
                "o": {"struct_value": {"k": ""}},
            }
        },
    ),
    "a map of strings": (
        DeltaDiscoveryRequest(initial_resource_versions={"b": "1", "a": ""}),
        {"initial_resource_versions": {"b": "1", "a": ""}},
    ),
    "repeated strings, empty ones too": (
        DeltaDiscoveryRequest(resource_names_subscribe=["*", "", "*"]),
        {"resource_names_subscribe": ["*", "", "*"]},
    ),
    "a number above 31 bits": (
        LocalityLbEndpoints(load_balancing_weight=2**32 - 1),
        {"load_balancing_weight": {"value": 2**32 - 1}},
    ),
    "something packed": (
        Cluster(
            typed_extension_protocol_options={"x": PackedAny.pack(ClusterLoadAssignment(cluster_name="c"))}
        ),
        {
            "typed_extension_protocol_options": {
                "x": pack(message_class("envoy.config.endpoint.v3.ClusterLoadAssignment")(cluster_name="c"))
            }
        },
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_made_in_both_is_the_same_on_the_wire(case: str) -> None:
    typed, fields = SAME[case]
    name = full_name(type(typed))
    quick = message_class(name)(**fields)
    assert parse(name, bytes(typed)) == quick
    assert parse(name, reencode(name, quick.SerializeToString())) == quick


def test_setting_one_of_a_oneof_unsets_the_other() -> None:
    match: Any = message_class("envoy.config.route.v3.RouteMatch")(prefix="/a")
    match.path = "/b"
    assert match.WhichOneof("path_specifier") == "path"
    assert MessageToDict(match, descriptor_pool=descriptor_pool()) == {"path": "/b"}


def test_what_the_schema_does_not_reach_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        message_class("envoy.config.route.v3.Nothing")
    with pytest.raises(ValueError, match="no_such_field"):
        message_class("envoy.config.cluster.v3.Cluster")(no_such_field=1)
