"""What a client asks for: one type on one stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

EVERYTHING: Final = "*"


class Change(NamedTuple):
    """What a request did to a subscription."""

    asked: frozenset[str] = frozenset()
    """Names asked for: newly, or (delta) once more."""
    dropped: frozenset[str] = frozenset()
    """Names no longer asked for by name."""
    opened: bool = False
    """Everything is asked for now, and was not before."""
    closed: bool = False
    """Everything was asked for before, and no longer is."""

    def __bool__(self) -> bool:
        return any(self)


class Subscription:
    """Wildcard (by an empty first request, or `*`), named, or both.

    `wildcard_type` says whether everything of the type can be asked for; of other types `*` and an empty
    request ask for nothing. Rules and the sequences that tests repeat:
    https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#how-the-client-specifies-what-
    resources-to-return
    """

    __slots__ = ("_named_before", "_wildcard_type", "names", "wildcard")

    def __init__(self, *, wildcard_type: bool) -> None:
        self.wildcard = False
        self.names: set[str] = set()
        self._wildcard_type = wildcard_type
        self._named_before = False

    def __bool__(self) -> bool:
        """Say whether anything is asked for."""
        return self.wildcard or bool(self.names)

    def wants(self, name: str) -> bool:
        """Say whether a resource of this name is asked for."""
        return self.wildcard or name in self.names

    def replace(self, names: Iterable[str]) -> Change:
        """State of the world: take the full list of names of a request."""
        asked = set(names)
        self._named_before |= bool(asked)
        starred = EVERYTHING in asked
        asked.discard(EVERYTHING)
        before, self.names = self.names, asked
        return Change(
            frozenset(asked - before),
            frozenset(before - asked),
            *self._turn(starred or not self._named_before),
        )

    def update(self, subscribe: Iterable[str], unsubscribe: Iterable[str], *, first: bool) -> Change:
        """Delta: take the additions and removals of a request. A name in both ends subscribed."""
        added, dropped = set(subscribe), set(unsubscribe)
        wildcard = self.wildcard
        if EVERYTHING in added or (first and not added):
            wildcard = True
        elif EVERYTHING in dropped:
            wildcard = False
        added.discard(EVERYTHING)
        gone = (dropped - added) & self.names
        self.names -= gone
        self.names |= added
        return Change(frozenset(added), frozenset(gone), *self._turn(wildcard))

    def _turn(self, wildcard: bool) -> tuple[bool, bool]:
        before, self.wildcard = self.wildcard, wildcard and self._wildcard_type
        return self.wildcard and not before, before and not self.wildcard
