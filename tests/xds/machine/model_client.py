"""A client made of sets: what it asks for, what it holds, and the rules it sees kept."""

from __future__ import annotations

from collections import deque

from tests.xds.machine.conversation import C, E, L, R
from xds_server.protocol import DeltaStream, Request, Response, SotwStream, Timing
from xds_server.protocol.types import WILDCARD
from xds_server.snapshot import Resource, View

TYPES = (C, E, L, R)
GRACE = 5.0


class ModelClient:
    """Applies a response when it answers it, as Envoy does; keeps what arrived and is not answered in `inbox`."""

    def __init__(self, kind: type[DeltaStream] | type[SotwStream]) -> None:
        self.delta = kind is DeltaStream
        self.kind = kind
        self.streams = 0
        self.now = 0.0
        self.held: dict[str, dict[str, Resource]] = {type_url: {} for type_url in TYPES}
        self.named: dict[str, set[str]] = {E: set(), R: set()}
        self.make_before_break = True
        """Whether each route held must have its clusters; not after a cluster was refused or a wait ran out."""
        self.connect()

    def connect(self) -> None:
        """Open a stream, and ask for everything on it as after a loss of the one before."""
        self.streams += 1
        view = self.stream.view if self.streams > 1 else None
        self.stream = self.kind(nonce_prefix=f"{self.streams}-", timing=Timing(cluster_grace=GRACE))
        if view is not None:
            self.stream.on_view(view)
        self.inbox: dict[str, deque[Response]] = {type_url: deque() for type_url in TYPES}
        self.nonces: set[str] = set()
        self.last_nonce: dict[str, str] = {}
        self.version: dict[str, str] = {}
        self.asked: dict[str, set[str]] = {type_url: set() for type_url in TYPES}
        self.doubt: dict[str, set[str]] = {type_url: set() for type_url in TYPES}
        """Names in a response that was refused: the server may say of them again what it did not manage to say."""
        for type_url in TYPES:
            names = tuple(sorted(self.named.get(type_url, ())))
            held = {name: r.version for name, r in self.held[type_url].items()} if self.delta else {}
            if type_url in (E, R):
                held = {name: version for name, version in held.items() if name in names}
            self.asked[type_url] |= set(names) - held.keys()
            request = Request(
                type_url,
                names=() if self.delta else names,
                subscribe=names if self.delta else (),
                initial_versions=held,
            )
            self.say(request)

    def say(self, request: Request) -> None:
        self.stream.on_request(request, self.now)
        self.poll()

    def poll(self) -> None:
        responses = self.stream.poll(self.now)
        for response in responses:
            self.check(response)
            self.inbox[response.type_url].append(response)

    def check(self, response: Response) -> None:
        """What holds of every response, whatever happened before."""
        names = [resource.name for resource in response.resources]
        assert response.nonce not in self.nonces
        self.nonces.add(response.nonce)
        assert len(set(names)) == len(names)
        assert not set(names) & set(response.removed)
        assert all(resource.type_url == response.type_url for resource in response.resources)
        assert not self.inbox[response.type_url], "two in flight"
        wanted = self.named.get(response.type_url)
        assert wanted is None or set(names) <= wanted
        assert self.delta or not response.removed
        full = not self.delta and response.type_url in WILDCARD
        if not full:
            self.check_news(response)
        self.asked[response.type_url] -= {*names, *response.removed}
        if response.type_url == C:
            held = self.held[C]
            # Once a cluster was refused, the server can't know what the client made of it.
            sure = self.make_before_break
            changed = {r.name for r in response.resources if held.get(r.name) != r or not sure}
            self.asked[E] |= changed & self.named[E]

    def check_news(self, response: Response) -> None:
        """Nothing is sent that the client has, unless it asked or its cluster changed."""
        held = self.held[response.type_url]
        allowed = self.asked[response.type_url] | self.doubt[response.type_url]
        for resource in response.resources:
            assert held.get(resource.name) != resource or resource.name in allowed
        for name in response.removed:
            assert name in held or name in allowed

    def subscribe(self, type_url: str, names: set[str]) -> None:
        """Ask for these names from now on. In state of the world a stale request is void, so it is not made."""
        if not self.delta and self.inbox[type_url]:
            return
        added, dropped = names - self.named[type_url], self.named[type_url] - names
        self.named[type_url] = names
        for name in dropped:
            self.held[type_url].pop(name, None)
        self.asked[type_url] = (self.asked[type_url] | added) - dropped
        if self.delta:
            self.say(Request(type_url, subscribe=tuple(added), unsubscribe=tuple(dropped)))
        elif added or dropped:
            self.say(
                Request(
                    type_url,
                    names=tuple(names),
                    nonce=self.last_nonce.get(type_url, ""),
                    version=self.version.get(type_url, ""),
                )
            )

    def answer(self, type_url: str, error: str | None = None) -> None:
        """Apply and acknowledge the response that waits, or refuse it."""
        if not self.inbox[type_url]:
            return
        response = self.inbox[type_url].popleft()
        self.last_nonce[type_url] = response.nonce
        if error is None:
            self.apply(response)
            self.version[type_url] = response.version
            self.doubt[type_url] -= {*(r.name for r in response.resources), *response.removed}
        else:
            self.doubt[type_url] |= {*(r.name for r in response.resources), *response.removed}
            self.make_before_break &= type_url != C
            self.apply_half(response, error)
        self.say(
            Request(
                type_url,
                nonce=response.nonce,
                error=error,
                names=() if self.delta else tuple(self.named.get(type_url, ())),
                version=self.version.get(type_url, ""),
            )
        )
        self.check_references()

    def apply(self, response: Response) -> None:
        held = self.held[response.type_url]
        if not self.delta and response.type_url in WILDCARD:
            held.clear()
        wanted = self.named.get(response.type_url)
        for resource in response.resources:
            if wanted is None or resource.name in wanted:
                held[resource.name] = resource
        for name in response.removed:
            held.pop(name, None)

    def apply_half(self, response: Response, error: str) -> None:
        """What Envoy does with a response that it refuses: removals, and in full sets what is good beside the bad."""
        held = self.held[response.type_url]
        for name in response.removed:
            held.pop(name, None)
        if not self.delta and response.type_url in WILDCARD:
            sent = {resource.name: resource for resource in response.resources}
            for name in held.keys() - sent.keys():
                del held[name]
            blamed = {name for name in sent if f" {name} " in error}
            if blamed:
                held.update({name: resource for name, resource in sent.items() if name not in blamed})

    def check_references(self) -> None:
        if self.make_before_break:
            for route in self.held[R].values():
                assert set(route.needs) <= self.held[C].keys(), "a route without its cluster"

    def show(self, view: View) -> None:
        self.stream.on_view(view)
        self.poll()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.poll()

    def settle(self) -> None:
        """Answer all there is until nothing more comes, waits included."""
        for _ in range(100):
            waiting = [type_url for type_url in TYPES if self.inbox[type_url]]
            for type_url in waiting:
                self.answer(type_url)
            if not waiting:
                if self.stream.deadline is None:
                    return
                self.wait(max(0.0, self.stream.deadline - self.now))
        raise AssertionError("it never comes to rest")
