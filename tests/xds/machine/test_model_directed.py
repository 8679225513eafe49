"""Conversations with the model of a client that chance seldom finds."""

from __future__ import annotations

import pytest

from tests.xds.machine.conversation import C, L, P, R, X
from tests.xds.machine.test_model import (
    Conversations,
    DeltaEnvoy,
    DeltaPerType,
    SotwEnvoy,
    SotwFree,
    SotwPerType,
)

NOTHING: frozenset[str] = frozenset()


def begun(machine: type[Conversations]) -> Conversations:
    conversations = machine()
    conversations.begin(outspoken=True, star=False, full=True)
    return conversations


def test_a_name_dropped_and_asked_for_again_before_it_comes_is_in_use() -> None:
    conversations = begun(SotwFree)
    client = conversations.client
    client.ask(R, {"r1"})
    conversations.requests_reach_the_server(turns=[0])
    client.ask(R, set())
    client.ask(R, {"r1"})
    conversations.responses_reach_the_client(turns=[0], rides=False)
    assert client.halves[R].live.keys() == {"r1"}
    conversations.settle()
    conversations.teardown()


def test_a_name_dropped_and_asked_for_again_in_one_answer_is_in_use() -> None:
    conversations = begun(SotwFree)
    client = conversations.client
    client.ask(R, {"r1"})
    conversations.requests_reach_the_server(turns=[0])
    conversations.pause(type_url=R, paused=True)
    client.ask(R, set())
    conversations.responses_reach_the_client(turns=[0], rides=False)
    client.ask(R, {"r1"})
    conversations.settle()
    conversations.teardown()


@pytest.mark.parametrize("machine", [DeltaEnvoy, SotwEnvoy, DeltaPerType, SotwPerType])
def test_a_route_in_use_since_a_refused_response_keeps_its_clusters(machine: type[Conversations]) -> None:
    conversations = begun(machine)
    for type_url in (R, L, P, X):
        conversations.change_one_type(type_url=type_url, bodies=("1", "1", None), needs=NOTHING)
    conversations.settle()
    conversations.change_one_type(type_url=R, bodies=("2", "bad1", None), needs=frozenset({"c3"}))
    conversations.change(edits=[((C, "c3"), None, NOTHING), ((R, "r1"), "bad2", NOTHING)])
    conversations.teardown()
