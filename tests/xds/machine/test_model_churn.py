"""The state machines over a long time: what ended is forgotten."""

from __future__ import annotations

import gc
from functools import partial
from itertools import islice
from typing import Any

import pytest

from tests.xds.machine.conversation import C, Delta, E, Sotw, res, view
from xds_server.protocol import Channel, Companies, DeltaStream, Estates, Request, SotwStream, Stream

NAMES = tuple(f"name-{number}" for number in range(1_000))
THERE = [res(E, name) for name in NAMES[::2]]
FORGOTTEN = ("held", "dirty", "asked", "blocked", "leaving", "refusals", "strange", "receipts")


def nothing_is_kept(channel: Channel) -> None:
    assert not channel.subscription
    assert channel.flight is None
    assert not channel.inquiry
    for each in FORGOTTEN:
        assert not getattr(channel, each), each


def test_H11_E18_a_hundred_times_a_thousand_names_leave_nothing_in_a_delta_channel() -> None:
    client = Delta()
    client.see(*THERE)
    for turn in range(100):
        client.sub(E, *NAMES)
        if turn % 3 == 0:
            client.nack(E, f"{NAMES[0]} is bad")
        elif turn % 3 == 1:
            client.ack(E)
        client.unsub(E, *NAMES)
        if turn % 3 == 2:
            client.ack(E)
        while client.stream.channels[E].flight is not None:
            client.ack(E)
    nothing_is_kept(client.stream.channels[E])


def test_H11_E16_a_hundred_times_a_thousand_names_leave_nothing_in_a_state_of_the_world_channel() -> None:
    client = Sotw()
    client.see(*THERE)
    nonce = ""
    for turn in range(100):
        client.ask(E, *NAMES, nonce=nonce)
        if turn % 3 == 0:
            client.nack(E, *NAMES, error=f"{NAMES[0]} is bad")
        elif turn % 3 == 1:
            client.ack(E, *NAMES)
        client.ack(E)
        nonce = client.nonces[E]
    nothing_is_kept(client.stream.channels[E])


@pytest.mark.parametrize("kind", [DeltaStream, SotwStream])
def test_H11_I7_ten_thousand_streams_leave_nothing_behind(kind: type[DeltaStream | SotwStream]) -> None:
    companies, estates = Companies(), Estates(nodes=100)
    seen = view(*(res(C, name) for name in islice(NAMES, 5)), *THERE[:5])

    def come_and_go(number: int) -> None:
        node = f"node-{number % 3_000}"
        stream: Stream[Any] = kind(nonce_prefix=f"{number}-")
        stream.inherit = partial(estates.claim, node)
        stream.join(companies.of(node))
        stream.on_view(seen)
        for type_url, names in ((C, ()), (E, NAMES[:10])):
            stream.on_request(Request(type_url, names=names, subscribe=names), number)
        sent = stream.poll(number)
        assert {response.type_url for response in sent} == {C, E}
        for response in sent[number % 3 :]:
            error = "something is bad" if number % 2 else None
            stream.on_request(Request(response.type_url, nonce=response.nonce, error=error), number)
        stream.poll(number)
        stream.leave()
        estates.leave(node, stream.estate())

    def alive() -> int:
        gc.collect()
        return sum(isinstance(each, Stream | Channel) for each in gc.get_objects())

    before = alive()
    for number in range(10_000):
        come_and_go(number)
    assert alive() == before
    assert len(companies) == 0
    assert len(estates) <= 100
