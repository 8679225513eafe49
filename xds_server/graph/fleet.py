"""The fleet's part of the graph: places, gateways, issuers and policy sources, which belong to no workspace."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from xds_server.policy import BUILT_IN_LOCATIONS, Gateway, Issuer, Loaded, Location, pem_text

from .graph import Authority, Certificate, Edge
from .place import Flavor, Place
from .publisher import Publishers, build_publishers
from .reference import Dangling, unknown_callee


@dataclass(frozen=True, slots=True)
class Fleet:
    """What all workspaces stand on; mappings by name, in sorted order."""

    places: Mapping[str, Place]
    edges: Mapping[str, Edge]
    authorities: Mapping[str, Authority]
    publishers: Publishers = field(default_factory=dict)


def build_fleet(loaded: Loaded) -> Fleet:
    """Resolve the fleet's manifests. They refer to nothing but files, which ``load`` has checked."""
    declared = loaded.fleet
    locations = declared.list(Location)
    gateways = sorted(declared.list(Gateway), key=lambda each: each.name)
    issuers = sorted(declared.list(Issuer), key=lambda each: each.name)
    return Fleet(
        places=_build_places(locations),
        edges={gateway.name: Edge(gateway, _read_certificates(loaded, gateway)) for gateway in gateways},
        authorities={issuer.name: Authority(issuer, loaded.jwks(issuer)) for issuer in issuers},
        publishers=build_publishers(loaded),
    )


def check_gateways(fleet: Fleet, known: Collection[str]) -> Iterator[Dangling]:
    """The workspaces that gateways let clients without Envoy call, and that are not among those known."""
    for edge in fleet.edges.values():
        proxyless = edge.gateway.spec.proxyless
        for index, name in enumerate(proxyless.workspaces if proxyless is not None else ()):
            if name not in known:
                yield unknown_callee(
                    edge.gateway, ("spec", "proxyless", "workspaces", index), name, sorted(known)
                )


def _build_places(declared: Iterable[Location]) -> Mapping[str, Place]:
    by_name = {location.name: location for location in (*BUILT_IN_LOCATIONS.values(), *declared)}
    return {name: _build_place(location) for name, location in sorted(by_name.items())}


def _build_place(location: Location) -> Place:
    spec = location.spec
    return Place(
        name=location.name,
        region=location.region,
        country=spec.country,
        continent=spec.continent,
        latitude=spec.latitude,
        longitude=spec.longitude,
        flavors=tuple(Flavor(flavor.name, flavor.type) for flavor in spec.flavors),
    )


def _read_certificates(loaded: Loaded, gateway: Gateway) -> Mapping[str, Certificate]:
    return {
        listener.name: Certificate(
            chain=pem_text(loaded.attachment(gateway, listener.tls.certificate)),
            key=pem_text(loaded.attachment(gateway, listener.tls.key)),
        )
        for listener in gateway.spec.listeners
        if listener.tls is not None
    }
