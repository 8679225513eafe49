"""Rollouts at three Envoys: plans, and what is said to them, while clients ask without a pause and lose nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.chaos.chance import is_likely
from tests.chaos.fleet import EAGER, GATEWAYS, Fleet
from tests.chaos.rollout import NEW_PLACES, Rollout
from tests.chaos.traffic import Traffic
from tests.e2e.clients import Clients
from tests.e2e.held import hold_health
from tests.e2e.manifest import Manifest
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy


class Onlookers(Clients):
    """One at each Envoy, who notes each other share that this gives to the new revision. A context manager."""

    def __init__(self, rollout: Rollout) -> None:
        super().__init__(GATEWAYS)
        self.seen: dict[str, list[float | None]] = {gateway: [] for gateway in GATEWAYS}
        self._rollout = rollout

    def run(self, name: str) -> None:
        seen = self.seen[name]
        while not self.ended.wait(0.05):
            share = self._rollout.split(name)
            if seen[-1:] != [share]:
                seen.append(share)
            self.rounds[name] += 1


@contextmanager
def _look_on(rollout: Rollout, traffic: Traffic) -> Iterator[Onlookers]:
    """Clients and onlookers who are there before anything happens and a while after; no client loses a request."""
    with Onlookers(rollout) as onlookers, traffic:
        onlookers.advance(1)
        traffic.advance(2)
        yield onlookers
        onlookers.advance(2)
        traffic.advance(2)
    assert traffic.met.keys() == {"200"}, traffic.met


def _is_share(counted: Counter[str], percent: float) -> bool:
    return is_likely(counted["v2"], counted.total(), counted.total() * percent / 100)


def _halt(rollout: Rollout, order: str, phase: str) -> int:
    """Pause or freeze it; the share at which it stands since, at every Envoy."""
    told = rollout.order(order)
    percent = int(rollout.stand()["percent"])
    assert told == f"{phase} at {percent} %"
    rollout.arrive(percent)
    return percent


def test_canary_and_linear_go_by_their_steps_at_every_envoy(fleet: Fleet) -> None:
    """One waits for data of each step, the other for its time only."""
    plans: dict[str, Manifest] = {
        "canary": {
            "canary": [10, 40, 100],
            "stepTime": "1s",
            "gates": {"errorRate": {"above": 5}, "minRequests": 10},
        },
        "linear": {"linear": {"over": "6s", "steps": 4}},
    }
    steps = {"canary": [0, 10, 40, 100], "linear": [0, 25, 50, 75, 100]}
    with ExitStack() as running:
        rollouts = {name: running.enter_context(Rollout(fleet, name)) for name in plans}
        seen = {
            name: running.enter_context(_look_on(each, Traffic(fleet, name, "POST")))
            for name, each in rollouts.items()
        }
        for name, rollout in rollouts.items():
            rollout.declare(**plans[name])
        for rollout in rollouts.values():
            rollout.wait(phase="promoted", percent=100)
            rollout.arrive(100)
    for name, rollout in rollouts.items():
        first, *others = steps[name][1:]
        passed = [(each, "STEP_PASSED") for each in others]
        assert rollout.events() == [(first, "STARTED"), *passed, (100, "COMPLETED")]
        for gateway, shares in seen[name].seen.items():
            assert shares == [each for each in steps[name] if each in shares], (gateway, "never back")
            assert {0, 100} <= {*shares}, gateway


def test_who_is_told_to_stay_stays_at_every_envoy_until_he_is_told_otherwise(fleet: Fleet) -> None:
    """A third one goes through meanwhile, and the control plane is killed: time is not what holds the others."""
    with ExitStack() as running:
        paused, frozen, going = (
            running.enter_context(Rollout(fleet, name)) for name in ("paused", "frozen", "going")
        )
        traffic = {
            each: running.enter_context(Traffic(fleet, each.model, "POST")) for each in (paused, frozen)
        }
        for each in traffic:
            each.declare(linear={"over": "32s", "steps": 4})
            each.wait(reason="STEP_RUNNING")
        stays = {paused: _halt(paused, "pause", "paused"), frozen: _halt(frozen, "freeze", "frozen")}
        going.declare(canary=[50, 100], stepTime="2s")
        going.wait(phase="promoted")
        fleet.restart()
        for each, percent in stays.items():
            assert each.stand()["percent"] == percent
            each.arrive(percent)
            counted = each.count(traffic[each], 120)
            assert all(_is_share(counted[gateway], percent) for gateway in GATEWAYS), (percent, counted)
            assert _is_share(sum(counted.values(), Counter()), percent), (percent, counted)

        assert frozen.order("resume") == f"running at {stays[frozen]} %"
        wait_until(lambda: frozen.stand()["percent"] > stays[frozen], "it goes on")
        for each, order, told, left in (
            (frozen, "promote", "promoted at 100 %", "v2"),
            (paused, "cancel", "cancelled at 0 %", "v1"),
            (frozen, "cancel", "cancelled at 0 %", "v1"),
        ):
            assert each.order(order) == told
            each.arrive(each.stand()["percent"])
            assert all(met.keys() == {left} for met in each.count(traffic[each], 10).values()), order
        assert paused.order("resume") == "running at 0 %"
        for gateway in GATEWAYS:
            wait_until(lambda gateway=gateway: paused.split(gateway), "it has begun again")
    for asked in traffic.values():
        assert asked.met.keys() == {"200"}, asked.met


def test_killed_between_two_envoys_it_goes_on_from_its_step(fleet: Fleet) -> None:
    """One of them has the step already; the others get it from the control plane that was started again."""
    rollout = Rollout(fleet, "killed")
    with rollout, _look_on(rollout, Traffic(fleet, "killed", "POST")) as onlookers:
        rollout.declare(canary=[20, 60, 100], stepTime="2s")
        wait_until(
            lambda: any((share or 0) >= 60 for shares in onlookers.seen.values() for share in shares),
            "one has the step",
        )
        fleet.serving.kill()
        onlookers.advance(2)
        fleet.serving.start()
        assert rollout.stand()["percent"] >= 60
        rollout.wait(phase="promoted", percent=100)
        rollout.arrive(100)
    assert rollout.events() == [
        (20, "STARTED"),
        (60, "STEP_PASSED"),
        (100, "STEP_PASSED"),
        (100, "COMPLETED"),
    ]
    for gateway, shares in onlookers.seen.items():
        assert shares == [each for each in (0, 20, 60, 100) if each in shares], (gateway, "never back")


def test_blue_green_moves_all_at_once_when_every_envoy_sees_the_new_revision_well(fleet: Fleet) -> None:
    """Its places go down, and come back one by one; the last one is ill, then all are, then none."""
    rollout = Rollout(fleet, "blue", new={"healthCheck": {"interval": "2s", "timeout": "1s"}})
    with rollout, _look_on(rollout, traffic := Traffic(fleet, "blue", "POST")) as onlookers:
        before = fleet.mark()
        models = [fleet.models[place] for place in NEW_PLACES]
        for model in models:
            model.kill()
        rollout.declare(blueGreen={}, stepTime="1s")
        for model in models:
            _wait_for_words(rollout, model.address)
            model.start()
            if model is models[-1]:
                model.be("status 503")
        _wait_for_words(rollout, f"{model.address} in {model.name}: /health is answered with 503")
        for model in models:
            model.be("status 503")
        for gateway in EAGER:  # the other one learns of the new revision with the first request for it
            _wait_until_down(fleet, gateway)
        traffic.advance(2)
        assert fleet.heard("blue", before).keys().isdisjoint(NEW_PLACES), "nobody is sent there yet"
        for model in models:
            model.be("well")
        rollout.wait(phase="promoted", percent=100)
        rollout.arrive(100)
    assert onlookers.seen == {gateway: [0, 100] for gateway in GATEWAYS}
    for client, met in traffic.revisions(before).items():
        assert met == sorted(met), (client, "once, and never back")
        assert {*met} == {"v1", "v2"}, client


def _wait_for_words(rollout: Rollout, words: str) -> None:
    wait_until(
        lambda: (told := rollout.stand())["reason"] == "UNHEALTHY" and words in told["words"],
        f"it waits for {words}",
    )


def _wait_until_down(fleet: Fleet, gateway: str) -> None:
    """Until all backends of the new revision are, for that Envoy."""
    wait_until(
        lambda: {*hold_health(fleet.envoys[gateway], "acme/models/blue/production/v2").values()} == {False},
        f"for {gateway} the new revision is down",
    )
