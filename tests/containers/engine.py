"""A Docker engine for the tests: the one that runs, or one of our own that is gone when the tests end.

In: nothing but the machine. Out: the URL of an engine (what ``DOCKER_HOST`` holds). Must not touch an
engine's other images, networks or settings; an engine started here keeps all it has below one temporary
folder.

Also a command, for people: ``python tests/containers/engine.py docker-compose up`` runs a command with an
engine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import docker.errors

INSTALL = (
    "These tests need a Docker engine. Start one (or set DOCKER_HOST). Or, as root on Debian or Ubuntu, run "
    "`apt-get install docker.io docker-compose`: they then start a dockerd of their own, and stop it after."
)
# The machine's own network is not touched: no netfilter rules, no forwarding. Containers reach each other over
# the networks that tests make, dockerd's own proxy carries published ports, and the world is out of reach.
ISOLATED = ["--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false"]
BRIDGE = Path("/sys/class/net/docker0")
START_SECONDS = 30.0


class NoEngineError(RuntimeError):
    """There is no Docker engine and none could be started; the message says what to install."""


@contextlib.contextmanager
def engine() -> Iterator[str]:
    """Yield the URL of a Docker engine: the running one, else a dockerd that lives as long as the block.

    Raises NoEngineError, with what to do about it.
    """
    url = running()
    if url:
        yield url
        return
    with own() as url:
        yield url


def running() -> str | None:
    """The URL of the engine that ``DOCKER_HOST`` or the default socket leads to, or None.

    Raises NoEngineError when ``DOCKER_HOST`` is set and nothing answers there: then no other will do.
    """
    url = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if _answers(url):
        return url
    if os.environ.get("DOCKER_HOST"):
        raise NoEngineError(f"DOCKER_HOST is {url}, and no Docker engine answers there.")
    return None


@contextlib.contextmanager
def own() -> Iterator[str]:
    """Yield the URL of a dockerd started here; on exit it is stopped, and its folder and bridge are removed."""
    # Debian keeps dockerd and iptables in sbin, which is not on everybody's path.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    dockerd = shutil.which("dockerd", path=path)
    if dockerd is None or os.geteuid() != 0:
        raise NoEngineError(INSTALL)
    home = Path(tempfile.mkdtemp(prefix="fairlead-docker-"))
    had_bridge = BRIDGE.exists()
    try:
        process, url = _start(dockerd, home, path)
        try:
            yield url
        finally:
            _stop(process)
    finally:
        shutil.rmtree(home)
        ip = shutil.which("ip", path=path)
        if ip and BRIDGE.exists() and not had_bridge:
            subprocess.run([ip, "link", "delete", BRIDGE.name], check=True)


def _start(dockerd: str, home: Path, path: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start dockerd with all its state below `home`. Raises NoEngineError, with the end of its log."""
    url = f"unix://{home}/docker.sock"
    log = home / "dockerd.log"
    # So that it ends also when these tests are killed and can't tidy up.
    setpriv = shutil.which("setpriv")
    command = [setpriv, "--pdeathsig", "TERM", dockerd] if setpriv else [dockerd]
    command += ["--host", url, "--data-root", f"{home}/data", "--exec-root", f"{home}/exec"]
    # Not the configuration file of the machine's own engine, and published ports on loopback only.
    (home / "none.json").write_text("{}")
    command += ["--pidfile", f"{home}/pid", "--config-file", f"{home}/none.json", "--ip", "127.0.0.1"]
    command += [] if _forwarding_is_dropped(path) else ISOLATED
    with log.open("wb") as out:
        # In a session of its own, so that Ctrl-C leaves it to _stop, after the tests have tidied up.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=os.environ | {"PATH": path},
            start_new_session=True,
        )
    if until(lambda: _answers(url) or process.poll() is not None, START_SECONDS) and process.poll() is None:
        return process, url
    _stop(process)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise NoEngineError(f"{INSTALL}\nHere dockerd is installed, but it would not start:\n{tail}")


def _forwarding_is_dropped(path: str) -> bool:
    """Whether netfilter drops what goes from one container to another, as it does where Docker has run.

    Then dockerd has to write rules that let it pass, as it always does unless told otherwise.
    """
    iptables = shutil.which("iptables", path=path)
    if iptables is None:
        return False
    rules = subprocess.run([iptables, "-S", "FORWARD"], capture_output=True, text=True, check=False)
    return "-P FORWARD DROP" in rules.stdout


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask dockerd to end: it stops its containers and its containerd, and unmounts what it mounted."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def _answers(url: str) -> bool:
    client = None
    try:
        client = docker.DockerClient(base_url=url, timeout=10)
        return bool(client.ping())
    except (docker.errors.DockerException, OSError):
        return False
    finally:
        if client is not None:
            client.close()


def until(condition: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Wait for a condition; True as soon as it holds, False when it has not held within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def main(command: list[str]) -> int:
    """Run `command` with DOCKER_HOST set to an engine; its exit code, or 1 when there is no engine."""
    try:
        with engine() as url:
            return subprocess.run(command, env=os.environ | {"DOCKER_HOST": url}, check=False).returncode
    except NoEngineError as missing:
        print(missing, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["docker", "info"]))
