"""Scale from zero: how requests wait for a revision that has no backend, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from xds_server.policy import ScaleFromZero, credential_text, pem_text


@dataclass(frozen=True, slots=True)
class WakeHook:
    """Who is told that requests wait: times in seconds, ``token`` a bearer token, ``ca`` as PEM text (``None``: the
    public CAs)."""

    url: str
    every: float
    timeout: float
    token: str | None = field(default=None, repr=False)
    ca: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Scaling:
    """What becomes of requests to a revision that has no backend: they wait for ``hold`` seconds at most, and may come
    again after ``retry_after``."""

    hold: float
    retry_after: int
    hook: WakeHook


def build_scaling(spec: ScaleFromZero | None, files: Mapping[str, bytes]) -> Scaling | None:
    """What a deployment says of it; ``files`` are those that its manifest refers to, by path as written."""
    if spec is None:
        return None
    wake = spec.wake
    hook = WakeHook(
        url=wake.url,
        every=wake.every,
        timeout=wake.timeout,
        token=None if wake.token is None else credential_text(files[wake.token]),
        ca=None if wake.ca is None else pem_text(files[wake.ca]),
    )
    return Scaling(spec.hold, ceil(spec.retry_after), hook)
