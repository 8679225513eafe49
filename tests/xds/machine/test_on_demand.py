"""Clusters asked for by name on top of the wildcard, as Envoy's on-demand filter does (rows M6 to M9, E8)."""

from __future__ import annotations

import pytest

from tests.xds.machine.conversation import C, Delta, R, Sotw, res, said

VIRTUAL_HOST = "type.googleapis.com/envoy.config.route.v3.VirtualHost"


def test_M6_a_name_on_top_of_the_wildcard_is_answered_and_the_wildcard_goes_on() -> None:
    client = Delta()
    client.see(res(C, "a"), res(C, "dyn"))
    client.sub(C)
    client.ack(C)
    assert said(client.sub(C, "dyn")) == [("Cluster", ["dyn"], [])]
    client.ack(C)
    assert said(client.see(res(C, "a", "2"), res(C, "b"), res(C, "dyn"))) == [("Cluster", ["a", "b"], [])]


def test_M6_in_state_of_the_world_the_set_does_not_shrink_to_the_names() -> None:
    client = Sotw()
    client.see(res(C, "a"), res(C, "dyn"))
    client.ask(C)
    client.ack(C)
    (response,) = client.ask(C, "*", "dyn", nonce=client.nonces[C], version=client.versions[C])
    assert [r.name for r in response.resources] == ["a", "dyn"]
    client.ack(C, "*", "dyn")
    (response,) = client.see(res(C, "a"), res(C, "b"), res(C, "dyn"))
    assert [r.name for r in response.resources] == ["a", "b", "dyn"]


def test_M7_an_unknown_name_is_called_removed_at_once() -> None:
    client = Delta()
    client.see(res(C, "a"))
    client.sub(C)
    client.ack(C)
    assert said(client.sub(C, "gone")) == [("Cluster", [], ["gone"])]
    assert client.ack(C) == []
    # Envoy asks again at the next request, if it does not know the answer any more.
    assert said(client.sub(C, "gone")) == [("Cluster", [], ["gone"])]


def test_M7_in_state_of_the_world_a_set_without_the_name_answers() -> None:
    client = Sotw()
    client.see(res(C, "a"))
    client.ask(C)
    client.ack(C)
    answer = client.ask(C, "*", "gone", nonce=client.nonces[C], version=client.versions[C])
    assert said(answer) == [("Cluster", ["a"], [])]
    assert client.ack(C, "*", "gone") == []


def test_M8_a_cluster_that_comes_back_is_sent_without_being_asked_for_again() -> None:
    client = Delta(cluster_grace=0.0)
    client.see(res(C, "a"), res(C, "dyn"))
    client.sub(C)
    client.ack(C)
    client.sub(C, "dyn")
    client.ack(C)
    assert said(client.see(res(C, "a"))) == [("Cluster", [], ["dyn"])]
    assert client.ack(C) == []
    assert said(client.see(res(C, "a"), res(C, "dyn"))) == [("Cluster", ["dyn"], [])]


def test_M8_a_name_called_missing_is_sent_when_it_comes_to_be() -> None:
    client = Delta()
    client.see(res(C, "a"))
    client.sub(C)
    client.ack(C)
    client.sub(C, "dyn")
    client.ack(C)
    assert said(client.see(res(C, "a"), res(C, "dyn"))) == [("Cluster", ["dyn"], [])]


def test_M9_a_client_comes_back_with_everything_and_names() -> None:
    client = Delta(cluster_grace=0.0)
    a, dyn = res(C, "a"), res(C, "dyn")
    client.see(a, dyn)
    answer = client.sub(C, "*", "dyn", "gone", "lost", initial_versions={"a": a.version, "lost": "1"})
    assert said(answer) == [("Cluster", ["dyn"], ["gone", "lost"])]
    client.ack(C)
    assert client.stream.channels[C].quiet
    assert said(client.see(a, dyn, res(C, "new"))) == [("Cluster", ["new"], [])]


@pytest.mark.parametrize("type_url", [VIRTUAL_HOST, R])
def test_E8_an_empty_first_request_for_what_is_fetched_on_demand_asks_for_nothing(type_url: str) -> None:
    for client in (Delta(), Sotw()):
        client.see(res(type_url, "a"), res(type_url, "b"))
        assert client.request(type_url) == []
        assert client.see(res(type_url, "a", "2")) == []


def test_E8_a_named_first_request_for_clusters_is_no_wildcard() -> None:
    client = Delta()
    client.see(res(C, "a"), res(C, "dyn"))
    assert said(client.sub(C, "dyn")) == [("Cluster", ["dyn"], [])]
    client.ack(C)
    assert client.see(res(C, "a", "2"), res(C, "dyn")) == []
