"""What is kept of nodes that left is bounded, whatever they held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.xds.machine.conversation import C, res, view
from xds_server.protocol import DeltaStream, Node, Request, Stream
from xds_server.server import nodes
from xds_server.server.nodes import NodeStatus


@dataclass(eq=False)
class Member:
    stream: Stream[Any]
    variant: str = "delta"
    gateway: str = "edge"


def come_and_go(status: NodeStatus, node_id: str, clusters: int) -> None:
    stream = DeltaStream()
    stream.on_view(view(*(res(C, f"c{each}") for each in range(clusters))))
    stream.on_request(Request(C), 0.0)
    (response,) = stream.poll(0.0)
    stream.on_request(Request(C, nonce=response.nonce), 0.0)
    node, member = Node(node_id), Member(stream)
    status.join(node, member)
    status.leave(node, member)


def test_H11_D9_the_details_of_nodes_that_left_are_kept_of_the_last_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nodes, "_IN_FULL", 100)
    status = NodeStatus()
    for number in range(20):
        come_and_go(status, f"node-{number:02}", 30)

    told = {number: status.one(f"node-{number:02}") for number in range(20)}
    clusters = {number: each["streams"][0]["types"]["Cluster"] for number, each in told.items() if each}
    assert len(clusters) == 20
    assert [number for number, each in clusters.items() if "resources" in each] == [17, 18, 19]
    assert all(each["held"] == 30 for each in clusters.values())
    assert [each["streams"][0]["types"]["Cluster"]["subscribed"] for each in status.all()] == ["*"] * 20


def test_H11_when_all_nodes_leave_at_once_only_the_first_are_told_of_in_detail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = 1000.0
    monkeypatch.setattr(nodes, "_AT_ONCE", 100)
    monkeypatch.setattr(nodes, "monotonic", lambda: clock)
    status = NodeStatus()
    for node_id, clusters in (("large", 150), ("small", 30)):
        come_and_go(status, node_id, clusters)
    clock += 10
    for number in range(5):
        come_and_go(status, f"node-{number}", 30)

    told = {each["id"]: status.one(each["id"]) for each in status.all()}
    types = {node_id: each["streams"][0]["types"]["Cluster"] for node_id, each in told.items() if each}
    assert [node_id for node_id, each in types.items() if "resources" in each] == [
        "large",
        "node-0",
        "node-1",
        "node-2",
    ]
    assert types["small"] == status.all()[-1]["streams"][0]["types"]["Cluster"]
    assert (types["small"]["held"], types["small"]["subscribed"]) == (30, "*")
