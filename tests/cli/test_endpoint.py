"""`fairlead endpoint register` against a registration port over TLS, and without one."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.certificates import Certificates
from tests.graph import world as w
from xds_server.cli.outcome import CommandError
from xds_server.cli.plane import running
from xds_server.cli.policies import open_source
from xds_server.cli.registration import taking_registrations
from xds_server.cli.terms import Terms
from xds_server.server.metrics import Metrics
from xds_server.server.readiness import Readiness
from xds_server.server.registrations import Registrations

from .conftest import FAIRLEAD, PATIENCE, Run, free_port

SLOT = "acme/models/llama/production/v1"
WHERE = ("--location", "eu-west-3", "--address", "10.0.0.1:80")


def put_token(folder: Path, text: str = "secret") -> Path:
    file = folder / "token"
    file.touch(0o600)
    file.write_text(text)
    return file


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Registrations, str]]:
    """Take registrations over TLS; the value is them, and the URL."""
    certificates = Certificates.make()
    for name, text in (("c.pem", certificates.chain("localhost")), ("k.pem", certificates.key)):
        (folder / name).write_text(text)
    (folder / "ca.pem").write_text(certificates.authority)
    registrations = Registrations(Metrics(), Readiness())
    revision = {"name": "v1", "registration": {}}
    registrations.follow(w.build_graph(*w.FLEET, w.workspace(), w.model("llama", w.deployment(revision))))
    port = free_port()
    terms = Terms(
        certificate=folder / "c.pem",
        key=folder / "k.pem",
        registration=f"127.0.0.1:{port}",
        registration_token=put_token(folder),
    )
    async with taking_registrations(registrations, terms):
        yield registrations, f"https://localhost:{port}"


async def register(folder: Path, url: str, *more: str | Path) -> tuple[int, str]:
    command = [FAIRLEAD, "endpoint", "register", SLOT, *WHERE, "--server", url, *map(str, more)]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=folder
    )
    return done.returncode, " ".join(done.stderr.split())


async def test_over_tls_with_the_token_and_not_without(tmp_path: Path) -> None:
    async with serving(tmp_path) as (registrations, url):
        trust = ("--ca", tmp_path / "ca.pem")
        assert await register(tmp_path, url, *trust, "--token-file", tmp_path / "token") == (0, "")
        assert [each["address"] for each in registrations.describe()] == ["10.0.0.1:80"]
        # The token is another one from now on.
        other = tmp_path / "other"
        other.mkdir()
        code, told = await register(tmp_path, url, *trust, "--token-file", put_token(other, "guessed"))
        assert code == 1
        assert "AUTHENTICATION_FAILED" in told
        code, told = await register(tmp_path, url, "--token-file", tmp_path / "token")
        assert code == 1
        assert "CERTIFICATE_VERIFY_FAILED" in told


async def test_a_token_that_others_may_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    registrations = Registrations(Metrics(), Readiness())
    for text, mode, words in (("secret", 0o644, "other users may use"), ("\n", 0o600, "there is no token")):
        put_token(tmp_path, text).chmod(mode)
        terms = Terms(registration="127.0.0.1:0", registration_token=tmp_path / "token")
        with pytest.raises(CommandError, match=words):
            async with taking_registrations(registrations, terms):
                pass


def test_wrong_usage(inside: Run, tmp_path: Path) -> None:
    server = ("--server", f"http://127.0.0.1:{free_port()}")
    done = inside("endpoint", "register", "acme/models/llama", *WHERE, *server)
    assert done.returncode == 64
    assert "workspace/segment/model/environment/revision" in done.stderr
    done = inside("endpoint", "register", SLOT, *WHERE, *server)
    assert done.returncode == 1
    assert "there is no token" in done.stderr
    done = inside("endpoint", "register", SLOT, *WHERE, *server, "--token-file", put_token(tmp_path))
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    done = inside("serve", tmp_path, "--registration", "127.0.0.1:1")
    assert done.returncode == 64
    assert "belong together" in done.stderr


@pytest.mark.parametrize(("host", "taken"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)])
async def test_loopback_can_be_registered_where_the_port_is_on_loopback(
    host: str, taken: bool, tmp_path: Path
) -> None:
    (tmp_path / "policies").mkdir()
    manifests = (*w.FLEET, w.workspace(), w.model("llama", w.deployment({"name": "v1", "registration": {}})))
    (tmp_path / "policies" / "all.yaml").write_text("\n---\n".join(json.dumps(each) for each in manifests))
    xds, admin, port = free_port(), free_port(), free_port()
    terms = Terms(registration=f"{host}:{port}", registration_token=put_token(tmp_path))
    source = open_source(tmp_path / "policies")
    async with (
        running(source, ("127.0.0.1", xds), ("127.0.0.1", admin), 1.0, terms=terms),
        httpx.AsyncClient(trust_env=False, headers={"authorization": "Bearer secret"}) as client,
    ):
        body = {"location": "eu-west-3", "address": "127.0.0.1:19000"}
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await client.put(f"http://127.0.0.1:{port}/v1/endpoints/{SLOT}", json=body)
                if answer.status_code != 503:  # no policies are loaded yet
                    break
                await asyncio.sleep(0.05)
    assert answer.status_code == (200 if taken else 400), answer.text
