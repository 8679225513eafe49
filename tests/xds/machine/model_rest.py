"""A model client comes to rest, and what must be true then."""

from __future__ import annotations

from tests.xds.machine.conversation import C, X
from tests.xds.machine.model_client import ModelClient
from tests.xds.machine.model_fleet import NAMES, TYPES, refuses
from tests.xds.machine.model_half import Half
from tests.xds.machine.model_ledger import EACH_ALONE, REMOVED_AFTER
from xds_server.protocol.types import REFERRERS, WILDCARD
from xds_server.snapshot import View, layer


def settle(client: ModelClient) -> None:
    """Let everything arrive and be answered until nothing more comes, waits included."""
    for half in client.halves.values():
        half.paused = False
        client.flush(half)
    client.network.notice()
    for _ in range(500):
        client.poll()
        while any(wire.up or wire.down for wire in client.network.all()):
            client.reach()
            client.poll()
            client.hear()
        if not client.warming:
            client.excused &= not client.calm
            client.check_references()
        check_no_stall(client)
        deadline = client.network.deadline
        deadlines = [] if deadline is None else [deadline]
        if client.warming:
            deadlines.append(client.warm_by)
        if not deadlines:
            return
        client.wait(max(0.0, min(deadlines) - client.now))
    raise AssertionError("it never comes to rest")


def check_no_stall(client: ModelClient) -> None:
    """All was delivered: a cluster that still warms waits for what does not exist, and can't be told so."""
    view = client.view
    if view is None or not client.network.idle:
        return
    for name, waits in client.warming.items():
        there = {(type_url, each) for type_url, each in waits if view.get(type_url, each) is not None}
        assert not there, f"{name} stalls for {there}"
        assert not client.delta, f"{name} stalls: it was not told that {waits} are missing"


def check_rest(client: ModelClient) -> None:
    """The client holds what it asked for, at its latest content; what it refuses, at the last one it took."""
    view = client.view
    assert view is not None
    client.network.ledger.at_rest(view)
    if client.envoy:
        client.excused = False
        client.check_references()
    for wire in client.network.all():
        channels = wire.stream.channels.values()
        assert wire.stream.in_step == (not any(channel.refusals or channel.blocked for channel in channels))
    for half in client.halves.values():
        if half.open:
            check_half(client, half, view)
    check_silence(client, view)


def check_half(client: ModelClient, half: Half, view: View) -> None:
    stuck = stuck_clusters(client, view)
    expected = {r.name: r for r in view.resources(half.type_url) if half.wants(r.name)}
    refused = any(refuses(r) for r in expected.values())
    inseparable = refused and not part(client, half, view)
    for name, resource in expected.items():
        held = half.live.get(name)
        if name in half.strays | half.lost or held == resource or inseparable:
            continue
        held_back = half.type_url in REFERRERS and held is not None and stuck & set(resource.needs)
        assert refuses(resource) or held_back, f"{name} is {held}, not {resource}"
        assert held is None or not refuses(held)
    absence_says_nothing = not client.delta and half.type_url not in WILDCARD
    # A filter stays with a client that asks for it: a listener that drains may still use it.
    if absence_says_nothing or half.type_url == X:
        return
    extra = {name for name in half.live.keys() - expected.keys() - half.strays if half.wants(name)}
    if half.type_url == C:
        extra -= pinned(client, view)
    if any(unsettled(client, kind, view) for kind in REMOVED_AFTER.get(half.type_url, ())):
        # Removals wait for what may refer to them, and something there is refused, held back or pinned.
        return
    page = client.network.ledger.pages[half.type_url]
    # What a refused response would have taken away is taken with the next one.
    refused_ends = page.ended if client.delta else page.doubted.keys()
    extra -= half.live.keys() if page.unsure and half.type_url not in EACH_ALONE else refused_ends
    assert not extra, f"{extra} should be gone"
    if client.delta:
        known = {name for name in half.known if half.wants(name)} - page.ended
        extra = known - expected.keys() - (pinned(client, view) if half.type_url == C else set())
        assert not extra, f"{extra} should be forgotten"


def part(client: ModelClient, half: Half, view: View) -> bool:
    """Whether a set that is refused as a whole, without a name, can be tried in parts: of a full set, nothing can be
    left out that was asked for by name or may be in use since another stream."""
    page = client.network.ledger.pages.get(half.type_url)
    if client.outspoken or page is None or not page.full or (page.wildcard and not page.unsure):
        return True
    there = {r.name: r.version for r in view.resources(half.type_url) if half.wants(r.name)}
    return all(name in page.known for name, version in there.items() if page.known.get(name) != version)


def stuck_clusters(client: ModelClient, view: View) -> set[str]:
    """Clusters that are refused, or cannot be parted from those."""
    refused = {r.name for r in view.resources(C) if refuses(r)}
    whole = refused and not part(client, client.halves[C], view)
    return set(NAMES[C]) if whole else refused


def pinned(client: ModelClient, view: View) -> set[str]:
    """Clusters that must stay because something in use refers to them, or because the server can't know."""
    found: set[str] = set()
    for type_url in REFERRERS:
        half, page = client.halves[type_url], client.network.ledger.pages.get(type_url)
        for name, resource in half.live.items():
            if half.wants(name):
                found |= set(resource.needs)
        if page is None:
            continue
        for name in unsettled(client, type_url, view):
            if name in page.strange or (not client.delta and name not in page.known):
                return set(NAMES[C])
            for version in (page.known.get(name), page.blamed.get(name)):
                found |= client.network.ledger.needs.get(version or "", set())
        for version in set[str]().union(*page.doubted.values()):
            found |= client.network.ledger.needs[version]
    return found


def unsettled(client: ModelClient, type_url: str, view: View) -> set[str]:
    """Names of which the client does not hold, as the server knows, just what there is."""
    half, page = client.halves[type_url], client.network.ledger.pages.get(type_url)
    if page is None:
        return set()
    there = {r.name: r.version for r in view.resources(type_url) if half.wants(r.name)}
    names = there.keys() | page.known.keys() | page.doubted.keys()
    # What was refused and is gone is taken back when nothing leads to it any more.
    leaving = {name for name in page.may if half.wants(name)} - there.keys() if client.delta else set[str]()
    return leaving | {n for n in names if page.known.get(n) != there.get(n) or n in page.doubted}


def check_silence(client: ModelClient, view: View) -> None:
    """Neither time nor an equal view makes the server say anything."""
    again = View(view.generation + 1, (layer(r for type_url in TYPES for r in view.resources(type_url)),))
    for wire in client.network.all():
        assert wire.stream.poll(client.now + 1000) == []
        wire.stream.on_view(again)
        assert wire.stream.poll(client.now + 1000) == []
