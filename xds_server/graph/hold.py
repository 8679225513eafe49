"""Hold: what stays in the graph although the manifests no longer say so, until somebody confirms that it may go."""

from __future__ import annotations

from dataclasses import dataclass

from xds_server.policy import Gateway, Issuer, Loaded, Location, PolicySource, Roster, attached

from .fleet import Fleet
from .graph import Graph
from .ground import Ground
from .publisher import follow_publishers


@dataclass(frozen=True, slots=True)
class Hold:
    """The workspaces that stay whole, and whether the gateways stay."""

    workspaces: frozenset[str] = frozenset()
    gateways: bool = False


NOTHING = Hold()


def hold_fleet(
    previous: Graph, fleet: Fleet, hold: Hold, before: Ground | None, loaded: Loaded
) -> tuple[Fleet, Ground]:
    """The fleet with what is held of it, and its ground.

    Gateways stay if they are held. Issuers, locations and policy sources follow the manifests, so that trust withdrawn
    is withdrawn at once; but where none at all is declared any more, that is no withdrawal: a file is gone, and they
    stay. What is published there today is followed all the same.
    """
    now = Ground(loaded.fleet, loaded.attachments)
    if before is None:
        return fleet, now
    kinds = {each.kind for each in now.roster}
    stay = {Gateway.kind} if hold.gateways else set()
    stay |= {kind for kind in (Issuer.kind, Location.kind, PolicySource.kind) if kind not in kinds}
    held = tuple(each for each in before.roster if each.kind in stay)
    if not held:
        return fleet, now
    rest = tuple(each for each in now.roster if each.kind not in stay)
    return (
        Fleet(
            previous.places if Location.kind in stay else fleet.places,
            previous.edges if Gateway.kind in stay else fleet.edges,
            previous.authorities if Issuer.kind in stay else fleet.authorities,
            follow_publishers(previous.publishers, {}, loaded)
            if PolicySource.kind in stay
            else fleet.publishers,
        ),
        Ground(Roster.of(rest + held), {**now.attachments, **attached(held, before.attachments)}),
    )
