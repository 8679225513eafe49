"""The compiler: a resolved graph in, a catalogue of encoded Envoy resources out.

In: ``Graph``. Out: ``Catalogue`` (snapshot), whose resources are ``(type_url, name, version, bytes)``; also
resources as JSON for people. It is the room that writes what Envoy is sent. It must not do I/O, read policies, or be
imported by the rooms of the protocol.

One file per resource type: ``scope`` (SRDS), ``route`` (RDS), ``cluster`` (CDS), ``load_assignment`` (EDS),
``listener`` (LDS), ``secret`` (SDS); ``authentication``, ``membership``, ``access`` and ``request`` decide who may do
what; ``local_reply`` says it to the client; ``names`` names everything. ``rendition`` compiles what the newest Envoy is
sent over ADS, ``variation`` what differs for another ``target``.
"""

from .compiler import Compiler
from .health_check import find_notice_seconds
from .names import name_cluster
from .show import show

__all__ = [
    "Compiler",
    "find_notice_seconds",
    "name_cluster",
    "show",
]
