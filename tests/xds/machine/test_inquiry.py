"""A refusal that names nobody: the suspects are halved until each was accepted, or refused alone."""

from __future__ import annotations

import math

import pytest

from tests.xds.machine.conversation import C, Delta, L, P, R, S, Sotw, res, view
from xds_server.protocol import Response
from xds_server.protocol.inquiry import Inquiry
from xds_server.snapshot import Resource

Client = Delta | Sotw
VARIANTS = pytest.mark.parametrize("make", [Delta, Sotw], ids=["delta", "sotw"])
TYPES = pytest.mark.parametrize("type_url", [C, L, P, R], ids=["clusters", "listeners", "scopes", "routes"])
NAMES = tuple("abcdefgh")


def fleet(type_url: str, body: str) -> list[Resource]:
    return [res(type_url, name, body) for name in NAMES]


def asked(type_url: str) -> tuple[str, ...]:
    return NAMES if type_url == R else ()


def ask(client: Client, type_url: str) -> list[Response]:
    names = asked(type_url)
    return client.sub(type_url, *names) if isinstance(client, Delta) else client.ask(type_url, *names)


def ack(client: Client, type_url: str) -> list[Response]:
    return client.ack(type_url) if isinstance(client, Delta) else client.ack(type_url, *asked(type_url))


def nack(client: Client, type_url: str) -> list[Response]:
    if isinstance(client, Delta):
        return client.nack(type_url, "something is not right")
    return client.nack(type_url, *asked(type_url), error="something is not right")


def served(make: type[Client], type_url: str) -> Client:
    """A client that holds the first version of everything."""
    client: Client = make(cluster_grace=0.0)
    client.see(*fleet(type_url, "1"))
    ask(client, type_url)
    ack(client, type_url)
    return client


def answer_all(client: Client, type_url: str, sent: list[Response], guilty: set[Resource]) -> list[Response]:
    """Refuse, without a name, each response that holds something guilty. Returns all responses."""
    responses: list[Response] = []
    while sent:
        (response,) = sent
        responses.append(response)
        assert len(responses) < 100, "a loop"
        sent = (nack if guilty & set(response.resources) else ack)(client, type_url)
    return responses


@VARIANTS
@TYPES
def test_D3_D12_one_guilty_of_eight_is_found_and_the_others_move_on(
    make: type[Client], type_url: str
) -> None:
    client = served(make, type_url)
    guilty = res(type_url, "f", "2")
    responses = answer_all(client, type_url, client.see(*fleet(type_url, "2")), {guilty})
    channel = client.stream.channels[type_url]
    assert list(channel.refusals) == ["f"]
    assert channel.refusals["f"].named
    assert {name: r.body for name, r in channel.held.items()} == {
        name: b"1" if name == "f" else b"2" for name in NAMES
    }
    assert len(responses) == 1 + 2 * math.log2(len(NAMES))
    assert client.poll(after=1000) == []


@VARIANTS
@TYPES
def test_D3_all_guilty_are_each_refused_alone_and_then_there_is_silence(
    make: type[Client], type_url: str
) -> None:
    client = served(make, type_url)
    guilty = fleet(type_url, "2")
    responses = answer_all(client, type_url, client.see(*guilty), set(guilty))
    channel = client.stream.channels[type_url]
    assert sorted(channel.refusals) == list(NAMES)
    assert all(refusal.named for refusal in channel.refusals.values())
    assert {r.body for r in channel.held.values()} == {b"1"}
    assert len(responses) == 2 * len(NAMES) - 1
    assert client.poll(after=1000) == []


@VARIANTS
@TYPES
def test_D4_none_guilty_all_are_accepted_though_the_first_response_was_refused(
    make: type[Client], type_url: str
) -> None:
    client = served(make, type_url)
    client.see(*fleet(type_url, "2"))
    responses = answer_all(client, type_url, nack(client, type_url), set())
    assert len(responses) == 2
    channel = client.stream.channels[type_url]
    assert channel.quiet
    assert {r.body for r in channel.held.values()} == {b"2"}


