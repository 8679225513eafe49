"""Every resource that the goldens make means the same in both encoders, and all of it is in the schema."""

from __future__ import annotations

from functools import cache

import pytest
from google.protobuf.message import Message

from tests.golden.files import CASES, list_cases
from tests.golden.folder import list_views
from tests.wire.both import has_unknown_fields, list_encoded, parse, reencode


@cache
def messages() -> dict[str, dict[bytes, Message]]:
    """Every distinct resource of the goldens, and what is packed in one, as upb messages by type and bytes."""
    found: dict[str, dict[bytes, Message]] = {}
    for case in list_cases():
        for view in list_views(CASES / case / "in").values():
            for type_url in view.types():
                for resource in view.resources(type_url):
                    for each in list_encoded(parse(type_url.rpartition("/")[2], resource.body)):
                        body = each.SerializeToString(deterministic=True)
                        found.setdefault(each.DESCRIPTOR.full_name, {})[body] = each
    return found


HOT = [
    "envoy.config.cluster.v3.Cluster",
    "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "envoy.config.route.v3.RouteConfiguration",
    "envoy.config.route.v3.ScopedRouteConfiguration",
    "envoy.extensions.filters.http.composite.v3.Composite",
    "envoy.extensions.filters.http.composite.v3.ExecuteFilterAction",
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "envoy.extensions.filters.http.header_to_metadata.v3.Config",
    "envoy.extensions.filters.http.set_metadata.v3.Config",
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
    "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
    "envoy.extensions.filters.common.matcher.action.v3.SkipFilter",
    "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
    "envoy.extensions.http.injected_credentials.generic.v3.Generic",
    "envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
    "envoy.extensions.filters.http.lua.v3.Lua",
    "envoy.extensions.filters.http.lua.v3.LuaPerRoute",
    "envoy.extensions.filters.http.on_demand.v3.PerRouteConfig",
    "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
    "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
    "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
]
FLEET = [
    "envoy.config.core.v3.TypedExtensionConfig",
    "envoy.config.listener.v3.Listener",
    "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
    "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
    "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
    "envoy.extensions.filters.common.matcher.action.v3.SkipFilter",
    "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    "envoy.extensions.filters.http.on_demand.v3.OnDemand",
    "envoy.extensions.filters.http.rbac.v3.RBAC",
    "envoy.extensions.filters.http.router.v3.Router",
    "envoy.extensions.filters.http.set_filter_state.v3.Config",
    "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit",
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
    "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    "envoy.extensions.transport_sockets.tls.v3.Secret",
    "envoy.service.runtime.v3.Runtime",
    "envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
]


@pytest.mark.parametrize("name", HOT + FLEET)
def test_the_other_encoder_reads_and_writes_the_same(name: str) -> None:
    found = messages()[name]
    for body, message in found.items():
        again = parse(name, reencode(name, body))
        assert again == message
        assert not has_unknown_fields(again)


def test_nothing_is_outside_the_schema() -> None:
    for found in messages().values():
        for message in found.values():
            assert not has_unknown_fields(message)


def test_every_type_that_the_goldens_make_is_compared() -> None:
    assert messages().keys() == {*HOT, *FLEET}


def test_an_unknown_field_is_noticed() -> None:
    name = "envoy.config.route.v3.ScopedRouteConfiguration"
    assert not has_unknown_fields(parse(name, b"\x0a\x01a"))
    assert has_unknown_fields(parse(name, b"\x0a\x01a\xfa\x3f\x01x"))
