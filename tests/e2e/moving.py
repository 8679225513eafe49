"""A fleet whose traffic moves: `fairlead serve` with load reports, Envoys, models that fail on demand, and clients."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from tests.e2e.clients import Clients
from tests.e2e.cold import PATIENT
from tests.e2e.fleet import make_member
from tests.e2e.held import hold_split
from tests.e2e.manifest import Manifest, manifest, put, write
from tests.e2e.serving import Serving
from tests.e2e.tokens import AUDIENCE, TestIssuer
from tests.e2e.upstream import Upstreams
from tests.e2e.wire import Wire, bearer
from tests.e2e.world import PARIS
from tests.envoy_process import EnvoyProcess, free_port, wait_until

GATEWAY = "moving"
MODEL = "acme/models/llama"


class Server:
    """A model: counts what it is asked, and answers with `status` after `delay` seconds. Both may change any time."""

    def __init__(self, label: str, upstreams: Upstreams) -> None:
        self.label = label
        self.status = 200
        self.delay = 0.0
        self.count = 0
        self._upstreams = upstreams
        self._server: asyncio.Server | None = None
        self._transports: set[asyncio.Transport] = set()
        self.port = free_port()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def open(self) -> Self:
        async def listen() -> None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port)

        self._upstreams.call(listen())
        return self

    def close(self) -> None:
        """Refuse connections from now on, and end the open ones."""

        async def end() -> None:
            if self._server is not None:
                self._server.close()
            for transport in list(self._transports):
                transport.abort()

        self._upstreams.call(end())


class _Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self._server = server
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server._transports.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for _ in heads:
            self._server.count += 1
            asyncio.get_running_loop().call_later(self._server.delay, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            label = self._server.label.encode()
            head = b"HTTP/1.1 %d It\r\nx-model: %s\r\ncontent-length: 0\r\n\r\n" % (
                self._server.status,
                label,
            )
            self._transport.write(head)


class Traffic(Clients):
    """Clients of one listener, each over a connection of its own. A context manager."""

    def __init__(self, port: int, token: str, clients: int = 2, target: str = f"/{MODEL}") -> None:
        super().__init__(f"{port}-{at}" for at in range(clients))
        self._port, self._target = port, target
        self._headers = bearer(token)
        self._lock = threading.Lock()
        self.answers: Counter[tuple[int, str | None]] = Counter()
        self.broken: list[str] = []

    def run(self, name: str) -> None:
        try:
            with Wire(self._port) as wire:
                while not self.ended.is_set():
                    answer = wire.ask(self._target, headers=self._headers)
                    with self._lock:
                        self.answers[answer.status, answer.header("x-model")] += 1
                    self.rounds[name] += 1
                    self.ended.wait(0.002)
        except (OSError, EOFError) as error:
            self.broken.append(repr(error))

    @property
    def failed(self) -> int:
        """Answers other than 200, and clients whose connection broke."""
        with self._lock:
            return sum(n for (status, _), n in self.answers.items() if status != 200) + len(self.broken)

    def shares(self, since: Mapping[Any, int] | None = None) -> dict[str | None, float]:
        """The share of each model among the answers, since an earlier copy of `answers`."""
        with self._lock:
            counted: Counter[str | None] = Counter()
            for key, number in self.answers.items():
                counted[key[1]] += number - (since or {}).get(key, 0)
        total = counted.total() or 1
        return {label: number / total for label, number in counted.items()}

    def copy(self) -> dict[Any, int]:
        with self._lock:
            return dict(self.answers)


@dataclass
class Moving:
    """All of it. `ports` are the Envoys' listeners by region."""

    folder: Path
    serving: Serving
    upstreams: Upstreams
    servers: dict[str, Server]
    token: str
    envoys: dict[str, EnvoyProcess] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def traffic(self, region: str = PARIS, clients: int = 2) -> Traffic:
        return Traffic(self.ports[region], self.token, clients)

    def server(self, label: str) -> Server:
        self.servers[label] = Server(label, self.upstreams).open()
        return self.servers[label]

    def write(self, **deployment: Any) -> None:
        """Declare the model, and wait until the Envoys have it."""
        self.save(lambda: self.put(**deployment))

    def save(self, change: Callable[[], None]) -> None:
        """Make a change to the folder, and wait until the Envoys have what came of it."""
        reads, after = self.serving.reads(), self.serving.generation()
        change()
        # What moves by itself is published, too, and is not to be taken for the change.
        wait_until(lambda: self.serving.reads() > reads, "the policies are read")
        self.settle(-1 if after is None else after)

    def settle(self, after: int = -1) -> None:
        wait_until(lambda: self.serving.settled(after=after, envoys=self.envoys), "the Envoys have it")

    def rest(self) -> None:
        """Wait until nothing of what came before is still on its way to an Envoy, or being taken from one."""
        self.settle()
        wait_until(self.serving.calm, "nothing waits to be taken away")

    def put(self, **deployment: Any) -> None:
        spec = {"deployments": [{"environment": "production", **deployment}]}
        write(self.folder, "acme/llama.yaml", [manifest("Model", "llama", "acme", **spec)])

    def rollout(self) -> dict[str, Any]:
        """How the one rollout stands."""
        [found] = self.serving.ask("/rollouts")["rollouts"]
        return dict(found)

    def wait(self, what: str, **expected: Any) -> dict[str, Any]:
        """Wait until the rollout is as expected."""
        last: dict[str, Any] = {}

        def reached() -> bool:
            found = self.serving.ask("/rollouts")["rollouts"]
            last.clear()
            last.update(found[0] if found else {})
            return bool(found) and all(last[key] == value for key, value in expected.items())

        try:
            wait_until(reached, what)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}\n{self.serving.log[-3000:]}") from error
        return last

    def versions(self) -> dict[tuple[str, str, str], str]:
        """What each node has accepted, by node, type and name."""
        return {
            (node, kind, each["name"]): each["acked"]
            for node in self.envoys
            for stream in self.serving.ask(f"/nodes/{node}")["streams"]
            for kind, told in stream["types"].items()
            for each in told["resources"]
        }

    def routed(self, label: str, region: str = PARIS) -> float:
        """The percent of requests that the region's Envoy routes to a revision now."""
        return hold_split(self.envoys[f"{GATEWAY}-{region}"], MODEL).get(label, 0.0)

    def order(self, name: str, headers: dict[str, str] | None = None) -> httpx.Response:
        url = f"http://{self.serving.admin}/rollouts/{MODEL}/production/{name}"
        return httpx.post(url, headers=headers, trust_env=False, timeout=20)


