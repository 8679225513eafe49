"""Authentication: what a credential must look like, and which signatures, issuers and audiences are good."""

from __future__ import annotations

from datetime import timedelta
from re import escape
from urllib.parse import urlsplit

from envoy_data_plane.envoy.config.core.v3 import DataSource, HttpUri
from envoy_data_plane.envoy.config.rbac.v3 import (
    Permission,
    PermissionSet,
    Policy,
    Principal,
    Rbac,
    RbacAction,
)
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher, RouteMatch
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import (
    JwksAsyncFetch,
    JwtAuthentication,
    JwtCacheConfig,
    JwtClaimToHeader,
    JwtHeader,
    JwtProvider,
    JwtRequirement,
    JwtRequirementOrList,
    RemoteJwks,
    RequirementRule,
)
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac as RbacFilter
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher

from xds_server.graph import Authority, Graph

from .names import FENCE_HEADER, name_key_cluster

PREFIX = "Bearer "
# `base64url . base64url . base64url` and nothing around it: jwt_authn searches its prefix anywhere in the value, and
# joins a repeated header with commas, which this refuses.
_TOKEN = escape(PREFIX) + r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
_CACHE_SECONDS = 300.0
_FETCH_TIMEOUT = timedelta(seconds=5)

MANY_CREDENTIALS = "many-credentials"
MALFORMED_CREDENTIALS = "malformed-credentials"
NO_ISSUER = "no-issuer"


def compile_credentials(graph: Graph) -> RbacFilter:
    """The filter in front of the token check: at most one credential, and one that has the form of a token."""
    headers = list_token_headers(graph)
    policies = {
        MALFORMED_CREDENTIALS: _deny([_both(_present(each), _not(_well_formed(each))) for each in headers])
    }
    pairs = [(one, other) for at, one in enumerate(headers) for other in headers[at + 1 :]]
    if pairs:
        policies[MANY_CREDENTIALS] = _deny([_both(_present(one), _present(other)) for one, other in pairs])
    if not headers:
        policies = {NO_ISSUER: _deny([Permission(any=True)])}
    return RbacFilter(rules=Rbac(action=RbacAction.DENY, policies=dict(sorted(policies.items()))))


def compile_authentication(graph: Graph) -> JwtAuthentication:
    """The jwt_authn filter: a valid token of any declared issuer on every request, also where no route matches."""
    providers = {name: _provider(authority) for name, authority in sorted(graph.authorities.items())}
    if not providers:  # the credentials filter in front refuses everything
        return JwtAuthentication()
    each = [JwtRequirement(provider_name=name) for name in providers]
    requires = (
        each[0] if len(each) == 1 else JwtRequirement(requires_any=JwtRequirementOrList(requirements=each))
    )
    rule = RequirementRule(match=RouteMatch(prefix="/"), requires=requires)
    return JwtAuthentication(providers=providers, rules=[rule])


def list_token_headers(graph: Graph) -> list[str]:
    """The headers in which some issuer's token may stand, lower case, sorted."""
    return sorted(
        {header.lower() for each in graph.authorities.values() for header in each.issuer.spec.headers}
    )


def _provider(authority: Authority) -> JwtProvider:
    spec = authority.issuer.spec
    provider = JwtProvider(
        issuer=spec.issuer,
        audiences=list(spec.audiences),
        require_expiration=True,
        forward=spec.forward_token,
        from_headers=[JwtHeader(name=header.lower(), value_prefix=PREFIX) for header in spec.headers],
        payload_in_metadata=authority.name,
        clock_skew_seconds=round(spec.clock_skew),
    )
    if spec.residency_claim is not None:
        claim = JwtClaimToHeader(header_name=FENCE_HEADER, claim_name=".".join(spec.residency_claim))
        provider.claim_to_headers = [claim]
    if spec.cache_size:
        # Without it every request pays a signature check: 39 µs for RS256, more than all routing.
        provider.jwt_cache_config = JwtCacheConfig(jwt_cache_size=spec.cache_size)
    if authority.jwks is not None:
        provider.local_jwks = DataSource(inline_string=authority.jwks)
    else:
        assert spec.jwks.uri is not None
        provider.remote_jwks = RemoteJwks(
            http_uri=HttpUri(
                uri=spec.jwks.uri, cluster=name_key_cluster(authority.name), timeout=_FETCH_TIMEOUT
            ),
            cache_duration=timedelta(seconds=spec.jwks.cache_duration or _CACHE_SECONDS),
            async_fetch=JwksAsyncFetch(fast_listener=True),
        )
    return provider


def split_key_uri(uri: str) -> tuple[str, str, int]:
    """Scheme, host and port of a JWKS URI."""
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _deny(permissions: list[Permission]) -> Policy:
    return Policy(permissions=permissions, principals=[Principal(any=True)])


def _present(header: str) -> Permission:
    return Permission(header=HeaderMatcher(name=header, present_match=True))


def _well_formed(header: str) -> Permission:
    matcher = StringMatcher(safe_regex=RegexMatcher(regex=_TOKEN))
    return Permission(header=HeaderMatcher(name=header, string_match=matcher))


def _both(one: Permission, other: Permission) -> Permission:
    return Permission(and_rules=PermissionSet(rules=[one, other]))


def _not(permission: Permission) -> Permission:
    return Permission(not_rule=permission)
