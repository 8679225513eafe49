"""A backend that takes only callers with a certificate is shown one, which rotates alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.certificates import Certificates
from tests.e2e.crossing import GATEWAYS, Crossing, run_crossing
from tests.e2e.manifest import Manifest, backend, put, revision
from tests.e2e.world import PARIS
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_CLUSTERS = "/stats?filter=cluster_manager.cluster_(added|modified|removed)"
_NAME = "models.internal.test"


@dataclass(frozen=True)
class _Secured:
    crossing: Crossing
    ours: Certificates
    others: Certificates

    def show(self, file: str, authority: Certificates) -> None:
        put(self.crossing.folder / f"acme/certs/{file}.pem", authority.chain("fairlead.test"))
        put(self.crossing.folder / f"acme/certs/{file}.key", authority.key)

    def backend(self, label: str, shown: str | None) -> Manifest:
        pair = {} if shown is None else {"certificate": f"certs/{shown}.pem", "key": f"certs/{shown}.key"}
        address = f"https://{self.crossing.upstreams[label].address}"
        return backend(PARIS, address, tls={"sni": _NAME, "ca": "certs/ca.pem", **pair})


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Secured]:
    server, ours, others = Certificates.make(), Certificates.make(), Certificates.make()
    with run_crossing(tmp_path_factory.mktemp("client-certificate")) as crossing:
        crossing.upstreams.serve("strict", server.server(_NAME, clients=ours))
        crossing.upstreams.serve("open", server.server(_NAME))
        made = _Secured(crossing, ours, others)
        put(crossing.folder / "acme/certs/ca.pem", server.authority)
        made.show("ours", ours)
        made.show("rotating", others)
        for name, each in {
            "shown": [made.backend("strict", "ours")],
            "bare": [made.backend("strict", None)],
            "rotating": [made.backend("strict", "rotating")],
            "both": [made.backend("strict", "ours"), made.backend("open", None)],
        }.items():
            crossing.put(name, crossing.deploy(revision("v1", *each)))
        yield made


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_backend_is_shown_the_certificate(secured: _Secured, gateway: str) -> None:
    answer = secured.crossing.ask("shown/v1", gateway=gateway)
    assert (answer.status, answer.json()["upstream"]) == (200, "strict")
    with secured.crossing.upstreams.watch() as seen:
        assert secured.crossing.ask("bare", gateway=gateway).status in (502, 503)
    assert seen == []


def test_each_backend_is_shown_its_own(secured: _Secured) -> None:
    met = [secured.crossing.ask("both").json()["upstream"] for _ in range(8)]
    assert set(met) == {"strict", "open"}


def test_a_new_certificate_leaves_the_cluster_as_it_is(secured: _Secured) -> None:
    crossing = secured.crossing
    paris = crossing.envoys["paris"]
    assert crossing.ask("rotating").status in (502, 503)
    before = paris.get(_CLUSTERS).text
    # One file after the other: in between they are no pair, and nothing changes.
    put(crossing.folder / "acme/certs/rotating.pem", secured.ours.chain("fairlead.test"))
    wait_until(lambda: crossing.control.newest.built.errors, "the half rotation is refused")
    [error] = crossing.control.newest.built.errors
    assert "rotating.yaml:" in str(error)
    assert "this key is not the key of the certificate" in str(error)
    crossing.save(lambda: put(crossing.folder / "acme/certs/rotating.key", secured.ours.key))
    wait_until(lambda: crossing.ask("rotating").status == 200, "the new certificate is shown")
    assert paris.get(_CLUSTERS).text == before


def test_a_key_is_seen_nowhere(secured: _Secured) -> None:
    crossing = secured.crossing
    secret = "".join(secured.ours.key.splitlines()[1:3])[:40]
    for envoy in crossing.envoys.values():
        assert secret not in envoy.get("/config_dump").text.replace("\\n", "")
        assert secret not in envoy.log
    assert secret not in repr(crossing.control.newest.built.graph.endpoints["acme/models/shown"]).replace(
        "\\n", ""
    )
