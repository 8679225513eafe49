"""The fleet's part of the graph: places, gateways and issuers, which belong to no workspace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xds_server.policy import BUILT_IN_LOCATIONS, Diagnostic, Gateway, Issuer, Loaded, Location

from .fault import fault
from .graph import Authority, Certificate, Edge
from .place import Flavor, Place


@dataclass(frozen=True, slots=True)
class Fleet:
    """What all workspaces stand on; mappings by name, in sorted order."""

    places: Mapping[str, Place]
    edges: Mapping[str, Edge]
    authorities: Mapping[str, Authority]


def build_fleet(loaded: Loaded) -> tuple[Fleet, list[Diagnostic]]:
    """Resolve the fleet's manifests, and say what is wrong between them."""
    locations = [manifest for manifest in loaded.manifests if isinstance(manifest, Location)]
    gateways = sorted((m for m in loaded.manifests if isinstance(m, Gateway)), key=lambda each: each.name)
    issuers = sorted((m for m in loaded.manifests if isinstance(m, Issuer)), key=lambda each: each.name)
    fleet = Fleet(
        places=_build_places(locations),
        edges={gateway.name: Edge(gateway, _read_certificates(loaded, gateway)) for gateway in gateways},
        authorities={issuer.name: Authority(issuer, loaded.jwks(issuer)) for issuer in issuers},
    )
    return fleet, _check_regions(locations)


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


def _check_regions(declared: Iterable[Location]) -> list[Diagnostic]:
    # A node says its region only; two places of one region would leave open where the node stands.
    names = {location.name for location in declared}
    owners = {each.region: each.name for each in BUILT_IN_LOCATIONS.values() if each.name not in names}
    found = []
    for location in sorted(declared, key=lambda each: each.name):
        other = owners.setdefault(location.region, location.name)
        if other != location.name:
            message = f"region `{location.region}` is already that of Location {other}"
            path = ("spec", "region") if location.spec.region else ("metadata", "name")
            found.append(
                fault(location, "duplicate-region", path, message, "give each location its own region")
            )
    return found


def _read_certificates(loaded: Loaded, gateway: Gateway) -> Mapping[str, Certificate]:
    return {
        listener.name: Certificate(
            chain=loaded.attachment(gateway, listener.tls.certificate).decode(),
            key=loaded.attachment(gateway, listener.tls.key).decode(),
        )
        for listener in gateway.spec.listeners
        if listener.tls is not None
    }
