"""A control plane in a process of its own, which tells what it holds: memory, open files, live objects."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
from collections import Counter
from typing import Any

import structlog

from xds_server.protocol import Channel, Stream, Timing
from xds_server.protocol import types as t
from xds_server.server import ControlPlane
from xds_server.server.session import Session
from xds_server.snapshot import Catalogue, Resource, layer

_KINDS = (Session, Stream, Channel)


def resources(count: int, turn: int = 0) -> list[Resource]:
    """Clusters with bodies of a usual size; `turn` changes the first of them."""
    bodies = (f"{number} {turn if number == 0 else 0} ".encode() + b"x" * 500 for number in range(count))
    return [Resource.of(t.CLUSTER, f"cluster-{number}", body) for number, body in enumerate(bodies)]


def resident() -> int:
    """Memory of this process, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure() -> dict[str, Any]:
    """Count after a full collection. Sizes in bytes."""
    gc.collect()
    found: Counter[str] = Counter()
    for each in gc.get_objects():
        for kind in _KINDS:
            if isinstance(each, kind):
                found[kind.__name__] += 1
    return {
        "resident": resident(),
        "files": len(os.listdir("/proc/self/fd")),
        "objects": len(gc.get_objects()),
        **{kind.__name__: found[kind.__name__] for kind in _KINDS},
    }


def be_quiet() -> None:
    """Keep standard output for the measurements."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


async def serve(count: int) -> None:
    """Serve until standard input ends; answer each line with a measurement."""
    plane = ControlPlane(
        xds_address="127.0.0.1:0", admin_address="127.0.0.1:0", timing=Timing(cluster_grace=0.0)
    )
    async with plane:
        await plane.publish(Catalogue(1, shared=layer(resources(count)), gateways={"edge": {}}))
        print(json.dumps({"port": plane.xds_port}), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(measure()), flush=True)


if __name__ == "__main__":
    be_quiet()
    asyncio.run(serve(int(sys.argv[1])))
