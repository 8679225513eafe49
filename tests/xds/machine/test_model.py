"""Random conversations against a model of the client: at rest it holds exactly what it should, and nothing was
superfluous."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.xds.machine import model_rest
from tests.xds.machine.conversation import C
from tests.xds.machine.model_client import ModelClient
from tests.xds.machine.model_fleet import NAMES, TYPES, Contents, repaired, view
from xds_server.protocol.types import WILDCARD

TYPE = st.sampled_from(TYPES)
KEYS = [(type_url, name) for type_url, names in NAMES.items() for name in names]
TURNS = st.lists(st.integers(0, 6), min_size=1, max_size=4)
CLUSTERS = st.frozensets(st.sampled_from(NAMES[C]))
BODY = st.sampled_from(["1", "2", "3", "bad1", "bad2", None])
EDITS = st.lists(
    st.tuples(st.sampled_from(KEYS), BODY, CLUSTERS),
    min_size=1,
    max_size=4,
)


class Conversations(RuleBasedStateMachine):
    """One node, its network and the server, in the order of events that Hypothesis chooses."""

    delta: bool
    envoy: bool
    per_type = False
    client: ModelClient

    @initialize(outspoken=st.booleans(), star=st.booleans(), full=st.booleans())
    def begin(self, outspoken: bool, star: bool, full: bool) -> None:
        self.client = ModelClient(
            delta=self.delta, envoy=self.envoy, per_type=self.per_type, outspoken=outspoken, star=star
        )
        self.generation = 0
        self.contents: Contents = {}
        if full:
            self.contents = {key: ("0", frozenset(NAMES[C])) for key in KEYS}
            self.publish()

    def publish(self) -> None:
        self.generation += 1
        self.client.show(view(self.contents, self.generation))

    @rule(edits=EDITS)
    def change(self, edits: list[tuple[tuple[str, str], str | None, frozenset[str]]]) -> None:
        for key, body, needs in edits:
            self.contents.pop(key, None)
            if body is not None:
                self.contents[key] = (body, needs)
        self.publish()

    @rule(type_url=TYPE, bodies=st.tuples(BODY, BODY, BODY), needs=CLUSTERS)
    def change_one_type(self, type_url: str, bodies: tuple[str | None, ...], needs: frozenset[str]) -> None:
        self.change(
            [((type_url, name), body, needs) for name, body in zip(NAMES[type_url], bodies, strict=False)]
        )

    @rule(turns=TURNS)
    def requests_reach_the_server(self, turns: list[int]) -> None:
        for turn in turns:
            self.client.reach(turn)
        self.client.poll()

    @rule(turns=TURNS, rides=st.booleans())
    def responses_reach_the_client(self, turns: list[int], rides: bool) -> None:
        for turn in turns:
            self.client.hear(turn, rides=rides)

    @rule(turns=TURNS)
    def the_network_is_fast(self, turns: list[int]) -> None:
        for turn in turns:
            self.client.reach(turn)
            self.client.poll()
            self.client.hear(turn)

    @rule(type_url=TYPE, paused=st.booleans())
    def pause(self, type_url: str, paused: bool) -> None:
        half = self.client.halves[type_url]
        half.paused = paused
        self.client.flush(half)

    @rule(seconds=st.sampled_from([0.1, 2.0, 6.0, 16.0]))
    def wait(self, seconds: float) -> None:
        self.client.wait(seconds)

    @rule(
        types=st.one_of(st.just(TYPES), st.sets(TYPE, min_size=1)), seen=st.booleans(), noticed=st.booleans()
    )
    def reconnect(self, types: Collection[str], seen: bool, noticed: bool) -> None:
        self.client.connect(types, seen=seen, noticed=noticed)

    @rule(seen=st.booleans())
    def restart(self, seen: bool) -> None:
        self.client.connect(TYPES, seen=seen, restarted=True)

    @rule()
    def settle(self) -> None:
        model_rest.settle(self.client)

    def teardown(self) -> None:
        # It is called after a failure too: what that left behind would be reported as failures of its own.
        if not hasattr(self, "client") or sys.exc_info()[0] is not None:
            return
        self.publish()
        model_rest.settle(self.client)
        model_rest.check_rest(self.client)
        self.contents = repaired(self.contents)
        self.publish()
        model_rest.settle(self.client)
        model_rest.check_rest(self.client)


class EnvoyConversations(Conversations):
    """A client that asks for what its resources refer to, and answers for clusters when they are warm."""

    envoy = True

    @rule(names=CLUSTERS)
    def ask_for_clusters_on_demand(self, names: frozenset[str]) -> None:
        self.client.ask(C, set(names))


class FreeConversations(Conversations):
    """A client that asks for whatever comes to its mind."""

    envoy = False

    @rule(type_url=TYPE, data=st.data())
    def ask(self, type_url: str, data: Any) -> None:
        half = self.client.halves[type_url]
        names = data.draw(st.sets(st.sampled_from([*NAMES[type_url], "none of this name"])), label="names")
        wildcard = data.draw(st.booleans(), label="wildcard") if type_url in WILDCARD else None
        if not self.delta and not wildcard and half.wildcard and not half.named_before:
            # Who asked for everything with an empty request has no way to ask for nothing.
            wildcard = None
        self.client.ask(type_url, names, wildcard=wildcard)


class DeltaEnvoy(EnvoyConversations):
    delta = True


class SotwEnvoy(EnvoyConversations):
    delta = False


class DeltaPerType(DeltaEnvoy):
    per_type = True


class SotwPerType(SotwEnvoy):
    per_type = True


class DeltaFree(FreeConversations):
    delta = True


class SotwFree(FreeConversations):
    delta = False


_CI = settings(max_examples=80, stateful_step_count=30, deadline=None, derandomize=True, database=None)
_SETTINGS = settings.get_profile("deep") if settings.get_current_profile_name() == "deep" else _CI
TestDeltaEnvoy = DeltaEnvoy.TestCase
TestDeltaEnvoy.settings = _SETTINGS
TestSotwEnvoy = SotwEnvoy.TestCase
TestSotwEnvoy.settings = _SETTINGS
TestDeltaPerType = DeltaPerType.TestCase
TestDeltaPerType.settings = _SETTINGS
TestSotwPerType = SotwPerType.TestCase
TestSotwPerType.settings = _SETTINGS
TestDeltaFree = DeltaFree.TestCase
TestDeltaFree.settings = _SETTINGS
TestSotwFree = SotwFree.TestCase
TestSotwFree.settings = _SETTINGS
