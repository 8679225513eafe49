"""The wire schema: protobuf message classes for Envoy's API, derived from ``envoy-data-plane``.

In: full names of Envoy API messages. Out: upb-backed ``google.protobuf`` classes with the same fields, for the
resources made by the thousand and for the discovery messages. Must not know policies, graphs or sockets.

``envoy-data-plane`` is the schema (typed, complete, current); its encoder is pure Python and takes about a
millisecond a message. This room reads the field numbers and types from its metadata and hands them to the C
encoder of ``protobuf``: one schema, two encoders (``tests/wire`` holds them equal). What it read of one version is kept
in a file beside this one (``derivation``).
"""

from .message import descriptor_pool, message_class, pack, type_url

__all__ = ["descriptor_pool", "message_class", "pack", "type_url"]
