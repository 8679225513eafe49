"""Where a caller may say where: a request bound to a residency, or hinted to a location, within what policy allows.

Who asks for a residency that the deployment does not offer is refused, by one condition for the fleet that looks at the
route; so is whose token is bound to one by a claim. What is asked for becomes metadata of the request, which Envoy
compares with that of the endpoints: a revision's cluster has a subset for each residency and for each location. A
residency has no fallback; a hint is the first of two wishes, the second of which is any place, and the subset of a
place that is down has nobody to give.
https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/subsets
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any as Anything
from typing import NamedTuple

import betterproto2
from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig
from envoy_data_plane.envoy.config.rbac.v3 import Permission, Policy, Principal, Rbac, RbacAction
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.extensions.common.matching.v3 import ExtensionWithMatcher
from envoy_data_plane.envoy.extensions.filters.http.composite.v3 import Composite, ExecuteFilterAction
from envoy_data_plane.envoy.extensions.filters.http.header_to_metadata.v3 import (
    Config,
    ConfigKeyValuePair,
    ConfigRule,
    ConfigValueType,
)
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac as RbacFilter
from envoy_data_plane.envoy.extensions.filters.http.set_metadata.v3 import Config as SetMetadata
from envoy_data_plane.envoy.extensions.filters.http.set_metadata.v3 import Metadata
from envoy_data_plane.envoy.type.matcher.v3 import HttpRequestHeaderMatchInput
from envoy_data_plane.google.protobuf import Any
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig as TypedConfig
from envoy_data_plane.xds.type.matcher.v3 import (
    Matcher,
    MatcherMatcherTree,
    MatcherMatcherTreeMatchMap,
    MatcherOnMatch,
)

from xds_server.graph import HINT_HEADER, RESIDENCY_HEADER, Backend, Revision, list_names
from xds_server.wire import message_class

from . import cel
from .encode import struct
from .names import FENCE_HEADER, RESIDENCY_METADATA, SUBSET_METADATA

FENCE_NOT_OFFERED = "fence-not-offered"
RESIDENCY_NOT_OFFERED = "residency-not-offered"
_OFFERED = "offered"
_FENCE, _RESIDENCY, _LOCATION = "fence", "residency", "location"


def compile_residency_guard() -> RbacFilter:
    """The filter that refuses a residency which the route does not offer; a route that says nothing offers none."""
    policies = {
        FENCE_NOT_OFFERED: _deny_unless_offered(FENCE_HEADER),
        RESIDENCY_NOT_OFFERED: _deny_unless_offered(RESIDENCY_HEADER),
    }
    return RbacFilter(rules=Rbac(action=RbacAction.DENY, policies=policies))


def _deny_unless_offered(header: str) -> Policy:
    offers = cel.select(cel.ident("xds"), "route_metadata", "filter_metadata")
    asked = cel.index(cel.select(cel.ident("request"), "headers"), header)
    # Without the first term the second would be an error, and a condition that errs does not deny.
    offered = cel.all_of(
        cel.contains(offers, cel.text(RESIDENCY_METADATA)),
        cel.contains(cel.index(offers, RESIDENCY_METADATA, _OFFERED), asked),
    )
    return Policy(
        permissions=[Permission(header=HeaderMatcher(name=header, present_match=True))],
        principals=[Principal(any=True)],
        condition=cel.negate(offered),
    )


def compile_residency_note() -> Config:
    """The filter that binds the request to the residency that it asks for, and to that of its token."""
    return Config(
        request_rules=[
            ConfigRule(header=header, on_header_present=_note(key), remove=header == FENCE_HEADER)
            for header, key in ((FENCE_HEADER, _FENCE), (RESIDENCY_HEADER, _RESIDENCY))
        ]
    )


def _note(key: str) -> ConfigKeyValuePair:
    return ConfigKeyValuePair(metadata_namespace=SUBSET_METADATA, key=key, type=ConfigValueType.STRING)


def compile_hints(locations: Iterable[str]) -> ExtensionWithMatcher:
    """The filter that has the hinted location tried first: one look into a map of all. Other hints say nothing."""
    actions = {name: MatcherOnMatch(action=_prefer(name)) for name in sorted(locations)}
    tree = MatcherMatcherTree(
        input=_named("hint", HttpRequestHeaderMatchInput(header_name=HINT_HEADER)),
        exact_match_map=MatcherMatcherTreeMatchMap(map=actions),
    )
    # An empty map is none to Envoy: a matcher without anything to match matches nothing.
    matcher = Matcher(matcher_tree=tree) if actions else Matcher()
    return ExtensionWithMatcher(
        xds_matcher=matcher,
        extension_config=TypedExtensionConfig(name="composite", typed_config=Any.pack(Composite())),
    )


def _prefer(location: str) -> TypedConfig:
    wishes = struct({"fallback_list": [{_LOCATION: location}, {}]})
    # Envoy adds to what a residency has left there; without this it would leave the hint out.
    metadata = Metadata(metadata_namespace=SUBSET_METADATA, value=wishes, allow_overwrite=True)
    config = TypedExtensionConfig(name="prefer", typed_config=Any.pack(SetMetadata(metadata=[metadata])))
    return _named("prefer", ExecuteFilterAction(typed_config=config))


def _named(name: str, message: betterproto2.Message) -> TypedConfig:
    return TypedConfig(name=name, typed_config=Any.pack(message))


def describe_offer(residencies: tuple[str, ...]) -> dict[str, Anything]:
    """The route's metadata by namespace that says what it offers, for the guard; none where it offers nothing."""
    if not residencies:
        return {}
    listed = message_class("google.protobuf.Struct")(fields={_OFFERED: _texts(residencies)})
    return {RESIDENCY_METADATA: listed}


def describe_subsets(revision: Revision) -> dict[str, Anything]:
    """The cluster's subsets, where callers have a choice."""
    if not revision.routing.caller_choice:
        return {}
    # One for each way to ask: Envoy compares no part of what is asked for.
    keys = [each for count in (1, 2, 3) for each in combinations((_FENCE, _LOCATION, _RESIDENCY), count)]
    return {
        "lb_subset_config": {
            # Who asks for nothing may be sent anywhere; who asks for something, nowhere else.
            "fallback_policy": "ANY_ENDPOINT",
            "subset_selectors": [{"keys": list(each), "fallback_policy": "NO_FALLBACK"} for each in keys],
            "metadata_fallback_policy": "FALLBACK_LIST",
            "list_as_any": True,
            "locality_weight_aware": revision.routing.shares,
        }
    }


class Label(NamedTuple):
    """What subsets know of a backend: the residencies that hold it, and where a hint finds it."""

    residencies: tuple[str, ...]
    location: str | None

    def describe(self) -> dict[str, Anything]:
        """The endpoint's metadata, field by field."""
        place = {} if self.location is None else {_LOCATION: {"string_value": self.location}}
        within = _texts(self.residencies)
        return {"fields": {_FENCE: within, _RESIDENCY: within, **place}}


def label_backend(backend: Backend) -> Label:
    """The label of a backend. A standby has no location: a hint does not make it serve while others can."""
    return Label(list_names(backend.place), None if backend.standby else backend.place.name)


def _texts(values: Iterable[str]) -> dict[str, Anything]:
    return {"list_value": {"values": [{"string_value": each} for each in values]}}
