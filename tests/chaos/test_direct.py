"""Testers choose a revision at three Envoys: the same answer everywhere, and that revision or none, whatever fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.chaos.fleet import DUBLIN, FORBIDDEN, FRANKFURT, GATEWAYS, PARIS, REGIONS, TOKYO, VIRGINIA, Fleet
from tests.chaos.traffic import Traffic
from tests.e2e.wire import Headers

pytestmark = pytest.mark.envoy

_TESTERS = {"claims": [{"claim": "role", "anyOf": ["tester"]}]}
_USE = "x-fairlead-use-revision"
_PLACES = {"v1": {DUBLIN, FORBIDDEN}, "v3": {PARIS, FRANKFURT, VIRGINIA, TOKYO}}
"""No process serves both revisions."""


@pytest.fixture
def tested(fleet: Fleet) -> Fleet:
    """A model all of whose requests go to `v1`, but for those of testers who want `v3`."""
    revisions = [
        fleet.revision(name, *sorted(_PLACES[name]), weight=weight) for name, weight in (("v1", 1), ("v3", 0))
    ]
    fleet.put("tested", fleet.deployment(*revisions, testers=_TESTERS))
    return fleet


def _tester(fleet: Fleet) -> Headers:
    return fleet.bearer(role="tester")


def _requests(fleet: Fleet) -> Iterator[tuple[str, Headers, int, str]]:
    """Targets and headers; the status, and the revision or the code, that each is answered with."""
    guest, tester = fleet.bearer(role="guest"), _tester(fleet)
    for name in ("v1", "v3"):
        yield f"tested/chat?a=%20&revision={name}", tester, 200, name
        yield "tested", [*tester, (_USE, name)], 200, name
    yield "tested", tester, 200, "v1"
    yield "tested", guest, 200, "v1"
    yield "tested?revision=v9", tester, 404, "REVISION_NOT_FOUND"
    yield "tested?revision=v3&revision=v3", tester, 400, "BAD_REQUEST"
    yield "tested?revision=v3", [*tester, (_USE, "v1")], 400, "BAD_REQUEST"
    for name in ("v1", "v3", "v9"):
        yield f"tested?revision={name}", guest, 403, "REVISION_FORBIDDEN"
        yield "tested", [*guest, (_USE, name)], 403, "REVISION_FORBIDDEN"
    yield "tested?revision=v3", fleet.headers, 403, "REVISION_FORBIDDEN"
    yield "tested?revision=v3", [], 401, "AUTHENTICATION_REQUIRED"


def _check_answers(fleet: Fleet) -> None:
    """Every Envoy answers the same, and what is refused reaches nobody."""
    before, served = fleet.mark(), 0
    for gateway in GATEWAYS:
        for target, headers, status, word in _requests(fleet):
            answer = fleet.ask(gateway, target, headers)
            assert answer.status == status, (gateway, target, answer)
            if status == 200:
                assert answer.json()["headers"]["x-fairlead-revision"] == word
                assert answer.json()["model"] in _PLACES[word]
                served += 1
            else:
                assert answer.code == word, (gateway, target, answer)
    assert sum(len(each) for each in fleet.heard("tested", before).values()) == served


def test_every_envoy_gives_a_tester_his_revision_and_nobody_else(tested: Fleet) -> None:
    """Before, while and after the control plane is dead."""
    _check_answers(tested)
    tested.serving.kill()
    _check_answers(tested)
    tested.serving.start()
    tested.settle()
    _check_answers(tested)


def test_a_chosen_revision_is_served_from_its_other_places_and_never_by_another(tested: Fleet) -> None:
    """Each Envoy's nearest place of it is killed in turn, and then all at once; the split is served all the while."""
    tester, before = _tester(tested), tested.mark()
    callers = {"chat?revision=v3&of=": tester, "header": [*tester, (_USE, "v3")], "split": tester}
    with ExitStack() as running:
        query, header, split = (
            running.enter_context(Traffic(tested, "tested", tag=tag, headers=headers))
            for tag, headers in callers.items()
        )
        for near in REGIONS.values():
            query.advance()
            tested.models[near].kill()
            for each in (query, header, split):
                each.advance()
            tested.models[near].start()
        assert query.met.keys() == header.met.keys() == {"200"}
        for place in _PLACES["v3"]:
            tested.models[place].kill()
        for gateway in GATEWAYS:
            assert tested.ask(gateway, "tested?revision=v3", tester).code == "UPSTREAM_UNAVAILABLE"
        split.advance()
    assert split.met.keys() == {"200"}
    heard = tested.heard("tested", before)
    assert heard.keys() == {*_PLACES["v1"], *_PLACES["v3"]}
    for place, requests in heard.items():
        for each in requests:
            wanted = "v1" if each.target.startswith("/split-") else "v3"
            assert each.revision == wanted
            assert place in _PLACES[wanted]
