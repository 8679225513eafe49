"""The request guard: refuses what could be read in two ways, and hosts that the listener does not serve."""

from __future__ import annotations

from re import escape

from envoy_data_plane.envoy.config.rbac.v3 import (
    Permission,
    PermissionSet,
    Policy,
    Principal,
    Rbac,
    RbacAction,
)
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac as RbacFilter
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher

from xds_server.graph import USE_REVISION_HEADER, Edge
from xds_server.policy import Listener

from . import cel
from .membership import cel_config, path_workspace
from .target import Target

AMBIGUOUS_ENVIRONMENT = "ambiguous-environment"
DOT_SEGMENT = "dot-segment"
ENCODED_PARAMETER = "encoded-parameter"
OTHER_WORKSPACE = "other-workspace"
REPEATED_REVISION = "repeated-revision"
UNKNOWN_HOST = "unknown-host"

# Envoy takes the first of a repeated parameter, an upstream may take the last.
_TWICE = r"[^?]*\?(?:.*&)?environment(?:=[^&]*)?&(?:.*&)?environment(?:[=&].*)?"
# Envoy compares names undecoded, so `%65nvironment=development` would count as no environment here and as one at the
# upstream. Kept to the letters of the word: Envoy refuses larger programs.
_ENCODED = r"[^?]*\?(?:.*&)?[environmt]*%[67][0-9a-fA-F](?:[environmt]|%[67][0-9a-fA-F])*(?:[=&].*)?"
# What is left of these once the path is normalised, some servers read as `..` and leave their path prefix by it.
_DOTS = r"[^?]*/[.][.]?(?:;|%3[bB]|%2[fF]|%5[cC]).*"


def compile_request_guard(edge: Edge, listener: Listener, target: Target) -> RbacFilter:
    """The filter that denies ambiguous requests and, where the listener names its hosts, any other host."""
    policies = {
        AMBIGUOUS_ENVIRONMENT: _deny(_matches(":path", _TWICE)),
        DOT_SEGMENT: _deny(_matches(":path", _DOTS)),
        ENCODED_PARAMETER: _deny(_matches(":path", _ENCODED)),
        REPEATED_REVISION: _repetition(USE_REVISION_HEADER, target),
    }
    for header in sorted({name.lower() for name in edge.gateway.spec.workspace_headers}):
        policies[f"{OTHER_WORKSPACE}-{header}"] = _contradiction(header, target)
    if listener.hostnames:
        known = [_matches(":authority", _host(name)) for name in listener.hostnames]
        known_host = Permission(or_rules=PermissionSet(rules=known))
        policies[UNKNOWN_HOST] = _deny(Permission(not_rule=known_host))
    return RbacFilter(rules=Rbac(action=RbacAction.DENY, policies=dict(sorted(policies.items()))))


def _contradiction(header: str, target: Target) -> Policy:
    sent = cel.index(cel.select(cel.ident("request"), "headers"), header)
    return Policy(
        permissions=[Permission(header=HeaderMatcher(name=header, present_match=True))],
        principals=[Principal(any=True)],
        condition=cel.negate(cel.equals(sent, path_workspace(target))),
        cel_config=cel_config(target),
    )


def _repetition(header: str, target: Target) -> Policy:
    # Matchers compare a repeated header value by value; a condition sees the values joined.
    sent = cel.index(cel.select(cel.ident("request"), "headers"), header)
    return Policy(
        permissions=[Permission(header=HeaderMatcher(name=header, present_match=True))],
        principals=[Principal(any=True)],
        condition=cel.call("contains", sent, cel.text(",")),
        cel_config=cel_config(target),
    )


def _host(hostname: str) -> str:
    # Upper case and a port are the client's freedom: https://www.rfc-editor.org/rfc/rfc9110#name-host-and-authority
    name = f"[^.:]+(?:[.][^.:]+)*{escape(hostname[1:])}" if hostname.startswith("*.") else escape(hostname)
    return f"(?i){name}(?::[0-9]+)?"


def _matches(header: str, regex: str) -> Permission:
    matcher = StringMatcher(safe_regex=RegexMatcher(regex=regex))
    return Permission(header=HeaderMatcher(name=header, string_match=matcher))


def _deny(permission: Permission) -> Policy:
    return Policy(permissions=[permission], principals=[Principal(any=True)])
