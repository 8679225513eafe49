"""Credentials of backends: they arrive where they belong, are seen nowhere else, and rotate alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO

import pytest

from tests.e2e.crossing import GATEWAYS, Crossing, run_crossing
from tests.e2e.manifest import Manifest, backend, put, revision
from tests.e2e.wire import bearer
from tests.e2e.world import FRANKFURT, PARIS
from tests.envoy_process import wait_until
from xds_server.cli.compilation import compile_

pytestmark = pytest.mark.envoy

_KEYS = {name: f"sk-{name}-is-not-to-be-seen" for name in ("one", "two", "plain")}


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossing]:
    with run_crossing(tmp_path_factory.mktemp("credentials")) as running:
        for name, key in _KEYS.items():
            put(running.folder / f"acme/secrets/{name}", f"{key}\n")
        v1, v2 = (running.upstreams[name].address for name in ("v1", "v2"))
        one, two = (backend(PARIS, at, credentials=_bearer(name)) for at, name in ((v1, "one"), (v2, "two")))
        running.put("one", running.deploy(revision("v1", one)))
        running.put("each", running.deploy(revision("v1", one, two)))
        running.put(
            "prefixed",
            running.deploy(revision("v1", {**one, "pathPrefix": "/x"}, {**two, "pathPrefix": "/y"})),
        )
        dead = backend(PARIS, running.upstreams.dead(), credentials=_bearer("one"))
        far = backend(FRANKFURT, v2, credentials=_bearer("two"))
        running.put("failing-over", running.deploy(revision("v1", dead, far)))
        own = backend(PARIS, v1, credentials={"header": "X-Api-Key", "file": "secrets/plain"})
        running.put("own-header", running.deploy(revision("v1", own)))
        running.put("none", running.deploy(running.revision("v1", 1)))
        yield running


def _bearer(name: str) -> Manifest:
    return {"file": f"secrets/{name}", "prefix": "Bearer "}


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_a_backend_is_shown_its_credentials_and_never_the_callers(crossing: Crossing, gateway: str) -> None:
    for name, header, value in (
        ("one", "authorization", f"Bearer {_KEYS['one']}"),
        ("own-header", "x-api-key", _KEYS["plain"]),
        ("none", "authorization", None),
    ):
        with crossing.upstreams.watch() as seen:
            forged = [] if name == "none" else [("x-api-key", "forged"), ("X-Fairlead-Credentials", "x")]
            answer = crossing.ask(name, [*bearer(crossing.token), *forged], gateway)
        assert answer.status == 200, answer
        assert seen[0].header(header) == value
        assert crossing.token not in str(seen[0].headers)
        assert seen[0].header("x-fairlead-credentials") is None


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("name", ["each", "prefixed"])
def test_each_backend_is_shown_its_own(crossing: Crossing, gateway: str, name: str) -> None:
    met = set()
    for _ in range(12):
        with crossing.upstreams.watch() as seen:
            crossing.ask(f"{name}/v1?a=%20", gateway=gateway)
        [one] = seen
        key = {"v1": "one", "v2": "two"}[one.upstream]
        assert one.all("authorization") == [f"Bearer {_KEYS[key]}"]
        assert one.header("x-fairlead-credentials") is None
        if name == "prefixed":
            assert one.target == {"v1": "/x/v1?a=%20", "v2": "/y/v1?a=%20"}[one.upstream]
        met.add(one.upstream)
    assert met == {"v1", "v2"}


def test_a_request_that_goes_on_to_another_place_takes_nothing_along(crossing: Crossing) -> None:
    with crossing.upstreams.watch() as seen:
        assert crossing.ask("failing-over").status == 200
    assert [(one.upstream, one.all("authorization")) for one in seen] == [("v2", [f"Bearer {_KEYS['two']}"])]


def test_a_new_credential_changes_nothing_else(crossing: Crossing) -> None:
    paris = crossing.envoys["paris"]

    def counted() -> set[tuple[str, int]]:
        stats = paris.stats("cluster_manager.cluster_|update_success").items()
        return {each for each in stats if "control-plane" not in each[0]}  # that one counts DNS

    with crossing.connect("paris") as wire:
        ask = lambda: wire.ask("/acme/models/one", headers=bearer(crossing.token))  # noqa: E731
        ask()
        before = counted()
        connections = crossing.upstreams["v1"].connections
        crossing.save(lambda: put(crossing.folder / "acme/secrets/one", "sk-rotated-is-not-to-be-seen"))

        def rotated() -> bool:
            with crossing.upstreams.watch() as seen:
                ask()
            return seen[0].header("authorization") == "Bearer sk-rotated-is-not-to-be-seen"

        wait_until(rotated, "the new credential is shown")
        changed = counted() - before
        assert all("sds" in name or "secret" in name or "credentials" in name for name, _ in changed), changed
        assert crossing.upstreams["v1"].connections == connections
    crossing.save(lambda: put(crossing.folder / "acme/secrets/one", _KEYS["one"]))
    _KEYS["rotated"] = "sk-rotated-is-not-to-be-seen"


def test_a_credential_is_seen_nowhere(crossing: Crossing, capfd: pytest.CaptureFixture[str]) -> None:
    with redirect_stdout(StringIO()) as compiled:
        compile_(crossing.folder, region=PARIS, type_=None, gateway="paris")
    assert "credentials/secrets/one" in compiled.getvalue()
    shown = {"compile": compiled.getvalue(), "server": "".join(capfd.readouterr())}
    for name, envoy in crossing.envoys.items():
        shown[f"{name} dump"] = envoy.get("/config_dump?include_eds").text
        shown[f"{name} log"] = envoy.log
        shown[f"{name} stats"] = envoy.get("/stats").text
    assert [(where, key) for where, text in shown.items() for key in _KEYS.values() if key in text] == []
