"""Routes: one RouteConfiguration per endpoint, two entries per environment, no regular expression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from xds_server.graph import (
    ClaimRule,
    Deployment,
    Endpoint,
    Handling,
    Named,
    Selection,
    list_residencies,
    list_selections,
)
from xds_server.snapshot import Resource
from xds_server.wire import message_class

from .access import compile_access, compile_testers
from .direct import (
    AMBIGUOUS_REVISION,
    UNKNOWN_REVISION,
    join,
    list_ambiguities,
    list_choices,
    list_unknown,
    name_choices,
    refuse,
)
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
from .residency import describe_offer
from .retry import USUAL_RETRIES, RetryRule, describe_retries
from .served_by import describe_served_by
from .shadow import describe_shadow
from .shape import Shape
from .sticky import (
    describe_caller,
    describe_keys,
    describe_new_key,
    find_sticky,
    give_cookie,
    match_keyless,
    readdress_cookie,
)
from .target import Target
from .waiting import describe_return, describe_wait

_PARAMETER = "environment"


def compile_routes(endpoint: Endpoint, target: Target) -> Resource:
    """The endpoint's RouteConfiguration."""
    message = message_class(ROUTE_CONFIGURATION)()
    message.CopyFrom(_pattern(Shape.of(endpoint), target))
    _address(message, endpoint)
    return encode(message, endpoint.path, endpoint.origin, needs=sorted(_clusters(endpoint)))


@lru_cache(maxsize=1024)
def _pattern(shape: Shape, target: Target) -> Any:
    """The routes of an endpoint of this shape. Not to be changed.

    Order matters: each deployed environment by name, then 404 for an environment that is named but not deployed, then
    the default environment for requests that name none. Nothing after that: 404.
    """
    endpoint = shape.endpoint
    routes = [
        {"match": join(match, condition), **answer}
        for selection in list_selections(endpoint)
        for condition, answer in _answers(endpoint, selection.deployment, target)
        for match in _matches(endpoint, selection)
    ]
    return message_class(ROUTE_CONFIGURATION)(
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
                "retry_policy": describe_retries(USUAL_RETRIES),
                "typed_per_filter_config": {ACCESS: compile_access(endpoint)},
            }
        ],
    )


def _address(message: Any, endpoint: Endpoint) -> None:
    """Have routes that were written for one endpoint be those of another of its shape."""
    path, written = endpoint.path, message.name
    [host] = message.virtual_hosts
    message.name = host.name = path
    host.request_headers_to_add[-1].header.value = endpoint.name
    for route in host.routes:
        if route.match.path:
            route.match.path = f"/{path}"
        else:
            route.match.prefix = f"/{path}/"
        for option in route.response_headers_to_add:
            option.header.value = readdress_cookie(option.header.value, written, path)
        action = route.route
        if action.cluster:
            action.cluster = path + action.cluster[len(written) :]
        else:
            for each in action.weighted_clusters.clusters:
                each.name = path + each.name[len(written) :]
        for policy in action.request_mirror_policies:
            policy.cluster = path + policy.cluster[len(written) :]


def set_header(name: str, value: str) -> dict[str, Any]:
    """A HeaderValueOption that overwrites whatever the client sent."""
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _clusters(endpoint: Endpoint) -> set[str]:
    return {
        name_cluster(endpoint, deployment.environment, revision)
        for deployment in endpoint.deployments
        for revision in (
            *(name for name, _ in deployment.split),
            *name_choices(deployment),
            *([deployment.traffic.shadow.revision] if deployment.traffic.shadow is not None else []),
        )
    }


def _matches(endpoint: Endpoint, selection: Selection) -> Iterator[dict[str, Any]]:
    named: dict[str, Any] = {}
    if selection.named is Named.THIS:
        named["query_parameters"] = [{"name": _PARAMETER, "string_match": {"exact": selection.environment}}]
    elif selection.named is Named.ANY:
        named["query_parameters"] = [{"name": _PARAMETER, "present_match": True}]
    # Two literal matches rather than `path_separated_prefix`, whose rewrite leaves `//v1`, or a regular expression,
    # which costs kilobytes a route. Both are rewritten to `/`, which drops the base and keeps the rest byte for byte.
    yield {"path": f"/{endpoint.path}", **named}
    yield {"prefix": f"/{endpoint.path}/", **named}


