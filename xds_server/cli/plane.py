"""The control plane and its pipeline as one thing that runs inside a command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from xds_server.cli import port
from xds_server.cli.outcome import CommandError
from xds_server.cli.registration import taking_registrations
from xds_server.cli.terms import Terms

if TYPE_CHECKING:
    from xds_server.archive import Archive
    from xds_server.cli.policies import DevelopmentSource
    from xds_server.server import ControlPlane

Address = tuple[str, int]


PIPELINE_SECONDS = 5.0
"""How long a stop waits for the pipeline."""


def require_ports(xds: Address, admin: Address) -> None:
    """Raise ``CommandError`` unless the control plane could listen on both addresses."""
    port.require_free(*xds, "the control plane's xDS", "choose another with --xds")
    port.require_free(*admin, "the control plane's admin page", "choose another with --admin")


@asynccontextmanager
async def running(
    source: DevelopmentSource,
    xds: Address,
    admin: Address,
    grace: float,
    *,
    archive: Archive | None = None,
    guard: float | None = None,
    terms: Terms | None = None,
) -> AsyncIterator[tuple[ControlPlane, asyncio.Task[None]]]:
    """Run the control plane on a source, and its pipeline as a task that ends with the block.

    Open streams have ``grace`` seconds to end when the block is left. The last good state is kept in ``archive``;
    before more than the share ``guard`` of what is served vanishes, somebody has to say so. Raises
    ``CommandError`` if an address can't be had after all, or a certificate can't be used.
    """
    import certifi

    from xds_server.server import BadCertificateError, ControlPlane, Guard, PortTaken
    from xds_server.server.movement import Movement, no_journal
    from xds_server.server.pipeline import Pipeline
    from xds_server.server.policy_sources import PolicySources
    from xds_server.server.port import is_loopback

    watch, terms = Guard(guard), terms or Terms()
    local = terms.registration is not None and is_loopback(terms.registration)
    journal = archive.journal if archive is not None else no_journal
    try:
        plane = ControlPlane(
            xds_address=port.join(*xds),
            admin_address=port.join(*admin),
            pages=watch.routes(),
            **terms.options(),
        )
        movement = Movement(plane, certifi.contents(), journal, local=local)
        sources = PolicySources(plane.metrics, plane.readiness, certifi.contents(), journal("policy-sources"))
        plane.add_pages(sources.routes())
        await plane.start()
    except BadCertificateError as error:
        raise CommandError(f"TLS cannot be had: {error}") from error
    except PortTaken as error:
        raise CommandError(f"{error.address} ({error.purpose}) is taken", error.remedy) from error
    except OSError as error:
        raise CommandError(f"the control plane cannot listen: {error.strerror or error}") from error
    runner = Pipeline(source, archive=archive, guard=watch, movement=movement, sources=sources)
    pipeline = asyncio.create_task(runner.run(plane), name="pipeline")
    try:
        async with taking_registrations(movement.registrations, terms):
            yield plane, pipeline
    finally:
        pipeline.cancel()
        # What it was reading or compiling goes on in its thread; that is no reason to hold up a stop.
        await asyncio.wait({pipeline}, timeout=PIPELINE_SECONDS)
        await plane.stop(grace)
