"""LRS: what nodes report of their load, pure and over the wire."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from prometheus_client import Counter

from tests.server.planes import (
    PATIENCE,
    boot,
    catalogue,
    cluster,
    get,
    local_channel,
    message,
    serving,
    until,
)
from tests.xds.raw_client import RawClient
from xds_server.protocol import Node
from xds_server.server import ControlPlane, Limits, load_reports
from xds_server.server.load_reports import Load, LoadReports, Place

V3 = "envoy.service.load_stats.v3."
STREAM = f"/{V3}LoadReportingService/StreamLoadStats"
NODE = Node("n", "edge", "eu")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Store:
    """Reports about clusters whose name starts with `c`, on a clock of the test's own."""

    def __init__(self, keep: float = 900.0) -> None:
        self.clock = Clock()
        self.counter = Counter("loads", "for the test", ["cluster", "outcome"], registry=None)
        self.reports = LoadReports(self.counter, lambda name: name.startswith("c"), self.clock, keep)

    def count(self, name: str, outcome: str) -> float:
        value: float = self.counter.labels(name, outcome)._value.get()
        return value

    def labels(self) -> set[str]:
        return {sample.labels["cluster"] for metric in self.counter.collect() for sample in metric.samples}


def test_P4_the_last_report_and_the_totals_by_cluster_and_locality() -> None:
    store = Store()
    store.reports.join(NODE)
    eu, us = Place("c1", "eu", "a"), Place("c1", "us")
    store.reports.take(NODE, [(eu, Load(3, 1, 5, 0, 2)), (us, Load(1, 0, 1)), (Place("c1"), Load(dropped=7))])
    store.clock.now += 10
    store.reports.take(NODE, [(eu, Load(2, 0, 3, 0, 1))])
    told = store.reports.describe()
    assert told["clusters"] == {
        "c1": {"succeeded": 6, "failed": 1, "issued": 9, "dropped": 7, "in_progress": 1}
    }
    (node,) = told["nodes"]
    assert (node["id"], node["gateway"], node["region"], node["connected"]) == ("n", "edge", "eu", True)
    rows = {(row["region"], row["zone"]): row for row in node["loads"]}
    assert rows["eu", "a"]["last"] == Load(2, 0, 3, 0, 1)._asdict()
    assert rows["eu", "a"]["total"] == Load(5, 1, 8, 0, 1)._asdict()
    assert rows["us", ""]["at"] < rows["eu", "a"]["at"] == node["reported"]
    assert (store.count("c1", "succeeded"), store.count("c1", "dropped")) == (6, 7)


def test_P4_a_node_that_left_is_forgotten_after_a_while() -> None:
    store = Store(keep=60)
    for _ in range(2):
        store.reports.join(NODE)
    store.reports.take(NODE, [(Place("c"), Load(1))])
    store.reports.leave(NODE)
    assert store.reports.describe()["nodes"][0]["connected"] is True
    store.reports.leave(NODE)
    store.clock.now += 59
    assert store.reports.describe()["nodes"][0]["connected"] is False
    store.clock.now += 1
    assert store.reports.describe() == {"clusters": {}, "nodes": []}
    # What is counted over the fleet is not taken back.
    assert store.count("c", "succeeded") == 1


def test_P4_a_client_can_make_neither_time_series_nor_rows_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(load_reports, "_LABELS", 2)
    monkeypatch.setattr(load_reports, "_ROWS", 3)
    monkeypatch.setattr(load_reports, "_REMEMBERED", 2)
    store = Store()
    store.reports.join(NODE)
    for name in ("unheard of", "c1", "c2", "c3", "c1"):
        store.reports.take(NODE, [(Place(name), Load(1))])
    assert store.labels() == {"c1", "c2", "other"}
    assert store.count("c1", "succeeded") == 2
    assert store.count("other", "succeeded") == 2
    (node,) = store.reports.describe()["nodes"]
    assert (len(node["loads"]), node["left_out"]) == (3, 1)
    for number in range(4):
        gone = Node(f"gone {number}")
        store.reports.join(gone)
        store.reports.leave(gone)
    assert [each["id"] for each in store.reports.describe()["nodes"]] == ["gone 2", "gone 3", "n"]


