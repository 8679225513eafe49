"""A life: boot, generations of change under traffic, a server that is killed at each step, a network that fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.envoy_process import wait_until
from tests.matrix.combination import Combination
from tests.matrix.stand import Stand, build, paths
from tests.matrix.traffic import Traffic
from tests.xds.record import Record
from tests.xds.trace_order import faults

_STORM = 20
_SLOW = 0.05
"""Seconds by which a slow client is late with each answer."""


@dataclass
class Journey:
    """What was seen on the way."""

    bad: list[str] = field(default_factory=list)
    """Requests that were not answered with 200."""
    answers: int = 0
    restart: dict[str, tuple[dict[str, int], dict[str, int]]] = field(default_factory=dict)
    """Envoy's counters before and after a restart of the server with the same input."""
    during_boot: int = 0
    """Responses that Envoy had when the server was killed first."""
    cuts: int = 0
    stalls: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    left: str = ""
    """Envoy's clusters at the end."""
    identifier: str = ""
    faults: list[str] = field(default_factory=list)
    trace: list[Record] = field(default_factory=list)


_MODELS = ("acme/llama", "acme/busy", "acme/sealed", "beta/steady")


def travel(combination: Combination, root: Path) -> Journey:
    """Go the whole way with one combination."""
    journey = Journey()
    with build(combination, root) as stand:
        _boot(stand, journey)
        with stand.traffic as traffic:
            traffic.aim(paths(*_MODELS, "beta/going"))
            _restart_with_the_same(stand, traffic, journey)
            _three_generations(stand, traffic)
            _kill_during_a_change(stand, traffic)
            _restart_with_another(stand, traffic)
            _storm(stand, traffic, journey)
            stand.calm()
            traffic.flow()
        journey.bad, journey.answers = traffic.bad, traffic.answers
        journey.stalls, journey.rejected = stand.stalls(), stand.rejected()
        journey.left = stand.envoy.get("/clusters").text
        journey.identifier = stand.envoy.get("/stats?filter=control_plane.identifier").text
        journey.trace = list(stand.recorder.trace)
        journey.faults = faults(journey.trace)
    return journey


def _boot(stand: Stand, journey: Journey) -> None:
    """The server dies when Envoy has had its first response and could not answer it yet."""
    stand.call(stand.recorder.hold_acks)
    stand.envoy.start()
    stand.wait_record(lambda each: each.kind == "response", 0, "Envoy has a first response")
    stand.serving.kill()
    journey.during_boot = sum(each.kind == "response" for each in stand.recorder.trace)
    stand.call(lambda: stand.recorder.hold_acks(False))
    stand.serving.start()
    stand.envoy.wait_ready()
    stand.settle()


def _restart_with_the_same(stand: Stand, traffic: Traffic, journey: Journey) -> None:
    streams = stand.recorder.open_streams
    before, had = stand.updates(), stand.received()
    stand.serving.kill()
    traffic.flow()
    stand.serving.start()
    stand.settle(streams=streams)
    journey.restart = {"updates": (before, stand.updates()), "received": (had, stand.received())}


def _three_generations(stand: Stand, traffic: Traffic) -> None:
    """A new model; another split over new revisions; a model and a revision that go. Envoy is slow to answer."""
    world = stand.world
    stand.recorder.ack_delay = _SLOW
    stand.save(lambda: world.write_model("beta", "fresh", f0=1))
    traffic.aim(paths(*_MODELS, "beta/going", "beta/fresh"))
    stand.save(lambda: world.write_model("acme", "busy", r1=1, r2=2))
    _wait_served(stand, traffic, "r1", "r2")
    traffic.aim(paths(*_MODELS, "beta/fresh"))

    def shrink() -> None:
        world.remove_model("beta", "going")
        world.write_model("acme", "busy", r2=1)

    stand.save(shrink)
    stand.recorder.ack_delay = 0.0


def _kill_during_a_change(stand: Stand, traffic: Traffic) -> None:
    """The server dies when the first response of a change has gone by, and comes back."""
    stand.wait_kept("name: r2")
    since = len(stand.recorder.trace)
    stand.call(stand.recorder.hold_acks)
    stand.world.write_model("acme", "busy", r3=1, r4=1)
    stand.wait_record(lambda each: each.kind == "response", since, "the change has begun")
    stand.serving.kill()
    stand.call(lambda: stand.recorder.hold_acks(False))
    traffic.flow()
    stand.serving.start()
    stand.settle()
    _wait_served(stand, traffic, "r3", "r4")


def _restart_with_another(stand: Stand, traffic: Traffic) -> None:
    stand.wait_kept("name: r4")
    stand.serving.kill()
    stand.world.write_model("acme", "busy", r5=1)
    traffic.flow()
    stand.serving.start()
    stand.settle()
    _wait_served(stand, traffic, "r5")


def _storm(stand: Stand, traffic: Traffic, journey: Journey) -> None:
    """Streams are cut as soon as they are there, and a change falls into it."""
    for at in range(_STORM):
        wait_until(lambda: stand.recorder.open_streams, "Envoy has come back")
        if at == _STORM // 2:
            stand.world.write_model("acme", "busy", r6=1)
        stand.call(stand.recorder.cut)
        journey.cuts += 1
    stand.settle()
    _wait_served(stand, traffic, "r6")


def _wait_served(stand: Stand, traffic: Traffic, *revisions: str) -> None:
    """Wait until requests reach each of these revisions."""
    before = {each: stand.world.upstreams[each].connections for each in revisions}
    wait_until(
        lambda: all(stand.world.upstreams[each].connections > was for each, was in before.items()),
        f"{revisions} are served; {traffic.bad[:3]}",
    )
