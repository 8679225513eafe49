"""Registration: backends that say themselves where they are, as long as they go on saying it; pure.

In: who registers what for how long, and the time. Out: what is registered now. It must not read a clock, do I/O, or
know policies: whether a backend may be where it is says the ``graph``.
"""

from .registry import MOST_WEIGHT, FullError, Lease, Registry, Slot

__all__ = ["MOST_WEIGHT", "FullError", "Lease", "Registry", "Slot"]
