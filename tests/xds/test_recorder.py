"""The recorder passes everything on as it is, and tells what went by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest

from tests.xds.conftest import Publish
from tests.xds.raw_client import PATIENCE, RawClient
from tests.xds.recorder import Recorder
from tests.xds.simple_fleet import cluster, endpoints, route
from xds_server.protocol.types import CLUSTER, ENDPOINT, ROUTE
from xds_server.server import ControlPlane

Clients = Callable[..., RawClient]


@pytest.fixture
async def recorder(plane: ControlPlane) -> AsyncIterator[Recorder]:
    async with Recorder(plane.xds_port) as running:
        yield running


@pytest.fixture
async def client(recorder: Recorder) -> AsyncIterator[Clients]:
    clients: list[RawClient] = []

    def make(variant: str, **options: str) -> RawClient:
        clients.append(RawClient(recorder.port, variant, **options))
        return clients[-1]

    yield make
    for each in clients:
        await each.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


@pytest.mark.parametrize("variant", ["delta", "sotw"])
async def test_both_directions_are_on_record(
    recorder: Recorder, publish: Publish, client: Clients, variant: str
) -> None:
    await publish(cluster("c"), endpoints("c", 80), route("r", "c"))
    speaker = client(variant)
    for type_url, names in ((CLUSTER, ()), (ENDPOINT, ("c",)), (ROUTE, ("r",))):
        await speaker.say(type_url, *names)
        await speaker.hear()
        await speaker.ack(type_url, *names)
    await until(lambda: len(recorder.trace) == 10)
    opened, *messages = recorder.trace
    assert (opened.kind, opened.variant) == ("open", variant)
    assert opened.by.startswith("envoy.service.discovery.v3.AggregatedDiscoveryService/")
    assert [each.kind for each in messages] == ["request", "response", "request"] * 3
    asked, answered, taken = messages[:3]
    assert (asked.type_url, asked.names, asked.nonce) == (CLUSTER, (), "")
    assert answered.nonce == taken.nonce == speaker.nonces[CLUSTER]
    (item,) = answered.items
    assert (item.name, item.inner_name, item.type_url, item.warms) == ("c", "c", CLUSTER, "c")
    assert bool(item.version) == (variant == "delta")
    assert messages[4].items[0].name == "c"
    assert messages[7].items[0].refers == {"c"}
    assert [each.at for each in recorder.trace] == sorted(each.at for each in recorder.trace)


async def test_an_error_a_removal_and_what_is_held_are_on_record(
    recorder: Recorder, publish: Publish, client: Clients
) -> None:
    await publish(cluster("c"))
    speaker = client("delta")
    await speaker.say(CLUSTER, "*", "gone", held={"c": "1"})
    answer = await speaker.hear()
    assert list(answer.removed_resources) == ["gone"]
    await speaker.nack(CLUSTER, "no thanks")
    await speaker.say(CLUSTER, unsubscribe=("gone",))
    await until(lambda: len(recorder.trace) >= 5)
    _, asked, answered, refused, dropped = recorder.trace[:5]
    assert (asked.names, asked.held) == (("*", "gone"), {"c": "1"})
    assert answered.removed == ("gone",)
    assert refused.error == "no thanks"
    assert dropped.removed == ("gone",)


@pytest.mark.parametrize("variant", ["delta", "sotw"])
async def test_a_service_of_one_type_is_passed_on_too(
    recorder: Recorder, publish: Publish, client: Clients, variant: str
) -> None:
    await publish(cluster("c"))
    speaker = client(variant, method="envoy.service.cluster.v3.ClusterDiscoveryService/{}Clusters")
    await speaker.say("")
    assert len((await speaker.hear()).resources) == 1
    assert recorder.trace[1].type_url == CLUSTER


async def test_cut_streams_end_and_may_come_again(
    recorder: Recorder, publish: Publish, client: Clients
) -> None:
    await publish(cluster("c"))
    for number in (1, 2):
        speaker = client("delta")
        await speaker.say(CLUSTER)
        await speaker.hear()
        assert recorder.cut() == 1
        assert await speaker.status() is grpc.StatusCode.UNAVAILABLE
        await until(lambda: recorder.open_streams == 0)
        assert (recorder.trace[-1].kind, recorder.trace[-1].stream) == ("end", number)
        assert recorder.trace[-1].by == "recorder"


async def test_the_end_of_a_stream_is_passed_on_and_its_author_on_record(
    recorder: Recorder, plane: ControlPlane, publish: Publish, client: Clients
) -> None:
    await publish(cluster("c"))
    speaker = client("delta")
    await speaker.say("")
    assert await speaker.status() is grpc.StatusCode.INVALID_ARGUMENT
    await until(lambda: recorder.trace[-1].kind == "end")
    assert recorder.trace[-1].by == "server"
    another = client("delta")
    await another.say(CLUSTER)
    await another.hear()
    await another.close()
    await until(lambda: recorder.trace[-1].kind == "end" and recorder.trace[-1].stream == 2)
    assert recorder.trace[-1].by == "client"
    await plane.stop(0)
    late = client("delta")
    await late.say(CLUSTER)
    assert await late.status() is grpc.StatusCode.UNAVAILABLE


async def test_held_acks_reach_the_server_when_they_are_let_go(
    recorder: Recorder, publish: Publish, client: Clients, plane: ControlPlane
) -> None:
    await publish(cluster("c"))
    speaker = client("delta")
    recorder.hold_acks()
    await speaker.say(CLUSTER)
    await speaker.hear()
    await speaker.ack(CLUSTER)
    await publish(cluster("c"), cluster("d"))
    assert recorder.trace[-1].kind == "response"
    recorder.hold_acks(False)
    answer = await speaker.hear()
    assert [each.name for each in answer.resources] == ["d"]
    assert [each.kind for each in recorder.trace[-2:]] == ["request", "response"]


async def test_silence_holds_both_directions(recorder: Recorder, publish: Publish, client: Clients) -> None:
    await publish(cluster("c"))
    speaker = client("delta")
    await speaker.say(CLUSTER)
    await speaker.hear()
    recorder.silent()
    await speaker.ack(CLUSTER)
    await publish(cluster("c"), cluster("d"))
    said = len(recorder.trace)
    recorder.silent(False)
    await speaker.hear()
    assert [each.kind for each in recorder.trace[said:]] == ["request", "response"]
