"""Listeners: one per gateway listener, each a connection manager with the filters in their one right order.

Path note → credentials → authentication → membership → request guard → (on demand) → caller → access → (waiting) →
router. What changes with issuers and workspaces comes over ECDS, so that a new issuer or key drains no listener.
Nothing that protects by route may stand before the route is known: filters in front of the one that fetches it are not
run again.
"""

from __future__ import annotations

from datetime import timedelta

import betterproto2
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    ExtensionConfigSource,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    SocketAddress,
    TransportSocket,
)
from envoy_data_plane.envoy.config.listener.v3 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    Listener,
    ListenerFilter,
)
from envoy_data_plane.envoy.extensions.filters.http.on_demand.v3 import OnDemand
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac
from envoy_data_plane.envoy.extensions.filters.listener.tls_inspector.v3 import TlsInspector
from envoy_data_plane.envoy.extensions.filters.network.connection_limit.v3 import ConnectionLimit
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerCodecType,
    HttpConnectionManagerHcmAccessLogOptions,
    HttpConnectionManagerPathWithEscapedSlashesAction,
    HttpConnectionManagerUpgradeConfig,
    HttpFilter,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CommonTlsContext,
    DownstreamTlsContext,
    SdsSecretConfig,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher
from envoy_data_plane.google.protobuf import Any

from xds_server.graph import Edge
from xds_server.policy import Listener as ListenerSpec
from xds_server.snapshot import Resource

from .access_log import compile_access_log, compile_path_note
from .encode import encode_typed
from .headers import UPGRADE, early_mutation, internal_mutation, router
from .idempotent import compile_idempotent
from .local_reply import compile_local_reply
from .names import (
    ACCESS,
    AUTHENTICATION,
    CALLER,
    CREDENTIALS,
    IDEMPOTENT_RETRIES,
    INTERNAL_HEADERS,
    LOCATION_HINT,
    MEMBERSHIP,
    ON_DEMAND,
    PATH_NOTE,
    REQUEST,
    RESIDENCY,
    RESIDENCY_NOTE,
    ROUTER,
    WAITING,
    WORKSPACE_NOTE,
    name_certificate,
)
from .release import Feature
from .request import compile_request_guard
from .residency import compile_residency_guard, compile_residency_note
from .scope_key import scoped_routes
from .sticky import caller_filter
from .target import Target
from .waiting import TELLING_EVERY, waiting_filter
from .workspace_note import compile_workspace_note

_ESCAPED_SLASHES = {
    "reject": HttpConnectionManagerPathWithEscapedSlashesAction.REJECT_REQUEST,
    "keep": HttpConnectionManagerPathWithEscapedSlashesAction.KEEP_UNCHANGED,
}
# Streams of tokens: small windows bound what a slow reader can make Envoy hold.
_STREAM_WINDOW = 256 * 1024
_CONNECTION_WINDOW = 1024 * 1024
_RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
_MATCHED = "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher"
_JWT = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"


def compile_listener(edge: Edge, listener: ListenerSpec, target: Target) -> Resource:
    """The Envoy listener of one gateway listener."""
    manager = Filter(name="http", typed_config=Any.pack(_connection_manager(edge, listener, target)))
    chain = FilterChain(filters=[_connection_limit(edge, listener), manager])
    filters = []
    if listener.tls is not None:
        chain.transport_socket = _tls(name_certificate(edge.name, listener.name), target)
        if listener.hostnames:
            chain.filter_chain_match = FilterChainMatch(server_names=list(listener.hostnames))
            inspector = Any.pack(TlsInspector())
            filters = [ListenerFilter(name="envoy.filters.listener.tls_inspector", typed_config=inspector)]
    name = f"{edge.name}/{listener.name}"
    message = Listener(
        name=name,
        address=Address(socket_address=SocketAddress(address=listener.address, port_value=listener.port)),
        listener_filters=filters,
        filter_chains=[chain],
        per_connection_buffer_limit_bytes=_CONNECTION_WINDOW,
    )
    return encode_typed(message, name, str(edge.gateway.origin))


def _connection_limit(edge: Edge, listener: ListenerSpec) -> Filter:
    # Envoy itself knows no limit; the bootstrap's holds for the whole process, this one for the listener.
    limit = ConnectionLimit(stat_prefix=listener.name, max_connections=edge.gateway.spec.limits.connections)
    return Filter(name="connection_limit", typed_config=Any.pack(limit))


