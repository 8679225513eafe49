"""Models that take only callers with a certificate, at three Envoys; and models whose own is not to be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.fleet import FRANKFURT, GATEWAYS, NEXT, PARIS, REGIONS, TOKYO, VIRGINIA, Fleet
from tests.chaos.process import ModelProcess
from tests.chaos.traffic import Traffic
from tests.e2e.certificates import Certificates
from tests.e2e.manifest import put
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_USED = (PARIS, FRANKFURT, VIRGINIA, TOKYO)
_NAME = "models.internal.test"
_PATIENCE = "10s"
"""For a connection with its handshake: none is given up because the machine is busy."""


@dataclass(frozen=True)
class _Sealed:
    """A fleet whose models speak TLS. Each takes callers of another authority: no certificate opens two places."""

    fleet: Fleet
    folder: Path
    servers: Certificates
    callers: dict[str, Certificates]

    def seal(
        self,
        place: str,
        name: str = _NAME,
        servers: Certificates | None = None,
        callers: Certificates | None = None,
    ) -> None:
        """Start the model of a place anew, with a certificate for the name, for callers of the authority."""
        servers, callers = servers or self.servers, callers or self.callers[place]
        put(self.folder / place / "chain.pem", servers.chain(name))
        put(self.folder / place / "key.pem", servers.key)
        put(self.folder / place / "clients.pem", callers.authority)
        self.fleet.models[place].kill()
        self.fleet.models[place].start()

    def keep(self, shown: str, callers: Certificates) -> None:
        """Put a certificate of that authority where Envoys get it from."""
        put(self.fleet.folder / f"acme/certs/{shown}.pem", callers.chain("fairlead.test"))
        put(self.fleet.folder / f"acme/certs/{shown}.key", callers.key)

    def deploy(self, model: str, shown: Mapping[str, str] | None = None, **said: Any) -> None:
        """Declare a model in each place, where it is shown the certificate that is for it unless another is `shown`."""
        files = {**dict(zip(_USED, _USED, strict=True)), **(shown or {})}
        tls = {
            place: {
                "sni": _NAME,
                "ca": "certs/ca.pem",
                "certificate": f"certs/{file}.pem",
                "key": f"certs/{file}.key",
            }
            for place, file in files.items()
        }
        backends = [self.fleet.backend(place, tls=each) for place, each in tls.items()]
        self.fleet.deploy(model, *backends, timeouts={"connect": _PATIENCE}, **said)
        # What every Envoy has acknowledged may be the certificates alone.
        self.fleet.wait_for_routes(model, *GATEWAYS)

    def used(self, model: str, gateway: str, since: dict[str, int]) -> set[str]:
        """Where requests of the traffic at a gateway went."""
        heard = self.fleet.heard(model, since).items()
        return {place for place, each in heard if any(f"-{gateway}-" in one.target for one in each)}


@pytest.fixture(scope="module")
def running_sealed(running: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Sealed]:
    folder = tmp_path_factory.mktemp("certificates")
    models = {place: ModelProcess(place, folder, folder / place) for place in _USED}
    callers = {place: Certificates.make() for place in _USED}
    sealed = _Sealed(replace(running, models=models), folder, Certificates.make(), callers)
    put(running.folder / "acme/certs/ca.pem", sealed.servers.authority)
    for place, each in callers.items():
        sealed.keep(place, each)
    with ExitStack() as ending:
        for model in models.values():
            ending.callback(model.kill)
        yield sealed


@pytest.fixture
def sealed(running_sealed: _Sealed) -> _Sealed:
    """All models well."""
    for place in _USED:
        running_sealed.seal(place)
    return running_sealed


def test_each_place_is_shown_its_own_certificate_also_after_a_failure(sealed: _Sealed) -> None:
    """Each Envoy's nearest place is killed in turn."""
    sealed.deploy("sealed")
    fleet = sealed.fleet
    with Traffic(fleet, "sealed", "GET") as reading, Traffic(fleet, "sealed", "POST") as writing:
        for gateway, near in REGIONS.items():
            before = fleet.mark()
            reading.advance()
            assert sealed.used("sealed", gateway, before) == {near}
            before = fleet.mark()
            fleet.models[near].kill()
            reading.advance()
            writing.advance()
            assert sealed.used("sealed", gateway, before) - {near} == {NEXT[gateway]}
            fleet.models[near].start()
    assert reading.met.keys() == {"200"}
    assert writing.met.keys() <= {"200", "UPSTREAM_RESET"}


def test_a_certificate_that_is_for_another_place_opens_none(sealed: _Sealed) -> None:
    sealed.deploy("crossed", dict(zip(_USED, reversed(_USED), strict=True)))
    before = sealed.fleet.mark()
    for gateway in GATEWAYS:
        for method in ("GET", "POST"):
            answer = sealed.fleet.ask(gateway, "crossed", method=method)
            assert answer.code in {"UPSTREAM_UNAVAILABLE", "UPSTREAM_RESET"}
    assert sealed.fleet.heard("crossed", before) == {}


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_place_whose_certificate_is_not_to_be_trusted_is_passed_over(sealed: _Sealed, wrong: str) -> None:
    """It is the first for every Envoy, and is again once it has a good one. Not even a POST is lost meanwhile."""
    model, fleet = f"wrong-{wrong}", sealed.fleet
    sealed.deploy(model, routing={"order": [VIRGINIA]})
    before = fleet.mark()
    for gateway in GATEWAYS:
        assert fleet.ask(gateway, f"{model}/-{gateway}-").status == 200
        assert sealed.used(model, gateway, before) == {VIRGINIA}
    if wrong == "authority":
        sealed.seal(VIRGINIA, servers=Certificates.make())
    else:
        sealed.seal(VIRGINIA, name="others.internal.test")
    before = fleet.mark()
    with Traffic(fleet, model, "GET") as reading:
        reading.advance()
        # By now no Envoy takes a connection of the killed process for a good one.
        with Traffic(fleet, model, "POST") as writing:
            writing.advance()
    assert reading.met.keys() == writing.met.keys() == {"200"}
    assert fleet.heard(model, before).keys() == {PARIS, TOKYO}
    sealed.seal(VIRGINIA)
    with Traffic(fleet, model, "GET") as reading:
        for gateway in GATEWAYS:
            wait_until(
                lambda gateway=gateway: VIRGINIA in sealed.used(model, gateway, before),
                f"{gateway} uses it again",
            )
    assert reading.met.keys() == {"200"}


def test_a_new_certificate_reaches_every_envoy_and_costs_no_request(sealed: _Sealed) -> None:
    """The model takes the old one first, and then the new one alone; its connections are made anew."""
    model, fleet, new = "renewed", sealed.fleet, Certificates.make()
    sealed.keep("renewed", sealed.callers[FRANKFURT])
    sealed.deploy(model, {FRANKFURT: "renewed"}, routing={"order": [FRANKFURT]})
    with Traffic(fleet, model, "GET") as reading:
        before = fleet.mark()
        reading.advance()
        assert fleet.heard(model, before).keys() == {FRANKFURT}
        sealed.keep("renewed", new)
        reading.advance()
        sealed.seal(FRANKFURT, callers=new)
        before = fleet.mark()
        for gateway in GATEWAYS:
            wait_until(
                lambda gateway=gateway: FRANKFURT in sealed.used(model, gateway, before),
                f"{gateway} shows the new certificate",
            )
    assert reading.met.keys() == {"200"}
