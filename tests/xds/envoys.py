"""What tests with a real Envoy share: traffic through it, and when the server is done with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from tests.envoy_process import EnvoyProcess, delta_ads, sotw_ads, wait_until
from xds_server.server import ControlPlane

VARIANTS = pytest.mark.parametrize("bootstrap", [delta_ads, sotw_ads], ids=["delta", "sotw"])
Bootstrap = Callable[..., dict[str, Any]]


class Traffic:
    """Asks the same question over and over, and keeps every answer."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/"
        self._stopped = Event()
        self._thread = Thread(target=self._run)
        self.answers: list[tuple[int, str]] = []

    def _run(self) -> None:
        with httpx.Client(trust_env=False, timeout=20) as client:
            while not self._stopped.is_set():
                answer = client.get(self._url)
                self.answers.append((answer.status_code, answer.text))

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def wait(self, words: str) -> None:
        wait_until(lambda: self.answers and self.answers[-1][1] == words, f"an answer {words!r}")

    @property
    def bad(self) -> list[tuple[int, str]]:
        return [answer for answer in self.answers if answer[0] != 200]


async def off(function: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(function, *arguments)


def synced(plane: ControlPlane, node: str = "node-1") -> bool:
    told = plane.nodes.one(node)
    generation = plane.readiness.generation
    return bool(told and told["synced"] and all(s["generation"] == generation for s in told["streams"]))


COUNTERS = "lds.update_success|cds.update_success|(cluster|listener)_(added|modified|removed)$"
"""Of Envoy: what it was sent of listeners and clusters, and what it did with them."""


def still(envoy: EnvoyProcess) -> dict[str, int]:
    """The counters that do not move when nothing changes."""
    found = envoy.stats(COUNTERS)
    assert found
    return found
