"""The streams of one node as the network sees them: first in, first out each way, and as late as it likes."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from functools import partial
from itertools import count

from tests.xds.machine.conversation import C, E
from tests.xds.machine.model_fleet import TYPES
from tests.xds.machine.model_ledger import Ledger
from xds_server.protocol import Company, DeltaStream, Estates, Request, Response, SotwStream, Timing
from xds_server.snapshot import View

NODE = "node"


class Wire:
    """Carries requests up and responses down one stream; all that the server does is checked by the ledger."""

    def __init__(self, stream: DeltaStream | SotwStream, ledger: Ledger) -> None:
        self.stream = stream
        self.up: deque[Request] = deque()
        self.down: deque[Response] = deque()
        self.awake = False
        self._ledger = ledger
        stream.wake = self.wake

    def wake(self) -> None:
        self.awake = True

    def show(self, view: View) -> None:
        self.stream.on_view(view)
        self.awake = True

    def reach(self, now: float) -> Request:
        """The server takes the next request, and returns it."""
        request = self.up.popleft()
        self._ledger.request(request)
        self.stream.on_request(request, now)
        self.awake = True
        return request

    def poll(self, now: float) -> None:
        """As the server's loop does it: when something happened to the stream, or its deadline came."""
        deadline = self.stream.deadline
        if self.awake or (deadline is not None and now >= deadline):
            self.awake = False
            batch = self.stream.poll(now)
            self._ledger.responses(batch, self.stream.view)
            self.down.extend(batch)


class Network:
    """One aggregated stream, or one for each type, and the server behind them."""

    def __init__(self, *, delta: bool, per_type: bool, timing: Timing) -> None:
        self.ledger = Ledger(delta=delta)
        self.wires: dict[str, Wire] = {}
        """By type; the same one for all types where the stream is aggregated."""
        self._kind = DeltaStream if delta else SotwStream
        self._per_type = per_type
        self._timing = timing
        self._streams = count(1)
        self._ghosts: list[DeltaStream | SotwStream] = []
        self._company, self._estates = Company(), Estates()

    def connect(self, types: Collection[str], view: View | None, *, restarted: bool) -> Collection[str]:
        """Replace the streams of these types, without the server having noticed that they ended, or having
        forgotten everything. Returns all types that are on a new stream now."""
        types = types if self._per_type and self.wires else TYPES
        self._ghosts += {id(w.stream): w.stream for t, w in self.wires.items() if t in types}.values()
        if restarted:
            self._company, self._estates = Company(), Estates()
            self._ghosts.clear()
            self.ledger.ghosts.clear()
        shared = None if self._per_type else self._wire(view)
        self.ledger.late.difference_update(types)
        for type_url in types:
            self.wires[type_url] = shared or self._wire(view)
            page = self.ledger.pages.pop(type_url, None)
            if page is not None and not restarted:
                self.ledger.ghosts.append(page)
        return types

    def _wire(self, view: View | None) -> Wire:
        stream = self._kind(nonce_prefix=f"{next(self._streams)}-", timing=self._timing)
        stream.inherit = partial(self._estates.claim, NODE)
        if self._per_type:
            stream.join(self._company)
        if view is not None:
            stream.on_view(view)
        return Wire(stream, self.ledger)

    def notice(self) -> None:
        """The server finds out about streams that ended."""
        for stream in self._ghosts:
            stream.leave()
            estate = stream.estate()
            self._estates.leave(NODE, estate)
            self.ledger.inherit(estate)
        self._ghosts.clear()
        self.ledger.ghosts.clear()

    def all(self) -> list[Wire]:
        return list({id(wire): wire for wire in self.wires.values()}.values())

    def show(self, view: View, now: float) -> None:
        self.ledger.see(view)
        for wire in self.all():
            wire.show(view)
        self.poll(now)

    def poll(self, now: float) -> None:
        for wire in self.all():
            wire.poll(now)
        while any(wire.awake for wire in self.all()):
            for wire in self.all():
                wire.poll(now)

    def upward(self, turn: int) -> Wire | None:
        """Return a wire with a request on it, if there is one."""
        busy = [wire for wire in self.all() if wire.up]
        return busy[turn % len(busy)] if busy else None

    def downward(self, turn: int) -> Wire | None:
        """Return a wire with a response on it, if there is one. Streams share a connection: endpoints do not
        overtake the clusters that they were sent for."""
        busy = [wire for wire in self.all() if wire.down]
        chosen = busy[turn % len(busy)] if busy else None
        return self.wires[C] if chosen is self.wires[E] and self.wires[C].down else chosen

    @property
    def idle(self) -> bool:
        """Nothing is on its way, and the server has a view for each stream."""
        return not any(wire.up or wire.down or wire.stream.view is None for wire in self.all())

    @property
    def deadline(self) -> float | None:
        found = [wire.stream.deadline for wire in self.all() if wire.stream.deadline is not None]
        return min(found, default=None)
