"""The bootstrap of a fleet member: who it is and where the control plane is in, what its Envoy starts with out.

In: node, gateway, region, the control plane's address and its trust. Out: ``compile_bootstrap``'s JSON object. What an
Envoy is told of the control plane is written here once, for the compiler too: its cluster, and the ConfigSource that
leads to it. It must not know policies or graphs, nor import envoy-data-plane's classes: ``fairlead envoy run`` needs
nothing else, and starts in a fraction of the time.
"""

from .bootstrap import RUNTIME_LAYER, Streams, Variant, compile_bootstrap
from .config_source import CONTROL_PLANE, describe_api, source
from .control_plane import Trust

__all__ = [
    "CONTROL_PLANE",
    "RUNTIME_LAYER",
    "Streams",
    "Trust",
    "Variant",
    "compile_bootstrap",
    "describe_api",
    "source",
]
