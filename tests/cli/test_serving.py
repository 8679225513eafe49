"""`fairlead serve` from outside."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.envoy_process import free_port, wait_until

from .conftest import FAIRLEAD, PATIENCE, Run, wait_for_end

FLEET = """\
apiVersion: fairlead/v1
kind: Gateway
metadata: {name: edge}
spec:
  listeners:
    - {name: run, port: 10000}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "fleet.yaml").write_text(FLEET)
    return folder


class Serve:
    """A running `fairlead serve` and its log, an event at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stderr
        self._lines = process.stderr

    def wait_for(self, event: str) -> dict[str, str]:
        seen = []
        for line in self._lines:
            told: dict[str, str] = json.loads(line)
            seen.append(told)
            if told["event"] == event:
                return told
        pytest.fail(f"it ended before it said {event!r}: {seen}")

    def end(self) -> int:
        for line in self._lines:
            json.loads(line)
        return self.process.wait(PATIENCE)


@pytest.fixture
def serve(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[[Path], Serve]]:
    running: list[subprocess.Popen[str]] = []

    def start(folder: Path) -> Serve:
        command = [
            *(FAIRLEAD, "serve", folder, "--log-format", "json"),
            *("--xds", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
        ]
        process = subprocess.Popen(
            command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        running.append(process)
        return Serve(process)

    yield start
    for process in running:
        process.kill()
        process.wait(PATIENCE)
        assert process.stderr
        process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_is_ready_with_its_policies_and_ends_when_asked(
    serve: Callable[[Path], Serve], folder: Path, number: signal.Signals
) -> None:
    server = serve(folder)
    admin = server.wait_for("serving")["admin"]
    server.wait_for("published")
    assert httpx.get(f"http://{admin}/readyz").status_code == 200
    assert httpx.get(f"http://{admin}/healthz").status_code == 200
    assert "fairlead_" in httpx.get(f"http://{admin}/metrics").text
    server.process.send_signal(number)
    assert server.wait_for("stopping")["signal"] == number.name
    assert server.end() == 0
    wait_for_end(server.process.pid)


def test_bad_policies_do_not_end_it_and_mending_them_makes_it_ready(
    serve: Callable[[Path], Serve], folder: Path
) -> None:
    (folder / "fleet.yaml").write_text(FLEET.replace("port: 10000", "port: none"))
    server = serve(folder)
    admin = server.wait_for("serving")["admin"]
    server.wait_for("there is no gateway to serve yet; mend the policies and save them")
    assert httpx.get(f"http://{admin}/readyz").status_code == 503
    assert httpx.get(f"http://{admin}/healthz").status_code == 200
    (folder / "fleet.yaml").write_text(FLEET)
    server.wait_for("published")
    assert httpx.get(f"http://{admin}/readyz").status_code == 200


def test_the_log_for_people_has_no_colours_in_a_file(
    environment: dict[str, str], folder: Path, tmp_path: Path
) -> None:
    command = [
        *(FAIRLEAD, "serve", folder, "--log-format", "text"),
        *("--xds", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
    ]
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    for line in process.stderr:
        assert "\x1b" not in line
        if "published" in line:
            assert "generation=1" in line
            process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("option", ["--xds", "--admin"])
def test_a_taken_port_is_named(fairlead: Run, folder: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        other = {"--xds": "--admin", "--admin": "--xds"}[option]
        done = fairlead("serve", folder, option, f"127.0.0.1:{taken}", other, "127.0.0.1:0")
    assert done.returncode == 1
    assert f"port {taken} is taken by" in done.stderr
    assert option in done.stderr


@pytest.mark.parametrize("arguments", [("--xds", "18000"), ("--admin", "here"), ("--log-format", "xml")])
def test_wrong_usage_exits_64(fairlead: Run, folder: Path, arguments: tuple[str]) -> None:
    assert fairlead("serve", folder, *arguments).returncode == 64


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_log_on_a_full_disk_does_not_keep_it_from_serving(
    environment: dict[str, str], folder: Path, tmp_path: Path, form: str
) -> None:
    admin = f"127.0.0.1:{free_port()}"
    command = [
        *(FAIRLEAD, "serve", folder, "--log-format", form),
        *("--xds", "127.0.0.1:0", "--admin", admin),
    ]
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=full)
    try:
        with httpx.Client(trust_env=False) as client:  # one: making each costs what the server needs to start
            wait_until(lambda: _status(client, f"http://{admin}/readyz") == 200, "it serves", PATIENCE)
    finally:
        process.terminate()
        code = process.wait(PATIENCE)
    # Python's own last flush of stderr fails, and says so in the exit code.
    assert code in (0, 120)


def _status(client: httpx.Client, url: str) -> int:
    try:
        return client.get(url).status_code
    except httpx.TransportError:
        return 0
