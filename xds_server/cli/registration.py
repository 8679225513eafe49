"""Where backends register themselves, as long as the control plane runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xds_server.cli import state
from xds_server.cli.outcome import CommandError
from xds_server.cli.terms import Terms

if TYPE_CHECKING:
    from xds_server.server.registrations import Registrations


CONNECTIONS: Final = 256
"""At once: a heartbeat takes a few milliseconds, so that is many more backends."""


@asynccontextmanager
async def taking_registrations(registrations: Registrations, terms: Terms) -> AsyncIterator[None]:
    """Take registrations where the terms say so. Raises ``CommandError`` if the token or the address can't be had."""
    if terms.registration is None or terms.registration_token is None:
        yield
        return
    from xds_server.server import PortTaken
    from xds_server.server.admin import AdminServer
    from xds_server.server.port import bind
    from xds_server.server.registration_pages import registration_application

    file = terms.registration_token
    if not read_token(file):
        raise CommandError(f"there is no token in {file}", "write one word into it that nobody can guess")
    try:
        listening = bind(terms.registration, "registration")
    except PortTaken as error:
        raise CommandError(f"{error.address} ({error.purpose}) is taken", error.remedy) from error
    except OSError as error:
        raise CommandError(f"registrations cannot be taken: {error.strerror or error}") from error
    pair = None if terms.certificate is None or terms.key is None else (terms.certificate, terms.key)
    application = registration_application(registrations, lambda: _reread(file))
    server = AdminServer(application, listening, pair, CONNECTIONS)
    server.start()
    try:
        yield
    finally:
        await server.stop()


def _reread(file: Path) -> bytes:
    try:
        return read_token(file)
    except CommandError:  # a file that others may read by now lets nobody in
        return b""


def read_token(file: Path) -> bytes:
    """The token in a file; empty if there is none. Raises ``CommandError`` if others may read it."""
    return (state.read_secret(file) or b"").strip()
