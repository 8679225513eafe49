"""A model client comes to rest, and what must be true then."""

from __future__ import annotations

from tests.xds.machine.conversation import C, L, P, X
from tests.xds.machine.model_client import ModelClient
from tests.xds.machine.model_fleet import TYPES, refuses
from tests.xds.machine.model_half import Half
from tests.xds.machine.model_ledger import EACH_ALONE
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
    # Of a set that is refused as a whole, nothing can be left out that may be in use since another stream.
    inseparable = refused and not client.delta and not client.outspoken and half.type_url == P
    for name, resource in expected.items():
        held = half.live.get(name)
        if name in half.strays or held == resource or inseparable:
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
    if half.type_url not in WILDCARD and any(refuses(r) for kind in (C, L) for r in view.resources(kind)):
        # Removals wait for what may refer to them, and something there is refused.
        return
    if refused and half.type_url not in EACH_ALONE:
        # What a refused response would have taken away is taken with the next one.
        return
    assert not extra, f"{extra} should be gone"
    if client.delta:
        if refused:
            # Removals of a response that was refused ride on the next one.
            return
        known = {name for name in half.known if half.wants(name)}
        extra = known - expected.keys() - (pinned(client, view) if half.type_url == C else set())
        assert not extra, f"{extra} should be forgotten"


def stuck_clusters(client: ModelClient, view: View) -> set[str]:
    return {r.name for r in view.resources(C) if refuses(r)}


def pinned(client: ModelClient, view: View) -> set[str]:
    """Clusters that must stay because something in use refers to them, or because the server can't know."""
    found: set[str] = set()
    for type_url in REFERRERS:
        half = client.halves[type_url]
        for name, resource in half.live.items():
            if half.wants(name):
                found |= set(resource.needs)
        refused = any(refuses(r) and half.wants(r.name) for r in view.resources(type_url))
        if refused:
            return {"c1", "c2", "c3"}
    return found


def check_silence(client: ModelClient, view: View) -> None:
    """Neither time nor an equal view makes the server say anything."""
    again = View(view.generation + 1, (layer(r for type_url in TYPES for r in view.resources(type_url)),))
    for wire in client.network.all():
        assert wire.stream.poll(client.now + 1000) == []
        wire.stream.on_view(again)
        assert wire.stream.poll(client.now + 1000) == []
