"""A program that calls services through gRPC's own xDS client, again and again, and prints each outcome as a line.

It runs as a process of its own: gRPC reads its bootstrap once, and keeps one xDS client for all channels. A line on its
standard input is a target, which is called once; the channel to it stays.
"""

from __future__ import annotations

import json
import sys

import grpc

_SECONDS = 20


def main() -> None:
    """Call once per line, until the input ends."""
    channels: dict[str, grpc.Channel] = {}
    for line in sys.stdin:
        target = line.strip()
        if target not in channels:
            channels[target] = grpc.insecure_channel(target)
        told: dict[str, str] = {}
        try:
            told["answer"] = channels[target].unary_unary("/test.Echo/Say")(b"", timeout=_SECONDS).decode()
        except grpc.RpcError as error:
            told = {"code": error.code().name, "details": error.details() or ""}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    for channel in channels.values():
        channel.close()


if __name__ == "__main__":
    main()
