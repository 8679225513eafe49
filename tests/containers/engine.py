"""A Docker engine for the tests: the one that runs, or one of our own that is gone when the tests end.

In: nothing but the machine. Out: the URL of an engine (what ``DOCKER_HOST`` holds). Must not touch an
engine's other images, networks or settings; an engine started here keeps all it has below one temporary
folder.

Also a command, for people: ``python -m tests.containers.engine bash`` runs a command with an engine.
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

from tests.containers.machine import PATH, put_back

INSTALL = (
    "These tests need a Docker engine. Start one (or set DOCKER_HOST). Or, as root on Debian or Ubuntu, run "
    "`apt-get install docker.io docker-compose`: they then start a dockerd of their own, and stop it after."
)
# Docker's own way first; and where netfilter can't be had, without it. Then dockerd's proxy carries published
# ports, and containers are on the networks that tests make, but nothing keeps these networks apart.
NETWORKING = ([], ["--iptables=false", "--ip6tables=false", "--ip-masq=false", "--ip-forward=false"])
START_SECONDS = 90.0


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
    """Yield the URL of a dockerd started here; on exit it is stopped, and nothing of it is left."""
    dockerd = shutil.which("dockerd", path=PATH)
    if dockerd is None or os.geteuid() != 0:
        raise NoEngineError(INSTALL)
    home = Path(tempfile.mkdtemp(prefix="fairlead-docker-"))
    try:
        with put_back():
            process, url = _start(dockerd, home)
            try:
                yield url
            finally:
                _stop(process)
    finally:
        shutil.rmtree(home)


def _start(dockerd: str, home: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start dockerd with all its state below `home`. Raises NoEngineError, with the end of its log."""
    url = f"unix://{home}/docker.sock"
    # So that it ends also when these tests are killed and can't tidy up.
    setpriv = shutil.which("setpriv")
    command = [setpriv, "--pdeathsig", "TERM", dockerd] if setpriv else [dockerd]
    command += ["--host", url, "--data-root", f"{home}/data", "--exec-root", f"{home}/exec"]
    # Not the configuration file of the machine's own engine, and published ports on loopback only.
    (home / "none.json").write_text("{}")
    command += ["--pidfile", f"{home}/pid", "--config-file", f"{home}/none.json", "--ip", "127.0.0.1"]
    log = home / "dockerd.log"
    for networking in NETWORKING:
        with log.open("ab") as out:
            # In a session of its own, so that Ctrl-C leaves it to _stop, after the tests have tidied up.
            process = subprocess.Popen(
                [*command, *networking],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=os.environ | {"PATH": PATH},
                start_new_session=True,
            )
        if _comes_up(process, url):
            return process, url
        _stop(process)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise NoEngineError(f"{INSTALL}\nHere dockerd is installed, but it would not start:\n{tail}")


def _comes_up(process: subprocess.Popen[bytes], url: str) -> bool:
    """Wait until dockerd answers; False when it ends instead, or takes too long."""
    until(lambda: _answers(url) or process.poll() is not None, START_SECONDS)
    return process.poll() is None and _answers(url)


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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with engine() as url:
            return subprocess.run(command, env=os.environ | {"DOCKER_HOST": url}, check=False).returncode
    except NoEngineError as missing:
        print(missing, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["docker", "info"]))
