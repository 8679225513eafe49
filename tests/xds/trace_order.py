"""The invariants of a trace that depend on what the client holds: make before break, and nothing without a reason."""

from __future__ import annotations

from collections import defaultdict

from tests.xds.record import Record
from tests.xds.trace import SIMPLE, Trace, answers, tell
from xds_server.protocol.types import CLUSTER, ENDPOINT, EXTENSION, ROUTE, WILDCARD

_REFERRERS = (ROUTE, EXTENSION)
_NEAR = 40
"""Records that may lie between two messages which were sent at the same time on two streams."""


class _Clusters:
    """Which clusters the client is known to have."""

    def __init__(self) -> None:
        self.had: set[str] = set()
        self.refused: set[str] = set()
        self._by_version: dict[str, set[str]] = {}

    def opened(self, request: Record) -> None:
        """Take the first request of a stream: what the client says that it holds."""
        self.had |= request.held.keys()
        self.had = set(self._by_version.get(request.version, self.had)) if request.version else self.had

    def sent(self, response: Record) -> None:
        if response.variant == "sotw":
            self._by_version[response.version] = {item.name for item in response.items}

    def answered(self, response: Record, answer: Record) -> None:
        names = {item.name for item in response.items}
        # Envoy applies the good clusters of a response that it refuses, and does not always say which are not.
        bad = {name for name in names if answer.error is not None and name in answer.error}
        suspects = bad or (names - self.had if answer.error is not None else set())
        self.refused = (self.refused - names) | suspects
        if response.variant == "sotw":
            self.had = (self.had & bad) | (names - bad)
        else:
            self.had = (self.had | (names - bad)) - set(response.removed)


def routes_follow_clusters(trace: Trace) -> list[str]:
    """I2: what leads to a cluster is sent when the client has acknowledged the cluster.

    H7: but a client that asks for routes before it asks for clusters, on one stream, is answered at once.
    """
    settled = {answer: response for response, answer in answers(trace).items()}
    clusters, opened, aggregated = _Clusters(), set[int](), set[int]()
    faults = []
    for at, record in enumerate(trace):
        if record.kind == "open" and "AggregatedDiscoveryService" in record.by:
            aggregated.add(record.stream)
        if record.kind == "request" and record.type_url == CLUSTER:
            if record.stream not in opened:
                opened.add(record.stream)
                clusters.opened(record)
            if at in settled:
                clusters.answered(trace[settled[at]], record)
        elif record.kind == "response" and record.type_url == CLUSTER:
            clusters.sent(record)
        elif record.kind == "response" and opened and record.stream not in aggregated - opened:
            early = {
                (item.name, name)
                for item in record.items
                for name in item.refers - clusters.had - clusters.refused
                if record.type_url in _REFERRERS
            }
            if early:
                faults.append(tell(at, record, f"before the client had the cluster: {sorted(early)}"))
    return faults


def clusters_leave_last(trace: Trace) -> list[str]:
    """I4, I5: a cluster goes when nothing that the client has on an open stream, or may be getting, leads to it."""
    settled = {answer: response for response, answer in answers(trace).items()}
    leads = _Leads()
    present: dict[int, set[str]] = defaultdict(set)
    faults = []
    for at, record in enumerate(trace):
        if record.kind == "end":
            leads.forget(record.stream)
        elif record.kind == "request" and record.type_url in _REFERRERS:
            if at in settled:
                leads.answered(trace[settled[at]], record)
            leads.asked(record)
        elif record.kind == "response" and record.type_url in _REFERRERS:
            leads.sent(record)
        elif record.kind == "response" and record.type_url == CLUSTER:
            names = {item.name for item in record.items}
            whole = record.variant == "sotw"
            gone = present[record.stream] - names if whole else set(record.removed)
            broken = gone & leads.clusters()
            if broken:
                faults.append(tell(at, record, f"taken away, though something leads to it: {sorted(broken)}"))
            present[record.stream] = names
    return faults


