"""Server: catalogues in, xDS streams and an admin HTTP out.

Input: `Catalogue`s, handed to `ControlPlane.publish`. Output: the discovery services on gRPC (aggregated
and per type, delta and state of the world), client status (CSDS), load reports (LRS), gRPC health, and
`/metrics`, `/healthz`, `/readyz`, `/nodes` and `/loads` on HTTP.

Sockets, clocks and tasks live here; decisions of the protocol do not (`protocol`), and policies neither.
"""

from xds_server.server.control_plane import ControlPlane
from xds_server.server.guard import Guard
from xds_server.server.logs import configure
from xds_server.server.pipeline import Pipeline
from xds_server.server.port import PortTaken
from xds_server.server.tls import BadCertificateError, Tls
from xds_server.server.transport import Keepalive, Limits
from xds_server.server.update import Update

__all__ = [
    "BadCertificateError",
    "ControlPlane",
    "Guard",
    "Keepalive",
    "Limits",
    "Pipeline",
    "PortTaken",
    "Tls",
    "Update",
    "configure",
]
