"""What a stream that ended may have left with a client that will not tell of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Final, Protocol

_NODES: Final = 1000
_NAMES: Final = 10_000


class Testator(Protocol):
    """A stream, as far as it may leave something."""

    def estate(self) -> Mapping[str, Collection[str]]:
        """Return the names that the client perhaps holds and will not tell of, by type."""


class Estates:
    """Names that nodes perhaps hold, by node and type, handed from one delta stream of a node to its next.

    Envoy keeps the good half of a response that it refused, and does not list it when it comes back, so that
    nobody would ever take it away. Names are of responses refused or not answered when the stream ended.

    A client can be back before anybody noticed that its last stream is gone, so streams still open are asked too.

    Bounded: the `nodes` whose streams ended last, and up to `names` of each type. Kept in memory only.

    https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds
    """

    def __init__(self, nodes: int = _NODES, names: int = _NAMES) -> None:
        self._estates: OrderedDict[str, dict[str, tuple[str, ...]]] = OrderedDict()
        self._streams: dict[str, set[Testator]] = {}
        self._nodes = nodes
        self._names = names

    def enter(self, node_id: str, stream: Testator) -> None:
        """Take note of a stream that begins."""
        self._streams.setdefault(node_id, set()).add(stream)

    def end(self, node_id: str, stream: Testator) -> None:
        """Take note that a stream ended, and keep what it left."""
        streams = self._streams.get(node_id, set())
        streams.discard(stream)
        if not streams:
            self._streams.pop(node_id, None)
        self.leave(node_id, stream.estate())

    def leave(self, node_id: str, names: Mapping[str, Collection[str]]) -> None:
        """Keep names by type, beside what was left before and nobody took."""
        if not any(names.values()):
            return
        estate = self._estates.setdefault(node_id, {})
        self._estates.move_to_end(node_id)
        for type_url, left in names.items():
            if left:
                known = dict.fromkeys((*left, *estate.get(type_url, ())))
                estate[type_url] = tuple(islice(known, self._names))
        while len(self._estates) > self._nodes:
            self._estates.popitem(last=False)

    def claim(self, node_id: str, type_url: str) -> frozenset[str]:
        """Hand over what a node perhaps holds of a type; it is not kept here any longer."""
        names = {name for each in self._streams.get(node_id, ()) for name in each.estate().get(type_url, ())}
        estate = self._estates.get(node_id, {})
        names.update(estate.pop(type_url, ()))
        if not estate:
            self._estates.pop(node_id, None)
        return frozenset(names)

    def __len__(self) -> int:
        """Return how many nodes there is something of."""
        return len(self._estates) + len(self._streams)
