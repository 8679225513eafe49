"""Real Envoys, each a fleet member of one gateway in one region."""

from __future__ import annotations

from pathlib import Path

from tests.envoy_process import EnvoyProcess
from xds_server.bootstrap import Variant, compile_bootstrap


def make_member(
    folder: Path,
    gateway: str,
    region: str,
    xds_port: int,
    variant: Variant,
    *,
    node: str | None = None,
    load_reports: bool = False,
) -> EnvoyProcess:
    """An Envoy that is not started yet; its node is named after its gateway unless `node` is."""
    bootstrap = compile_bootstrap(
        node=node or gateway,
        gateway=gateway,
        region=region,
        xds=("127.0.0.1", xds_port),
        admin=("127.0.0.1", 0),
        variant=variant,
        load_reports=load_reports,
    )
    return EnvoyProcess(bootstrap, folder / (node or gateway), ["--file-flush-interval-msec", "100"])
