"""Shards: an immutable mapping in parts, of which a change copies one and a comparison looks into one.

Every room keeps what it made of the last state, so that a change costs what it reaches, however much there is. Two
things must then not cost a walk through everything: to make the next mapping beside the last one, and to find what
differs between the two. Both come of one idea: names are spread over parts by a hash, an amended mapping shares all
parts but those that it touches, and parts that are the same object hold the same.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, Set, ValuesView
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast, overload
from zlib import crc32

Value = TypeVar("Value")
Default = TypeVar("Default")

_FILL: Final = 64
"""Names in a part, on average, above which there are to be more parts: what a change copies."""

_GROWTH: Final = 8
"""How many parts one becomes: all are made anew then, so it should be rare."""

_EMPTY: Final[dict[str, Any]] = {}


class Changes(NamedTuple):
    """Names that are new or have another value, and names that are gone."""

    changed: frozenset[str]
    gone: frozenset[str]


class Shards(Mapping[str, Value], Generic[Value]):
    """Values by name. Never changed: `amend` makes another. Iterated in an order that says nothing, but the same in
    every process.
    """

    __slots__ = ("_parts", "_size")

    def __init__(self, values: Mapping[str, Value] | Iterable[tuple[str, Value]] = ()) -> None:
        found = dict(values)
        self._size = len(found)
        self._parts = _spread(found.items(), _width(self._size))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[str]:
        for part in self._parts:
            yield from part

    def __getitem__(self, name: str) -> Value:
        return self._part(name)[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._part(name)

    @overload
    def get(self, name: str, /) -> Value | None: ...

    @overload
    def get(self, name: str, /, default: Value | Default) -> Value | Default: ...

    def get(self, name: str, /, default: Any = None) -> Any:
        """Return the value of a name, or the default."""
        return self._part(name).get(name, default)

    def __hash__(self) -> int:
        return self._size  # equal ones are of one size; values need not be hashable

    def __repr__(self) -> str:
        return f"Shards({dict(self)!r})"

    def _part(self, name: str) -> dict[str, Value]:
        parts = self._parts
        return parts[_place(name) & (len(parts) - 1)]

    def amend(self, gone: Iterable[str] = (), put: Mapping[str, Value] | None = None) -> Shards[Value]:
        """Return the mapping without the names that are gone, and with those put, whether or not they were there."""
        put = put or _EMPTY
        if not self._size:
            return Shards(put) if put else self
        parts, size, last = list(self._parts), self._size, len(self._parts) - 1
        copied: set[int] = set()

        def own(name: str) -> dict[str, Value]:
            at = _place(name) & last
            if at not in copied:
                copied.add(at)
                parts[at] = dict(parts[at])
            return parts[at]

        for name in gone:
            if name in self._part(name) and own(name).pop(name, copied) is not copied:
                size -= 1
        for name, value in put.items():
            part = own(name)
            size += name not in part
            part[name] = value
        if not copied:
            return self
        made: Shards[Value] = Shards.__new__(Shards)
        made._size = size
        grown = _width(size) > len(parts)
        made._parts = (
            _spread((each for part in parts for each in part.items()), _width(size))
            if grown
            else tuple(parts)
        )
        return made

    def become(self, values: Mapping[str, Value]) -> Shards[Value]:
        """Return a mapping of these values that shares with this one what is equal in both."""
        gone: list[str] = []
        put: dict[str, Value] = {}
        for part in self._parts:
            for name, value in part.items():
                now = values.get(name, _EMPTY)
                if now is _EMPTY:
                    gone.append(name)
                elif now is not value and now != value:
                    put[name] = values[name]
        if len(values) > self._size - len(gone):
            put |= {name: value for name, value in values.items() if name not in self}
        return self.amend(gone, put)

    def pick(self, names: Set[str]) -> Iterator[tuple[str, Value]]:
        """Iterate over those of these names that are there, with their values; of very many faster than one by one."""
        if 2 * len(names) < self._size:
            for name in names:
                value = self._part(name).get(name, _EMPTY)
                if value is not _EMPTY:
                    yield name, cast("Value", value)
            return
        for part in self._parts:
            for name, value in part.items():
                if name in names:
                    yield name, value

    def items(self) -> ItemsView[str, Value]:
        """As `Mapping.items`, without looking each name up."""
        return _Items(self)

    def values(self) -> ValuesView[Value]:
        """As `Mapping.values`, without looking each name up."""
        return _Values(self)

    def since(self, before: Shards[Value]) -> Changes:
        """Compare with an earlier mapping: what is another object in this one, and what is no longer in it."""
        if self is before:
            return Changes(frozenset(), frozenset())
        changed: list[str] = []
        gone: list[str] = []
        for now, was in _pairs(self._parts, before._parts):
            changed += [name for name, value in now.items() if was.get(name, _EMPTY) is not value]
            if len(now) < len(was) or not was.keys() <= now.keys():
                gone += was.keys() - now.keys()
        return Changes(frozenset(changed), frozenset(gone))


class _Items(ItemsView[str, Value]):
    """Names and values, part by part."""

    _mapping: Shards[Value]

    def __iter__(self) -> Iterator[tuple[str, Value]]:
        for part in self._mapping._parts:
            yield from part.items()


class _Values(ValuesView[Value]):
    """Values, part by part."""

    _mapping: Shards[Value]

    def __iter__(self) -> Iterator[Value]:
        for part in self._mapping._parts:
            yield from part.values()


def _pairs(
    parts: tuple[dict[str, Value], ...], before: tuple[dict[str, Value], ...]
) -> Iterator[tuple[dict[str, Value], dict[str, Value]]]:
    """The parts that are not the same object; of mappings with other numbers of parts, everything at once."""
    if len(parts) == len(before):
        return ((now, was) for now, was in zip(parts, before, strict=True) if now is not was)
    return iter([(_join(parts), _join(before))])


def _join(parts: tuple[dict[str, Value], ...]) -> dict[str, Value]:
    return {name: value for part in parts for name, value in part.items()}


def _width(size: int) -> int:
    width = 1
    while size > width * _FILL:
        width *= _GROWTH
    return width


def _spread(items: Iterable[tuple[str, Value]], width: int) -> tuple[dict[str, Value], ...]:
    if width == 1:
        return (dict(items),)
    parts: tuple[dict[str, Value], ...] = tuple({} for _ in range(width))
    for name, value in items:
        parts[_place(name) & (width - 1)][name] = value
    return parts


def _place(name: str) -> int:
    # Python's own hash of a text is another one in each process.
    return crc32(name.encode("utf-8", "surrogatepass"))


EMPTY: Final[Shards[Any]] = Shards()
"""The mapping that holds nothing."""
