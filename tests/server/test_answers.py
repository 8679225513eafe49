from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from tests.xds.machine.conversation import C, Delta, res
from xds_server.server.answers import report
from xds_server.server.metrics import Metrics


def reported(client: Delta) -> list[Any]:
    metrics = Metrics()
    with capture_logs() as logs:
        for event in client.events:
            report(event, "node-1", metrics)
    assert metrics.refused.labels("Cluster")._value.get() == len(client.events)
    return logs


def test_D9_each_resource_that_is_named_is_told_of_with_its_manifest() -> None:
    client = Delta()
    client.see(res(C, "a"), res(C, "b"), res(C, "c"))
    client.sub(C)
    client.nack(C, "a and b are bad")
    logs = reported(client)
    assert [(line["resource"], line["origin"]) for line in logs] == [("a", "a.yaml:1"), ("b", "b.yaml:1")]
    assert {line["error"] for line in logs} == {"a and b are bad"}
    assert {line["node"] for line in logs} == {"node-1"}


def test_D9_suspects_are_told_of_in_one_line_and_who_was_refused_alone_in_another() -> None:
    client = Delta()
    client.see(*(res(C, f"c{number:02}") for number in range(16)))
    client.sub(C)
    for _ in range(5):
        client.nack(C, "something is wrong")
    logs = reported(client)
    assert [line.get("suspects") for line in logs] == [16, 8, 4, 2, None]
    assert logs[0]["first_suspects"] == [f"c{number:02}" for number in range(10)]
    assert logs[-1]["resource"] == "c00"


def test_D9_a_refused_removal_is_told_of_too() -> None:
    client = Delta(cluster_grace=0.0)
    client.see(res(C, "a"))
    client.sub(C)
    client.ack(C)
    client.events.clear()
    client.see()
    client.nack(C, "never")
    (line,) = reported(client)
    assert (line["resource"], line["suspects"], line["error"]) == (None, 0, "never")
