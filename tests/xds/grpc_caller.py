"""A program that calls a service through gRPC's own xDS client, again and again, and prints each outcome as a line.

It runs as a process of its own: gRPC reads its bootstrap once, and keeps one xDS client for all channels. The target is
its argument; a line on its standard input makes it call once.
"""

from __future__ import annotations

import json
import sys

import grpc

_SECONDS = 20


def main() -> None:
    """Call once per line, until the input ends."""
    with grpc.insecure_channel(sys.argv[1]) as channel:
        call = channel.unary_unary("/test.Echo/Say")
        for line in sys.stdin:
            told: dict[str, str] = {}
            try:
                told["answer"] = call(line.strip().encode(), timeout=_SECONDS).decode()
            except grpc.RpcError as error:
                told = {"code": error.code().name, "details": error.details() or ""}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
