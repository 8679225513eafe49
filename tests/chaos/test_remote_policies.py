"""What another team publishes, at three Envoys: places close and open, and its publisher has bad days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from tests.chaos.fleet import DUBLIN, FORBIDDEN, FRANKFURT, GATEWAYS, PARIS, TOKYO, VIRGINIA, Fleet
from tests.chaos.traffic import Traffic
from tests.e2e.held import hold_places
from tests.e2e.manifest import manifest, write
from tests.envoy_process import wait_until
from tests.server.publishing import Publishing, policy

pytestmark = pytest.mark.envoy

_EU, _NA, _AS = ("continent", "eu"), ("continent", "na"), ("continent", "as")
_DE, _BR = ("country", "de"), ("country", "br")
_WIDE = policy("europe", _EU, _NA, _AS)
_EVERYWHERE = (PARIS, FRANKFURT, VIRGINIA, FORBIDDEN, TOKYO)
_PUBLISHER, _SITE = "policy source governance", "workspace acme"
# What a publisher may answer, the status, of whom the control plane tells then, and what. Each would open the world.
_BAD_DAYS = (
    (_WIDE, 500, _PUBLISHER, "it answers 500"),
    (_WIDE, 302, _PUBLISHER, "redirects are not followed"),
    (f"{_WIDE}---\n{policy('more', ('continent', 'mars'))}", 200, _PUBLISHER, "unknown-continent"),
    (f"{_WIDE}---\n{{{{ no YAML", 200, _PUBLISHER, "syntax"),
    (policy("world", _EU, _NA, _AS), 200, _SITE, "unpublished-policy"),
)


@dataclass(frozen=True)
class Governed:
    """A model with backends all over the world, `governed`, and who publishes the policy `governance/europe`."""

    fleet: Fleet
    publisher: Publishing

    def attach(self, *policies: str, places: tuple[str, ...] = _EVERYWHERE) -> None:
        """Bind the model by these policies."""
        self.fleet.deploy("governed", *places, policies=policies)

    def publish(self, *places: tuple[str, str]) -> None:
        """Say from now on that these places are what the policy allows."""
        self.publisher.document = policy("europe", *places)

    def wait(self, *places: str, model: str = "governed") -> None:
        """Until every Envoy has a model in these places and no others."""
        for name, envoy in self.fleet.envoys.items():
            wait_until(
                lambda envoy=envoy: (
                    {
                        each["locality"]["zone"]
                        for each in hold_places(envoy, f"acme/models/{model}/production/v1")
                    }
                    == {*places}
                ),
                f"{name} has {model} in {places}",
            )

    def problem(self, of: str = _PUBLISHER) -> str:
        """What the control plane says is wrong with the publisher or the site; empty if nothing is."""
        return str(self.fleet.serving.ask("/readyz")["problems"].get(of, ""))


@pytest.fixture
def governed(fleet: Fleet) -> Iterator[Governed]:
    """Bound by what is published and nothing else; in the end by nothing, and there is no publisher any more."""
    folder = fleet.folder
    everywhere = [{"type": kind, "name": name} for kind, name in (_EU, _NA, _AS)]
    own = manifest("Policy", "everywhere", "acme", type="location", locations=everywhere)
    with Publishing(policy("europe", _EU)) as publisher:
        source = manifest("PolicySource", "governance", url=publisher.url, every="1s")
        write(folder, "acme/everywhere.yaml", [own])
        write(folder, "governance.yaml", [source])
        made = Governed(fleet, publisher)
        made.attach("governance/europe")
        for gateway in GATEWAYS:
            wait_until(lambda gateway=gateway: fleet.ask(gateway, "governed").status == 200, "it is served")
        made.wait(PARIS, FRANKFURT)
        yield made
    (folder / "acme/governed-too.yaml").unlink(missing_ok=True)
    made.attach()
    made.wait(PARIS, FRANKFURT, VIRGINIA, TOKYO)
    fleet.save(lambda: [(folder / name).unlink() for name in ("acme/everywhere.yaml", "governance.yaml")])


@contextmanager
def _traffic(governed: Governed, model: str = "governed") -> Iterator[list[Traffic]]:
    """Reading and writing clients at each Envoy. All are served, and in the end by nobody in America."""
    fleet, before = governed.fleet, governed.fleet.mark()
    with ExitStack() as running:
        both = [running.enter_context(Traffic(fleet, model, method)) for method in ("GET", "POST")]
        _advance(both)
        yield both
        _advance(both)
    assert [each.met.keys() for each in both] == [{"200"}, {"200"}]
    assert fleet.heard(model, before).keys().isdisjoint({VIRGINIA, FORBIDDEN})


def _advance(traffic: list[Traffic], rounds: int = 5) -> None:
    for each in traffic:
        each.advance(rounds)


def _find_places(governed: Governed, traffic: list[Traffic]) -> set[str]:
    """Where requests go now; those that were under way are let through first."""
    _advance(traffic, 1)
    since = governed.fleet.mark()
    _advance(traffic, 10)
    return set(governed.fleet.heard("governed", since))


def test_places_close_and_open_at_every_envoy_and_no_request_is_lost(governed: Governed) -> None:
    with _traffic(governed) as traffic:
        assert PARIS in _find_places(governed, traffic) <= {PARIS, FRANKFURT}
        governed.publish(_DE)
        governed.wait(FRANKFURT)
        assert _find_places(governed, traffic) == {FRANKFURT}
        governed.publish(_EU, _AS)
        governed.wait(PARIS, FRANKFURT, TOKYO)
        assert {PARIS, TOKYO} <= _find_places(governed, traffic) <= {PARIS, FRANKFURT, TOKYO}
        governed.publish(_AS)
        governed.wait(TOKYO)
        assert _find_places(governed, traffic) == {TOKYO}


def test_where_nothing_is_left_nobody_is_asked(governed: Governed) -> None:
    """And nobody else notices: a model of the same workspace is served on, under traffic."""
    fleet = governed.fleet
    fleet.deploy("unbound", PARIS, TOKYO)
    with _traffic(governed, "unbound"):
        governed.publish(_BR)
        governed.wait()
        before = fleet.mark()
        for gateway in GATEWAYS:
            for method in ("GET", "POST"):
                answer = fleet.ask(gateway, "governed", method=method)
                assert (answer.status, answer.code) == (503, "UPSTREAM_UNAVAILABLE")
        assert fleet.heard("governed", before) == {}
        governed.publish(_EU)
        governed.wait(PARIS, FRANKFURT)
    assert {fleet.ask(gateway, "governed").status for gateway in GATEWAYS} == {200}


def test_neither_side_opens_what_the_other_closes(governed: Governed) -> None:
    """The site attaches a policy of its own that is wider; then it has a narrower one, and the publisher opens all."""
    with _traffic(governed) as traffic:
        governed.attach("governance/europe", "everywhere")
        governed.wait(PARIS, FRANKFURT)
        _advance(traffic)
        governed.attach("governance/europe", "europe")
        governed.fleet.deploy("governed-too", *_EVERYWHERE, policies=("governance/europe",))
        for gateway in GATEWAYS:
            assert governed.fleet.ask(gateway, "governed-too").status == 200
        governed.publish(_EU, _NA, _AS)
        governed.wait(PARIS, FRANKFURT, VIRGINIA, TOKYO, model="governed-too")
        governed.wait(PARIS, FRANKFURT)
        assert _find_places(governed, traffic) <= {PARIS, FRANKFURT}


def test_a_publishers_bad_days_open_nothing_and_lose_nothing(governed: Governed) -> None:
    publisher = governed.publisher
    with _traffic(governed) as traffic:
        for document, status, of, told in _BAD_DAYS:
            publisher.say(document, status)
            wait_until(lambda of=of, told=told: told in governed.problem(of), f"{told} is told of {of}")
            governed.wait(PARIS, FRANKFURT)
            assert _find_places(governed, traffic) <= {PARIS, FRANKFURT}
        governed.publish(_DE)
        governed.wait(FRANKFURT)


def test_a_control_plane_that_starts_without_its_publisher_obeys_him_still(governed: Governed) -> None:
    """Also in what the site changes then, and when all that he allows is down."""
    fleet, publisher = governed.fleet, governed.publisher
    with _traffic(governed):
        publisher.close()
        wait_until(governed.problem, "it is told of")
        fleet.restart()
        wait_until(governed.problem, "it is told of again")
        places = (DUBLIN, FRANKFURT, VIRGINIA, FORBIDDEN, TOKYO)
        governed.attach("governance/europe", "everywhere", places=places)
        governed.wait(DUBLIN, FRANKFURT)
    before = fleet.mark()
    fleet.models[DUBLIN].kill()
    assert {fleet.ask(gateway, "governed").status for gateway in GATEWAYS} == {200}
    fleet.models[FRANKFURT].kill()
    for gateway in GATEWAYS:
        assert fleet.ask(gateway, "governed").code == "UPSTREAM_UNAVAILABLE"
    assert fleet.heard("governed", before).keys() == {FRANKFURT}
    fleet.models[FRANKFURT].start()
    governed.publish(_DE)
    publisher.open()
    governed.wait(FRANKFURT)
