"""What must hold over the whole of a trace, whatever happened in it. One node's records, in the order of time.

Each invariant takes a trace and returns the faults that it finds, in words. `trace_order.py` has those that need to
know what the client holds, and `faults`, which asks them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from tests.xds.record import Record
from xds_server.protocol.types import WILDCARD, short

Trace = Sequence[Record]
Invariant = Callable[[Trace], list[str]]


def responses(trace: Trace) -> Iterator[tuple[int, Record]]:
    return ((at, record) for at, record in enumerate(trace) if record.kind == "response")


def answers(trace: Trace) -> dict[int, int]:
    """Which request acknowledges or refuses which response, both by position."""
    found: dict[int, int] = {}
    waiting: dict[tuple[int, str, str], int] = {}
    for at, record in enumerate(trace):
        key = (record.stream, record.type_url, record.nonce)
        if record.kind == "response":
            waiting[key] = at
        elif record.kind == "request" and key in waiting:
            found[waiting.pop(key)] = at
    return found


def tell(at: int, record: Record, what: str) -> str:
    """A fault, and where it is."""
    return f"record {at}, stream {record.stream}, {short(record.type_url)} {record.nonce!r}: {what}"


def nonces_are_unique(trace: Trace) -> list[str]:
    """C1: each response of a stream has a nonce of its own."""
    seen: set[tuple[int, str]] = set()
    faults = []
    for at, record in responses(trace):
        if not record.nonce:
            faults.append(tell(at, record, "no nonce"))
        elif (record.stream, record.nonce) in seen:
            faults.append(tell(at, record, "the nonce was there before"))
        seen.add((record.stream, record.nonce))
    return faults


def names_come_once(trace: Trace) -> list[str]:
    """F7, G4, G5: no name is twice in a response, and each is that of the body."""
    faults = []
    for at, record in responses(trace):
        names = [*(item.name for item in record.items), *record.removed]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            faults.append(tell(at, record, f"twice: {twice}"))
        strange = [item.name for item in record.items if item.inner_name not in ("", item.name)]
        if strange or "" in names:
            faults.append(tell(at, record, f"names that are not those of their bodies: {strange}"))
    return faults


def types_agree(trace: Trace) -> list[str]:
    """A5, A7: the type of a response is that of everything in it."""
    return [
        tell(at, record, f"{item.name} is of type {item.type_url}")
        for at, record in responses(trace)
        for item in record.items
        if item.type_url != record.type_url
    ]


def nothing_expires(trace: Trace) -> list[str]:
    """K1: there is no TTL."""
    return [
        tell(at, record, f"{item.name} has a TTL")
        for at, record in responses(trace)
        for item in record.items
        if item.ttl
    ]


def one_is_in_flight(trace: Trace) -> list[str]:
    """G9: at most one response of a type waits for its answer on a stream."""
    settled = answers(trace)
    last: dict[tuple[int, str], int] = {}
    faults = []
    for at, record in responses(trace):
        key = (record.stream, record.type_url)
        before = last.get(key)
        if before is not None and settled.get(before, len(trace)) > at:
            faults.append(tell(at, record, f"{trace[before].nonce!r} is not answered yet"))
        last[key] = at
    return faults


def versions_are_content(trace: Trace) -> list[str]:
    """F8, F9, G6, H12: equal versions have equal bytes and the other way round, over streams and restarts."""
    content: dict[tuple[str, ...], object] = {}
    version: dict[tuple[str, object], str] = {}
    faults = []

    def bind(at: int, record: Record, key: tuple[str, ...], bytes_: object) -> None:
        if content.setdefault(key, bytes_) != bytes_:
            faults.append(tell(at, record, f"other content under version {key[-1]} of {key[1]!r}"))

    def bind_back(at: int, record: Record, kind: str, bytes_: object, said: str) -> None:
        if version.setdefault((kind, bytes_), said) != said:
            faults.append(
                tell(at, record, f"the same content has versions {version[kind, bytes_]} and {said}")
            )

    for at, record in responses(trace):
        for item in record.items:
            own = item.version if record.variant == "delta" else record.version
            if not own:
                faults.append(tell(at, record, f"{item.name} has no version"))
            bind(at, record, (record.type_url, item.name, own), item.digest)
            if record.variant == "delta":
                bind_back(at, record, record.type_url, (item.name, item.digest), own)
        if record.variant == "sotw" and record.type_url in WILDCARD:
            whole = _content(record)
            bind(at, record, (record.type_url, "*", record.version), whole)
            bind_back(at, record, record.type_url, whole, record.version)
    return faults


def refused_content_stays_away(trace: Trace) -> list[str]:
    """D3: what a client has refused is not sent to it again as it was, unless it asks for it."""
    settled = answers(trace)
    refused: dict[tuple[int, str], set[object]] = defaultdict(set)
    asked: dict[tuple[int, str], set[str]] = defaultdict(set)
    faults = []
    for at, record in enumerate(trace):
        key = (record.stream, record.type_url)
        if record.kind == "request":
            asked[key].update(record.names)
        if record.kind != "response":
            continue
        whole = (_content(record), record.removed)
        again = asked[key] & {item.name for item in record.items} and record.variant == "delta"
        if whole in refused[key] and not again:
            faults.append(tell(at, record, "refused before, and sent again as it was"))
        asked[key].clear()
        answer = settled.get(at)
        if answer is not None and trace[answer].error is not None:
            refused[key].add(whole)
    return faults


def _content(record: Record) -> frozenset[tuple[str, str]]:
    return frozenset((item.name, item.digest) for item in record.items)


SIMPLE: tuple[Invariant, ...] = (
    nonces_are_unique,
    names_come_once,
    types_agree,
    nothing_expires,
    one_is_in_flight,
    versions_are_content,
    refused_content_stays_away,
)
