"""What ``fairlead up`` is going to do: everything that can be settled, and refused, before anything is
started.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xds_server.cli import binary, issuer, policies, port, sample
from xds_server.cli.member import ADMIN_HOST
from xds_server.cli.outcome import CommandError
from xds_server.cli.plane import Address, require_ports
from xds_server.cli.trial import Trial, choose_endpoint, find_door

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from xds_server.cli.sample import Sample
    from xds_server.graph import Endpoint, Graph
    from xds_server.policy import Gateway

TOKEN_SECONDS: Final = 8 * 3600


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for; ``None`` leaves the choice to the plan."""

    path: Path
    region: str | None
    gateway: str | None
    xds: Address
    admin: Address
    envoy_admin_port: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be started: the Envoy of ``gateway`` in ``region``, samples on their sockets, and what to
    try.
    """

    wish: Wish
    gateway: str
    region: str
    envoy: Path
    warning: str | None
    samples: tuple[tuple[Sample, socket.socket], ...]
    served: tuple[Sample, ...]
    trial: Trial | None


def make_plan(wish: Wish) -> Plan:
    """Settle everything; raises ``CommandError`` for whatever would fail later.

    That is: no Envoy, mistakes in the policies, an unknown gateway or region, a key that can't be made, a
    port that is taken.
    """
    envoy = binary.find()
    warning = binary.warning(binary.version(envoy))
    graph = policies.read(wish.path).graph
    name = policies.choose_gateway(graph, wish.gateway)
    gateway = graph.edges[name].gateway
    chosen = choose_endpoint(graph)
    region = policies.choose_region(graph, wish.region or find_region(chosen[0] if chosen else None))
    trial = None if chosen is None else _plan_trial(graph, gateway, *chosen)
    _require_ports(gateway, wish)
    claimed = [(each, sample.claim(each)) for each in sample.find_samples(graph)]
    return Plan(
        wish,
        name,
        region,
        envoy,
        warning,
        samples=tuple((each, listener) for each, listener in claimed if listener is not None),
        served=tuple(each for each, listener in claimed if listener is None),
        trial=trial,
    )


def find_region(endpoint: Endpoint | None) -> str:
    """Return the region of an endpoint's first backend; raises ``CommandError`` if it has none."""
    deployments = endpoint.deployments if endpoint else ()
    default = endpoint.default_environment if endpoint else ""
    for deployment in sorted(deployments, key=lambda each: each.environment != default):
        for revision in deployment.revisions:
            for backend in revision.backends:
                return backend.place.region
    raise CommandError(
        "the policies deploy nothing that could tell in which region", "give one with --region"
    )


def _plan_trial(graph: Graph, gateway: Gateway, endpoint: Endpoint, environment: str | None) -> Trial:
    ours = {
        name
        for name, authority in graph.authorities.items()
        if authority.issuer.spec.jwks.development and authority.issuer.spec.issuer == issuer.ISSUER
    }
    trusted = [trust.issuer for trust in endpoint.trusts if trust.issuer in ours]
    token = None
    if trusted:
        audience = graph.authorities[trusted[0]].issuer.spec.audiences[0]
        token = issuer.open_issuer().token(
            [endpoint.workspace], subject="developer", ttl=TOKEN_SECONDS, audience=audience
        )
    return Trial(find_door(gateway), endpoint.path, environment, token)


def _require_ports(gateway: Gateway, wish: Wish) -> None:
    require_ports(wish.xds, wish.admin)
    port.require_free(
        ADMIN_HOST, wish.envoy_admin_port, "Envoy's admin page", "choose another with --envoy-admin-port"
    )
    for index, listener in enumerate(gateway.spec.listeners):
        place = gateway.origin.locate(("spec", "listeners", index, "port"))
        port.require_free(
            listener.address,
            listener.port,
            f"the listener {listener.name} of the gateway {gateway.name}",
            f"stop what holds it, or change the port in {place}",
        )
