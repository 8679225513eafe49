"""The filter that says of requests with an idempotent method that they may be sent again.

One for the whole gateway, skipped for all other methods. Routes that tell methods apart would be twice as many, and
``retriable_request_headers`` of a route switches off all retries, those after a failed connection included.
"""

from __future__ import annotations

import betterproto2
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation
from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.extensions.common.matching.v3 import ExtensionWithMatcher
from envoy_data_plane.envoy.extensions.filters.common.matcher.action.v3 import SkipFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as MutationFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations
from envoy_data_plane.envoy.type.matcher.v3 import HttpRequestHeaderMatchInput
from envoy_data_plane.google.protobuf import Any
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig as TypedConfig
from envoy_data_plane.xds.type.matcher.v3 import (
    Matcher,
    MatcherMatcherList,
    MatcherMatcherListFieldMatcher,
    MatcherMatcherListPredicate,
    MatcherMatcherListPredicateSinglePredicate,
    MatcherOnMatch,
    RegexMatcher,
    RegexMatcherGoogleRe2,
    StringMatcher,
)

from xds_server.graph import IDEMPOTENT

from .retry import IF_REPEATABLE, UNAVAILABLE


def compile_idempotent() -> ExtensionWithMatcher:
    """The filter. It adds to what the route says; the router takes its headers out again.

    Nobody else may set these: clients' copies are gone before (``headers.early_mutation``).
    """
    mutations = [
        _set("x-envoy-retry-on", ",".join(IF_REPEATABLE)),
        _set("x-envoy-retriable-status-codes", str(UNAVAILABLE)),
    ]
    config = MutationFilter(mutations=Mutations(request_mutations=mutations))
    return ExtensionWithMatcher(
        xds_matcher=_skip_unless_method("|".join(IDEMPOTENT)),
        extension_config=TypedExtensionConfig(name="mutation", typed_config=Any.pack(config)),
    )


def _skip_unless_method(pattern: str) -> Matcher:
    """Skips the filter unless the whole of the method matches: one that is not known is not idempotent."""
    idempotent = MatcherMatcherListPredicateSinglePredicate(
        input=_named("method", HttpRequestHeaderMatchInput(header_name=":method")),
        value_match=StringMatcher(safe_regex=RegexMatcher(google_re2=RegexMatcherGoogleRe2(), regex=pattern)),
    )
    other = MatcherMatcherListPredicate(not_matcher=MatcherMatcherListPredicate(single_predicate=idempotent))
    skip = MatcherOnMatch(action=_named("skip", SkipFilter()))
    return Matcher(
        matcher_list=MatcherMatcherList(
            matchers=[MatcherMatcherListFieldMatcher(predicate=other, on_match=skip)]
        )
    )


def _named(name: str, message: betterproto2.Message) -> TypedConfig:
    return TypedConfig(name=name, typed_config=Any.pack(message))


def _set(name: str, value: str) -> HeaderMutation:
    overwrite = HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    return HeaderMutation(
        append=HeaderValueOption(header=HeaderValue(key=name, value=value), append_action=overwrite)
    )
