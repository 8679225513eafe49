"""Routes: one RouteConfiguration per endpoint, two entries per environment, no regular expression."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from google.protobuf.message import Message

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
        {"match": match, **answer}
        for selection in list_selections(endpoint)
        for answer in [_answer(endpoint, selection.deployment)]
        for match in _matches(endpoint, selection)
    ]
    message = message_class(ROUTE_CONFIGURATION)(
        name=endpoint.path,
        virtual_hosts=[
            {
                "name": endpoint.path,
                "domains": ["*"],
                "routes": routes,
                "request_headers_to_add": [
                    _shared_header(WORKSPACE_HEADER, endpoint.workspace),
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


def _matches(endpoint: Endpoint, selection: Selection) -> Iterator[dict[str, Any]]:
    named = {"query_parameters": [_parameter(selection)]} if selection.named is not Named.NONE else {}
    # Two literal matches rather than `path_separated_prefix`, whose rewrite leaves `//v1`, or a regular expression,
    # which costs kilobytes a route. Both are rewritten to `/`, which drops the base and keeps the rest byte for byte.
    yield {"path": f"/{endpoint.path}", **named}
    yield {"prefix": f"/{endpoint.path}/", **named}


def _parameter(selection: Selection) -> Message:
    return _parameter_of(selection.environment if selection.named is Named.THIS else None)


def _answer(endpoint: Endpoint, deployment: Deployment | None) -> dict[str, Any]:
    if deployment is None or not deployment.split:
        return {"direct_response": _no_such_model()}
    return _forward(endpoint, deployment)


def _forward(endpoint: Endpoint, deployment: Deployment) -> dict[str, Any]:
    headers = [_shared_header(ENVIRONMENT_HEADER, deployment.environment)]
    # No total timeout: answers stream. The connection manager bounds silence and the whole stream.
    action = {"prefix_rewrite": "/", "timeout": _zero(), "auto_host_rewrite": _true()}
    split = deployment.split
    if len(split) == 1:
        [(revision, _)] = split
        headers.append(_shared_header(REVISION_HEADER, revision))
        action["cluster"] = name_cluster(endpoint, deployment.environment, revision)
    else:
        action["weighted_clusters"] = {
            "clusters": [
                {
                    "name": name_cluster(endpoint, deployment.environment, revision),
                    "weight": {"value": weight},
                    "request_headers_to_add": [_shared_header(REVISION_HEADER, revision)],
                }
                for revision, weight in split
            ]
        }
    return {"route": action, "request_headers_to_add": headers}


# What is the same in many routes is kept as a message, which a larger one takes in at a fraction of what a dict costs.
# None of these is to be changed.


@lru_cache(maxsize=4096)
def _shared_header(name: str, value: str) -> Message:
    return message_class("envoy.config.core.v3.HeaderValueOption")(**set_header(name, value))


@lru_cache(maxsize=4096)
def _parameter_of(environment: str | None) -> Message:
    """The parameter that names an environment: this one, or any."""
    matched = {"present_match": True} if environment is None else {"string_match": {"exact": environment}}
    return message_class("envoy.config.route.v3.QueryParameterMatcher")(name=_PARAMETER, **matched)


@cache
def _zero() -> Message:
    return message_class("google.protobuf.Duration")()


@cache
def _true() -> Message:
    return message_class("google.protobuf.BoolValue")(value=True)


@cache
def _no_such_model() -> Message:
    # The body is written by the listener's local reply mapping, once for the fleet rather than once a model.
    return message_class("envoy.config.route.v3.DirectResponseAction")(status=404)


@cache
def _retry_policy() -> Message:
    hosts = message_class("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")()
    priorities = message_class(
        "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
    )
    return message_class("envoy.config.route.v3.RetryPolicy")(
        retry_on=_RETRY_ON,
        num_retries={"value": 3},
        retry_host_predicate=[
            {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": pack(hosts)}
        ],
        host_selection_retry_max_attempts=3,
        # Each retry leaves the places already tried, so a dead region costs one attempt.
        retry_priority={
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": pack(priorities(update_frequency=1)),
        },
        retry_back_off={"base_interval": {"nanos": 10_000_000}, "max_interval": {"nanos": 100_000_000}},
    )
