"""A load generator: kept-alive HTTP/1.1 connections, one request on each at a time, in a process of its own.

In: one line of JSON on standard input (`Order`). Out: one line when all connections are open (`open`), and at the end
one line of JSON (`Report`). It ends when its time is over or another line comes in.

One thread and `epoll`, constant request bytes, no parsing beyond status and length. `bench.gateway_peer` shows what it
reaches against an Envoy that answers at once, and which share of a core it had at each rate: below 1,
something else was the bottleneck.

Run: python -m bench.load <<< '{"port": 10000, "requests": ["/acme/models/m0"], "seconds": 5}'
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.row import pick


@dataclass(slots=True)
class Order:
    """What to do. `rate` is requests a second over all connections; without it, as many as are answered."""

    port: int
    requests: list[str]
    """Paths, asked for in turn."""
    token: str = ""
    body: str = ""
    """With a body it is a POST of JSON."""
    connections: int = 16
    seconds: float = 5.0
    warm_up: float = 0.5
    """Seconds at the start that do not count."""
    rate: float | None = None

    def bytes(self) -> list[bytes]:
        """The requests as they go over the wire."""
        head = ["host: bench"]
        if self.token:
            head.append(f"authorization: Bearer {self.token}")
        if self.body:
            head += ["content-type: application/json", f"content-length: {len(self.body.encode())}"]
        method = "POST" if self.body else "GET"
        rest = "\r\n".join(head) + "\r\n\r\n" + self.body
        return [f"{method} {path} HTTP/1.1\r\n{rest}".encode() for path in self.requests]


@dataclass(slots=True)
class Report:
    """What came of it. Times in milliseconds; with a `rate`, from when a request was due."""

    answered: int
    seconds: float
    statuses: dict[str, int]
    broken: int
    """Connections that ended with a request unanswered."""
    p50: float
    p99: float
    most: float
    worked: float
    """Seconds of CPU that the generator itself used."""

    @property
    def rate(self) -> float:
        return self.answered / self.seconds

    @property
    def busy(self) -> float:
        """The share of a core that the generator used: near 1, it was the bottleneck itself."""
        return self.worked / self.seconds

    @property
    def failed(self) -> int:
        """Requests without an answer of the 200s."""
        good = sum(count for status, count in self.statuses.items() if status.startswith("2"))
        return self.answered - good + self.broken


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    due: float = 0.0
    busy: bool = False
    buffer: bytes = b""


@dataclass(slots=True)
class Generator:
    """Drives an order; `stopped` is asked between events."""

    order: Order
    _times: list[float] = field(default_factory=list)
    _statuses: Counter[int] = field(default_factory=Counter)
    _broken: int = 0
    _turn: int = 0

    def run(self, announce: Any, commands: int) -> Report:
        """Open the connections, say so, and work until it is over. `commands` is a file descriptor to watch."""
        order, requests = self.order, self.order.bytes()
        poll = select.epoll()
        open_ = {each.socket.fileno(): each for each in (self._connect() for _ in range(order.connections))}
        for number in open_:
            poll.register(number, select.EPOLLIN)
        poll.register(commands, select.EPOLLIN)
        announce()
        started = time.perf_counter()
        counted_from, until = started + order.warm_up, started + order.warm_up + order.seconds
        worked: float | None = None
        idle = deque(open_.values())
        slot = 1 / order.rate if order.rate else 0.0
        following = started
        while (now := time.perf_counter()) < until:
            if worked is None and now >= counted_from:
                worked, self._times, self._statuses = time.process_time(), [], Counter()
            while idle and following <= now:
                self._send(idle.popleft(), requests, following if slot else now)
                following += slot
            wait = following - now if idle else until - now
            for number, _ in poll.poll(max(0.0, min(wait, 0.1))):
                if number == commands:
                    until = 0.0
                    break
                each = open_[number]
                if self._receive(each):
                    if slot:
                        idle.append(each)
                    else:
                        self._send(each, requests, time.perf_counter())
                elif each.busy:
                    continue
                else:
                    poll.unregister(number)
                    each.socket.close()
                    del open_[number]
                    fresh = self._connect()
                    open_[fresh.socket.fileno()] = fresh
                    poll.register(fresh.socket.fileno(), select.EPOLLIN)
                    idle.append(fresh)
        seconds = time.perf_counter() - counted_from
        spent = time.process_time() - (worked or 0.0)
        for each in open_.values():
            each.socket.close()
        times = sorted(self._times) or [0.0]
        return Report(
            len(self._times),
            seconds,
            {str(status): count for status, count in self._statuses.items()},
            self._broken,
            pick(times, 50) * 1000,
            pick(times, 99) * 1000,
            times[-1] * 1000,
            spent,
        )

    def _connect(self) -> _Connection:
        opened = socket.create_connection(("127.0.0.1", self.order.port), timeout=30)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _Connection(opened)

    def _send(self, each: _Connection, requests: list[bytes], due: float) -> None:
        each.due, each.busy, each.buffer = due, True, b""
        with suppress(OSError):  # what is to be read says that it is closed
            each.socket.sendall(requests[self._turn % len(requests)])
        self._turn += 1

    def _receive(self, each: _Connection) -> bool:
        """Take what came; returns whether the answer is whole. A closed connection is no longer busy."""
        try:
            more = each.socket.recv(262_144)
        except OSError:
            more = b""
        if not more:
            self._broken += each.busy
            each.busy = False
            return False
        each.buffer = each.buffer + more if each.buffer else more
        if not is_whole(each.buffer):
            return False
        each.busy = False
        self._times.append(time.perf_counter() - each.due)
        self._statuses[int(each.buffer[9:12])] += 1
        return True


def is_whole(answer: bytes) -> bool:
    """Whether an HTTP/1.1 answer is there to its end: by its length, or by its last chunk."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = answer.find(b"content-length: ", 0, end)
    if at < 0:
        head = answer[:end].lower()
        at = head.find(b"content-length:")
        if at < 0:
            return b"transfer-encoding: chunked" not in head or answer.endswith(b"0\r\n\r\n")
        at -= 1
    line = answer[at + 16 : answer.find(b"\r\n", at)]
    return len(answer) >= end + 4 + int(line)


def main() -> None:
    order = Order(**json.loads(sys.stdin.readline()))

    def announce() -> None:
        print("open", flush=True)

    print(json.dumps(asdict(Generator(order).run(announce, sys.stdin.fileno()))), flush=True)


if __name__ == "__main__":
    main()
