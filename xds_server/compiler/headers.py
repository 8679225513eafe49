"""Headers: what a client may not send, what a model is told, and what a model may not pretend."""

from __future__ import annotations

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation, HeaderMutationRemoveOnMatch
from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as MutationFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.http.upstream_codec.v3 import UpstreamCodec
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    HeaderMutation as EarlyHeaderMutation,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher
from envoy_data_plane.google.protobuf import Any

from .names import (
    BACKEND,
    CALLER_HEADER,
    CREDENTIALS_HEADER,
    ENDPOINT_METADATA,
    ENVIRONMENT_HEADER,
    ERROR_HEADER,
    FENCE_HEADER,
    MODEL_HEADER,
    PATH_HEADER,
    PREFIX_HEADER,
    REGION_HEADER,
    REVISION_HEADER,
    SERVED_BY_HEADER,
    SHADOW_HEADER,
)

# The workspace header is not among them: a client may repeat the workspace, and the request guard compares it.
_INTERNAL = (
    PATH_HEADER,
    MODEL_HEADER,
    ENVIRONMENT_HEADER,
    REVISION_HEADER,
    REGION_HEADER,
    PREFIX_HEADER,
    ERROR_HEADER,
    FENCE_HEADER,
    CALLER_HEADER,
    CREDENTIALS_HEADER,
    SHADOW_HEADER,
)

# A server that reads headers the way CGI does takes `_` for `-`, and would read a client's copy as ours.
_LOOK_ALIKE = "(?:x_fairlead[-_]|x-fairlead_).*"

UPGRADE = "websocket"
"""The one protocol to which connections are switched."""

MARK_OF_ENVOY = "x-envoy-internal"
"""What Envoy marks requests of its own making with: copies for a shadow are such. It says nothing to a model."""


def early_mutation() -> TypedExtensionConfig:
    """What happens to a request's headers before anything reads them, the choice of the route included.

    Headers that a client could forge go (Envoy's own ``x-envoy-*`` would steer retries and timeouts), and the
    normalised path without its query is copied to where the scope key is cut from.
    """
    mutations = [
        _remove(StringMatcher(prefix="x-envoy-")),
        _remove(StringMatcher(safe_regex=RegexMatcher(regex=_LOOK_ALIKE))),
        *(HeaderMutation(remove=name) for name in _INTERNAL),
        _set(PATH_HEADER, "%PATH(NQ:PATH)%"),
        # The codec leaves no other word than this one, but may leave it twice, which Envoy would not know.
        _set("upgrade", UPGRADE, HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS),
    ]
    config = Any.pack(EarlyHeaderMutation(mutations=mutations))
    return TypedExtensionConfig(name="envoy.http.early_header_mutation.header_mutation", typed_config=config)


def internal_mutation() -> MutationFilter:
    """Takes the internal headers out of what goes to the model."""
    mutations = [HeaderMutation(remove=name) for name in (PATH_HEADER, CALLER_HEADER)]
    return MutationFilter(mutations=Mutations(request_mutations=mutations))


def router() -> Router:
    """The router, which tells the chosen backend its region and takes out of its answer what is ours to say."""
    region = _set(REGION_HEADER, f"%UPSTREAM_METADATA({ENDPOINT_METADATA}:region)%")
    ours = [HeaderMutation(remove=name) for name in (ERROR_HEADER, SERVED_BY_HEADER)]
    mutations = Mutations(
        request_mutations=[HeaderMutation(remove=MARK_OF_ENVOY), region], response_mutations=ours
    )
    backend = Any.pack(MutationFilter(mutations=mutations))
    return Router(
        suppress_envoy_headers=True,
        upstream_http_filters=[
            HttpFilter(name=BACKEND, typed_config=backend),
            HttpFilter(name="envoy.filters.http.upstream_codec", typed_config=Any.pack(UpstreamCodec())),
        ],
    )


def _remove(names: StringMatcher) -> HeaderMutation:
    return HeaderMutation(remove_on_match=HeaderMutationRemoveOnMatch(key_matcher=names))


def _set(
    name: str,
    value: str,
    action: HeaderValueOptionHeaderAppendAction = HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
) -> HeaderMutation:
    header = HeaderValue(key=name, value=value)
    return HeaderMutation(append=HeaderValueOption(header=header, append_action=action))
