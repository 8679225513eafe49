"""The guard: nobody empties a fleet by accident.

Before too large a share of all clusters or listeners vanishes at once, it has what would vanish held, and waits to be
told that it may go. What it holds is named by a digest of the policies, so that a release lets exactly these through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from xds_server.graph import NOTHING, Graph, Hold, Loss, Vanished, find_loss
from xds_server.server.wake_hook import MARK
from xds_server.sources import SourceText

SHARE: Final = 0.5
_FIRST: Final = 10


@dataclass(frozen=True, slots=True)
class Held:
    """What is held: the policies that ask for it by their digest, since when (RFC 3339), and what would vanish."""

    digest: str
    since: str
    loss: Loss

    def describe(self) -> dict[str, Any]:
        """Return it as data."""
        return {
            "digest": self.digest,
            "since": self.since,
            "clusters": _describe(self.loss.clusters),
            "listeners": _describe(self.loss.listeners),
        }

    def __str__(self) -> str:
        clusters, listeners = self.loss.clusters, self.loss.listeners
        parts = [_count(clusters, "clusters"), _count(listeners, "listeners")]
        names = (*clusters.names, *listeners.names)
        first = ", ".join(names[:_FIRST])
        more = f" and {len(names) - _FIRST} more" if len(names) > _FIRST else ""
        return f"{' and '.join(each for each in parts if each)} would vanish: {first}{more}"


class Guard:
    """Judges each new graph against what is served. With `share` None it lets everything through."""

    def __init__(self, share: float | None = None) -> None:
        self.share = share
        self.held: Held | None = None
        self.on_release: Callable[[], None] = lambda: None
        """Called when something was released, to have the policies looked at once more."""
        self._released: str | None = None

    def judge(self, before: Graph | None, after: Graph, text: SourceText) -> Hold:
        """Say what has to stay for now when `after`, which these policies make, is to follow `before`.

        What is held once is held until all of it is back: a folder that is filled again file by file must not pass
        when the first half of it is there.
        """
        # Set once, when it is known: a release may come while the same policies are looked at again.
        self.held = self._find_held(before, after, text)
        return self.held.loss.hold() if self.held is not None else NOTHING

    def _find_held(self, before: Graph | None, after: Graph, text: SourceText) -> Held | None:
        last = self.held
        if self.share is None or before is None:
            return None
        loss = find_loss(before, after)
        if not loss.exceeds(self.share) and not (last is not None and loss.shares(last.loss)):
            return None
        name = fingerprint(text)
        if name == self._released:
            self._released = None
            return None
        since = last.since if last is not None and last.digest == name else _now()
        return Held(name, since, loss)

    def release(self, digest: str) -> bool:
        """Let the state of this digest through; False if it is not the one that is held."""
        if self.held is None or self.held.digest != digest:
            return False
        self._released = digest
        self.on_release()
        return True

    def routes(self) -> list[BaseRoute]:
        """Return the pages: `GET /held`, and `POST /held/<digest>` to release."""

        async def show(_: Request) -> Response:
            return JSONResponse({"held": self.held.describe() if self.held is not None else None})

        async def release(request: Request) -> Response:
            # A page in somebody's browser can post to a loopback address; it cannot hide that it does.
            if "origin" in request.headers or request.headers.get("sec-fetch-site", "none") != "none":
                return JSONResponse({"error": "not from a browser"}, status_code=403)
            if MARK in request.headers:
                return JSONResponse({"error": "this is no wake hook"}, status_code=403)
            digest = request.path_params["digest"]
            if not self.release(digest):
                held = self.held.digest if self.held is not None else None
                return JSONResponse({"error": "that is not what is held", "held": held}, status_code=409)
            return JSONResponse({"released": digest}, status_code=202)

        return [Route("/held", show), Route("/held/{digest}", release, methods=["POST"])]


def fingerprint(text: SourceText) -> str:
    """Name the content of a policy set: 16 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=8)
    texts = {name: each.encode("utf-8", "surrogateescape") for name, each in text.files.items()}
    problems = {name: each.encode() for name, each in text.problems.items()}
    for kind in (texts, text.attachments, problems):
        for name, content in sorted(kind.items()):
            digest.update(f"{len(name)}:{name}{len(content)}:".encode("utf-8", "surrogateescape"))
            digest.update(content)
        digest.update(b";")
    return digest.hexdigest()


def _describe(vanished: Vanished) -> dict[str, Any]:
    return {
        "vanishing": len(vanished.names),
        "of": vanished.before,
        "first": list(vanished.names[:_FIRST]),
    }


def _count(vanished: Vanished, what: str) -> str:
    return f"{len(vanished.names)} of {vanished.before} {what}" if vanished.names else ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
