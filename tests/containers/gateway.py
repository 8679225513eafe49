"""What a client asks an Envoy in a container, and a client that never stops asking.

In: the Envoy's address on this machine, and a token. Out: answers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from tests.containers.engine import until

READY_SECONDS = 90.0
PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Gateway:
    """One Envoy, as its clients see it."""

    base: str
    token: str

    def ask(self, path: str = "", environment: str | None = None) -> httpx.Response:
        """Ask for acme's model `llama`. Raises httpx.TransportError when there is no answer."""
        return httpx.get(
            f"{self.base}/acme/models/llama{path}",
            params={"environment": environment} if environment else None,
            headers={"authorization": f"Bearer {self.token}"},
            timeout=10,
            trust_env=False,
            verify=False,  # plain HTTP: no certificates need to be read for each request
        )

    def region(self, environment: str | None = None) -> str:
        """The region of the model that answers."""
        answer = self.ask(environment=environment)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["region"])

    def path(self) -> str:
        """The path that the model was asked for."""
        answer = self.ask()
        assert answer.status_code == 200, answer.text
        return str(answer.json()["path"])

    def answers(self, status: int = 200, environment: str | None = None) -> bool:
        """Whether it answers at all, and with this status."""
        try:
            return self.ask(environment=environment).status_code == status
        except httpx.TransportError:
            return False

    def wait(self, status: int = 200, environment: str | None = None) -> None:
        """Wait until it answers so; an AssertionError, with its last answer, if that takes too long."""
        if not until(lambda: self.answers(status, environment), READY_SECONDS):
            raise AssertionError(f"{self.base} does not answer {status}: {self.ask(environment=environment)}")

    def wait_for_path(self, path: str) -> None:
        """Wait until the model is asked for this path; an AssertionError if that takes too long."""
        if not until(lambda: self.path() == path, READY_SECONDS):
            raise AssertionError(f"{self.base} asks for {self.path()}, not for {path}")


@dataclass
class Traffic:
    """A client that never stops: how many requests were answered, and what went wrong with the others."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)

    def goes_on(self) -> bool:
        """Wait for ten more requests to be answered or failed; whether all of them were answered."""
        start = self.answered
        return until(lambda: self.answered >= start + 10 or bool(self.failures), 30) and not self.failures


@contextlib.contextmanager
def traffic(gateway: Gateway) -> Iterator[Traffic]:
    """Ask the gateway for acme's model over and over until the block ends, each time on a new connection."""
    counted, ended = Traffic(), threading.Event()

    def ask_on() -> None:
        while not ended.is_set():
            try:
                answer = gateway.ask()
                if answer.status_code == 200:
                    counted.answered += 1
                else:
                    counted.failures.append(f"{answer.status_code} {answer.text}")
            except httpx.TransportError as error:
                counted.failures.append(repr(error))
            ended.wait(PAUSE_SECONDS)

    client = threading.Thread(target=ask_on)
    client.start()
    try:
        yield counted
    finally:
        ended.set()
        client.join()
