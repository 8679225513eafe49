"""What an omniscient reader of one node's streams knows, in sets; it says whether a response is due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tests.xds.machine.conversation import C, E, L
from tests.xds.machine.model_fleet import refuses
from xds_server.protocol import Request, Response
from xds_server.protocol.types import ORDER, WILDCARD
from xds_server.snapshot import View

EACH_ALONE = (C, L)
"""Types of which Envoy applies what is good in a response that it refuses."""


@dataclass
class Page:
    """One type on one stream."""

    type_url: str
    delta: bool
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    named_before: bool = False
    known: dict[str, str] = field(default_factory=dict)
    """Versions that the client is known to hold: acknowledged on this stream, or brought along."""
    owed: set[str] = field(default_factory=set)
    """Names asked for and not answered since: to be sent, known or not, or to be called missing."""
    may: set[str] = field(default_factory=set)
    """Names that may be sent although known: in doubt after a refusal, or endpoints of a changed cluster."""
    blamed: dict[str, str] = field(default_factory=dict)
    """Versions that the client refused by name."""
    doubtful: set[str] = field(default_factory=set)
    """Names with new contents in a response that was refused, until the next: they may be in use."""
    due: bool = False
    """A response is due whatever is in it: the first one to a wildcard, or to new names where sets are full."""
    told_before: bool = False
    """What is due may be left out: an earlier stream brought it."""
    flight: Response | None = None
    nonce: str = ""
    version: str = ""

    @property
    def full(self) -> bool:
        return not self.delta and self.type_url in WILDCARD

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def news(self, name: str, version: str) -> bool:
        if name in self.owed or name in self.may:
            return True
        if name in self.blamed:
            return self.blamed[name] != version
        return self.known.get(name) != version

    def forget(self, names: set[str]) -> None:
        for name in names:
            self.known.pop(name, None)
            self.blamed.pop(name, None)
        self.owed -= names
        self.may -= names

    def take(self, request: Request, *, first: bool, trust: bool) -> set[str]:
        """Follow a request; returns the names that are no longer asked for."""
        if not self.delta:
            return self.take_whole(request, first=first)
        if request.nonce and self.flight is not None and request.nonce == self.flight.nonce and not first:
            self.settle(request)
        asked, dropped = set(request.subscribe), set(request.unsubscribe)
        opened = ("*" in asked or (first and not asked)) and self.type_url in WILDCARD and not self.wildcard
        closed = "*" in dropped and "*" not in asked and self.wildcard
        self.wildcard = (self.wildcard or opened) and not closed
        asked.discard("*")
        gone = (dropped - asked) & self.names
        self.names = (self.names - gone) | asked
        if first:
            self.known = {name: v for name, v in request.initial_versions.items() if self.wants(name)}
            self.due = opened and not request.initial_versions
            self.owed |= asked - self.known.keys()
            self.may |= set() if trust else asked
            return set()
        self.due = (self.due or opened) and self.wildcard
        self.owed |= asked
        if closed:
            gone |= self.known.keys() - self.names
        if self.wildcard:
            self.owed |= gone
            return set()
        self.forget(gone)
        return gone

    def take_whole(self, request: Request, *, first: bool) -> set[str]:
        if not first and request.nonce and self.nonce and request.nonce != self.nonce:
            return set()
        answers = not first and bool(request.nonce) and self.flight is not None
        if answers:
            self.settle(request)
        names = set(request.names)
        self.named_before |= bool(names)
        wildcard = self.type_url in WILDCARD and ("*" in names or not self.named_before)
        names.discard("*")
        opened, closed = wildcard and not self.wildcard, self.wildcard and not wildcard
        new, gone = names - self.names, self.names - names
        self.names, self.wildcard = names, wildcard
        self.owed |= new
        if first:
            self.version = request.version
        self.due |= (opened or bool(new)) and self.full
        self.due &= wildcard or bool(names)
        repeated = not (first or answers or new or gone or opened or closed)
        if repeated and not self.full and request.error is None and self.flight is None:
            self.owed |= names
        gone = (self.known.keys() | gone) - names if not wildcard else set()
        self.forget(gone)
        return gone

    def settle(self, request: Request) -> None:
        flight, self.flight = self.flight, None
        assert flight is not None
        sent = {resource.name: resource.version for resource in flight.resources}
        rides = not self.delta and request.version == flight.version != self.version
        wanted = {name: version for name, version in sent.items() if self.wants(name)}
        if request.error is None or rides:
            self.version = flight.version
            if self.full:
                self.known.clear()
            for name in flight.removed:
                self.known.pop(name, None)
            self.known |= wanted
            for name in (*wanted, *flight.removed):
                self.blamed.pop(name, None)
            return
        named = {name for name in wanted if f"<{name}>" in request.error}
        guilty = named or (set(sent) & set(wanted) if len(sent) == 1 else set())
        self.blamed |= {name: sent[name] for name in guilty}
        self.doubtful = {name for name in wanted if self.known.get(name) != sent[name]}
        self.may |= wanted.keys() - guilty
        self.may |= {name for name in flight.removed if self.wants(name)}
        if self.full and self.type_url in EACH_ALONE:
            self.known = {name: v for name, v in self.known.items() if name in sent}
            if guilty:
                self.known |= {name: v for name, v in wanted.items() if name not in guilty}


class Ledger:
    """All types of one node, on the streams that it has now."""

    def __init__(self, *, delta: bool) -> None:
        self.delta = delta
        self.pages: dict[str, Page] = {}
        self.nonces: set[str] = set()
        self.left: dict[str, set[str]] = defaultdict(set)
        """Names by type that streams left with the client which it perhaps does not tell of."""
        self.versions: dict[str, frozenset[tuple[str, str]]] = {}
        """What each state-of-the-world version stood for, on any stream."""
        self.in_a_row: dict[str, int] = defaultdict(int)
        """Responses of each type since something happened besides answers to them."""

    def see(self, view: View) -> None:
        """The server has another view: what is gone from it and comes back may be tried again."""
        self.in_a_row.clear()
        for page in self.pages.values():
            there = {r.name for r in view.resources(page.type_url)}
            page.blamed = {
                name: version for name, version in page.blamed.items() if name in there or page.full
            }

    def inherit(self, estate: Mapping[str, Collection[str]]) -> None:
        for type_url, names in estate.items():
            self.left[type_url] |= set(names)

    def request(self, request: Request) -> set[str]:
        """Note a request as it reaches the server. Returns names whose end the server has seen."""
        first = request.type_url not in self.pages
        page = self.pages.setdefault(request.type_url, Page(request.type_url, self.delta))
        trust = request.type_url != E or C in self.pages
        if first:
            page.may |= self.left[request.type_url]
        before = (page.wildcard, set(page.names))
        dropped = page.take(request, first=first, trust=trust)
        clusters = self.pages.get(C)
        if first and request.type_url == E and clusters is not None and clusters.flight is not None:
            page.may |= {r.name for r in clusters.flight.resources} & page.names
        if (page.wildcard, page.names) != before or not request.nonce:
            self.in_a_row.clear()
        return dropped

    def responses(self, batch: list[Response], view: View | None) -> None:
        """Check what the server sends at one time."""
        places = [ORDER.index(response.type_url) for response in batch]
        assert places == sorted(places), "out of order"
        for response in batch:
            self.response(response, view)
        for page in self.pages.values():
            same = page.full and page.wildcard and not page.names and page.nonce == ""
            if view is not None and page.due and same and page.version == view.version(page.type_url):
                # Who comes back with exactly what there is need not be told, and may be.
                page.told_before = True
                page.known = {r.name: r.version for r in view.resources(page.type_url)}

    def response(self, response: Response, view: View | None) -> None:
        assert view is not None, "something was sent before the first view"
        page = self.pages[response.type_url]
        assert page.flight is None, "two in flight"
        assert response.nonce
        assert response.nonce not in self.nonces
        self.nonces.add(response.nonce)
        names = [resource.name for resource in response.resources]
        assert len({*names, *response.removed}) == len(names) + len(response.removed), "a name twice"
        assert all(resource.type_url == response.type_url for resource in response.resources)
        assert all(page.wants(name) for name in (*names, *response.removed)), "not asked for"
        changed = {
            r.name
            for r in response.resources
            if self.delta or page.due or page.news(r.name, r.version) or r.name in page.doubtful
        }
        page.doubtful.clear()
        if page.full:
            self.whole(page, response, view)
        else:
            self.some(page, response, view)
        page.flight, page.nonce, page.due = response, response.nonce, False
        page.owed -= {*names, *response.removed}
        page.may -= {*names, *response.removed}
        endpoints = self.pages.get(E)
        if response.type_url == C and endpoints is not None:
            endpoints.may |= changed & endpoints.names
        self.in_a_row[response.type_url] += 1
        assert self.in_a_row[response.type_url] <= 24, "a loop"

    def some(self, page: Page, response: Response, view: View) -> None:
        assert response.resources or response.removed or page.due, "an empty response"
        assert page.delta or not response.removed
        for r in response.resources:
            assert view.get(r.type_url, r.name) == r, "not the latest"
            assert page.news(r.name, r.version), f"superfluous: {r.name}"
        for name in response.removed:
            assert view.get(page.type_url, name) is None, f"{name} is there"
            told = {*page.owed, *page.may, *page.known, *page.blamed}
            assert name in told, f"superfluous: {name}"

    def whole(self, page: Page, response: Response, view: View) -> None:
        sent = {r.name: r.version for r in response.resources}
        for name, version in sent.items():
            resource = view.get(page.type_url, name)
            newest = resource is not None and resource.version == version
            assert newest or page.known.get(name) == version, "neither the latest nor what is held"
        for name in page.known:
            assert name in sent or view.get(page.type_url, name) is None, f"{name} is taken away"
        latest = {name: getattr(view.get(page.type_url, name), "version", "") for name in page.blamed}
        # What was refused may be in use all the same; a set with other contents, or without it, takes it back.
        taken_back = {name for name, version in page.blamed.items() if latest[name] != version}
        assert page.due or page.owed or page.may or taken_back or sent != page.known, f"superfluous: {sent}"
        for name in taken_back:
            del page.blamed[name]
        page.owed.clear()
        page.may.clear()
        content = frozenset(sent.items())
        assert self.versions.setdefault(page.type_url + response.version, content) == content

    def at_rest(self, view: View) -> None:
        """When all is answered, nothing is owed but what waits for clusters that were refused."""
        refused = {r.name for r in view.resources(C) if refuses(r)}
        for page in self.pages.values():
            assert page.flight is None, "a response was never answered"
            assert not page.due or page.told_before, f"{page.type_url} was never answered"
            there = {r.name for r in view.resources(page.type_url)}
            held_back = {r.name for r in view.resources(page.type_url) if refused & set(r.needs)}
            if page.type_url == C:
                # Asked for once more and gone, but something in use refers to it.
                held_back |= (page.known.keys() | page.blamed.keys()) - there
            unanswered = {name for name in page.owed if page.wants(name) and (self.delta or name in there)}
            assert unanswered <= held_back, f"never answered: {unanswered}"
