"""Real Envoys, each a fleet member of one gateway in one region."""

from __future__ import annotations

from pathlib import Path

from tests.envoy_process import EnvoyProcess
from xds_server.compiler import Variant, compile_bootstrap


def make_member(folder: Path, gateway: str, region: str, xds_port: int, variant: Variant) -> EnvoyProcess:
    """An Envoy that is not started yet; its node is named after its gateway."""
    bootstrap = compile_bootstrap(
        node=gateway,
        gateway=gateway,
        region=region,
        xds=("127.0.0.1", xds_port),
        admin=("127.0.0.1", 0),
        variant=variant,
    )
    return EnvoyProcess(bootstrap, folder / gateway, ["--file-flush-interval-msec", "100"])
