"""A refusal (NACK): which resource, in whose words, since when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xds_server.protocol.record import Flight
from xds_server.snapshot import Resource

_DEBUG_MARKER = re.compile(r"goo\.gle/debug\w*")
_IN_A_NAME = r"[\w./-]"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A resource that a client refused. It keeps its last accepted version until the content changes."""

    resource: Resource
    text: str
    """The client's words, without their random markers."""
    since: float
    """When, on the clock given to the state machine."""
    sent_at: float
    """When the refused response was sent."""
    named: bool = True
    """Whether the client named it; otherwise it is one of several, any of which may be at fault."""


def charge(
    flight: Flight,
    suspects: Iterable[str],
    known: Mapping[str, Refusal],
    text: str,
    now: float,
    *,
    named: bool,
) -> dict[str, Refusal]:
    """Make the refusals of `suspects` in a response. Content that is `known` to be refused is so since then."""
    refusals = {}
    for name in suspects:
        resource, earlier = flight.sent[name], known.get(name)
        again = earlier is not None and earlier.resource.version == resource.version
        since = earlier.since if earlier is not None and again else now
        convicted = earlier is not None and again and earlier.named
        refusals[name] = Refusal(resource, text, since, flight.at, named or convicted)
    return refusals


def clean(text: str) -> str:
    """Take protobuf's randomised debug markers and blanks out of an error text, so that equal errors are
    equal.

    https://protobuf.dev/news/2024-12-04/ (debug output is redacted and deliberately unstable)
    """
    return " ".join(_DEBUG_MARKER.sub(" ", text).split())


def culprits(text: str, names: Iterable[str]) -> frozenset[str]:
    """Return those of `names` that an error text mentions as a whole word; empty when it mentions none."""
    return frozenset(name for name in names if name and name in text and _mentions(text, name))


def _mentions(text: str, name: str) -> bool:
    # A name may end a sentence: a full stop after it counts as part of a longer name only if more follows.
    return re.search(rf"(?<!{_IN_A_NAME}){re.escape(name)}(?!\.?[\w/-])", text) is not None
