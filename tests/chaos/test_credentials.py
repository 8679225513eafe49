"""Credentials of backends at three Envoys: each place is shown its own, whatever happens to the one before it."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import Any

import pytest

from tests.chaos.fleet import FRANKFURT, GATEWAYS, PARIS, REGIONS, TOKYO, VIRGINIA, Fleet
from tests.chaos.process import Heard, ModelProcess
from tests.chaos.traffic import Traffic
from tests.e2e.manifest import Manifest, put
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_USED = (PARIS, FRANKFURT, VIRGINIA, TOKYO)
_HEADERS = {"v1": {"prefix": "Bearer "}, "v2": {"header": "x-api-key"}}
"""How each revision wants to see its key; a header that is not named is `authorization`."""


def _key(revision: str, place: str, edition: int = 1) -> str:
    return f"sk-{revision}-{place}-{edition}-is-not-to-be-seen"


def _keep(fleet: Fleet, model: str, revision: str, place: str, edition: int = 1) -> None:
    put(fleet.folder / f"acme/secrets/{model}-{revision}-{place}", f"{_key(revision, place, edition)}\n")


def _deploy(fleet: Fleet, model: str, *revisions: str, **said: Any) -> None:
    fleet.put(model, fleet.deployment(*(_revision(fleet, model, each) for each in revisions), **said))
    # What every Envoy has acknowledged may be the reading of the secrets alone.
    fleet.wait_for_routes(model, *GATEWAYS)


def _revision(fleet: Fleet, model: str, name: str) -> Manifest:
    """A revision with a backend and a key of its own in each place."""
    for place in _USED:
        _keep(fleet, model, name, place)
    keys = {place: {"file": f"secrets/{model}-{name}-{place}", **_HEADERS[name]} for place in _USED}
    return fleet.revision(name, *(fleet.backend(place, credentials=keys[place]) for place in _USED), weight=1)


def _shown(heard: Heard) -> str:
    """The key that the model was shown; nothing of the client's stands where another revision has its own."""
    assert "x-fairlead-credentials" not in heard.headers
    if heard.revision == "v1":
        return heard.headers["authorization"].removeprefix("Bearer ")
    assert "authorization" not in heard.headers
    return heard.headers["x-api-key"]


def _token(fleet: Fleet) -> str:
    [(_, value)] = fleet.headers
    return value.removeprefix("Bearer ")


def _fail(model: ModelProcess, mood: str) -> None:
    if mood == "kill":
        model.kill()
    else:
        model.be(mood)


def _check_unseen(fleet: Fleet, model: str, *keys: str) -> None:
    """No key, nor the client's token, is in what an Envoy or the control plane tells, all that was asked included."""
    for gateway, envoy in fleet.envoys.items():
        last = fleet.ask(gateway, f"{model}/last", method="POST").header("x-request-id")
        assert last is not None
        wait_until(lambda envoy=envoy, last=last: last in envoy.log, f"{gateway} has logged the last request")
    told = {"control plane": fleet.serving.log, "nodes": str(fleet.serving.ask("/nodes"))}
    for gateway, envoy in fleet.envoys.items():
        told |= {f"{gateway} log": envoy.log, f"{gateway} stats": envoy.get("/stats").text}
        told[f"{gateway} dump"] = envoy.get("/config_dump?include_eds").text
    secret = (*keys, _token(fleet))
    assert [(where, key) for where, text in told.items() for key in secret if key in text] == []


@pytest.mark.parametrize("mood", ["kill", "reset"])
def test_a_request_that_goes_on_to_another_place_is_shown_there_with_that_places_key(
    fleet: Fleet, mood: str
) -> None:
    """Of two revisions, each with another key in each place; each Envoy's nearest place fails in turn."""
    model = f"keyed-{mood}"
    _deploy(fleet, model, *_HEADERS)
    before = fleet.mark()
    forged = [*fleet.headers, ("x-api-key", "forged"), ("x-fairlead-credentials", "forged")]
    with (
        Traffic(fleet, model, "GET", headers=forged) as reading,
        Traffic(fleet, model, "POST", headers=forged) as writing,
    ):
        for place in REGIONS.values():
            reading.advance()
            _fail(fleet.models[place], mood)
            reading.advance()
            writing.advance()
            fleet.models[place].kill()
            fleet.models[place].start()
    assert reading.met.keys() == {"200"}
    assert writing.met.keys() <= {"200", "UPSTREAM_RESET"}
    met = defaultdict(list)
    for place, requests in fleet.heard(model, before).items():
        for each in requests:
            assert _shown(each) == _key(each.revision, place), each
            assert _token(fleet) not in str(each)
            met[each.method, each.target].append((place, each.revision))
    assert {each for places in met.values() for each in places} == {
        (place, revision) for place in _USED for revision in _HEADERS
    }
    if mood == "reset":
        again = {target for (method, target), places in met.items() if method == "GET" and len(places) > 1}
        for gateway in GATEWAYS:
            assert any(f"/GET-{gateway}-" in target for target in again), f"{gateway} sent some again"
    _check_unseen(fleet, model, *(_key(revision, place) for place in _USED for revision in _HEADERS))


def test_a_new_key_reaches_every_envoy_and_costs_no_request(fleet: Fleet) -> None:
    """The control plane is killed before the second one: Envoys go on with what they have until it is back."""
    _deploy(fleet, "rotated", "v1", routing={"order": [FRANKFURT]})
    before = fleet.mark()
    with Traffic(fleet, "rotated", "GET") as reading, Traffic(fleet, "rotated", "POST") as writing:
        _wait_for_key(fleet, 1)
        _keep(fleet, "rotated", "v1", FRANKFURT, 2)
        _wait_for_key(fleet, 2)
        fleet.serving.kill()
        _keep(fleet, "rotated", "v1", FRANKFURT, 3)
        since = fleet.mark()
        reading.advance()
        fleet.serving.start()
        _wait_for_key(fleet, 3)
        fleet.settle()
        assert {_shown(each) for each in fleet.heard("rotated", since)[FRANKFURT]} == {
            _key("v1", FRANKFURT, edition) for edition in (2, 3)
        }
    assert reading.met.keys() == writing.met.keys() == {"200"}
    heard = fleet.heard("rotated", before)
    assert heard.keys() == {FRANKFURT}
    for client in (f"{method}-{gateway}" for method in ("GET", "POST") for gateway in GATEWAYS):
        shown = [_shown(each) for each in heard[FRANKFURT] if each.target.startswith(f"/{client}-")]
        assert [key for key, _ in groupby(shown)] == [_key("v1", FRANKFURT, at) for at in (1, 2, 3)], client
    fleet.models[FRANKFURT].kill()
    since = fleet.mark()
    for gateway in GATEWAYS:
        assert fleet.ask(gateway, "rotated").status == 200
    for place, requests in fleet.heard("rotated", since).items():
        assert {_shown(each) for each in requests} == {_key("v1", place)}, "the others' keys are as they were"
    _check_unseen(fleet, "rotated", *(_key("v1", FRANKFURT, edition) for edition in (1, 2, 3)))


def _wait_for_key(fleet: Fleet, edition: int) -> None:
    """Until the model is shown that key by each client of every Envoy."""
    since, key = fleet.mark(), _key("v1", FRANKFURT, edition)

    def look() -> bool:
        shown = [each for each in fleet.heard("rotated", since).get(FRANKFURT, []) if _shown(each) == key]
        clients = [f"/{method}-{gateway}-" for method in ("GET", "POST") for gateway in GATEWAYS]
        return all(any(each.target.startswith(client) for each in shown) for client in clients)

    wait_until(look, f"every Envoy shows key {edition}")
