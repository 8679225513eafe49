"""What a client asks an Envoy in a container, and a client that never stops asking.

In: the Envoy's address on this machine, and a token. Out: answers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
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

    def ask(self, environment: str | None = None) -> httpx.Response:
        """Ask for acme's model `llama`. Raises httpx.TransportError when there is no answer."""
        return httpx.get(
            f"{self.base}/acme/models/llama",
            params={"environment": environment} if environment else None,
            headers={"authorization": f"Bearer {self.token}"},
            timeout=10,
            trust_env=False,
            verify=False,  # plain HTTP: no certificates need to be read for each request
        )

    def region(self, environment: str | None = None) -> str:
        """The region of the model that answers."""
        answer = self.ask(environment)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["region"])

    def path(self) -> str:
        """The path that the model was asked for."""
        answer = self.ask()
        assert answer.status_code == 200, answer.text
        return str(answer.json()["path"])

    def wait(self, status: int = 200, environment: str | None = None) -> None:
        """Wait until it answers with this status; an AssertionError if that takes too long."""
        self._wait(lambda answer: answer.status_code == status, f"the status {status}", environment)

    def wait_for(self, member: str, value: str) -> None:
        """Wait until the model's answer says so; an AssertionError if that takes too long."""
        self._wait(
            lambda answer: answer.status_code == 200 and answer.json()[member] == value, f"{member} {value}"
        )

    def wait_for_nearest(self, region: str) -> None:
        """Wait until the model of this region answers, for each environment. Those of others may be up sooner."""
        self.wait_for("region", region)
        self.wait(environment="development")

    def _wait(
        self, wanted: Callable[[httpx.Response], bool], what: str, environment: str | None = None
    ) -> None:
        last: list[str] = ["nothing"]

        def asked() -> bool:
            try:
                answer = self.ask(environment)
            except httpx.TransportError as error:
                last[0] = repr(error)
                return False
            last[0] = f"{answer.status_code} {answer.text}"
            return wanted(answer)

        if not until(asked, READY_SECONDS):
            raise AssertionError(f"{self.base} never answered with {what}; at the last with {last[0]}")


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
