"""A client made of sets, which does what Envoy does: what it asks for, what it holds, what it answers and when."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from tests.xds.machine.conversation import C, E, L, P, R, S, X
from tests.xds.machine.model_fleet import REFERENCES, TYPES, refuses
from tests.xds.machine.model_half import Half
from tests.xds.machine.model_ledger import EACH_ALONE
from tests.xds.machine.model_wire import Network
from xds_server.protocol import Request, Response, Timing
from xds_server.protocol.types import REFERRERS, WILDCARD
from xds_server.snapshot import Resource, View

WARMING: Final = 15.0
GRACE: Final = 5.0
REFERRED: Final = (E, S, X, R)


class ModelClient:
    """One node. `envoy`: it asks for what its resources refer to, and warms clusters; otherwise it asks for
    whatever it is told to. `outspoken`: its refusals name the guilty. `star`: it says `*`.
    """

    def __init__(
        self, *, delta: bool, envoy: bool, per_type: bool = False, outspoken: bool = True, star: bool = False
    ) -> None:
        self.delta, self.envoy, self.per_type, self.outspoken = delta, envoy, per_type, outspoken
        self.now = 0.0
        self.view: View | None = None
        self.network = Network(delta=delta, per_type=per_type, timing=Timing(WARMING, GRACE))
        self.halves = {type_url: Half(type_url, star=star) for type_url in TYPES}
        self.warming: dict[str, set[tuple[str, str]]] = {}
        self.cold: dict[str, Resource] = {}
        """Clusters' new contents, which wait for what is in `warming`."""
        self.warm_by = 0.0
        self.suspects: set[str] = set()
        self.doubted: set[str] = set()
        """Clusters that may be missing: refused, or not known to a new stream; and those refused last."""
        self.excused = False
        """Time passed with something on its way, or routes are asked for before clusters."""
        self.deferred = False
        """Clusters are asked for on a new stream only when those that are warming are warm."""
        self.connect(TYPES, seen=True)
        if envoy:
            self.halves[C].wildcard = True
            self.begin(self.halves[C])

    def connect(
        self, types: Collection[str], *, seen: bool, noticed: bool = True, restarted: bool = False
    ) -> None:
        """Open streams for these types after the loss of those before.

        `seen`: the server has its first view by then. `noticed`: and knows that the earlier ones ended.
        `restarted`: it is another server.
        """
        types = self.network.connect(types, self.view if seen else None, restarted=restarted)
        if noticed:
            self.network.notice()
        lost = [half for type_url in types if (half := self.halves[type_url]).open]
        for half in lost:
            cold = self.cold if half.type_url == C else {}
            half.lose_stream(cold, delta=self.delta, forgotten=restarted or not noticed)
        if C in types:
            self.deferred = bool(self.warming)
            # Who asks for routes before clusters is answered at once.
            self.excused |= self.deferred or self.per_type
        for half in lost:
            if not (half.type_url == C and self.deferred):
                self.begin(half)

    def begin(self, half: Half) -> None:
        """Ask for the first time on this stream, with what is left from the last one."""
        names = sorted(half.names)
        if half.type_url in WILDCARD:
            if not half.wildcard and not names:
                return
            if half.wildcard and (names or half.star):
                names.append("*")
        half.open, half.named_before = True, bool(names)
        if self.delta:
            held = {name: version for name, version in half.known.items() if half.wants(name)}
            request = Request(half.type_url, subscribe=tuple(names), initial_versions=held, error=half.error)
        else:
            request = Request(half.type_url, names=tuple(names), version=half.version, error=half.error)
        self.network.wires[half.type_url].up.append(request)

    def flush(self, half: Half) -> None:
        """Say what there is to say, unless the type is paused: an answer and changes of mind in one request."""
        held_back = half.type_url == C and bool(self.warming or self.deferred)
        if half.paused or held_back or not half.open:
            return
        if not (half.answering or half.added or half.dropped or half.restless):
            return
        error = half.error if half.answering else None
        if self.delta:
            request = Request(
                half.type_url,
                nonce=half.nonce if half.answering else "",
                error=error,
                subscribe=tuple(sorted(half.added)),
                unsubscribe=tuple(sorted(half.dropped)),
            )
        else:
            names = sorted(half.names)
            half.named_before |= bool(names)
            if half.wildcard and (half.named_before or half.star):
                names.append("*")
                half.named_before = True
            request = Request(
                half.type_url, nonce=half.nonce, error=error, names=tuple(names), version=half.version
            )
        half.answering = half.restless = False
        half.added.clear()
        half.dropped.clear()
        self.network.wires[half.type_url].up.append(request)

    def ask(self, type_url: str, names: set[str], *, wildcard: bool | None = None) -> None:
        """Want these names from now on, and everything (or no longer)."""
        half = self.halves[type_url]
        added, dropped = names - half.names, half.names - names
        if wildcard is not None and wildcard != half.wildcard:
            (added if wildcard else dropped).add("*")
            half.wildcard = wildcard
        half.names = set(names)
        if self.delta:
            half.told &= half.names
        if not half.open:
            if (half.names or half.wildcard) and not (type_url == C and self.deferred):
                self.begin(half)
            return
        half.added = (half.added | added) - dropped
        half.dropped = (half.dropped | dropped) - added
        half.restless |= bool(added or dropped)
        if self.delta:
            self.prune(half, {name for name in half.live.keys() | half.known.keys() if not half.wants(name)})
        self.flush(half)

    def prune(self, half: Half, names: set[str]) -> None:
        for name in names:
            half.live.pop(name, None)
            half.known.pop(name, None)

    def reach(self, turn: int = 0) -> None:
        """The server takes the next request, of any stream."""
        wire = self.network.upward(turn)
        if wire is None:
            return
        request = wire.reach(self.now)
        if not self.delta:
            # A state-of-the-world client can't know whether the end of a name was seen; this one is told.
            page, half = self.network.ledger.pages[request.type_url], self.halves[request.type_url]
            # What came after it had written this request, and asked again, it has since then.
            since = half.latest if request.nonce != half.nonce else set()
            self.prune(half, {name for name in half.live if not page.wants(name)} - since)
            half.told &= page.names | since

    def takes(self, half: Half, name: str) -> bool:
        """Whether it has a use for what comes. In state of the world nobody can say, with an answer, that a name was
        dropped and is asked for again: it is dropped only when the server has seen the end of it."""
        return half.wants(name) or (not self.delta and self.network.ledger.pages[half.type_url].wants(name))

    def poll(self) -> None:
        self.network.poll(self.now)

    def hear(self, turn: int = 0, *, rides: bool = False) -> None:
        """Take the next response. `rides`: an older error goes with the answer, in state of the world."""
        wire = self.network.downward(turn)
        if wire is None:
            return
        response = wire.down.popleft()
        half = self.halves[response.type_url]
        half.nonce, half.answering = response.nonce, True
        before = half.error
        half.error = self.take(half, response)
        if half.error is None:
            half.version = response.version
            if rides and not self.delta and before is not None:
                half.error = before
        self.warm(response)
        self.refer()
        self.flush(half)
        self.check_references()

    def take(self, half: Half, response: Response) -> str | None:
        """Apply a response, or as much of it as Envoy would; returns the error, if it is refused."""
        sent = {r.name: r for r in response.resources if self.takes(half, r.name)}
        half.latest = {name for name in sent if half.wants(name)}
        guilty = sorted(name for name, r in sent.items() if refuses(r))
        full = not self.delta and half.type_url in WILDCARD
        each_alone = half.type_url in EACH_ALONE
        if not guilty or each_alone:
            for name in half.live.keys() - sent.keys() if full else response.removed:
                self.lose(half, name)
        for name in sorted(sent):
            if name in guilty:
                if each_alone:
                    continue
                break
            if not (guilty and full and not each_alone):
                half.inherited.discard(name)
                half.lost.discard(name)
                half.strays.discard(name)
                self.use(half, sent[name])
        if guilty:
            if half.type_url == C:
                self.suspects |= sent.keys() | set(response.removed)
                self.doubted |= sent.keys()
            return ", ".join(f"<{name}> is bad" for name in guilty) if self.outspoken else "something is bad"
        half.known |= {name: r.version for name, r in sent.items()}
        if half.type_url == C:
            self.doubted -= sent.keys()
        for name in response.removed:
            half.known.pop(name, None)
        half.strays -= {*sent, *response.removed}
        return None

    def lose(self, half: Half, name: str) -> None:
        half.live.pop(name, None)
        if half.type_url == C:
            if name in half.inherited:
                self.suspects.add(name)
            self.cold.pop(name, None)
            self.warming.pop(name, None)

    def use(self, half: Half, resource: Resource) -> None:
        waits = set(REFERENCES.get((C, resource.name), ())) if half.type_url == C and self.envoy else set()
        waits -= {(S, name) for name in self.halves[S].told}
        if not waits or half.live.get(resource.name) == resource:
            half.live[resource.name] = resource
            return
        self.cold[resource.name] = resource
        self.warming[resource.name] = waits
        self.warm_by = self.now + WARMING
        self.halves[E].restless = not self.delta

    def warm(self, response: Response) -> None:
        """Endpoints and secrets came, or are known to be missing; an error ends the wait for them too."""
        half = self.halves[response.type_url]
        names = {*(r.name for r in response.resources), *response.removed}
        half.told |= {name for name in names if self.takes(half, name)}
        for waits in self.warming.values():
            waits -= {
                (type_url, name)
                for type_url, name in waits
                if type_url == half.type_url and (name in names or half.error)
            }
        self.finish({name for name, waits in self.warming.items() if not waits})

    def finish(self, warm: set[str]) -> None:
        clusters = self.halves[C]
        for name in warm:
            clusters.live[name] = self.cold.pop(name)
            del self.warming[name]
        if warm and not self.warming:
            if self.deferred:
                self.deferred = False
                self.begin(clusters)
            self.flush(clusters)

    def refer(self) -> None:
        """Ask for what the resources in use refer to; listeners come after the first clusters."""
        if not self.envoy:
            return
        for type_url in (L, P):
            half = self.halves[type_url]
            if not half.wildcard and self.halves[C].version and not self.warming:
                half.wildcard = True
                self.begin(half)
        wanted: dict[str, set[str]] = {type_url: set() for type_url in REFERRED}
        for type_url in (C, L, P):
            for name in self.halves[type_url].live.keys() | (self.cold.keys() if type_url == C else set()):
                for kind, referred in REFERENCES.get((type_url, name), ()):
                    wanted[kind].add(referred)
        for type_url, names in wanted.items():
            if names != self.halves[type_url].names:
                self.ask(type_url, names)
            self.flush(self.halves[type_url])

    @property
    def calm(self) -> bool:
        """Nothing is on its way, unanswered or warming."""
        busy = any(half.answering or half.restless for half in self.halves.values())
        return self.network.idle and not self.warming and not busy

    def wait(self, seconds: float) -> None:
        self.excused |= not self.calm
        self.network.ledger.late |= set(REFERRERS) - self.network.ledger.pages.keys()
        self.network.notice()
        self.now += seconds
        if self.warming and self.now >= self.warm_by:
            self.finish(set(self.warming))
            self.refer()
        self.poll()

    def show(self, view: View) -> None:
        self.view = view
        self.network.show(view, self.now)

    def check_references(self) -> None:
        """No route (or other referrer) is in use without its clusters."""
        clusters = self.halves[C].live
        # What came in a refused response may be taken back, even if it was good; until it is accepted.
        self.suspects -= clusters.keys() & self.halves[C].known.keys() - self.doubted
        if self.excused or not self.envoy:
            return
        for type_url in REFERRERS:
            half = self.halves[type_url]
            for name, resource in half.live.items():
                missing = set(resource.needs) - clusters.keys() - self.suspects
                missing -= self.network.ledger.unheard[type_url]
                if half.wants(name) and name not in half.inherited | half.strays:
                    assert not missing, f"{name} without {missing}"
