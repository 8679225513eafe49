"""How gRPC listens: message sizes, keepalive, age of connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_LARGEST_REQUEST: Final = 64 << 20
"""A client that comes back lists all it holds with versions: far over gRPC's default of 4 MiB."""


@dataclass(frozen=True, slots=True)
class Keepalive:
    """A peer that vanished without a word is noticed within `interval` + `timeout` seconds; its streams are freed.

    gRPC asks no more often than every second: https://grpc.io/docs/guides/keepalive/
    """

    interval: float = 30.0
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what clients can take up."""

    streams: int = 10_000
    """Open at once; one more is refused."""
    first_exchanges: int = 100
    """Streams at once in their first exchange, in which they are sent most of what they ever will be; others
    wait."""
    first_exchange_seconds: float = 2.0
    """After which the next one need not wait any longer for a client that takes its time."""


def options(keepalive: Keepalive, max_stream_age: float | None) -> list[tuple[str, Any]]:
    """Return the options of a gRPC server: https://grpc.github.io/grpc/core/group__grpc__arg__keys.html"""
    chosen: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", _LARGEST_REQUEST),
        ("grpc.max_send_message_length", -1),
        # A second server on the same port would silently take half of the streams.
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", int(keepalive.interval * 1000)),
        ("grpc.keepalive_timeout_ms", int(keepalive.timeout * 1000)),
        # gRPC's other pings, which measure the path, are given a minute; while one is out there is no keepalive.
        ("grpc.http2.ping_timeout_ms", int(keepalive.timeout * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ]
    if max_stream_age is not None:
        chosen.append(("grpc.max_connection_age_ms", int(max_stream_age * 1000)))
        chosen.append(("grpc.max_connection_age_grace_ms", 1000))
    return chosen
