"""The messages that protobuf itself defines, and everybody shares."""

from __future__ import annotations

from typing import Final

from google.protobuf import any_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2

FILES: Final = tuple(
    module.DESCRIPTOR
    for module in (any_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
)
_PACKAGE: Final = "google.protobuf."


def is_well_known(name: str) -> bool:
    """Whether protobuf itself defines the message."""
    return name.startswith(_PACKAGE)
