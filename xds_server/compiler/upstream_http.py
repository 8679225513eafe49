"""HTTP towards backends: the protocol, and the path prefix where a backend has one."""

from __future__ import annotations

from typing import Any

from xds_server.graph import Endpoint, Revision
from xds_server.wire import message_class, pack

from .headers import MARK_OF_ENVOY
from .names import (
    BACKEND,
    BACKEND_PREFIX,
    CREDENTIALS_HEADER,
    CREDENTIALS_LABEL,
    ENDPOINT_METADATA,
    ERROR_HEADER,
    PREFIX_HEADER,
    REGION_HEADER,
    SERVED_BY_HEADER,
)
from .route import set_header
from .target import Target
from .upstream_credentials import describe_injection, list_credentials

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HEADER_MUTATION = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
_LUA = "envoy.extensions.filters.http.lua.v3.Lua"
_CODEC = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"

# Nobody waits for the answer to a copy, so nothing else would end one that never comes.
_COPY_LIMIT = {"seconds": 15 * 60}

# A route's rewrite is the same for all revisions of a split, and no header mutation may touch `:path`. Where backends
# want a prefix of their own, this stands behind the choice of the backend; other clusters do not pay for it. Each
# attempt meets the headers as the one before left them, so the path without a prefix is kept beside them.
_ADD_PREFIX = f"""function envoy_on_request(request)
  local headers = request:headers()
  local notes = request:streamInfo():dynamicMetadata()
  local note = notes:get("{BACKEND_PREFIX}")
  local path = note ~= nil and note["path"] or headers:get(":path")
  if note == nil then
    notes:set("{BACKEND_PREFIX}", "path", path)
  end
  local prefix = headers:get("{PREFIX_HEADER}")
  if prefix ~= nil and prefix ~= "" and prefix ~= "-" then
    path = prefix .. path
  end
  headers:replace(":path", path)
  headers:remove("{PREFIX_HEADER}")
end
"""


def describe_protocol(endpoint: Endpoint, revision: Revision, target: Target) -> dict[str, Any]:
    """The cluster's ``typed_extension_protocol_options``: nothing for plain HTTP/1.1 backends without a prefix or
    credentials.

    Envoy checks by gRPC in clusters that can speak HTTP/2 only, and what answers gRPC speaks it: so plain backends that
    are checked that way are asked in HTTP/2 from the first byte.
    """
    secure = [backend.tls is not None for backend in revision.backends]
    prefixed = any(backend.path_prefix for backend in revision.backends)
    by_grpc = revision.health_check is not None and revision.health_check.type == "grpc"
    credentials = list_credentials(revision)
    if not any(secure) and not prefixed and not by_grpc and not credentials and not revision.shadow:
        return {}
    # ALPN picks HTTP/2 where the server offers it; a cluster with a plain backend has no ALPN to ask.
    plain = "http2_protocol_options" if by_grpc else "http_protocol_options"
    protocol: dict[str, Any] = (
        {"auto_config": {}} if secure and all(secure) else {"explicit_http_config": {plain: {}}}
    )
    injection = describe_injection(endpoint, revision, target)
    several = len(credentials) > 1
    filters = (
        {"http_filters": _describe_filters(injection, prefixed=prefixed, several=several)}
        if prefixed or injection
        else {}
    )
    if revision.shadow:
        protocol["common_http_protocol_options"] = {"max_stream_duration": _COPY_LIMIT}
    options = message_class(_OPTIONS)(**protocol, **filters)
    return {"typed_extension_protocol_options": {_OPTIONS: pack(options)}}


def _describe_filters(
    injection: list[dict[str, Any]], *, prefixed: bool, several: bool
) -> list[dict[str, Any]]:
    # A cluster's own chain replaces the router's, so what that does is repeated here.
    told = {REGION_HEADER: "region"}
    if prefixed:
        told[PREFIX_HEADER] = "prefix"
    if several:
        told[CREDENTIALS_HEADER] = "credentials"
    mutation = message_class(_HEADER_MUTATION)(
        mutations={
            "request_mutations": [
                {"remove": MARK_OF_ENVOY},
                *(
                    {"append": set_header(header, f"%UPSTREAM_METADATA({ENDPOINT_METADATA}:{key})%")}
                    for header, key in told.items()
                ),
            ],
            "response_mutations": [{"remove": ERROR_HEADER}, {"remove": SERVED_BY_HEADER}],
        }
    )
    return [
        {"name": BACKEND, "typed_config": pack(mutation)},
        *injection,
        *([_drop_label()] if several else []),
        *([_add_prefix()] if prefixed else []),
        {"name": "envoy.filters.http.upstream_codec", "typed_config": pack(message_class(_CODEC)())},
    ]


def _add_prefix() -> dict[str, Any]:
    lua = message_class(_LUA)(default_source_code={"inline_string": _ADD_PREFIX})
    return {"name": BACKEND_PREFIX, "typed_config": pack(lua)}


def _drop_label() -> dict[str, Any]:
    mutation = message_class(_HEADER_MUTATION)(
        mutations={"request_mutations": [{"remove": CREDENTIALS_HEADER}]}
    )
    return {"name": CREDENTIALS_LABEL, "typed_config": pack(mutation)}
