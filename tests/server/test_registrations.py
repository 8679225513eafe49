"""The registration API: who may say what, and what is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from tests.graph import world as w
from xds_server.archive import Journal
from xds_server.compiler import Compiler
from xds_server.graph import Facts, Graph, Overlay, explain
from xds_server.protocol.types import ENDPOINT
from xds_server.server.metrics import Metrics
from xds_server.server.readiness import Readiness
from xds_server.server.registration_pages import registration_application
from xds_server.server.registrations import EVERY, Registrations
from xds_server.snapshot import Audience, diff

SLOT = "acme/models/llama/production/v1"
BODY = {"location": "eu-west-3", "address": "10.0.0.1:8000"}


def graph(*policies: str, **more: Any) -> Graph:
    revision = {"name": "v1", "registration": {"ttl": "30s"}, **more}
    return w.build_graph(
        *w.FLEET,
        w.workspace(),
        w.location("lab", flavors=[{"name": "t4", "type": "gpu"}]),
        w.places("europe", ("continent", "eu")),
        w.flavors("gpu", {"type": "gpu"}),
        w.model("llama", w.deployment(revision, policies=policies)),
    )


class Control:
    """The registrations of one process, and its API."""

    def __init__(self, found: Graph | None = None, file: Path | None = None, *, local: bool = False) -> None:
        self.now, self.token = 1000.0, b"secret"
        self.readiness = Readiness()
        journal = Journal(file) if file is not None else None
        self.registrations = Registrations(Metrics(), self.readiness, journal, lambda: self.now, local=local)
        self.app = registration_application(self.registrations, lambda: self.token)
        self.overlay = Overlay()
        if found is not None:
            self.registrations.follow(found)

    def wait(self, seconds: float) -> None:
        """Time goes by, and the process looks who is still heard of."""
        for _ in range(round(seconds / EVERY)):
            self.now += EVERY
            self.registrations.expire()

    async def ask(
        self,
        body: Any = None,
        method: str = "PUT",
        slot: str = SLOT,
        token: str | None = "secret",
        **more: Any,
    ) -> httpx.Response:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
            kind = (
                {"content": body} if isinstance(body, bytes) else {"json": {**BODY, **(body or {}), **more}}
            )
            return await client.request(method, f"/v1/endpoints/{slot}", headers=headers, **kind)

    def lay(self, found: Graph) -> Graph:
        return self.overlay.lay(
            found, {p: Facts(registered=e) for p, e in self.registrations.registered.items()}
        )

    def served(self, found: Graph) -> list[str]:
        [revision] = w.endpoint(self.lay(found)).deployments[0].revisions
        return [each.address.authority for each in revision.backends]


async def test_nobody_without_the_token() -> None:
    control = Control(graph())
    for token in (None, "", "Secret", "secret2"):
        answer = await control.ask(token=token)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    control.token = b""
    assert (await control.ask(token="")).status_code == 401
    assert control.registrations.describe() == []


async def test_before_policies_are_known_nobody_is_turned_away_for_good() -> None:
    answer = await Control().ask()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"x" * 20_000, "larger than"),
        ({"wieght": 1}, "unknown key 'wieght'"),
        ({"weight": -1}, "weight must be"),
        ({"weight": True}, "weight must be"),
        ({"weight": "1"}, "weight must be"),
        ({"location": 3}, "location must be text"),
        ({"address": "models.test:80"}, "must be an IP address"),
        ({"address": "https://10.0.0.1:80"}, "over plain http"),
        ({"address": "10.0.0.1"}, "10.0.0.1"),
        ({"ttl": 30}, "ttl must be text"),
        ({"ttl": "soon"}, "must be a duration"),
        ({"ttl": "10ms"}, "1s at least"),
        ({"flavor": ""}, "flavor must be text"),
    ],
)
async def test_what_says_no_backend_is_refused(body: Any, words: str) -> None:
    control = Control(graph())
    answer = await control.ask(body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


LOOPBACK = [
    "127.0.0.1:19000",
    "127.1.2.3:80",
    "[::1]:80",
    "[::ffff:127.0.0.1]:80",
    "[::127.0.0.1]:80",
    "[64:ff9b::127.0.0.1]:80",
    "[64:ff9b:1::127.0.0.1]:80",
]


@pytest.mark.parametrize("address", LOOPBACK)
async def test_loopback_is_for_a_port_on_loopback(address: str) -> None:
    answer = await Control(graph()).ask(address=address)
    assert answer.status_code == 400
    assert "must not be loopback" in answer.json()["error"]["message"]
    assert "the address at which Envoys reach the backend" in answer.json()["error"]["message"]
    assert (await Control(graph(), local=True).ask(address=address)).status_code == 200


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("169.254.169.254:80", "must not be link-local"),
        ("[64:ff9b::169.254.169.254]:80", "must not be link-local"),
        ("[2002:a9fe:a9fe::1]:80", "must not be link-local"),
        ("[2002:0a00:0001::1]:80", "must not lead through a tunnel"),
        ("[2001:0:4136:e378:8000:63bf:f5ff:fffe]:80", "must not lead through a tunnel"),
        ("[fd00:ec2::254]:80", "must not be a cloud's metadata service"),
        ("168.63.129.16:80", "must not be a cloud's metadata service"),
    ],
)
async def test_what_is_no_machine_of_a_model_is_refused_everywhere(
    address: str, words: str, local: bool
) -> None:
    answer = await Control(graph(), local=local).ask(address=address)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


async def test_an_address_behind_a_translation_is_one_like_any_other() -> None:
    assert (await Control(graph()).ask(address="[64:ff9b::10.0.0.1]:80")).status_code == 200


@pytest.mark.parametrize(
    "address",
    ["models.test:80", "https://10.0.0.1:443", "nonsense", "", "169.254.169.254:80", "127.0.0.1:80", 8],
)
async def test_a_bad_address_that_is_kept_takes_nothing_else_along(address: Any, tmp_path: Path) -> None:
    file, found = tmp_path / "registrations.json", graph()
    first = Control(found, file)
    await first.ask()
    await first.registrations.keep()
    kept = json.loads(file.read_text())
    [lease] = kept["entries"][SLOT]
    kept["entries"][SLOT] = [{**lease, "authority": address}, {**lease, "authority": "10.0.0.2:80"}]
    file.write_text(json.dumps(kept))
    with structlog.testing.capture_logs() as logs:
        second = Control(file=file)
    assert second.served(found) == ["10.0.0.2:80"]
    [line] = [each for each in logs if "left out" in each["event"]]
    assert (line["log_level"], line["revision"]) == ("warning", SLOT)
    assert repr(address) in line["reason"]


@pytest.mark.parametrize(
    ("slot", "body", "status", "code"),
    [
        ("acme/models/llama/production/v2", {}, 404, "REVISION_NOT_FOUND"),
        ("acme/models/llama/development/v1", {}, 404, "REVISION_NOT_FOUND"),
        ("acme/models/mistral/production/v1", {}, 404, "REVISION_NOT_FOUND"),
        (SLOT, {"location": "the-moon"}, 422, "UNKNOWN_PLACE"),
        (SLOT, {"location": "lab", "flavor": "a100"}, 422, "UNKNOWN_PLACE"),
        (SLOT, {"location": "us-east-1"}, 403, "PLACE_NOT_ALLOWED"),
        (SLOT, {"location": "lab"}, 403, "PLACE_NOT_ALLOWED"),
        (SLOT, {"location": "lab", "flavor": "t4"}, 200, None),
    ],
)
async def test_where_it_may_be(slot: str, body: dict[str, Any], status: int, code: str | None) -> None:
    answer = await Control(graph("europe", "gpu")).ask(body, slot=slot)
    assert (answer.status_code, answer.json().get("error", {}).get("code")) == (status, code)


async def test_a_policy_that_becomes_narrower_takes_out_who_is_registered() -> None:
    control, narrow = Control(graph()), graph("europe")
    await control.ask(location="us-east-1")
    await control.ask(address="10.0.0.2:80")
    assert control.served(graph()) == ["10.0.0.2:80", "10.0.0.1:8000"]
    assert control.served(narrow) == ["10.0.0.2:80"]
    told = explain(control.lay(narrow), "/acme/models/llama", region="eu-west-3")
    [share] = told.shares
    assert [(each.place, len(each.removals)) for each in share.excluded] == [("us-east-1", 1)]
    control.registrations.follow(narrow)
    assert (await control.ask(location="us-east-1")).status_code == 403


async def test_a_lease_is_no_longer_than_the_policy_says() -> None:
    control = Control(graph())
    assert (await control.ask(ttl="1h")).json()["ttl"] == 30.0
    assert (await control.ask(ttl="5s")).json()["ttl"] == 5.0
    control.wait(4.5)
    assert control.served(graph()) == ["10.0.0.1:8000"]
    control.wait(0.5)
    assert control.served(graph()) == []


async def test_time_in_which_nobody_could_be_heard_takes_nobody_out() -> None:
    control = Control(graph())
    await control.ask(ttl="5s")
    control.wait(4)
    control.now += 3600  # a process that is stopped, or a machine that is paused
    control.registrations.expire()
    assert control.served(graph()) == ["10.0.0.1:8000"]
    control.wait(0.5)
    assert control.served(graph()) == []


async def test_goodbye() -> None:
    control = Control(graph())
    await control.ask()
    assert (await control.ask(method="DELETE")).json() == {"removed": True}
    assert (await control.ask(method="DELETE")).json() == {"removed": False}
    assert control.served(graph()) == []


async def test_a_new_process_knows_who_was_there(tmp_path: Path) -> None:
    file, found = tmp_path / "live" / "registrations.json", graph()
    first = Control(found, file)
    await first.ask()
    await first.registrations.keep()
    second = Control(file=file)
    assert second.served(found) == ["10.0.0.1:8000"]
    second.registrations.follow(found)
    second.wait(29)
    assert second.served(found) == ["10.0.0.1:8000"]


async def test_a_disk_that_refuses_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "live").write_text("")
    control = Control(graph(), tmp_path / "live" / "registrations.json")
    await control.ask()
    await control.registrations.keep()
    assert "cannot be written" in control.readiness.describe()["problems"]["registrations"]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"backends": [w.backend("eu-west-3", "10.0.0.9:80")]},
        {"healthCheck": {"type": "grpc"}},
        {"healthCheck": {"path": "/health"}},
    ],
)
async def test_who_registers_changes_endpoints_only(more: dict[str, Any]) -> None:
    control, found = Control(graph(**more)), graph(**more)
    compiler, audience = Compiler(w.ROOTS), Audience("edge", "eu-west-3")
    before = compiler.compile(control.lay(found)).view(audience)
    await control.ask()
    await control.ask(location="us-east-1", address="10.0.0.2:80")
    after = compiler.compile(control.lay(found)).view(audience)
    assert before is not None
    assert after is not None
    found_different = diff(before, after)
    assert found_different.changed == {ENDPOINT: frozenset({SLOT})}
    assert not found_different.removed


def test_without_anybody_registered_it_is_not_called_unavailable() -> None:
    told = explain(graph(), "/acme/models/llama", region="eu-west-3")
    assert told.refusal is None
    assert told.notes == ("backends of v1 register themselves; the policies do not know which are there",)
