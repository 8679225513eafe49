"""Who may be a member of which gateway, as the current catalogue says."""

from __future__ import annotations

import grpc
import structlog

from xds_server.protocol import Node
from xds_server.server.fault import StreamFaultError
from xds_server.server.peer import Peer
from xds_server.server.publisher import Publisher
from xds_server.snapshot import Identity

log = structlog.get_logger("fairlead.membership")


class Membership:
    """Decides by the client's certificate. A `peer` of `None` was not asked who it is, and may be anybody."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def require(self, gateway: str, peer: Peer | None, *, member: bool = False) -> None:
        """Raise `StreamFaultError` unless the client may be a member of the gateway.

        Before the first catalogue nobody knows, and nothing is raised; nothing is sent either. Of a gateway that
        has gone since, who is a `member` stays one.
        """
        catalogue = self._publisher.catalogue
        if peer is None or catalogue is None or (member and gateway not in catalogue.gateways):
            return
        if self.admits(gateway, peer):
            return
        log.warning(
            "a client's certificate is not of a member of its gateway; nothing is sent to it",
            gateway=gateway,
            peer=str(peer),
            hint="members' names stand in `identities` of the Gateway",
        )
        words = f"the client certificate ({peer}) is not of a member of gateway {gateway}"
        raise StreamFaultError(grpc.StatusCode.PERMISSION_DENIED, words)

    def admits(self, gateway: str, peer: Peer | None) -> bool:
        """Say whether the client may be a member of the gateway, as far as is known."""
        return peer is None or peer.may_join(gateway, self._publisher.identities(gateway))

    def require_of(self, node: Node, peer: Peer | None) -> str:
        """As `require`, of the gateway that the node is a member of, which is returned.

        Who is asked for a certificate is told to try again later before the first catalogue.
        """
        catalogue = self._publisher.catalogue
        if catalogue is None and peer is None:
            return node.cluster
        if catalogue is None:
            raise StreamFaultError(grpc.StatusCode.UNAVAILABLE, "no configuration has been loaded yet")
        identity = Identity(node.id, node.cluster, node.region, node.metadata)
        gateway = catalogue.gateway_of(identity)
        self.require(gateway, peer)
        return gateway