class _Leads:
    """What the client has that leads to clusters: by stream and type, then by name."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, str], dict[str, frozenset[str]]] = defaultdict(dict)
        self._going: dict[tuple[int, str], Record] = {}

    def sent(self, response: Record) -> None:
        self._going[response.stream, response.type_url] = response

    def answered(self, response: Record, answer: Record) -> None:
        key = (response.stream, response.type_url)
        self._going.pop(key, None)
        if answer.error is None:
            self._held[key].update({item.name: item.refers for item in response.items})
            for name in response.removed:
                self._held[key].pop(name, None)

    def asked(self, request: Record) -> None:
        held = self._held[request.stream, request.type_url]
        dropped = set(request.removed) if request.variant == "delta" else held.keys() - set(request.names)
        for name in dropped:
            held.pop(name, None)

    def forget(self, stream: int) -> None:
        for each in (self._held, self._going):
            for key in [key for key in each if key[0] == stream]:
                del each[key]

    def clusters(self) -> set[str]:
        found = {name for held in self._held.values() for refers in held.values() for name in refers}
        return found | {name for each in self._going.values() for item in each.items for name in item.refers}


def endpoints_follow_clusters(trace: Trace) -> list[str]:
    """J1, J3: each EDS cluster that came with new bytes is followed by its endpoints, changed or not."""
    settled = answers(trace)
    last: dict[str, str] = {}
    due: dict[str, tuple[int, Record]] = {}
    wanted: set[str] = set()
    for at, record in enumerate(trace):
        if record.kind == "end":
            due = {
                name: (place, cause) for name, (place, cause) in due.items() if cause.stream != record.stream
            }
        elif record.type_url == ENDPOINT and record.kind == "request":
            wanted |= set(record.names)
        elif record.type_url == ENDPOINT and record.kind == "response":
            for name in [*(item.name for item in record.items), *record.removed]:
                due.pop(name, None)
        elif record.type_url == CLUSTER and record.kind == "response":
            names = {item.warms for item in record.items}
            if record.variant == "sotw":
                due = {name: cause for name, cause in due.items() if name in names}
            for name in record.removed:
                due.pop(name, None)
            error = trace[settled[at]].error or "" if at in settled else ""
            for item in record.items:
                if item.warms and last.get(item.name) != item.digest and item.name not in error:
                    due[item.warms] = (at, record)
                last[item.name] = item.digest
    return [
        tell(at, record, f"the endpoints of {name} never came")
        for name, (at, record) in due.items()
        if name in wanted
    ]


class _Channel:
    """What is known of one type on one stream."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        """By name, the bytes last sent, or the version that the client came with."""
        self.asked: set[str] = set()
        self.names: set[str] = set()
        self.refused: set[str] = set()
        self.said = 0
        self.again = False
        """The client has asked once more for what it had asked for."""
        self.mending = False
        """Something was refused; when it is mended, the set may be the same as before."""

    def take(self, request: Record, *, answers_something: bool, first: bool) -> None:
        names = set(request.names)
        if request.variant == "delta":
            self.known.update(request.held if first else {})
            self.asked |= names | (set(request.removed) - {"*"})
            self.names = (self.names | names) - set(request.removed)
            return
        self.asked |= names - self.names
        self.again |= not answers_something and names == self.names
        self.names = names
        self.known = {name: had for name, had in self.known.items() if name in names or not names}

    def send(self, response: Record) -> None:
        self.said += 1
        self.again = False
        if response.variant == "sotw" and response.type_url in WILDCARD:
            self.known.clear()
        for item in response.items:
            self.known[item.name] = item.digest
            self.asked.discard(item.name)
            self.refused.discard(item.name)
        for name in response.removed:
            self.known.pop(name, None)
            self.asked.discard(name)
            self.refused.discard(name)


def everything_has_a_reason(trace: Trace) -> list[str]:
    """D2, G1, G2, G7: a resource is sent because it changed, was asked for or its cluster warms; no ACK is answered."""
    settled = {answer: response for response, answer in answers(trace).items()}
    channels: dict[tuple[int, str], _Channel] = {}
    warming: set[str] = set()
    clusters: dict[str, str] = {}
    seen: dict[str, str] = {}
    news: dict[int, set[str]] = {}
    doubtful: set[str] = set()
    faults = []
    for at, record in enumerate(trace):
        key = (record.stream, record.type_url)
        if record.kind == "request":
            first = key not in channels
            channel = channels.setdefault(key, _Channel())
            if at in settled and record.error is not None:
                names = {item.name for item in trace[settled[at]].items}
                channel.mending = True
                channel.refused |= names
                if record.type_url == CLUSTER:
                    # It may have what it refused, so that what it had before warms anew, also when that is mended.
                    doubtful |= news[settled[at]]
                    clusters = {name: had for name, had in clusters.items() if name not in names}
            channel.take(record, answers_something=at in settled, first=first)
        elif record.kind == "response":
            if key not in channels:
                faults.append(tell(at, record, "nobody asked for this type"))
            channel = channels.setdefault(key, _Channel())
            new = record.variant == "sotw" and not channel.said
            idle = _without_reason(
                record, channel, warming | _about_to_warm(trace, at) if record.type_url == ENDPOINT else set()
            )
            if idle is not None:
                faults.append(tell(at, record, f"sent for no reason: {idle}"))
            channel.send(record)
            if record.type_url == CLUSTER:
                # A client that comes back does not say which of these clusters it has.
                changed = {item.name for item in record.items if clusters.get(item.name) != item.digest}
                news[at] = {item.name for item in record.items if seen.get(item.name) != item.digest}
                seen.update({item.name: item.digest for item in record.items})
                warming |= {item.warms for item in record.items if new or item.name in changed | doubtful}
                clusters.update({item.name: item.digest for item in record.items})
            elif record.type_url == ENDPOINT:
                warming -= {item.name for item in record.items}
    return faults


def _about_to_warm(trace: Trace, at: int) -> set[str]:
    """Endpoints of clusters that come on another stream at the same time: what overtook what, no stream tells."""
    near = (
        each for each in trace[at + 1 : at + _NEAR] if each.kind == "response" and each.type_url == CLUSTER
    )
    return {item.warms for each in near if each.stream != trace[at].stream for item in each.items}


def _without_reason(response: Record, channel: _Channel, warming: set[str]) -> list[str] | None:
    """What is superfluous in a response; `None` if nothing is."""
    reasons = channel.asked | channel.refused | warming
    if response.variant == "sotw" and response.type_url in WILDCARD:
        same = {item.name: item.digest for item in response.items} == channel.known
        if not same or not channel.said or reasons or channel.again:
            return None
        mending, channel.mending = channel.mending, False
        return None if mending else ["all"]
    idle = [
        item.name
        for item in response.items
        if item.name not in reasons
        and channel.known.get(item.name) in (item.digest, item.version or None)
        and not channel.again
    ]
    idle += [name for name in response.removed if name not in reasons and name not in channel.known]
    if not (response.items or response.removed) and channel.said:
        idle.append("an empty response")
    return idle or None


def faults(trace: Trace) -> list[str]:
    """All that is wrong with a trace, first by invariant."""
    ordered = (
        routes_follow_clusters,
        clusters_leave_last,
        endpoints_follow_clusters,
        everything_has_a_reason,
    )
    return [f"{each.__name__}: {fault}" for each in (*SIMPLE, *ordered) for fault in each(trace)]
