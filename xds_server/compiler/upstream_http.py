"""HTTP towards backends: the protocol, and the path prefix where a backend has one."""

from __future__ import annotations

from typing import Any

from xds_server.graph import Revision
from xds_server.wire import message_class, pack

from .names import (
    BACKEND,
    BACKEND_PREFIX,
    ENDPOINT_METADATA,
    ERROR_HEADER,
    PREFIX_HEADER,
    REGION_HEADER,
    SERVED_BY_HEADER,
)
from .route import set_header

_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HEADER_MUTATION = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
_LUA = "envoy.extensions.filters.http.lua.v3.Lua"
_CODEC = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"

# A route's rewrite is the same for all revisions of a split, and no header mutation may touch `:path`. Where backends
# want a prefix of their own, this stands behind the choice of the backend; other clusters do not pay for it.
_ADD_PREFIX = f"""function envoy_on_request(request)
  local headers = request:headers()
  local prefix = headers:get("{PREFIX_HEADER}")
  if prefix ~= nil and prefix ~= "" and prefix ~= "-" then
    headers:replace(":path", prefix .. headers:get(":path"))
  end
  headers:remove("{PREFIX_HEADER}")
end
"""


def describe_protocol(revision: Revision) -> dict[str, Any]:
    """The cluster's ``typed_extension_protocol_options``: nothing for plain HTTP/1.1 backends without a prefix."""
    secure = [backend.tls is not None for backend in revision.backends]
    prefixed = any(backend.path_prefix for backend in revision.backends)
    if not any(secure) and not prefixed:
        return {}
    # ALPN picks HTTP/2 where the server offers it; a cluster with a plain backend has no ALPN to ask.
    protocol: dict[str, Any] = (
        {"auto_config": {}} if all(secure) else {"explicit_http_config": {"http_protocol_options": {}}}
    )
    filters = {"http_filters": _prefix_filters()} if prefixed else {}
    options = message_class(_OPTIONS)(**protocol, **filters)
    return {"typed_extension_protocol_options": {_OPTIONS: pack(options)}}


def _prefix_filters() -> list[dict[str, Any]]:
    # A cluster's own chain replaces the router's, so what that does is repeated here.
    region, prefix = (f"%UPSTREAM_METADATA({ENDPOINT_METADATA}:{key})%" for key in ("region", "prefix"))
    mutation = message_class(_HEADER_MUTATION)(
        mutations={
            "request_mutations": [
                {"append": set_header(REGION_HEADER, region)},
                {"append": set_header(PREFIX_HEADER, prefix)},
            ],
            "response_mutations": [{"remove": ERROR_HEADER}, {"remove": SERVED_BY_HEADER}],
        }
    )
    lua = message_class(_LUA)(default_source_code={"inline_string": _ADD_PREFIX})
    return [
        {"name": BACKEND, "typed_config": pack(mutation)},
        {"name": BACKEND_PREFIX, "typed_config": pack(lua)},
        {"name": "envoy.filters.http.upstream_codec", "typed_config": pack(message_class(_CODEC)())},
    ]
