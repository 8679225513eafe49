"""Deferred resources: known by name from the start, encoded when somebody first looks one up.

Most models of a large fleet are idle. Their names are needed at once, to say what there is; their bytes when a stream
wants them, which for most is never.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, ValuesView
from threading import Lock
from typing import Any, Final, Generic, NamedTuple, TypeVar

import structlog

from xds_server.shards import EMPTY, Changes, Shards
from xds_server.snapshot.resource import Resource

log = structlog.get_logger("fairlead.compiler")

Subject = TypeVar("Subject")
"""What resources are made of: an immutable value that is equal to another of which the same is made."""

_NONE: Final[Mapping[str, Resource]] = {}


class Recipe(NamedTuple, Generic[Subject]):
    """How the resources of one type are made of a subject: their names without making any, and they themselves."""

    names: Callable[[Subject], Iterable[str]]
    make: Callable[[Subject], Iterable[Resource]]
    owner: Callable[[str], str]
    """From a resource's name to the key of the subject that it would be made of; any text where there is none."""


class Workshop(Generic[Subject]):
    """Makes the resources of one type, and keeps what it made from one generation to the next.

    Safe to use from several threads: two that want the same at once may both make it, and it is equal.
    """

    def __init__(self) -> None:
        self._subjects: Shards[Subject] = EMPTY
        self._counted: tuple[Shards[Subject], int] = (EMPTY, 0)
        self._counting = Lock()
        self._made: dict[str, tuple[Subject, dict[str, Resource]]] = {}
        self._failed: dict[str, Subject] = {}
        """Of what nothing can be made, though it should; told once."""

    def follow(self, subjects: Shards[Subject], recipe: Recipe[Subject]) -> Deferred[Subject]:
        """Return the resources of these subjects, by name. What was returned before stays as it is.

        Costs a look at the subjects that are others than last time. Every recipe given here makes equal resources of
        equal subjects.
        """
        if self._made:
            for key in subjects.since(self._subjects).gone:
                self._made.pop(key, None)
                self._failed.pop(key, None)
        self._subjects = subjects
        return Deferred(self, subjects, recipe)

    def count(self, subjects: Shards[Subject], recipe: Recipe[Subject]) -> int:
        """Return how many resources are made of these subjects; costs a look at what differs from the last ones."""
        with self._counting:
            before, count = self._counted
            changed, gone = subjects.since(before)
            count -= sum(len(tuple(recipe.names(was))) for _, was in before.pick(changed | gone))
            count += sum(len(tuple(recipe.names(now))) for _, now in subjects.pick(changed))
            self._counted = (subjects, count)
            return count

    def ready(self, key: str, subject: Subject) -> dict[str, Resource] | None:
        """Return what was made of this very subject before: each of very many streams looks it up."""
        known = self._made.get(key)
        return known[1] if known is not None and known[0] is subject else None

    def made(self, key: str, subject: Subject, recipe: Recipe[Subject]) -> dict[str, Resource]:
        """Return what is made of a subject, made now unless it was before.

        If that fails, which is a fault of the recipe, it is told, and what was made last of this key stays.
        """
        known = self._made.get(key)
        if known is not None and (known[0] is subject or known[0] == subject):
            return known[1]
        last = known[1] if known is not None else {}
        if self._failed.get(key) is subject:
            return last
        try:
            made = {each.name: each for each in recipe.make(subject)}
        except Exception:
            log.exception("cannot be compiled; what was sent of it last stays", name=key)
            self._failed[key] = subject
            return last
        if self._subjects.get(key) is subject:  # not what an earlier generation had
            self._made[key] = (subject, made)
        return made


class Deferred(Mapping[str, Resource], Generic[Subject]):
    """The resources of one type at one generation, by name: those of subjects, and a few `others`.

    Immutable to all who look. Names, their number and `in` cost no encoding; a look-up encodes what it finds, once.
    """

    __slots__ = ("_others", "_recipe", "_subjects", "_workshop")

    def __init__(
        self,
        workshop: Workshop[Subject],
        subjects: Shards[Subject],
        recipe: Recipe[Subject],
        others: Mapping[str, Resource] = _NONE,
    ) -> None:
        self._workshop = workshop
        self._subjects = subjects
        self._recipe = recipe
        self._others = others

    def beside(self, others: Mapping[str, Resource]) -> Deferred[Subject]:
        """Return the same with these others, whose names none of the subjects' resources has."""
        return Deferred(self._workshop, self._subjects, self._recipe, others)

    def __getitem__(self, name: str) -> Resource:
        other = self._others.get(name)
        if other is not None:
            return other
        key = self._recipe.owner(name)
        subject = self._subjects.get(key)
        ready = self._workshop.ready(key, subject) if subject is not None else None
        if ready is not None:
            return ready[name]
        if subject is None or name not in self._recipe.names(subject):
            raise KeyError(name)
        return self._workshop.made(key, subject, self._recipe)[name]

    def values(self) -> ValuesView[Resource]:
        """All that can be made."""
        return _Values(self)

    def make_all(self) -> Iterator[Resource]:
        """Iterate over all that can be made, subject by subject: no name is looked up."""
        yield from self._others.values()
        for key, subject in self._subjects.items():
            made = self._workshop.made(key, subject, self._recipe)
            for name in self._recipe.names(subject):
                found = made.get(name)
                if found is not None:
                    yield found

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        subject = self._subjects.get(self._recipe.owner(name))
        return name in self._others or (subject is not None and name in self._recipe.names(subject))

    def __iter__(self) -> Iterator[str]:
        yield from self._others
        for subject in self._subjects.values():
            yield from self._recipe.names(subject)

    def __len__(self) -> int:
        return self._workshop.count(self._subjects, self._recipe) + len(self._others)

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def follows(self, before: object) -> bool:
        """Say whether both come of one workshop, so that equal subjects are known to have equal resources."""
        return isinstance(before, Deferred) and before._workshop is self._workshop

    def since(self, before: Deferred[Subject]) -> Changes:
        """Compare with what it follows: names that are new or have other bytes, and names that are gone.

        Encodes what is made of subjects that differ, before and after, as far as a name is in both.
        """
        changed, gone = _differences(self._others, before._others)
        others, lost = self._subjects.since(before._subjects)
        for key in others | lost:
            was, now = before._subjects.get(key), self._subjects.get(key)
            if was == now:
                continue
            old = frozenset(before._recipe.names(was)) if was is not None else frozenset()
            new = frozenset(self._recipe.names(now)) if now is not None else frozenset()
            changed |= new - old
            # What was made of the one before is kept until the next one is.
            was_made = {name: before.get(name) for name in new & old}
            changed |= {name for name, last in was_made.items() if _is_other(last, self.get(name))}
            gone |= old - new
        return Changes(frozenset(changed), frozenset(gone))


class _Values(ValuesView[Resource]):
    """Without those that cannot be made."""

    def __init__(self, mapping: Deferred[Any]) -> None:
        super().__init__(mapping)
        self._of = mapping

    def __iter__(self) -> Iterator[Resource]:
        return self._of.make_all()


def _is_other(last: Resource | None, now: Resource | None) -> bool:
    return now is not None and (last is None or last.version != now.version)


def _differences(now: Mapping[str, Resource], was: Mapping[str, Resource]) -> tuple[set[str], set[str]]:
    changed = {name for name, each in now.items() if name not in was or was[name].version != each.version}
    return changed, set(was.keys() - now.keys())
