"""Fairlead: a routing control plane for inference endpoints.

One-way flow, one room per step: read (``sources``) → load (``policy``) → build (``graph``) → compile
(``compiler``) → diff (``snapshot``) → publish and stream (``protocol``, ``server``). ``cli`` calls the rooms.
"""

__version__ = "0.1.0"