@contextmanager
def run_moving(
    root: Path,
    regions: Sequence[str] = (PARIS,),
    first: Manifest | None = None,
    options: Sequence[str] = (),
    **gateway: Any,
) -> Iterator[Moving]:
    """Start all of it: an Envoy in each region, with a listener of its own, and a first model that nobody asks for."""
    folder, issuer = root / "policies", TestIssuer.make("https://moving.test")
    put(folder / "keys/jwks.json", issuer.jwks())
    ports = {region: free_port() for region in regions}
    fleet = [
        manifest(
            "Gateway",
            f"{GATEWAY}-{region}",
            listeners=[{"name": "run", "address": "127.0.0.1", "port": port}],
            **{"timeouts": PATIENT, **gateway},
        )
        for region, port in ports.items()
    ]
    keys = {"file": "keys/jwks.json"}
    fleet.append(manifest("Issuer", "main", issuer=issuer.issuer, audiences=[AUDIENCE], jwks=keys))
    write(folder, "fleet.yaml", fleet)
    write(folder, "acme/workspace.yaml", [manifest("Workspace", "acme", issuers=["main"])])
    with ExitStack() as running:
        upstreams = running.enter_context(Upstreams())
        options = ["--load-interval", "1s", *options]
        serving = running.enter_context(Serving(folder, root / "serve.log", options=options))
        made = Moving(folder, serving, upstreams, {}, issuer.token("acme"), ports=ports)
        for region in regions:
            name = f"{GATEWAY}-{region}"
            member = make_member(root, name, region, serving.xds_port, "delta", load_reports=True)
            made.envoys[name] = running.enter_context(member)
        for envoy in made.envoys.values():
            envoy.wait_ready()
        yield made
        assert [stalls for envoy in made.envoys.values() if (stalls := envoy.stalls())] == []
