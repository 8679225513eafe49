"""Routes: one RouteConfiguration per endpoint, two entries per environment, no regular expression."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from xds_server.graph import Deployment, Endpoint, Named, Selection, list_selections
from xds_server.snapshot import Resource
from xds_server.wire import message_class, pack

from .access import compile_access
from .encode import encode
from .names import (
    ACCESS,
    ENVIRONMENT_HEADER,
    MODEL_HEADER,
    REVISION_HEADER,
    ROUTE_CONFIGURATION,
    WORKSPACE_HEADER,
    name_cluster,
)

_PARAMETER = "environment"
# Only what cannot have reached a model: a request is never run twice.
_RETRY_ON = "connect-failure,refused-stream,reset-before-request"


def compile_routes(endpoint: Endpoint) -> Resource:
    """The endpoint's RouteConfiguration.

    Order matters: each deployed environment by name, then 404 for an environment that is named but not deployed, then
    the default environment for requests that name none. Nothing after that: 404.
    """
    routes = [
        _route(endpoint, selection, match)
        for selection in list_selections(endpoint)
        for match in _matches(endpoint)
    ]
    message = message_class(ROUTE_CONFIGURATION)(
        name=endpoint.path,
        virtual_hosts=[
            {
                "name": endpoint.path,
                "domains": ["*"],
                "routes": routes,
                "request_headers_to_add": [
                    set_header(WORKSPACE_HEADER, endpoint.workspace),
                    set_header(MODEL_HEADER, endpoint.name),
                ],
                "retry_policy": _retry_policy(),
                "typed_per_filter_config": {ACCESS: compile_access(endpoint)},
            }
        ],
    )
    return encode(message, endpoint.path, endpoint.origin, needs=sorted(_clusters(endpoint)))


def set_header(name: str, value: str) -> dict[str, Any]:
    """A HeaderValueOption that overwrites whatever the client sent."""
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _clusters(endpoint: Endpoint) -> set[str]:
    return {
        name_cluster(endpoint, deployment.environment, revision)
        for deployment in endpoint.deployments
        for revision, _ in deployment.split
    }


def _matches(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    # Two literal matches rather than `path_separated_prefix`, whose rewrite leaves `//v1`, or a regular expression,
    # which costs kilobytes a route. Both are rewritten to `/`, which drops the base and keeps the rest byte for byte.
    yield {"path": f"/{endpoint.path}"}
    yield {"prefix": f"/{endpoint.path}/"}


def _route(endpoint: Endpoint, selection: Selection, match: dict[str, Any]) -> dict[str, Any]:
    if selection.named is Named.THIS:
        match["query_parameters"] = [{"name": _PARAMETER, "string_match": {"exact": selection.environment}}]
    elif selection.named is Named.ANY:
        match["query_parameters"] = [{"name": _PARAMETER, "present_match": True}]
    if selection.deployment is None or not selection.deployment.split:
        # The body is written by the listener's local reply mapping, once for the fleet rather than once a model.
        return {"match": match, "direct_response": {"status": 404}}
    return {"match": match, **_forward(endpoint, selection.deployment)}


def _forward(endpoint: Endpoint, deployment: Deployment) -> dict[str, Any]:
    headers = [set_header(ENVIRONMENT_HEADER, deployment.environment)]
    # No total timeout: answers stream. The connection manager bounds silence and the whole stream.
    action: dict[str, Any] = {"prefix_rewrite": "/", "timeout": {}, "auto_host_rewrite": {"value": True}}
    split = deployment.split
    if len(split) == 1:
        [(revision, _)] = split
        headers.append(set_header(REVISION_HEADER, revision))
        action["cluster"] = name_cluster(endpoint, deployment.environment, revision)
    else:
        action["weighted_clusters"] = {
            "clusters": [
                {
                    "name": name_cluster(endpoint, deployment.environment, revision),
                    "weight": {"value": weight},
                    "request_headers_to_add": [set_header(REVISION_HEADER, revision)],
                }
                for revision, weight in split
            ]
        }
    return {"route": action, "request_headers_to_add": headers}


@cache
def _retry_policy() -> dict[str, Any]:
    hosts = message_class("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")()
    priorities = message_class(
        "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
    )
    return {
        "retry_on": _RETRY_ON,
        "num_retries": {"value": 3},
        "retry_host_predicate": [
            {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": pack(hosts)}
        ],
        "host_selection_retry_max_attempts": 3,
        # Each retry leaves the places already tried, so a dead region costs one attempt.
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": pack(priorities(update_frequency=1)),
        },
        "retry_back_off": {"base_interval": {"nanos": 10_000_000}, "max_interval": {"nanos": 100_000_000}},
    }