@pytest.mark.parametrize("type_url", [C, L, P])
def test_D12_in_a_full_set_the_other_half_stays_at_its_accepted_version(type_url: str) -> None:
    client = served(Sotw, type_url)
    client.see(*fleet(type_url, "2"))
    (half,) = nack(client, type_url)
    assert [r.name for r in half.resources] == list(NAMES)
    assert [r.body for r in half.resources] == [b"2"] * 4 + [b"1"] * 4


def test_D12_in_a_full_set_suspects_that_were_never_accepted_are_left_out() -> None:
    client = served(Sotw, P)
    (both,) = client.see(*fleet(P, "1"), res(P, "y"), res(P, "z"))
    assert len(both.resources) == len(NAMES) + 2
    (first,) = nack(client, P)
    assert [r.name for r in first.resources] == [*NAMES, "y"]
    (second,) = ack(client, P)
    assert [r.name for r in second.resources] == [*NAMES, "y", "z"]


@pytest.mark.parametrize("type_url", [C, L, P])
def test_D12_nothing_is_left_out_for_a_client_that_may_hold_it_from_before(type_url: str) -> None:
    client = Sotw()
    client.see(*fleet(type_url, "1"))
    client.ask(type_url, version="of before")
    assert nack(client, type_url) == []
    (response,) = client.see(*fleet(type_url, "2"))
    assert [r.name for r in response.resources] == list(NAMES)


@VARIANTS
def test_D4_content_that_changes_meanwhile_is_sent_before_the_inquiry_goes_on(make: type[Client]) -> None:
    client = served(make, L)
    client.see(*fleet(L, "2"))
    nack(client, L)
    repaired = [res(L, name, "3" if name == "g" else "2") for name in NAMES]
    assert client.see(*repaired) == []
    (news,) = ack(client, L)
    assert res(L, "g", "3") in news.resources
    assert res(L, "h", "2") not in news.resources
    responses = answer_all(client, L, ack(client, L), set())
    assert len(responses) == 1
    assert client.stream.channels[L].quiet


@VARIANTS
def test_H11_what_is_inquired_into_is_bounded_by_the_names_though_every_change_is_refused(
    make: type[Client],
) -> None:
    client = served(make, L)
    for turn in range(50):
        if client.see(*fleet(L, f"turn {turn}")):
            nack(client, L)
    channel = client.stream.channels[L]
    waiting = [name for group in channel.inquiry._groups for name in group]
    assert len(waiting) == len(set(waiting)) <= len(NAMES)
    answer_all(client, L, ack(client, L), set())
    assert channel.quiet


@VARIANTS
def test_D4_suspects_that_are_gone_meanwhile_are_not_sent(make: type[Client]) -> None:
    client = served(make, L)
    client.see(*fleet(L, "2"))
    nack(client, L)
    client.see(*fleet(L, "2")[:4])
    rest = answer_all(client, L, ack(client, L), set())
    assert not {r.name for response in rest for r in response.resources} - set("abcd")
    assert sorted(client.stream.channels[L].held) == list("abcd")
    assert client.stream.channels[L].quiet


@VARIANTS
def test_D7_an_inquiry_into_one_type_leaves_the_others_their_turn(make: type[Client]) -> None:
    client = served(make, L)
    client.see(*fleet(L, "2"), res(R, "r"))
    nack(client, L)
    first = client.sub(R, "r") if isinstance(client, Delta) else client.ask(R, "r")
    assert [response.type_url for response in first] == [R]


@pytest.mark.parametrize("type_url", [C, L, P])
def test_D3_a_refused_set_that_brought_nothing_new_is_not_sent_again(type_url: str) -> None:
    client = served(Sotw, type_url)
    client.see(*fleet(type_url, "1")[:4])
    assert nack(client, type_url) == []
    assert client.poll(after=1000) == []
    assert client.stream.channels[type_url].refusals == {}
    (back,) = client.see(*fleet(type_url, "1"))
    assert [r.name for r in back.resources] == list(NAMES)


