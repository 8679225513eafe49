"""Who is at fault in a response whose refusal names nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable


class Inquiry:
    """Halves the suspects until each was accepted, or refused alone: at most 2n - 1 responses for n of them.

    Holds names only, each once. Who was cleared meanwhile, by another answer or by a change of its content,
    is passed over.
    """

    def __init__(self) -> None:
        self._groups: list[list[str]] = []
        """The next to be tried is last."""

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __contains__(self, name: str) -> bool:
        """Say whether somebody is still to be tried, other than with the response in flight."""
        return any(name in group for group in self._groups)

    def open(self, suspects: Iterable[str]) -> None:
        """Have two halves tried, one after the other; one suspect alone is guilty, and not tried again."""
        ordered = sorted(suspects)
        self._drop(ordered)
        half = len(ordered) // 2
        if half:
            self._groups += [ordered[half:], ordered[:half]]

    def retry(self, suspects: Iterable[str]) -> None:
        """Have suspects tried together: they were refused, but perhaps for somebody else's sake."""
        ordered = sorted(suspects)
        self._drop(ordered)
        self._groups.append(ordered)

    def _drop(self, names: Iterable[str]) -> None:
        again = set(names)
        rest = ([name for name in group if name not in again] for group in self._groups)
        self._groups = [group for group in rest if group]

    def next(self, suspected: Callable[[str], bool]) -> list[str]:
        """Return the next suspects to send; empty when there are none left."""
        while self._groups:
            group = [name for name in self._groups.pop() if suspected(name)]
            if group:
                return group
        return []
