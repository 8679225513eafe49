"""What a model client keeps of one type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xds_server.snapshot import Resource


@dataclass
class Half:
    """The client's side of one type."""

    type_url: str
    wildcard: bool = False
    star: bool = False
    """Whether it says `*` where an empty request would do."""
    names: set[str] = field(default_factory=set)
    live: dict[str, Resource] = field(default_factory=dict)
    """What is in use, accepted or not."""
    known: dict[str, str] = field(default_factory=dict)
    """Versions it would bring along to another stream (delta)."""
    strays: set[str] = field(default_factory=set)
    """In use since a response that was refused on a stream that is gone: no server can know of them."""
    lost: set[str] = field(default_factory=set)
    """Taken away by a response that was refused on a stream that is gone, and counted as held all the same."""
    inherited: set[str] = field(default_factory=set)
    """In use since another stream, in state of the world: the server cannot know what they refer to."""
    told: set[str] = field(default_factory=set)
    """Names that it asks for and heard of: they came, or there are none."""
    latest: set[str] = field(default_factory=set)
    """Names in the last response that it had asked for when it came."""
    version: str = ""
    nonce: str = ""
    error: str | None = None
    """Of the last response, if that was refused."""
    open: bool = False
    answering: bool = False
    """A response is applied (or refused) and not answered."""
    paused: bool = False
    added: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    restless: bool = False
    """State of the world: there is something to say besides an answer."""
    named_before: bool = False

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def lose_stream(self, warming: Mapping[str, Resource], *, delta: bool, forgotten: bool) -> None:
        """`forgotten`: the next server knows nothing of this stream, or not in time."""
        self.inherited = set() if delta else {*self.live, *warming}
        self.strays |= {
            name
            for name, r in {**self.live, **warming}.items()
            if self.known.get(name) != r.version and (forgotten or name in self.known or not self.wildcard)
        }
        self.lost |= self.known.keys() - self.live.keys() - warming.keys()
        self.open = self.answering = self.restless = self.named_before = False
        self.nonce = ""
        self.latest.clear()
        self.added.clear()
        self.dropped.clear()
