"""Callers who stay with their revision, whichever Envoy they meet and whatever else goes on."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.chaos.chance import is_likely
from tests.chaos.fleet import FRANKFURT, GATEWAYS, PARIS, TOKYO, VIRGINIA, Fleet
from tests.e2e.manifest import Manifest
from tests.e2e.wire import Headers

pytestmark = pytest.mark.envoy

_EACH = 200
"""Callers of each kind: known by a header, by a claim, by a cookie."""
_COOKIE = "fairlead-session"
_STICKY = {"header": "x-user-id", "claim": "account", "cookie": {"name": _COOKIE, "ttl": "1h"}}


def _split(fleet: Fleet, old: int, new: int) -> Manifest:
    revisions = (("v1", old), ("v2", new))
    return fleet.deployment(
        *(fleet.revision(name, PARIS, VIRGINIA, TOKYO, weight=weight) for name, weight in revisions),
        sticky=_STICKY,
    )


def _callers(fleet: Fleet, model: str) -> dict[str, Headers]:
    """Each Envoy has given a third of the cookies."""
    callers: dict[str, Headers] = {}
    for at in range(_EACH):
        callers[f"header-{at}"] = [*fleet.headers, ("x-user-id", f"user-{at}")]
        callers[f"claim-{at}"] = fleet.bearer(account=f"account-{at}")
        given = fleet.ask(GATEWAYS[at % len(GATEWAYS)], model).header("set-cookie")
        assert given is not None
        name, _, value = given.partition(";")[0].partition("=")
        assert name == _COOKIE
        callers[f"cookie-{at}"] = [*fleet.headers, ("cookie", f"{name}={value}")]
    return callers


def _deal(fleet: Fleet, callers: Mapping[str, Headers]) -> dict[str, str]:
    """The revision that each caller meets at every Envoy."""
    first, *others = (fleet.deal(gateway, "regulars", callers) for gateway in GATEWAYS)
    for other in others:
        assert other == first, "all Envoys agree"
    return first


def test_nobody_flips_while_the_split_is_unchanged_and_a_tenth_does_when_a_tenth_must(fleet: Fleet) -> None:
    fleet.put("regulars", _split(fleet, 90, 10))
    callers = _callers(fleet, "regulars")
    first = _deal(fleet, callers)
    assert is_likely(sum(met == "v2" for met in first.values()), len(callers), len(callers) / 10)

    fleet.deploy("others", PARIS, FRANKFURT)
    assert _deal(fleet, callers) == first, "another deployment has changed"

    fleet.models[PARIS].kill()
    assert _deal(fleet, callers) == first, "a model is down, and its revision has others"
    fleet.models[PARIS].start()
    assert _deal(fleet, callers) == first, "the model is back"

    fleet.restart()
    assert _deal(fleet, callers) == first, "the control plane was killed and is back"

    fleet.put("regulars", _split(fleet, 80, 20))
    second = _deal(fleet, callers)
    moved = [caller for caller in callers if second[caller] != first[caller]]
    assert {second[caller] for caller in moved} == {"v2"}, "nobody goes back"
    assert is_likely(len(moved), len(callers), len(callers) / 10)
    for kind in ("header", "claim", "cookie"):
        of_kind = sum(caller.startswith(kind) for caller in moved)
        assert of_kind > 0, kind
        assert is_likely(of_kind, _EACH, _EACH / 10), kind
