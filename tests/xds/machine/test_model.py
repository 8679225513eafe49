"""Random conversations against a model of the client: at rest it holds exactly what it should."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.xds.machine.conversation import C, E, L, R, res
from tests.xds.machine.model_client import TYPES, ModelClient
from xds_server.protocol import DeltaStream, SotwStream
from xds_server.snapshot import Resource, View, layer

CLUSTERS = ["c1", "c2", "c3"]
ROUTES = ["r1", "r2"]
BODIES = st.sampled_from("123")
SOME = st.sets(st.sampled_from(CLUSTERS))


@st.composite
def states(draw: st.DrawFn) -> list[Resource]:
    """A consistent set: each route's clusters are there."""
    clusters = sorted(draw(SOME))
    found = [res(C, name, draw(BODIES)) for name in clusters]
    found += [res(E, name, draw(BODIES)) for name in clusters if draw(st.booleans())]
    found += [res(L, name, draw(BODIES)) for name in sorted(draw(st.sets(st.sampled_from(["l1", "l2"]))))]
    for name in sorted(draw(st.sets(st.sampled_from(ROUTES)))):
        needs = tuple(sorted(draw(st.sets(st.sampled_from(clusters))))) if clusters else ()
        found.append(res(R, name, f"{draw(BODIES)}{needs}", needs=needs))
    return found


class Conversations(RuleBasedStateMachine):
    kind: Any

    @initialize(first=states())
    def begin(self, first: list[Resource]) -> None:
        self.generation = 0
        self.client = ModelClient(self.kind)
        self.change(first)

    @rule(state=states())
    def change(self, state: list[Resource]) -> None:
        self.generation += 1
        self.client.show(View(self.generation, (layer(state),)))

    @rule(names=SOME)
    def subscribe_endpoints(self, names: set[str]) -> None:
        self.client.subscribe(E, set(names))

    @rule(names=st.sets(st.sampled_from(ROUTES)))
    def subscribe_routes(self, names: set[str]) -> None:
        self.client.subscribe(R, set(names))

    @rule(type_url=st.sampled_from(TYPES))
    def acknowledge(self, type_url: str) -> None:
        self.client.answer(type_url)

    @rule(type_url=st.sampled_from(TYPES), blame=st.sampled_from(["", "c1", "l1", "r1"]))
    def refuse(self, type_url: str, blame: str) -> None:
        self.client.answer(type_url, f"error {blame} is bad")

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0]))
    def wait(self, seconds: float) -> None:
        self.client.wait(seconds)
        if any(seconds_left(self.client)):
            self.client.make_before_break = False

    @rule()
    def settle_all(self) -> None:
        self.client.settle()

    @invariant()
    def bounded(self) -> None:
        if hasattr(self, "client"):
            for channel in self.client.stream.channels.values():
                assert len(channel.dirty) <= 5

    def teardown(self) -> None:
        if not hasattr(self, "client"):
            return
        client = self.client
        client.settle()
        # What was refused is repaired: the same names with content that nobody saw.
        view = client.stream.view
        assert view is not None
        repaired = [
            Resource.of(r.type_url, r.name, b"repaired " + r.body, needs=r.needs)
            for type_url in TYPES
            for r in view.resources(type_url)
        ]
        self.change(repaired)
        client.settle()
        if not client.delta:
            # A route that is gone keeps its clusters as long as it is asked for; Envoy stops asking with its scope.
            there = {r.name for r in repaired if r.type_url == R}
            client.subscribe(R, client.named[R] & there)
            client.settle()
        for type_url in TYPES:
            wanted = client.named.get(type_url)
            expected = {
                r.name: r for r in repaired if r.type_url == type_url and (wanted is None or r.name in wanted)
            }
            held = client.held[type_url]
            if not client.delta and wanted is not None:
                # Absence says nothing here: the client may keep what is gone, never something else.
                held = {name: r for name, r in held.items() if name in expected}
            assert held == expected
        assert client.stream.in_step
        assert client.stream.poll(client.now + 1000) == []


def seconds_left(client: ModelClient) -> list[bool]:
    """Whether a route was let through because its wait for the clusters ran out."""
    flight = client.stream.channels[C].flight
    return [flight is not None and client.now - flight.at >= 15]


class DeltaConversations(Conversations):
    kind = DeltaStream

    @rule()
    def reconnect(self) -> None:
        # What a refused response left behind is forgotten with the stream; see the tests of D10.
        if not any(channel.refusals for channel in self.client.stream.channels.values()):
            self.client.connect()


class SotwConversations(Conversations):
    kind = SotwStream


_SETTINGS = settings(
    max_examples=100, stateful_step_count=25, deadline=None, derandomize=True, report_multiple_bugs=False
)
TestDelta = DeltaConversations.TestCase
TestDelta.settings = _SETTINGS
TestSotw = SotwConversations.TestCase
TestSotw.settings = _SETTINGS
