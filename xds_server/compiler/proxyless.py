"""What gRPC's own xDS client is sent: per endpoint and environment an API listener, routes, clusters and places.

Only what gRPC takes; what it does not know it ignores, what it knows and can't do it refuses:
https://github.com/grpc/grpc/blob/master/doc/grpc_xds_features.md. Backends with TLS, credentials or a path prefix are
left out: a channel with insecure credentials would speak to them without TLS, and no route of gRPC's rewrites a path or
adds a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from xds_server.graph import Backend, Deployment, Endpoint, Place, Revision, Tier, order_backends
from xds_server.snapshot import Resource
from xds_server.wire import message_class, pack

from .encode import encode
from .names import (
    CLUSTER,
    CLUSTER_LOAD_ASSIGNMENT,
    LISTENER,
    ROUTE_CONFIGURATION,
    ROUTER,
    name_cluster,
    name_member,
    name_service,
)
from .target import NEWEST

_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER_CONFIG = "envoy.extensions.filters.http.router.v3.Router"
_AGGREGATE = "envoy.extensions.clusters.aggregate.v3.ClusterConfig"
# gRPC takes the default of 1,024 requests for each cluster as Envoy does.
_PLENTY = 1_000_000
_PRECISION = 1_000_000
"""What weights of places in the same priority add up to: places share by theirs, whatever backends they have."""


def compile_services(endpoint: Endpoint) -> Iterator[Resource]:
    """All that is the same in every region: ``acme/models/llama/development`` and, without the environment's name,
    the default one."""
    for deployment in endpoint.deployments:
        names = [name_service(endpoint, deployment.environment)]
        if deployment.environment == endpoint.default_environment:
            names.append(endpoint.path)
        for name in names if deployment.split else ():
            yield _compile_listener(endpoint, name)
            yield _compile_routes(endpoint, deployment, name)
        for revision in deployment.revisions:
            yield from _compile_clusters(endpoint, deployment, revision)


def compile_places(endpoint: Endpoint, origin: Place | None) -> Iterator[Resource]:
    """The backends of each revision as the region that ``origin`` is in sees them, the nearest allowed one first."""
    for deployment in endpoint.deployments:
        for revision in deployment.revisions:
            name = name_cluster(endpoint, deployment.environment, revision.name)
            tiers = _order(revision, origin)
            if _by_name(revision):
                yield _compile_aggregate(endpoint, name, revision, tiers)
            else:
                yield _compile_assignment(endpoint, name, tiers)


def _compile_listener(endpoint: Endpoint, name: str) -> Resource:
    manager = message_class(_MANAGER)(
        rds={"route_config_name": name, "config_source": NEWEST.source},
        http_filters=[{"name": ROUTER, "typed_config": pack(message_class(_ROUTER_CONFIG)())}],
    )
    message = message_class(LISTENER)(name=name, api_listener={"api_listener": pack(manager)})
    return encode(message, name, endpoint.origin)


def _compile_routes(endpoint: Endpoint, deployment: Deployment, name: str) -> Resource:
    split = {
        name_cluster(endpoint, deployment.environment, revision): weight
        for revision, weight in deployment.split
    }
    clusters = [{"name": cluster, "weight": {"value": weight}} for cluster, weight in split.items()]
    host = {
        "name": name,
        "domains": ["*"],
        "routes": [{"match": {"prefix": ""}, "route": {"weighted_clusters": {"clusters": clusters}}}],
    }
    message = message_class(ROUTE_CONFIGURATION)(name=name, virtual_hosts=[host])
    return encode(message, name, endpoint.origin, needs=sorted(split))


def _compile_clusters(endpoint: Endpoint, deployment: Deployment, revision: Revision) -> Iterator[Resource]:
    name = name_cluster(endpoint, deployment.environment, revision.name)
    if not _by_name(revision):
        discovery = {"type": "EDS", "eds_cluster_config": {"eds_config": NEWEST.source}}
        yield _compile_cluster(endpoint, name, revision, discovery)
        return
    # EDS carries addresses only, and gRPC resolves one name per cluster: one each, in an aggregate.
    for authority, backend in {each.address.authority: each for each in _usable(revision)}.items():
        member = name_member(name, authority)
        places = [{"lb_endpoints": [_describe(backend)]}]
        discovery = {
            "type": "LOGICAL_DNS",
            "load_assignment": {"cluster_name": member, "endpoints": places},
        }
        yield _compile_cluster(endpoint, member, revision, discovery)


def _compile_aggregate(endpoint: Endpoint, name: str, revision: Revision, tiers: list[Tier]) -> Resource:
    members = dict.fromkeys(
        name_member(name, each.address.authority) for tier in tiers for each in tier.backends
    )
    config = message_class(_AGGREGATE)(clusters=list(members))
    discovery = {"cluster_type": {"name": "envoy.clusters.aggregate", "typed_config": pack(config)}}
    return _compile_cluster(endpoint, name, revision, discovery)


def _compile_cluster(
    endpoint: Endpoint, name: str, revision: Revision, discovery: dict[str, Any]
) -> Resource:
    limits = {"thresholds": [{"max_requests": {"value": revision.limits.requests or _PLENTY}}]}
    message = message_class(CLUSTER)(name=name, circuit_breakers=limits, **discovery)
    return encode(message, name, endpoint.origin)


def _compile_assignment(endpoint: Endpoint, name: str, tiers: list[Tier]) -> Resource:
    # gRPC spreads evenly within a locality, and by weight between them: so each backend is one.
    localities = [
        {
            "locality": {
                "region": tier.place.region,
                "zone": tier.place.name,
                "sub_zone": backend.address.authority,
            },
            "priority": tier.priority,
            "load_balancing_weight": {"value": weight},
            "lb_endpoints": [_describe(backend)],
        }
        for tier in tiers
        for backend, weight in _weigh(tier, [each for each in tiers if each.priority == tier.priority])
    ]
    message = message_class(CLUSTER_LOAD_ASSIGNMENT)(cluster_name=name, endpoints=localities)
    return encode(message, name, endpoint.origin)


def _weigh(tier: Tier, rank: list[Tier]) -> Iterator[tuple[Backend, int]]:
    """The tier's backends, each with its weight among all that share its priority."""
    if len(rank) == 1:
        yield from ((each, each.weight) for each in tier.backends)
        return
    place = tier.weight / sum(each.weight for each in rank)
    total = sum(each.weight for each in tier.backends)
    yield from ((each, max(1, round(_PRECISION * place * each.weight / total))) for each in tier.backends)


def _describe(backend: Backend) -> dict[str, Any]:
    address = backend.address
    return {
        "endpoint": {
            "address": {"socket_address": {"address": address.host, "port_value": address.port}},
        }
    }


def _order(revision: Revision, origin: Place | None) -> list[Tier]:
    """The revision's tiers with the backends that gRPC can use, those that have any; priorities without a gap."""
    usable = set(map(id, _usable(revision)))
    tiers = [
        (tier, _merge(each for each in tier.backends if id(each) in usable))
        for tier in order_backends(revision, origin)
    ]
    left = sorted({tier.priority for tier, backends in tiers if backends})
    return [
        replace(tier, priority=left.index(tier.priority), backends=backends)
        for tier, backends in tiers
        if backends
    ]


def _merge(backends: Iterable[Backend]) -> tuple[Backend, ...]:
    """Backends with distinct addresses: a locality may stand in a priority once."""
    return tuple({each.address.authority: each for each in backends}.values())


def _usable(revision: Revision) -> list[Backend]:
    return [
        each
        for each in revision.backends
        if each.weight > 0 and each.tls is None and not each.path_prefix and each.credentials is None
    ]


def _by_name(revision: Revision) -> bool:
    return any(not each.address.is_ip for each in _usable(revision))
