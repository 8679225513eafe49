"""Where each resource stands with a client: what `/nodes` and CSDS tell."""

from __future__ import annotations

import pytest

from tests.xds.machine.conversation import C, Delta, E, R, Sotw, res
from xds_server.protocol import Standing, State

Client = Delta | Sotw
VARIANTS = pytest.mark.parametrize("make", [Delta, Sotw], ids=["delta", "sotw"])


def ask(client: Client, type_url: str, *names: str) -> None:
    client.sub(type_url, *names) if isinstance(client, Delta) else client.ask(type_url, *names)


def of(client: Client, type_url: str, name: str) -> Standing:
    standing = client.stream.standing(type_url, name)
    assert standing is not None
    return standing


@VARIANTS
def test_D9_a_resource_is_sent_then_acked_with_version_and_times(make: type[Client]) -> None:
    client = make()
    one = res(C, "a")
    client.see(one)
    assert client.stream.standing(C, "a") is None
    ask(client, C)
    sent_at = client.now
    expected = Standing(C, "a", State.SENT, one.version, sent_at, origin="a.yaml:1")
    assert of(client, C, "a") == expected
    client.poll(after=3)
    client.ack(C)
    assert client.stream.view is not None
    acked = Standing(
        C,
        "a",
        State.ACKED,
        one.version,
        sent_at,
        one.version,
        sent_at + 3,
        origin="a.yaml:1",
        generation=client.stream.view.generation,
    )
    assert of(client, C, "a") == acked
    assert list(client.stream.standings(C)) == [acked]


@VARIANTS
def test_D9_D5_a_refused_resource_tells_both_versions_the_words_and_the_manifest(make: type[Client]) -> None:
    client = make()
    good, bad = res(C, "a"), res(C, "a", "bad")
    client.see(good)
    ask(client, C)
    client.ack(C)
    client.poll(after=7)
    client.see(bad)
    client.nack(C, error="goo.gle/debugproto  no such  thing")
    client.poll(after=9)
    standing = of(client, C, "a")
    assert standing.state is State.NACKED
    assert (standing.sent, standing.accepted, standing.refused) == (bad.version, good.version, bad.version)
    assert standing.refused_at == client.now - 9
    assert standing.accepted_at == client.now - 16
    assert standing.text == "no such thing"
    assert standing.named
    assert standing.origin == "a.yaml:1"
    better = res(C, "a", "good")
    client.see(better)
    assert (of(client, C, "a").state, of(client, C, "a").refused) == (State.SENT, bad.version)
    client.ack(C)
    standing = of(client, C, "a")
    assert (standing.state, standing.accepted, standing.refused) == (State.ACKED, better.version, None)


@VARIANTS
def test_D9_what_does_not_exist_is_requested_and_what_waits_is_not_sent(make: type[Client]) -> None:
    client = make()
    client.see(res(C, "c1"), res(R, "r", needs=("c1",)))
    ask(client, C)
    ask(client, R, "r", "zz")
    states = {standing.name: standing.state for standing in client.stream.standings(R)}
    assert states == {"r": State.NOT_SENT, "zz": State.REQUESTED}
    client.see(res(C, "c1", "2"), res(R, "r", needs=("c1",)))
    assert of(client, C, "c1").state is State.SENT
    client.ack(C)
    client.ack(C)
    while client.stream.channels[R].flight:
        client.ack(R) if isinstance(client, Delta) else client.ack(R, "r", "zz")
    client.see(res(C, "c1", "2"), res(C, "c2"), res(R, "r", "2", needs=("c2",)))
    waiting = of(client, R, "r")
    assert waiting.state is State.NOT_SENT
    assert waiting.accepted == res(R, "r", needs=("c1",)).version


def test_D9_what_a_client_says_it_holds_is_acked_without_a_time() -> None:
    client = Delta()
    a = res(C, "a")
    client.see(a)
    client.sub(C, initial_versions={"a": a.version})
    standing = of(client, C, "a")
    assert (standing.state, standing.accepted, standing.accepted_at) == (State.ACKED, a.version, None)


@VARIANTS
def test_D9_what_is_gone_is_leaving_while_the_client_holds_it(make: type[Client]) -> None:
    client = make(cluster_grace=5.0)
    client.see(res(C, "a"))
    ask(client, C)
    client.ack(C)
    client.see()
    assert (of(client, C, "a").state, of(client, C, "a").leaving) == (State.ACKED, True)
    client.poll(after=6)
    client.ack(C)
    assert list(client.stream.standings(C)) == []
    assert client.stream.channels[C].receipts == {}


@VARIANTS
def test_P2_a_type_is_synced_if_and_only_if_its_last_nonce_was_acked(make: type[Client]) -> None:
    client = make()
    client.see(res(C, "a"))
    ask(client, C)
    channel = client.stream.channels[C]
    assert not channel.synced
    client.ack(C)
    assert channel.synced
    client.see(res(C, "a", "2"))
    assert not channel.synced
    client.nack(C)
    assert not channel.synced
    assert channel.last_refused is not None
    assert channel.last_sent is not None
    assert channel.last_refused.nonce == channel.last_sent.nonce == client.nonces[C]
    client.see(res(C, "a", "3"))
    client.ack(C)
    assert channel.synced


def test_D6_D9_an_error_on_an_accepted_version_is_kept_as_the_last_refusal() -> None:
    client = Sotw()
    client.see(res(C, "a"))
    client.ask(C)
    client.ask(C, nonce=client.nonces[C], version=client.versions[C], error="duplicate cluster z")
    channel = client.stream.channels[C]
    assert channel.synced
    assert channel.last_refused is not None
    assert channel.last_refused.text == "duplicate cluster z"


@VARIANTS
def test_H11_dates_are_kept_only_of_what_is_held(make: type[Client]) -> None:
    client = make(cluster_grace=0.0)
    client.see(*(res(E, f"e{i}") for i in range(9)), res(C, "c"))
    ask(client, C)
    client.ack(C)
    ask(client, E, *(f"e{i}" for i in range(9)))
    if isinstance(client, Delta):
        client.ack(E)
        client.unsub(E, *(f"e{i}" for i in range(8)))
    else:
        client.ack(E, "e8")
    assert list(client.stream.channels[E].receipts) == ["e8"]