def test_D3_words_that_mention_only_what_the_client_has_do_not_make_a_loop() -> None:
    client = served(Sotw, P)
    client.see(*fleet(P, "1")[:7], res(P, "h", "2"))
    assert client.nack(P, error="clashes with scope a") == []
    assert list(client.stream.channels[P].refusals) == ["h"]


def test_inquiries_hold_each_name_once_and_end() -> None:
    inquiry = Inquiry()
    inquiry.open(["one"])
    assert not inquiry
    inquiry.open("dcba")
    assert inquiry.next(lambda _: True) == ["a", "b"]
    inquiry.open("abd")
    assert inquiry.next(lambda _: True) == ["a"]
    assert inquiry.next(lambda name: name != "b") == ["d"]
    assert inquiry.next(lambda _: True) == ["c"]
    assert not inquiry
    assert inquiry.next(lambda _: True) == []


@VARIANTS
def test_D3_suspects_that_wait_for_their_clusters_are_tried_when_they_may_be(make: type[Client]) -> None:
    client: Client = make()
    names = ("r", "s")
    old = [res(R, name) for name in names]
    new = [res(R, name, "2", needs=("c",)) for name in names]
    client.stream.on_view(view(res(C, "c"), *old))
    client.sub(R, *names) if isinstance(client, Delta) else client.ask(R, *names)
    client.ack(R) if isinstance(client, Delta) else client.ack(R, *names)
    client.see(res(C, "c"), *new)
    # Clusters are asked for on this stream only now: the halves have to wait for them, one after the other.
    client.sub(C) if isinstance(client, Delta) else client.ask(C)
    nacked = client.nack(R) if isinstance(client, Delta) else client.nack(R, *names)
    assert nacked == []
    assert [r.name for r in client.ack(C)[0].resources] == ["r"]
    (second,) = client.ack(R) if isinstance(client, Delta) else client.ack(R, *names)
    assert [r.name for r in second.resources] == ["s"]


@VARIANTS
def test_I2_a_first_route_waits_for_a_cluster_that_is_merely_suspected(make: type[Client]) -> None:
    client = make()
    client.see(res(C, "a"))
    ask(client, C)
    ack(client, C)
    route = res(R, "r", needs=("new",))
    client.see(res(C, "a", "bad"), res(C, "b", "2"), res(C, "c", "2"), res(C, "new"), route)
    nack(client, C)
    assert (client.sub(R, "r") if isinstance(client, Delta) else client.ask(R, "r")) == []
    sent: list[str] = []
    for _ in range(9):
        if "new" in client.stream.channels[C].held:
            break
        flight = client.stream.channels[C].flight
        assert flight is not None
        bad = any(each.body == b"bad" for each in flight.sent.values())
        sent = [each.type_url for each in (nack(client, C) if bad else ack(client, C))]
    assert R in sent


@VARIANTS
def test_D12_secrets_come_one_by_one_because_envoy_takes_a_refused_one_for_good_when_it_comes_again(
    make: type[Client],
) -> None:
    client = make()
    client.see(*(res(S, name) for name in "abc"))
    first = client.sub(S, *"abc") if isinstance(client, Delta) else client.ask(S, *"abc")
    assert [len(each.resources) for each in first] == [1]
    guilty = first[0].resources[0].name
    rest = client.nack(S, "bad") if isinstance(client, Delta) else client.nack(S, *"abc", error="bad")
    came = []
    while rest:
        (response,) = rest
        came += [each.name for each in response.resources]
        rest = client.ack(S) if isinstance(client, Delta) else client.ack(S, *"abc")
    assert sorted([guilty, *came]) == ["a", "b", "c"]
    assert list(client.stream.channels[S].refusals) == [guilty]
