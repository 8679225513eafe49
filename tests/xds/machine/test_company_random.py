"""Random histories of a node with a stream per type: order holds between them, and at rest it holds everything."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.xds.machine.conversation import C, Delta, E, R, Sotw, res
from tests.xds.machine.test_company import Envoy
from xds_server.protocol import Response
from xds_server.snapshot import Resource

CLUSTERS = ("c1", "c2", "c3")
STREAMS = {
    "clusters": (C, ()),
    "endpoints 1": (E, ("c1", "c2")),
    "endpoints 2": (E, ("c3",)),
    "route r": (R, ("r",)),
    "route s": (R, ("s",)),
}
BODIES = st.sampled_from("12")


@st.composite
def states(draw: st.DrawFn) -> list[Resource]:
    clusters = sorted(draw(st.sets(st.sampled_from(CLUSTERS), min_size=1)))
    found = [res(C, name, draw(BODIES)) for name in clusters]
    found += [res(E, name, draw(BODIES)) for name in clusters]
    for name in "rs":
        needs = tuple(sorted(draw(st.sets(st.sampled_from(clusters), min_size=1))))
        found.append(res(R, name, f"{draw(BODIES)}{needs}", needs=needs))
    return found


class Histories(RuleBasedStateMachine):
    """Answers come in any order; streams end and come back. Nothing is refused, no wait runs out."""

    make: Any

    @initialize(first=states())
    def begin(self, first: list[Resource]) -> None:
        self.envoy = Envoy(self.make, cluster_grace=1.0, cluster_ack=1e9)
        self.unanswered: dict[str, Response] = {}
        self.clusters: dict[str, Resource] = {}
        """What the client holds, on whichever stream it came."""
        self.routes: dict[str, Resource] = {}
        self.sure = True
        """Whether the streams of clusters and of routes have been there all along."""
        self.hear(self.envoy.see(*first))
        for stream in STREAMS:
            self.open(stream)

    def open(self, stream: str) -> None:
        if stream not in self.envoy.streams:
            type_url, names = STREAMS[stream]
            self.hear(self.envoy.open(stream, type_url, *names))

    def hear(self, responses: list[Response]) -> None:
        for response in responses:
            (stream,) = (
                name
                for name, client in self.envoy.streams.items()
                if client.nonces.get(response.type_url) == response.nonce
                and client.stream.channels[response.type_url].nonce == response.nonce
                and STREAMS[name][0] == response.type_url
                and self.answers(name, response)
            )
            assert stream not in self.unanswered, "two in flight"
            self.unanswered[stream] = response
            self.check(response)

    def answers(self, stream: str, response: Response) -> bool:
        flight = self.envoy.streams[stream].stream.channels[response.type_url].flight
        names = STREAMS[stream][1]
        told = {*(r.name for r in response.resources), *response.removed}
        return flight is not None and (not names or told <= set(names))

    def check(self, response: Response) -> None:
        if response.type_url == R and self.sure:
            for route in response.resources:
                assert set(route.needs) <= self.clusters.keys(), "a route before its clusters"
        if response.type_url == C and self.sure:
            left = {r.name for r in response.resources}
            gone = self.clusters.keys() - left if self.make is Sotw else set(response.removed)
            for route in self.routes.values():
                assert not set(route.needs) & gone, "a cluster is gone before its routes"

    @rule(state=states())
    def change(self, state: list[Resource]) -> None:
        self.hear(self.envoy.see(*state))

    @rule(stream=st.sampled_from(sorted(STREAMS)))
    def answer(self, stream: str) -> None:
        response = self.unanswered.pop(stream, None)
        if response is None:
            return
        if response.type_url == C:
            if self.make is Sotw:
                self.clusters.clear()
            self.clusters.update((r.name, r) for r in response.resources)
            for name in response.removed:
                self.clusters.pop(name, None)
        if response.type_url == R:
            self.routes.update((r.name, r) for r in response.resources)
        self.hear(self.envoy.ack(stream))

    @rule(stream=st.sampled_from(sorted(STREAMS)))
    def lose(self, stream: str) -> None:
        if stream in self.envoy.streams:
            self.unanswered.pop(stream, None)
            self.sure &= STREAMS[stream][0] == E
            self.hear(self.envoy.end(stream))

    @rule(stream=st.sampled_from(sorted(STREAMS)))
    def come_back(self, stream: str) -> None:
        self.open(stream)

    @rule()
    def wait(self) -> None:
        self.hear(self.envoy.turn(after=1.5))

    def teardown(self) -> None:
        if not hasattr(self, "envoy"):
            return
        for stream in STREAMS:
            self.open(stream)
        for _ in range(100):
            if not self.unanswered:
                responses = self.envoy.turn(after=1.5)
                self.hear(responses)
                if not responses and not self.envoy.turn(after=1.5):
                    break
            for stream in sorted(self.unanswered):
                self.answer(stream)
        else:
            raise AssertionError("it never comes to rest")
        there = {(r.type_url, r.name): r for r in self.envoy.resources}
        for stream, client in self.envoy.streams.items():
            type_url, names = STREAMS[stream]
            channel = client.stream.channels[type_url]
            wanted = {
                name: r
                for (kind, name), r in there.items()
                if kind == type_url and (not names or name in names)
            }
            # In state of the world nothing says of endpoints that they are gone: the client keeps them.
            kept = {} if self.make is Delta or type_url == C else dict.fromkeys(channel.leaving)
            assert channel.in_step, stream
            assert {name: r for name, r in channel.held.items() if name not in kept} == wanted, stream
        assert self.envoy.turn(after=1e6) == []


class DeltaHistories(Histories):
    make = Delta


class SotwHistories(Histories):
    make = Sotw


_SETTINGS = settings(
    max_examples=40, stateful_step_count=25, deadline=None, derandomize=True, report_multiple_bugs=False
)
TestI10Delta = DeltaHistories.TestCase
TestI10Delta.settings = _SETTINGS
TestI10Sotw = SotwHistories.TestCase
TestI10Sotw.settings = _SETTINGS
