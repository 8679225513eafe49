"""A sticky split: a caller stays with one revision, and a change moves those alone who must move."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import sqrt

import pytest

from tests.e2e.crossing import GATEWAYS, Crossing, run_crossing
from tests.e2e.manifest import Manifest
from tests.e2e.wire import Headers, bearer

pytestmark = pytest.mark.envoy

_CALLERS = 500
_SIGMAS = 6.0
_COOKIE = {"name": "fairlead-session", "ttl": "2h"}
_SESSION = re.compile(
    r"fairlead-session=([0-9a-f-]{36}); Path=/acme/models/([a-z]+); Max-Age=7200; HttpOnly; SameSite=Lax"
)


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossing]:
    with run_crossing(tmp_path_factory.mktemp("sticky")) as running:
        yield running


def _split(crossing: Crossing, old: int, new: int, **sticky: object) -> Manifest:
    return crossing.deploy(crossing.revision("v1", old), crossing.revision("v2", new), sticky=sticky)


def _by_header(crossing: Crossing) -> dict[str, Headers]:
    return {f"user-{at}": [*bearer(crossing.token), ("x-user-id", f"user-{at}")] for at in range(_CALLERS)}


def _by_claim(crossing: Crossing, number: int = 40) -> dict[str, Headers]:
    token = crossing.issuer.token
    return {f"user-{at}": bearer(token("acme", account={"id": f"user-{at}"})) for at in range(number)}


def test_nobody_flips_but_those_who_must(crossing: Crossing) -> None:
    callers = _by_header(crossing)
    crossing.put("users", _split(crossing, 90, 10, header="X-User-Id"))
    first = crossing.deal("users", callers)
    at_new = sum(where == "v2" for where in first.values()) / _CALLERS
    assert abs(at_new - 0.1) < _SIGMAS * sqrt(0.1 * 0.9 / _CALLERS)
    assert crossing.deal("users", callers) == first
    assert crossing.deal("users", callers, "virginia") == first

    # Others change, the model itself changes in all but its split, and its revisions are listed in another order.
    crossing.put("others", _split(crossing, 50, 50, header="x-user-id"))
    assert crossing.deal("users", callers) == first
    reordered = _split(crossing, 900, 100, header="x-user-id", cookie=_COOKIE)
    reordered["revisions"] = [*reversed(reordered["revisions"]), crossing.revision("a0", 0, "v3")]
    crossing.put("users", reordered, warm=True, displayName="Users")
    assert crossing.deal("users", callers) == first
    assert crossing.deal("users", callers, "virginia") == first

    crossing.control.stop()
    crossing.control.start()
    crossing.settle()
    assert crossing.deal("users", callers) == first

    crossing.put("users", _split(crossing, 80, 20, header="x-user-id"))
    second = crossing.deal("users", callers)
    moved = {caller for caller in callers if second[caller] != first[caller]}
    assert all(second[caller] == "v2" for caller in moved), "nobody goes back"
    assert abs(len(moved) / _CALLERS - 0.1) < _SIGMAS * sqrt(0.1 * 0.9 / _CALLERS)
    assert crossing.deal("users", callers, "virginia") == second


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_claim_is_a_key_from_the_first_request_on(crossing: Crossing, gateway: str) -> None:
    """Also where the route comes with the request itself: each model is cold when the first caller asks."""
    callers = _by_claim(crossing)
    names = [f"claims-{gateway}-{at}" for at in range(4)]
    for name in names:
        crossing.put(name, _split(crossing, 50, 50, claim=["account", "id"]))
    first = [crossing.deal(name, callers, gateway) for name in names]
    assert [crossing.deal(name, callers, gateway) for name in names] == first
    assert all(each == first[0] for each in first), "no part of the key is the model's"
    assert set(first[0].values()) == {"v1", "v2"}


def test_a_claim_is_not_to_be_forged(crossing: Crossing) -> None:
    crossing.put("forged", _split(crossing, 50, 50, claim=["account", "id"]))
    callers = _by_claim(crossing, 20)
    honest = crossing.deal("forged", callers)
    forging = {
        name: [*headers, ("x-fairlead-caller", "someone"), ("X-Fairlead-Caller", "else")]
        for name, headers in callers.items()
    }
    with crossing.upstreams.watch() as seen:
        assert crossing.deal("forged", forging) == honest
    assert [name for each in seen for name, _ in each.headers if "caller" in name.lower()] == []


@pytest.mark.parametrize("value", [7, True, 1.5, "ä\n: x", "x" * 9000])
def test_a_claim_may_hold_anything(crossing: Crossing, value: object) -> None:
    crossing.put("anything", _split(crossing, 50, 50, claim=["account", "id"]))
    headers = bearer(crossing.issuer.token("acme", account={"id": value}))
    assert len({crossing.ask("anything", headers).json()["upstream"] for _ in range(12)}) == 1


@pytest.mark.parametrize("claim", [None, {"id": ["a", "b"]}, {"id": {"a": "b"}}, {"id": None}, "text"])
def test_without_a_key_the_split_is_dealt_at_random(crossing: Crossing, claim: object) -> None:
    crossing.put("nobody", _split(crossing, 50, 50, header="x-user-id", claim=["account", "id"]))
    headers = bearer(crossing.issuer.token("acme", account=claim))
    asked = {crossing.ask("nobody", headers).json()["upstream"] for _ in range(40)}
    assert asked == {"v1", "v2"}


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_who_has_no_key_is_given_a_cookie(crossing: Crossing, gateway: str) -> None:
    crossing.put("session", _split(crossing, 50, 50, header="x-user-id", claim="account", cookie=_COOKIE))
    met = set()
    # That all of them meet the same one is not to be expected in ten thousand million runs.
    for _ in range(36):
        first = crossing.ask("session/v1/chat?x=1", gateway=gateway)
        given = _SESSION.fullmatch(first.header("set-cookie") or "")
        assert given is not None, first
        assert given[2] == "session"
        cookie = ("Cookie", f"a=b; fairlead-session={given[1]}; c=d")
        for each in GATEWAYS:
            again = crossing.ask("session", [cookie], each)
            assert again.json()["upstream"] == first.json()["upstream"]
            assert again.header("set-cookie") is None
        met.add(first.json()["upstream"])
    assert met == {"v1", "v2"}


def test_a_key_of_an_earlier_kind_counts_and_no_cookie_is_given(crossing: Crossing) -> None:
    crossing.put("order", _split(crossing, 50, 50, header="x-user-id", claim="account", cookie=_COOKIE))
    token = crossing.issuer.token
    for at in range(20):
        by_header: Headers = [("X-User-Id", f"user-{at}")]
        answers = [
            crossing.ask(
                "order",
                [
                    *bearer(token("acme", account=f"a{other}")),
                    ("Cookie", f"fairlead-session={other}"),
                    *by_header,
                ],
            )
            for other in range(4)
        ]
        answers.append(crossing.ask("order", by_header))
        assert len({each.json()["upstream"] for each in answers}) == 1
        by_claim = bearer(token("acme", account=f"user-{at}"))
        answers = [
            crossing.ask("order", [*by_claim, ("Cookie", f"fairlead-session={other}")]) for other in range(4)
        ]
        answers.append(crossing.ask("order", by_claim))
        assert len({each.json()["upstream"] for each in answers}) == 1
        assert [each.header("set-cookie") for each in answers] == [None] * 5


def test_a_models_own_cookies_pass(crossing: Crossing) -> None:
    crossing.put("own", _split(crossing, 50, 50, cookie=_COOKIE))
    with crossing.upstreams.watch() as seen:
        answer = crossing.ask("own", [("Cookie", "fairlead-sessions=1; x-fairlead-session=2")])
    assert _SESSION.fullmatch(answer.header("set-cookie") or "")
    assert seen[0].header("cookie") == "fairlead-sessions=1; x-fairlead-session=2"
