"""Movement: what moves traffic at run time, between the graph that policies make and the one that is compiled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from xds_server.archive import Journal
from xds_server.graph import Facts, Graph, Live, Overlay
from xds_server.protocol import Node
from xds_server.server.control_plane import ControlPlane
from xds_server.server.load_reports import Load, Place
from xds_server.server.overflows import Overflows
from xds_server.server.registrations import Registrations
from xds_server.server.rollout_pages import rollout_routes
from xds_server.server.rollouts import Rollouts
from xds_server.server.wakes import Wakes

_GRACE_SECONDS: Final = 2.0
_EVERY: Final = 0.5
"""Seconds between two looks whether something is to be written once more."""


def no_journal(_: str) -> Journal | None:
    """Keep nothing: what moves begins anew with each process."""
    return None


class Movement:
    """Everything that moves, for one control plane, before that is started. ``journal`` gives the file of a name.

    ``roots`` are public CAs in PEM. ``local``: whoever registers is on this machine.
    """

    def __init__(
        self,
        plane: ControlPlane,
        roots: str,
        journal: Callable[[str], Journal | None] = no_journal,
        *,
        local: bool = False,
    ) -> None:
        self.rollouts = Rollouts(plane.metrics, plane.readiness, roots, journal("rollouts"))
        self.rollouts.on_move = self._stir
        self.overflows = Overflows(plane.metrics, plane.readiness, journal("overflows"))
        self.overflows.on_move = self._stir
        self.registrations = Registrations(
            plane.metrics, plane.readiness, journal("registrations"), local=local
        )
        self.registrations.on_move = self._stir
        self.wakes = Wakes(plane.metrics, roots)
        plane.waits.on_wait = self.wakes.wait
        plane.loads.on_report = self._count
        plane.loads.on_leave = self.overflows.leave
        plane.add_pages(rollout_routes(self.rollouts))
        plane.add_pages(
            [
                Route("/overflows", self._show_overflows),
                Route("/registrations", self._show_registrations),
                Route("/wakes", self._show_wakes),
            ]
        )
        self._registered = Overlay()
        self._overlay = Overlay()
        self._whole: Graph | None = None
        self._stirred = asyncio.Event()

    def lay(self, graph: Graph) -> Graph:
        """The graph as traffic moves now. From any thread, one at a time."""
        registered = {path: Facts(registered=each) for path, each in self.registrations.registered.items()}
        # Rollouts and overflows are about all backends, those that registered included.
        self._whole = self._registered.lay(graph, registered)
        return self._overlay.lay(self._whole, self._live())

    def _live(self) -> Live:
        rollouts, spilling = self.rollouts.moved, self.overflows.spilling
        return {
            path: Facts(rollouts=rollouts.get(path, ()), spills=spilling.get(path, ()))
            for path in rollouts.keys() | spilling.keys()
        }

    def follow(self, graph: Graph) -> None:
        """Take note of the graph that policies make, once it is served."""
        self.registrations.follow(graph)
        whole = self._whole or graph
        self.rollouts.follow(whole)
        self.overflows.follow(whole)
        self.wakes.follow(whole)

    def _count(
        self, node: Node, report: Sequence[tuple[Place, Load]], seconds: float, named: frozenset[str]
    ) -> None:
        self.rollouts.tallies.count(report, seconds)
        self.overflows.take(node, report, seconds, named)

    async def _show_registrations(self, _: Request) -> Response:
        return JSONResponse({"registrations": self.registrations.describe()})

    async def _show_wakes(self, _: Request) -> Response:
        return JSONResponse({"wakes": self.wakes.describe()})

    async def _show_overflows(self, _: Request) -> Response:
        return JSONResponse({"overflows": self.overflows.describe()})

    def _stir(self) -> None:
        self._stirred.set()

    async def _keep(self) -> None:
        await self.registrations.keep()
        await self.overflows.keep()

    async def _keep_refused(self) -> None:
        """Write what the disk refused, though nothing stirs any more. Rollouts do so themselves."""
        while True:
            await asyncio.sleep(_EVERY)
            for each in (self.registrations, self.overflows):
                if each.memory.due:
                    await each.keep()

    async def run(self, publish: Callable[[], Awaitable[None]]) -> None:
        """Move what moves, and have it published, until cancelled. No failure ends it."""
        tasks = {
            asyncio.create_task(self.rollouts.run(), name="rollouts"),
            asyncio.create_task(self.registrations.run(), name="registrations"),
            asyncio.create_task(self._keep_refused(), name="memory"),
        }
        try:
            while True:
                await self._stirred.wait()
                self._stirred.clear()
                await self._keep()
                await publish()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_GRACE_SECONDS)
            await self.wakes.close()
