"""Random histories of a client that fetches models with their routes: no route without its clusters, nothing beyond."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.xds.machine.conversation import C, E, P, R
from tests.xds.machine.reserved import cold_view, model
from xds_server.protocol import DeltaStream, Request, Response, Timing
from xds_server.snapshot import Resource

MODELS = ("a", "b", "c")
REVISIONS = st.sets(st.sampled_from(["v1", "v2", "v3"]), min_size=1, max_size=2).map(sorted)
GRACE = 5.0
PATIENCE = 1e6
"""Longer than any history: no wait for an answer runs out."""


@dataclass
class Shape:
    """A model as it is declared."""

    revisions: list[str]
    body: str
    warm: bool

    def make(self, name: str) -> list[Resource]:
        return model(name, *self.revisions, body=self.body)

    def clusters(self, name: str) -> set[str]:
        return {f"{name}/{each}" for each in self.revisions}


SHAPES = st.builds(Shape, REVISIONS, st.sampled_from("12"), st.booleans())


@dataclass
class Client:
    """An Envoy: applies what comes when it comes, and answers later; of a route it has not asked for it has nothing."""

    applied: dict[str, dict[str, Resource]] = field(default_factory=lambda: {C: {}, E: {}, P: {}, R: {}})
    routes: set[str] = field(default_factory=set)
    unanswered: dict[str, str] = field(default_factory=dict)

    def take(self, response: Response) -> None:
        has = self.applied[response.type_url]
        has.update({each.name: each for each in response.resources})
        for name in response.removed:
            has.pop(name, None)
        assert response.type_url not in self.unanswered, "two in flight"
        self.unanswered[response.type_url] = response.nonce

    def versions(self, type_url: str) -> dict[str, str]:
        return {name: each.version for name, each in self.applied[type_url].items()}

    def check(self) -> None:
        for name, route in self.applied[R].items():
            missing = set(route.clusters) - self.applied[C].keys()
            assert not missing, f"route {name} leads to {missing}, which the client does not have"


class Histories(RuleBasedStateMachine):
    """Answers come in any order, and streams end at any moment. Nothing is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.generation = count(1)
        self.client = Client()
        self.shapes: dict[str, Shape] = {}
        self.told: set[str] = set()
        """Types asked for on this stream."""

    @initialize(shapes=st.dictionaries(st.sampled_from(MODELS), SHAPES))
    def begin(self, shapes: dict[str, Shape]) -> None:
        self.shapes = shapes
        self.connect()

    def connect(self) -> None:
        self.stream = DeltaStream(timing=Timing(cluster_grace=GRACE, cluster_ack=PATIENCE))
        self.told = set()
        self.client.unanswered.clear()
        self.publish()

    def publish(self) -> None:
        warm = [each for name, shape in self.shapes.items() if shape.warm for each in shape.make(name)]
        cold = [each for name, shape in self.shapes.items() if not shape.warm for each in shape.make(name)]
        self.stream.on_view(cold_view(warm, cold, next(self.generation)))
        self.poll()

    def poll(self) -> None:
        for response in self.stream.poll(self.now):
            self.client.take(response)
            self.client.check()

    def say(self, type_url: str, **fields: Any) -> None:
        self.stream.on_request(Request(type_url, **fields), self.now)
        self.poll()

    @rule(name=st.sampled_from(MODELS), shape=SHAPES)
    def change(self, name: str, shape: Shape) -> None:
        self.shapes = {**self.shapes, name: shape}
        self.publish()

    @rule(name=st.sampled_from(MODELS))
    def drop(self, name: str) -> None:
        self.shapes = {each: shape for each, shape in self.shapes.items() if each != name}
        self.publish()

    @rule(type_url=st.sampled_from([C, P, R]))
    def tell(self, type_url: str) -> None:
        """Ask for a type for the first time on this stream: clusters first, and routes only if it uses any."""
        if type_url in self.told or (type_url == R and not self.client.routes):
            return
        if type_url != C:
            self.tell(C)
        self.told.add(type_url)
        names = sorted(self.client.routes) if type_url == R else []
        self.say(type_url, subscribe=tuple(names), initial_versions=self.client.versions(type_url))

    @rule(name=st.sampled_from(MODELS))
    def fetch(self, name: str) -> None:
        self.client.routes.add(name)
        if R not in self.told:
            self.tell(R)
        else:
            self.say(R, subscribe=(name,))

    @rule(name=st.sampled_from(MODELS))
    def give_up(self, name: str) -> None:
        if name in self.client.routes and R in self.told:
            self.client.routes.discard(name)
            self.client.applied[R].pop(name, None)
            self.say(R, unsubscribe=(name,))

    @rule(type_url=st.sampled_from([C, P, R]))
    def answer(self, type_url: str) -> None:
        if type_url in self.client.unanswered:
            self.say(type_url, nonce=self.client.unanswered.pop(type_url))

    @rule(seconds=st.sampled_from([0.1, 3.0, 6.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.poll()

    @rule()
    def break_off(self) -> None:
        # What is on its way when a stream ends may have come, or not: here it has.
        self.connect()

    @invariant()
    def only_what_is_asked_for_is_kept(self) -> None:
        channel = self.stream.channels.get(R) if self.shapes or self.told else None
        if channel is not None:
            assert channel.held.keys() | channel.dirty | channel.asked <= self.client.routes

    def teardown(self) -> None:
        """At rest the client has what it follows and what is warm, as it is now, and nothing else."""
        if not hasattr(self, "stream"):
            return
        for type_url in (C, P, R):
            self.tell(type_url)
        for _ in range(40):
            for type_url in (C, P, R):
                self.answer(type_url)
            self.pass_time(GRACE + PATIENCE)
        wanted = {
            each
            for name, shape in self.shapes.items()
            if shape.warm or name in self.client.routes
            for each in shape.clusters(name)
        }
        assert self.client.applied[C].keys() == wanted
        assert self.client.applied[R].keys() == self.client.routes & self.shapes.keys()
        assert all(
            each.version == _newest(self.shapes, each)
            for kind in (C, R)
            for each in self.client.applied[kind].values()
        )
        assert self.stream.channels[C].quiet


def _newest(shapes: dict[str, Shape], resource: Resource) -> str:
    made = shapes[resource.name.partition("/")[0]].make(resource.name.partition("/")[0])
    return next(
        each.version for each in made if (each.type_url, each.name) == (resource.type_url, resource.name)
    )


TestFollowing = Histories.TestCase
TestFollowing.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, derandomize=True, database=None
)
