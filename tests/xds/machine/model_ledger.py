"""What an omniscient reader of one node's streams knows, in sets; it says whether a response is due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.xds.machine.conversation import C, E, L, P, R, S
from tests.xds.machine.model_fleet import NAMES
from xds_server.protocol import Request, Response
from xds_server.protocol.types import ORDER, REFERRERS, WILDCARD
from xds_server.snapshot import View

REMOVED_AFTER: Final = {R: (L, P), E: (C,), S: (C, L)}
"""What removals of a type wait for."""

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
    strange: set[str] = field(default_factory=set)
    """Names that the client brought along in versions that this server has no bytes of, or perhaps (`inherited`)."""
    inherited: set[str] = field(default_factory=set)
    surveyed: bool = False
    doubted: dict[str, set[str]] = field(default_factory=dict)
    """Names whose refused news, or end, may be in effect all the same: the versions that may be in use."""
    ended: set[str] = field(default_factory=set)
    """Of these, names called removed by a refused response: the next one says so again, if there still are none."""
    without: set[str] = field(default_factory=set)
    """Names refused of which the client accepted a full set without them since."""
    complained: bool = False
    unsure: bool = False
    """State of the world: the client may hold things from before, until it accepts a set."""
    changed: set[str] = field(default_factory=set)
    """Names with new contents in the response in flight."""
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
        return name in self.owed or name in self.may or self.differs(name, version)

    def differs(self, name: str, version: str) -> bool:
        if name in self.blamed:
            return self.blamed[name] != version
        return self.known.get(name) != version or name in self.doubted

    def forget(self, names: set[str]) -> None:
        for name in names:
            self.known.pop(name, None)
            self.blamed.pop(name, None)
            self.doubted.pop(name, None)
        self.ended -= names
        self.strange -= names
        self.inherited -= names
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
        self.owed -= gone
        self.names, self.wildcard = names, wildcard
        self.owed |= new
        if first:
            self.version = request.version
            self.complained = request.error is not None
            self.unsure = bool(request.version) or self.complained
        self.due |= (opened or bool(new)) and self.full
        self.due &= wildcard or bool(names)
        repeated = not (first or answers or new or gone or opened or closed)
        if repeated and not self.full and request.error is None and self.flight is None:
            self.owed |= names
        gone = (self.known.keys() | gone) - names if not wildcard else set()
        self.forget(gone)
        return gone

    def survey(self, view: View) -> None:
        """The server has its first look at what the client brought along."""
        if not self.surveyed:
            self.surveyed = True
            there = {r.name: r.version for r in view.resources(self.type_url)}
            self.strange = {name for name, version in self.known.items() if there.get(name) != version}

    def pardon(self, view: View) -> None:
        """What was refused and is gone may be tried again when it comes back."""
        if self.flight is not None:
            return
        gone = self.blamed.keys() - {r.name for r in view.resources(self.type_url)}
        # To take away what was refused does no harm, and is due: the client may have it all the same.
        self.may |= gone - self.without if self.delta or self.full else set()
        for name in gone:
            del self.blamed[name]

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
            settled = {*sent, *flight.removed, *(self.doubted if self.full else ())}
            self.without = self.blamed.keys() - sent.keys() if self.full else set()
            self.unsure = False
            self.ended -= settled
            self.strange -= settled
            self.inherited -= settled
            for name in settled:
                self.doubted.pop(name, None)
                # In a full set, what was refused stays so while its last accepted version is in its place.
                if not self.full or self.blamed.get(name) == sent.get(name) or name in self.changed:
                    self.blamed.pop(name, None)
            return
        self.without -= sent.keys()
        named = {name for name in wanted if f"<{name}>" in request.error}
        again = {name for name in self.changed & wanted.keys() if self.blamed.get(name) == sent[name]}
        sure = named or (self.changed & wanted.keys() if len(self.changed) == 1 else set())
        guilty = sure or again
        for name in self.changed:
            # Of each name, the last contents refused are remembered.
            self.blamed.pop(name, None)
        self.blamed |= {name: sent[name] for name in guilty}
        self.doubtful = {name for name in wanted if self.known.get(name) != sent[name]}
        self.may |= wanted.keys() - guilty
        self.ended |= {name for name in flight.removed if self.wants(name)}
        self.may |= self.ended
        if self.full and self.type_url in EACH_ALONE:
            self.known = {name: v for name, v in self.known.items() if name in sent}
            if sure:
                self.known |= {name: v for name, v in wanted.items() if name not in guilty}
                return
        ended = self.known.keys() - sent.keys() if self.full else self.known.keys() & flight.removed
        for name, version in (*wanted.items(), *((name, self.known[name]) for name in ended)):
            if name not in guilty:
                self.doubted.setdefault(name, set()).add(version)
            elif self.doubted.get(name) == {version}:
                del self.doubted[name]
            else:
                self.doubted.get(name, set()).discard(version)
        for name in self.ended:
            self.doubted.setdefault(name, set())


class Ledger:
    """All types of one node, on the streams that it has now."""

    def __init__(self, *, delta: bool) -> None:
        self.delta = delta
        self.pages: dict[str, Page] = {}
        self.ghosts: list[Page] = []
        """Of streams that ended, and the server did not notice."""
        self.late: set[str] = set()
        """Types that time passed without, since their last stream ended: clusters need not be kept for them."""
        self.unheard: dict[str, set[str]] = defaultdict(set)
        """Clusters that were taken away while the server had not heard of a type, by that type."""
        self.nonces: set[str] = set()
        self.left: dict[str, set[str]] = defaultdict(set)
        """Names by type that streams left with the client which it perhaps does not tell of."""
        self.versions: dict[str, frozenset[tuple[str, str]]] = {}
        """What each state-of-the-world version stood for, on any stream."""
        self.needs: dict[str, frozenset[str]] = {}
        """The clusters that each version ever served refers to."""
        self.in_a_row: dict[str, int] = defaultdict(int)
        """Responses of each type since something happened besides answers to them."""

    def see(self, view: View) -> None:
        """The server has another view: what is gone from it and comes back may be tried again."""
        self.in_a_row.clear()
        for type_url in REFERRERS:
            self.needs |= {r.version: frozenset(r.needs) for r in view.resources(type_url)}

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
            page.inherited |= self.left[request.type_url]
        before = (page.wildcard, set(page.names))
        dropped = page.take(request, first=first, trust=trust)
        if first and request.type_url == E:
            for clusters in (*self.ghosts, *self.pages.values()):
                if clusters.type_url == C and clusters.flight is not None:
                    page.may |= {r.name for r in clusters.flight.resources} & page.names
        if (page.wildcard, page.names) != before or not request.nonce:
            self.in_a_row.clear()
        return dropped

    def responses(self, batch: list[Response], view: View | None) -> None:
        """Check what the server sends at one time."""
        # Removals come last: they wait for what refers to theirs.
        places = [ORDER.index(response.type_url) for response in batch if response.resources]
        assert places == sorted(places), "out of order"
        for page in self.pages.values() if view is not None else ():
            page.survey(view)
            page.pardon(view)
        for response in batch:
            self.response(response, view)
        for page in self.pages.values():
            same = page.full and page.wildcard and not page.names and page.nonce == ""
            if view is not None and page.due and same and page.version == view.version(page.type_url):
                # Who comes back with exactly what there is need not be told, and may be.
                page.told_before = True
                page.unsure = page.complained
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
        latest = {r.name: r.version for r in response.resources if view.get(r.type_url, r.name) == r}
        if response.type_url == C:
            gone = {*NAMES[C]} - {*names} if page.full else {*response.removed}
            for type_url in REFERRERS:
                self.unheard[type_url].difference_update(names)
                if type_url in self.late - self.pages.keys():
                    self.unheard[type_url] |= gone
        page.changed = {
            name
            for name, version in latest.items()
            if not page.full
            or page.known.get(name) != version
            or (name in page.blamed and page.blamed[name] != version)
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
            latest = view.get(r.type_url, r.name)
            if latest is None and r.type_url == C and r.name in page.owed:
                # Asked for once more, and gone: it is kept as long as something leads to it.
                assert page.known.get(r.name) == r.version, "neither there nor held"
                continue
            assert latest == r, "not the latest"
            assert page.news(r.name, r.version), f"superfluous: {r.name}"
        for name in page.ended - {*response.removed}:
            assert view.get(page.type_url, name), f"{name} is not taken back"
        for name in response.removed:
            assert view.get(page.type_url, name) is None, f"{name} is there"
            told = {*page.owed, *page.may, *page.known, *page.blamed}
            assert name in told, f"superfluous: {name}"
            referrers = [
                self.pages[each] for each in REMOVED_AFTER.get(page.type_url, ()) if each in self.pages
            ]
            at_once = name in page.owed or name in page.may
            assert at_once or not any(each.flight for each in referrers), (
                f"{name} is removed before what refers to it"
            )

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
        reasons = page.due, page.owed, page.may, page.doubted, taken_back, sent != page.known
        assert any(reasons), f"superfluous: {sent}"
        for name in taken_back:
            del page.blamed[name]
        page.owed.clear()
        page.may.clear()
        content = frozenset(sent.items())
        assert self.versions.setdefault(page.type_url + response.version, content) == content

    def at_rest(self, view: View) -> None:
        """When all is answered, nothing is owed."""
        for page in self.pages.values():
            assert page.flight is None, "a response was never answered"
            assert not page.due or page.told_before, f"{page.type_url} was never answered"
            there = {r.name for r in view.resources(page.type_url)}
            held_back = set()
            if page.type_url == C:
                # Gone, and kept as long as something leads to it: how the client has it is not known.
                held_back = (page.strange | page.inherited | page.doubted.keys()) - there
            unanswered = {name for name in page.owed if page.wants(name) and (self.delta or name in there)}
            assert unanswered <= held_back, f"never answered: {unanswered}"
