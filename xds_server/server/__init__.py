"""Server: catalogues in, xDS streams and an admin HTTP out.

Input: `Catalogue`s, handed to `ControlPlane.publish`. Output: the discovery services on gRPC (aggregated
and per type,
delta and state of the world), gRPC health, and `/metrics`, `/healthz`, `/readyz`, `/nodes` on HTTP.

Sockets, clocks and tasks live here; decisions of the protocol do not (`protocol`), and policies neither.
"""

from xds_server.server.control_plane import ControlPlane
from xds_server.server.logs import configure
from xds_server.server.pipeline import Pipeline, Update
from xds_server.server.port import PortTaken

__all__ = ["ControlPlane", "Pipeline", "PortTaken", "Update", "configure"]