def _connection_manager(edge: Edge, listener: ListenerSpec, target: Target) -> HttpConnectionManager:
    spec = edge.gateway.spec
    return HttpConnectionManager(
        stat_prefix=listener.name,
        codec_type=HttpConnectionManagerCodecType.AUTO,
        scoped_routes=scoped_routes(target),
        http_filters=_filters(edge, listener, target),
        local_reply_config=compile_local_reply(target),
        access_log=compile_access_log(),
        access_log_options=HttpConnectionManagerHcmAccessLogOptions(access_log_flush_interval=TELLING_EVERY),
        early_header_mutation_extensions=[early_mutation()],
        upgrade_configs=[HttpConnectionManagerUpgradeConfig(upgrade_type=UPGRADE)],
        # What the scope key, the membership check and the routes look at is one and the same normalised path.
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action=_ESCAPED_SLASHES[spec.paths.encoded_slashes],
        # An edge: no client is trusted to say who it is or which request this is. `internal_address_config` stays
        # unset: an empty one would trust private addresses.
        use_remote_address=True,
        always_set_request_id_in_response=True,
        stream_idle_timeout=_seconds(spec.timeouts.idle),
        request_headers_timeout=_seconds(spec.timeouts.headers),
        drain_timeout=_seconds(spec.timeouts.drain),
        common_http_protocol_options=HttpProtocolOptions(max_stream_duration=_stream_limit(edge, target)),
        # Envoy refuses an upgrade that it does not do before any filter, and only where there is a route: a stranger
        # would learn which models exist. Without the header it is a request like any other.
        http_protocol_options=Http1ProtocolOptions(ignore_http_11_upgrade=_all_but(UPGRADE)),
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=spec.limits.concurrent_streams,
            initial_stream_window_size=_STREAM_WINDOW,
            initial_connection_window_size=_CONNECTION_WINDOW,
            # A malformed request ends its own stream, not those of others who share the connection.
            override_stream_error_on_invalid_http_message=True,
        ),
        max_request_headers_kb=spec.limits.request_headers_kib,
    )


def _stream_limit(edge: Edge, target: Target) -> timedelta:
    # Where routes may come with the first request, each brings the limit of the whole itself. This one holds until
    # then: without a control plane Envoy would wait for ever.
    timeouts = edge.gateway.spec.timeouts
    return _seconds(timeouts.total if target.fetching is None else timeouts.cold_start)


def _filters(edge: Edge, listener: ListenerSpec, target: Target) -> list[HttpFilter]:
    lacks = Feature.CEL_STRINGS in target.lacking
    return [
        _filter(PATH_NOTE, compile_path_note()),
        *([_filter(WORKSPACE_NOTE, compile_workspace_note())] if lacks else []),
        _discovered(CREDENTIALS, _RBAC, target),
        _discovered(AUTHENTICATION, _JWT, target),
        _discovered(MEMBERSHIP, _RBAC, target),
        _filter(REQUEST, compile_request_guard(edge, listener, target)),
        # Whoever gets here may know whether the model exists, and may have it fetched.
        *([_filter(ON_DEMAND, OnDemand())] if target.fetching is not None else []),
        # Idle but on routes that say so: then the route is picked once more. Access looks at the route that was, and
        # before the header that scopes are cut from is gone.
        _filter(CALLER, caller_filter()),
        # Empty: every endpoint's routes bring its own rules, and without a route there is nothing to reach.
        _filter(ACCESS, Rbac()),
        # What a caller may ask for depends on the route, too.
        _filter(RESIDENCY, compile_residency_guard()),
        _filter(RESIDENCY_NOTE, compile_residency_note()),
        _discovered(LOCATION_HINT, _MATCHED, target),
        _filter(INTERNAL_HEADERS, internal_mutation()),
        _filter(IDEMPOTENT_RETRIES, compile_idempotent()),
        # Whoever gets here may have a backend started: behind all that may still refuse the request.
        *([_filter(WAITING, waiting_filter())] if target.fetching is not None else []),
        _filter(ROUTER, router()),
    ]


def _filter(name: str, config: betterproto2.Message) -> HttpFilter:
    return HttpFilter(name=name, typed_config=Any.pack(config))


def _discovered(name: str, type_url: str, target: Target) -> HttpFilter:
    source = ExtensionConfigSource(config_source=target.typed_source, type_urls=[type_url])
    return HttpFilter(name=name, config_discovery=source)


def _tls(secret: str, target: Target) -> TransportSocket:
    certificate = SdsSecretConfig(name=secret, sds_config=target.typed_source)
    common = CommonTlsContext(
        alpn_protocols=["h2", "http/1.1"], tls_certificate_sds_secret_configs=[certificate]
    )
    context = DownstreamTlsContext(common_tls_context=common)
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=Any.pack(context))


def _all_but(word: str) -> list[StringMatcher]:
    # RE2 has no way to say `not`: the beginnings of the word, those that go on in another way, and what is longer. One
    # by one, since Envoy up to 1.38 refuses a program of more than 100 instructions.
    others = [f"{word[:at]}(?:[^{letter}].*)?" for at, letter in enumerate(word)]
    return [StringMatcher(safe_regex=RegexMatcher(regex=f"(?i){each}")) for each in (*others, f"{word}.+")]


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)
