"""Everything at once: a canary goes on under callers who stay with their revision, while its home spills."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import cycle

import pytest

from tests.chaos.fleet import CLAIM, DUBLIN, FORBIDDEN, FRANKFURT, GATEWAYS, PARIS, TOKYO, VIRGINIA, Fleet
from tests.chaos.rollout import Watched
from tests.chaos.traffic import Traffic
from tests.e2e.clients import Clients
from tests.e2e.held import hold_order
from tests.e2e.manifest import Manifest
from tests.e2e.wire import Headers, Wire
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_PATH = "acme/models/everything"
_USERS = 60
_CLIENTS = 4
"""At each Envoy; each is some of the users, so that nobody's requests overtake each other."""
_BUSY = 14
_STEPS = [10, 40, 100]


class Regulars(Clients):
    """The same users at each Envoy, over and over. `met` are the revisions that each met there, in order."""

    def __init__(self, fleet: Fleet, users: Mapping[str, Headers]) -> None:
        super().__init__(f"{gateway}-{at}" for gateway in GATEWAYS for at in range(_CLIENTS))
        self.met: dict[str, dict[str, list[str]]] = {name: defaultdict(list) for name in GATEWAYS}
        self.lost: list[str] = []
        self._fleet, self._users = fleet, users

    def run(self, name: str) -> None:
        gateway, _, at = name.partition("-")
        own = list(self._users)[int(at) :: _CLIENTS]
        with self._fleet.connect(gateway) as wire:
            for user in cycle(own):
                if self.ended.is_set():
                    return
                self._ask(wire, gateway, user)
                self.rounds[name] += 1
                self.ended.wait(0.02)

    def _ask(self, wire: Wire, gateway: str, user: str) -> None:
        answer = wire.ask(f"/{_PATH}/{user}", headers=self._users[user])
        if answer.status == 200:
            self.met[gateway][user].append(answer.json()["headers"]["x-fairlead-revision"])
        else:
            self.lost.append(f"{gateway} {user}: {answer.status} {answer.code}")


def _deployment(fleet: Fleet) -> Manifest:
    everywhere = (PARIS, FRANKFURT, DUBLIN, VIRGINIA, FORBIDDEN, TOKYO)
    return fleet.deployment(
        fleet.revision("v1", *everywhere),
        fleet.revision("v2", *everywhere),
        policies=["europe"],
        sticky={"header": "x-user-id"},
        routing={"callerChoice": True, "overflow": {"above": 9, "below": 5, "share": 40}},
        rollout={
            "from": "v1",
            "to": "v2",
            "canary": _STEPS,
            "stepTime": "6s",
            "gates": {"errorRate": {"above": 5}, "minRequests": 10},
        },
    )


@contextmanager
def _burst(fleet: Fleet) -> Iterator[Traffic]:
    """So many requests at Paris that its home spills: of callers without a key."""
    with Traffic(fleet, "everything", tag="burst", gateways=["paris"], clients=_BUSY) as burst:
        wait_until(
            lambda: hold_order(fleet.envoys["paris"], f"{_PATH}/production/v1")[1][0] == 0, "it spills"
        )
        yield burst


def test_a_rollout_goes_on_while_its_home_spills_and_callers_stay_and_are_bound(fleet: Fleet) -> None:
    """And the control plane is killed in the middle of it."""
    fleet.models[PARIS].be("slow")
    users = {f"user-{at}": [*fleet.headers, ("x-user-id", f"user-{at}")] for at in range(_USERS)}
    german = [*fleet.bearer(**{CLAIM: "eu"}), ("x-fairlead-residency", "country:de")]
    before = fleet.mark()
    rollout = Watched(fleet, "everything")
    fleet.put("everything", _deployment(fleet))
    with ExitStack() as running:
        regulars = running.enter_context(Regulars(fleet, users))
        bound = running.enter_context(Traffic(fleet, "everything", tag="bound", headers=german))
        regulars.advance(1)
        burst = running.enter_context(_burst(fleet))
        rollout.wait(percent=_STEPS[1])
        rollout.arrive(_STEPS[1])
        fleet.serving.kill()
        regulars.advance(_USERS // _CLIENTS + 1)
        moved = {gateway: _list_moved(met) for gateway, met in regulars.met.items()}
        fleet.serving.start()
        assert rollout.stand()["percent"] == _STEPS[1]
        rollout.wait(phase="promoted", percent=100)
        rollout.arrive(100)
        regulars.advance(_USERS // _CLIENTS + 1)
    told = [(10, "STARTED"), (40, "STEP_PASSED"), (100, "STEP_PASSED"), (100, "COMPLETED")]
    assert rollout.events() == told
    assert regulars.lost == []
    assert bound.met.keys() == burst.met.keys() == {"200"}
    _check_users(regulars)
    assert all(0 < len(early) < _USERS for early in moved.values()), "some sooner than others"
    assert len({frozenset(early) for early in moved.values()}) == 1, "the same at every Envoy"
    heard = fleet.heard("everything", before)
    assert heard.keys() <= {PARIS, FRANKFURT, DUBLIN}
    bound_to = {
        place for place, each in heard.items() if any(one.target.startswith("/bound-") for one in each)
    }
    assert bound_to == {FRANKFURT}
    wait_until(lambda: not _spilling(fleet), "all is at home again, and the next change is the next test's")


def _spilling(fleet: Fleet) -> list[str]:
    """The regions that spill."""
    overflows = fleet.serving.ask("/overflows")["overflows"]
    return [region for each in overflows if each["path"] == _PATH for region in each["regions"]]


def _list_moved(met: Mapping[str, list[str]]) -> list[str]:
    """Who is at the new revision now."""
    return [user for user, revisions in met.items() if revisions[-1] == "v2"]


def _check_users(regulars: Regulars) -> None:
    """At each Envoy each went from the old to the new one once, and never back."""
    for gateway, met in regulars.met.items():
        assert len(met) == _USERS
        for user, revisions in met.items():
            assert sorted(revisions) == revisions, (gateway, user, revisions)
            assert revisions[-1] == "v2", (gateway, user)
