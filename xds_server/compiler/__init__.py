"""The compiler: a resolved graph in, a catalogue of encoded Envoy resources out.

In: ``Graph``. Out: ``Catalogue`` (snapshot), whose resources are ``(type_url, name, version, bytes)``; also the
bootstrap of a fleet member, and resources as JSON for people. It is the one room that knows Envoy's API. It must not do
I/O, read policies, or be imported by the rooms of the protocol.

One file per resource type: ``scope`` (SRDS), ``route`` (RDS), ``cluster`` (CDS), ``load_assignment`` (EDS),
``listener`` (LDS), ``secret`` (SDS); ``authentication``, ``membership``, ``access`` and ``request`` decide who may do
what; ``local_reply`` says it to the client; ``names`` names everything. ``rendition`` compiles what the newest Envoy is
sent over ADS, ``variation`` what differs for another ``target``; ``source`` is where everything is fetched.
"""

from .bootstrap import Streams, Variant, compile_bootstrap
from .compiler import Compiler
from .control_plane import Trust
from .health_check import find_notice_seconds
from .names import name_cluster
from .show import show

__all__ = [
    "Compiler",
    "Streams",
    "Trust",
    "Variant",
    "compile_bootstrap",
    "find_notice_seconds",
    "name_cluster",
    "show",
]