class Reporter:
    """A client of the load reporting service."""

    def __init__(self, plane: ControlPlane, *features: str, node: str = "node-1") -> None:
        self.channel = local_channel(plane.xds_port)
        self.call: Any = self.channel.stream_stream(STREAM)()
        self.node, self.features, self.met = node, features, False

    async def say(self, **clusters: int) -> None:
        """Report successful requests by cluster."""
        report = message(V3 + "LoadStatsRequest")
        if not self.met:
            report.node.id, report.node.cluster, report.node.locality.region = self.node, "edge", "eu"
            report.node.client_features.extend(self.features)
            self.met = True
        for name, succeeded in clusters.items():
            stats = report.cluster_stats.add()
            stats.cluster_name = name
            locality = stats.upstream_locality_stats.add()
            locality.locality.region, locality.total_successful_requests = "eu", succeeded
            locality.total_issued_requests = succeeded
        await self.call.write(report.SerializeToString())

    async def hear(self) -> Any:
        return message(V3 + "LoadStatsResponse", await asyncio.wait_for(self.call.read(), PATIENCE))

    async def close(self) -> None:
        self.call.cancel()
        await self.channel.close()


async def test_P4_B9_a_client_that_knows_how_is_asked_for_all_clusters() -> None:
    async with serving(load_interval=2.5) as plane:
        await plane.publish(catalogue(1, cluster("a")))
        reporter = Reporter(plane, "envoy.lrs.supports_send_all_clusters")
        await reporter.say()
        answer = await reporter.hear()
        assert answer.send_all_clusters is True
        assert list(answer.clusters) == []
        assert (answer.load_reporting_interval.seconds, answer.load_reporting_interval.nanos) == (
            2,
            500_000_000,
        )
        await reporter.say(a=3)
        await reporter.say(a=4, stranger=1)
        await until(lambda: plane.loads.describe()["clusters"].get("stranger"))
        told = (await get(plane, "/loads")).json()
        assert told["clusters"]["a"]["succeeded"] == 7
        assert told["nodes"][0]["loads"][0]["last"]["succeeded"] == 4
        metrics = (await get(plane, "/metrics")).text
        assert 'fairlead_load_requests_total{cluster="a",outcome="succeeded"} 7.0' in metrics
        assert 'fairlead_load_requests_total{cluster="other",outcome="issued"} 1.0' in metrics
        assert "stranger" not in metrics
        assert "node-1" not in metrics
        await reporter.close()
        await until(lambda: not plane.loads.describe()["nodes"][0]["connected"])


async def test_P4_B9_another_client_is_asked_for_the_clusters_that_it_holds() -> None:
    async with serving() as plane:
        await plane.publish(catalogue(1, cluster("b"), cluster("a")))
        client, reporter = RawClient(plane.xds_port), Reporter(plane)
        await reporter.say()
        answer = await reporter.hear()
        assert (answer.send_all_clusters, list(answer.clusters)) == (False, [])
        await boot(client)
        await until(lambda: plane.nodes.held("node-1", "edge", cluster("a").type_url))
        await reporter.say()
        assert list((await reporter.hear()).clusters) == ["a", "b"]
        await reporter.say(a=1)
        await plane.publish(catalogue(2, cluster("a"), cluster("b"), cluster("c")))
        await client.hear()
        await client.ack(cluster("a").type_url)
        await until(lambda: len(plane.nodes.held("node-1", "edge", cluster("a").type_url)) == 3)
        await reporter.say(a=1)
        # Nothing was said to the report before, because nothing had changed.
        assert list((await reporter.hear()).clusters) == ["a", "b", "c"]
        for each in (client, reporter):
            await each.close()


async def test_P4_a_stream_without_a_node_or_over_the_limit_is_refused() -> None:
    async with serving(limits=Limits(streams=1)) as plane:
        nobody = Reporter(plane, node="")
        await nobody.say()
        assert await asyncio.wait_for(nobody.call.code(), PATIENCE) == grpc.StatusCode.INVALID_ARGUMENT
        first = Reporter(plane)
        await first.say()
        await first.hear()
        second = Reporter(plane)
        assert await asyncio.wait_for(second.call.code(), PATIENCE) == grpc.StatusCode.RESOURCE_EXHAUSTED
        for each in (nobody, first, second):
            await each.close()


async def test_an_open_stream_of_reports_or_questions_does_not_hold_up_the_end() -> None:
    async with serving() as plane:
        reporter = Reporter(plane)
        await reporter.say()
        await reporter.hear()
        channel = local_channel(plane.xds_port)
        asking: Any = channel.stream_stream(
            "/envoy.service.status.v3.ClientStatusDiscoveryService/StreamClientStatus"
        )()
        await asking.write(b"")
        await asyncio.wait_for(asking.read(), PATIENCE)
        await asyncio.wait_for(plane.stop(grace=3600), PATIENCE)
        assert await reporter.call.code() == grpc.StatusCode.OK
        assert await asking.code() == grpc.StatusCode.OK
        await channel.close()
        await reporter.close()
