"""The terms on which `fairlead serve` takes clients."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.e2e.certificates import Certificates

from .conftest import FAIRLEAD, PATIENCE, Run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "fleet.yaml").write_text(
        "apiVersion: fairlead/v1\nkind: Gateway\nmetadata: {name: edge}\n"
        "spec: {listeners: [{name: run, port: 10000}]}\n"
    )
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ("--xds-certificate", "a.pem"),
        ("--xds-key", "a.key"),
        ("--xds-client-ca", "ca.pem"),
        ("--max-streams", "0"),
        ("--first-exchanges", "0"),
        ("--max-stream-age", "soon"),
        ("--max-stream-age", "25d"),
        ("--load-interval", "0s"),
        ("--load-interval", "2d"),
    ],
)
def test_wrong_usage_exits_64(fairlead: Run, folder: Path, arguments: tuple[str, ...]) -> None:
    assert fairlead("serve", folder, *arguments).returncode == 64


def test_a_certificate_that_cannot_be_used_is_named(fairlead: Run, folder: Path) -> None:
    done = fairlead(
        *("serve", folder, "--xds", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
        *("--xds-certificate", "missing.pem", "--xds-key", "missing.key"),
    )
    assert done.returncode == 1
    assert "missing.pem: No such file" in done.stderr


def test_it_serves_over_tls(environment: dict[str, str], folder: Path, tmp_path: Path) -> None:
    certificates = Certificates.make()
    for name, text in (
        ("ca.pem", certificates.authority),
        ("chain.pem", certificates.chain("control.example")),
        ("key.pem", certificates.key),
    ):
        (tmp_path / name).write_text(text)
    command = [
        *(
            FAIRLEAD,
            "serve",
            folder,
            "--log-format",
            "json",
            "--xds",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ),
        *("--xds-certificate", "chain.pem", "--xds-key", "key.pem", "--xds-client-ca", "ca.pem"),
        *("--max-streams", "10", "--first-exchanges", "2", "--max-stream-age", "1h", "--load-interval", "1m"),
    ]
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        told = next(each for line in process.stderr if (each := json.loads(line))["event"] == "serving")
        host, _, port = told["xds"].rpartition(":")
        found = ssl.get_server_certificate((host, int(port)), ca_certs=None)
        assert ssl.PEM_cert_to_DER_cert(found) == ssl.PEM_cert_to_DER_cert(
            (tmp_path / "chain.pem").read_text()
        )
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait(PATIENCE)
        process.stderr.close()
