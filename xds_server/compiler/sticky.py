"""Sticky splits: a caller's key picks the revision, so that the caller stays with it.

The key is a header, else a claim, else a cookie: hash policies in that order, each the last that is looked at if it
finds something. None of them finds anything: the request is dealt at random, as without stickiness. Every Envoy hashes
in the same way, so a caller meets the same revision at each, also after a restart.
https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-routeaction-hashpolicy

A split is picked with the route, before the token is known. Where a claim counts, a filter behind the token check puts
it into a header, and the route is picked once more.

The cookie is not Envoy's own: a cookie with a `ttl` in a hash policy that picks a revision has nobody to set it. Who
comes without any key is dealt by the id of the request, which the answer gives as the cookie: a value hashes alike in a
header and in a cookie, so already the first request went where the next ones go.
"""

from __future__ import annotations

from collections.abc import Sequence
from re import escape
from typing import Any, Final

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.filters.http.lua.v3 import Lua

from xds_server.graph import Cookie, Deployment, Endpoint, Sticky
from xds_server.wire import message_class, pack

from .names import CALLER, CALLER_HEADER, JWT_METADATA

_PER_ROUTE = "envoy.extensions.filters.http.lua.v3.LuaPerRoute"
_SCRIPT: Final = "caller"
_REQUEST_ID: Final = "x-request-id"

# Only routes that say so run it. Modified headers make Envoy pick the route anew. In base64, since a claim may hold
# what no header may.
_NAME_CALLER = f"""function envoy_on_request(request)
  local payloads = request:streamInfo():dynamicMetadata():get("{JWT_METADATA}")
  local context = request:filterContext()
  if payloads == nil then
    return
  end
  for _, issuer in ipairs(context:get("issuers")) do
    local value = payloads[issuer]
    for _, step in ipairs(context:get("claim")) do
      if type(value) == "table" then value = value[step] else value = nil end
    end
    if value ~= nil and type(value) ~= "table" then
      request:headers():replace("{CALLER_HEADER}", request:base64Escape(tostring(value)))
      return
    end
  end
end
"""


def caller_filter() -> Lua:
    """The filter that names the caller by a claim of the verified token, for routes that ask for it."""
    return Lua(source_codes={_SCRIPT: DataSource(inline_string=_NAME_CALLER)})


def find_sticky(deployment: Deployment) -> Sticky | None:
    """How a deployment's callers are known again; ``None`` also where there is nothing to pick from."""
    return deployment.traffic.sticky if len(deployment.split) > 1 else None


def describe_keys(sticky: Sticky) -> list[dict[str, Any]]:
    """The hash policies of a route whose callers have a key."""
    keys: list[dict[str, Any]] = []
    if sticky.header is not None:
        keys.append({"header": {"header_name": sticky.header}})
    if sticky.claim is not None:
        keys.append({"header": {"header_name": CALLER_HEADER}})
    if sticky.cookie is not None:
        keys.append({"cookie": {"name": sticky.cookie.name}})
    return [{**key, "terminal": True} for key in keys]


def describe_new_key() -> list[dict[str, Any]]:
    """The hash policy of a route for callers who are given a key."""
    return [{"header": {"header_name": _REQUEST_ID}, "terminal": True}]


def match_keyless(sticky: Sticky, cookie: Cookie) -> list[dict[str, Any]]:
    """The header matches of requests without any key."""
    names = [*([sticky.header] if sticky.header else []), *([CALLER_HEADER] if sticky.claim else [])]
    absent = [{"name": name, "present_match": True, "invert_match": True} for name in names]
    # As Envoy reads cookies: by the first `=`, white space around a name or nothing behind the `=` do not count.
    found = rf"(?:.*;)?[ \t]*{escape(cookie.name)}=[^;]+.*"
    return [
        *absent,
        {
            "name": "cookie",
            "string_match": {"safe_regex": {"regex": found}},
            "invert_match": True,
            "treat_missing_header_as_empty": True,
        },
    ]


def give_cookie(cookie: Cookie, path: str) -> dict[str, Any]:
    """The header of the answer that gives a caller a key, for the endpoint at a path alone."""
    value = f"{cookie.name}=%REQ({_REQUEST_ID})%; {_scope(path)}Max-Age={cookie.ttl}; HttpOnly; SameSite=Lax"
    return {
        "header": {"key": "set-cookie", "value": value},
        "append_action": "APPEND_IF_EXISTS_OR_ADD",
    }


def readdress_cookie(value: str, written: str, path: str) -> str:
    """A cookie that was written for the endpoint at one path, for that at another."""
    return value.replace(_scope(written), _scope(path))


def describe_caller(endpoint: Endpoint, sticky: Sticky) -> dict[str, Any]:
    """What a route tells the filters: where the claim stands in the tokens that open the workspace."""
    if sticky.claim is None:
        return {}
    issuers = [trust.issuer for trust in endpoint.trusts]
    context = message_class("google.protobuf.Struct")(
        fields={"issuers": _texts(issuers), "claim": _texts(sticky.claim)}
    )
    return {CALLER: pack(message_class(_PER_ROUTE)(name=_SCRIPT, filter_context=context))}


def _scope(path: str) -> str:
    return f"Path=/{path}; "


def _texts(texts: Sequence[str]) -> Any:
    values = [message_class("google.protobuf.Value")(string_value=each) for each in texts]
    return message_class("google.protobuf.Value")(
        list_value=message_class("google.protobuf.ListValue")(values=values)
    )