def _answers(
    endpoint: Endpoint, deployment: Deployment | None, target: Target
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What a route does, by what else must hold of the request: the first that holds decides."""
    if deployment is None or not deployment.split:
        # The body is written by the listener's local reply mapping, once for the fleet rather than once a model.
        yield {}, {"direct_response": {"status": 404}}
        return
    if deployment.traffic.testers is not None:
        yield from _choices(endpoint, deployment, deployment.traffic.testers, target)
    sticky = find_sticky(deployment)
    if sticky is None:
        yield {}, _forward(endpoint, deployment, target)
        return
    filters = describe_caller(endpoint, sticky)
    if sticky.cookie is not None:
        cookie = {"response_headers_to_add": [give_cookie(sticky.cookie, endpoint.path)]}
        forward = _forward(endpoint, deployment, target, keys=describe_new_key(), filters=filters)
        yield {"headers": match_keyless(sticky, sticky.cookie)}, {**forward, **cookie}
    yield {}, _forward(endpoint, deployment, target, keys=describe_keys(sticky), filters=filters)


def _choices(
    endpoint: Endpoint, deployment: Deployment, testers: tuple[ClaimRule, ...], target: Target
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What a route does for a request that names a revision."""
    allowed = {ACCESS: compile_testers(endpoint, testers)}
    for condition in list_ambiguities():
        yield condition, refuse(400, AMBIGUOUS_REVISION)
    for condition, revision in list_choices(deployment):
        yield condition, _forward(endpoint, deployment, target, only=revision, filters=allowed)
    for condition in list_unknown():
        yield condition, {**refuse(404, UNKNOWN_REVISION), **_configure(allowed)}


def _forward(
    endpoint: Endpoint,
    deployment: Deployment,
    target: Target,
    *,
    keys: Sequence[dict[str, Any]] = (),
    only: str | None = None,
    filters: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The route to a split, whose ``keys`` are the hash policies that pick from it, or to one revision ``only``.

    ``filters`` is what the route tells them.
    """
    filters = filters or {}
    headers = [set_header(ENVIRONMENT_HEADER, deployment.environment)]
    # No total timeout: answers stream. The connection manager bounds silence and the whole stream.
    action: dict[str, Any] = {
        "prefix_rewrite": "/",
        "timeout": {},
        "auto_host_rewrite": {"value": True},
        **_bound(deployment.handling, target),
    }
    rule = RetryRule.of(deployment)
    if target.on_demand:
        # The connection manager's clock is wound up with the route's time at the next byte. A request without a body,
        # which waited for its route, has none to send any more.
        rule = rule._replace(per_try_idle=deployment.handling.idle)
    if rule != USUAL_RETRIES:
        action["retry_policy"] = describe_retries(rule)
    if only is None:
        action |= describe_shadow(endpoint, deployment)
    split = deployment.split if only is None else ((only, 1),)
    if len(split) == 1:
        [(revision, _)] = split
        headers.append(set_header(REVISION_HEADER, revision))
        filters = {**filters, **_tell_filters(deployment, revision)}
        action["cluster"] = name_cluster(endpoint, deployment.environment, revision)
    else:
        action["weighted_clusters"] = {
            "clusters": [
                {
                    "name": name_cluster(endpoint, deployment.environment, revision),
                    "weight": {"value": weight},
                    "request_headers_to_add": [set_header(REVISION_HEADER, revision)],
                    **_configure(_tell_filters(deployment, revision)),
                }
                for revision, weight in split
            ],
            **({"use_hash_policy": {"value": True}} if keys else {}),
        }
        if keys:
            action["hash_policy"] = keys
    filters = {**filters, **describe_wait(deployment.scaling, target)}
    metadata = {
        **describe_offer(list_residencies(deployment)),
        **describe_return(deployment.scaling, deployment.environment, [name for name, _ in split]),
    }
    noted = {"metadata": {"filter_metadata": metadata}} if metadata else {}
    return {"route": action, "request_headers_to_add": headers, **_configure(filters), **noted}


def _tell_filters(deployment: Deployment, revision: str) -> dict[str, Any]:
    """What filters are told of a request that goes to a revision."""
    return describe_served_by(revision) if deployment.traffic.served_by else {}


def _configure(filters: dict[str, Any]) -> dict[str, Any]:
    return {"typed_per_filter_config": filters} if filters else {}


def _bound(handling: Handling, target: Target) -> dict[str, Any]:
    """How long a request may take, where it is not the connection manager that says so."""
    bounds: dict[str, Any] = {}
    total = handling.total
    if total is None and target.fetching is not None:
        # The connection manager's is what a cold request may wait for its route. With the route, this one takes over.
        total = target.fetching.total
    if total is not None:
        bounds["max_stream_duration"] = {"max_stream_duration": timedelta(seconds=total)}
    if handling.idle is not None:
        bounds["idle_timeout"] = timedelta(seconds=handling.idle)
    return bounds
