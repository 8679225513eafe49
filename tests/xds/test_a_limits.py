"""Section A: large requests, large responses, many streams."""

from __future__ import annotations

import asyncio

import grpc

from tests.xds.conftest import Publish
from tests.xds.exchange import VARIANTS, C, Connect, E, bodies, removed, res
from tests.xds.raw_client import RawClient, names
from xds_server.server import ControlPlane

DEFAULT_LIMIT = 4 << 20
"""What gRPC clients take in one message unless told otherwise."""


@VARIANTS
async def test_A8_a_request_of_5_megabytes_is_answered(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(E, "a"), res(E, "b"))
    client = connect(variant)
    many = [f"{number:06d}-{'x' * 60}" for number in range(75_000)]
    request = client.request(E)
    asked = request.resource_names_subscribe if variant == "delta" else request.resource_names
    asked.extend(["a", *many, "b"])
    assert request.ByteSize() > 5_000_000
    await client.send(request)
    response = await client.hear()
    assert names(response) == ["a", "b"]
    if variant == "delta":
        assert len(removed(response)) == len(many)
    await client.ack(E, "a", "b")
    await publish(res(E, "a", " 2"), res(E, "b"))
    assert bodies(await client.hear()) == ["a 2"]


@VARIANTS
async def test_A9_who_names_what_it_needs_stays_under_grpcs_limit(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    await publish(*(res(C, f"{number:02d}", "x" * 1_000_000) for number in range(20)))
    channel = grpc.aio.insecure_channel(
        f"127.0.0.1:{plane.xds_port}", options=[("grpc.max_receive_message_length", DEFAULT_LIMIT)]
    )
    client = connect(variant, channel=channel)
    await client.say(C, "03", "17")
    response = await client.hear()
    assert [body[:2] for body in bodies(response)] == ["03", "17"]
    assert response.ByteSize() < DEFAULT_LIMIT


@VARIANTS
async def test_A9_a_response_of_20_megabytes_is_sent_whole(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(*(res(C, f"{number:02d}", "x" * 1_000_000) for number in range(20)))
    client = connect(variant)
    await client.say(C)
    assert len((await client.hear()).resources) == 20


async def test_A12_five_hundred_streams(connect: Connect, publish: Publish, plane: ControlPlane) -> None:
    await publish(res(C, "a"))
    first = connect(node="0")
    more = (connect(node=str(number), channel=first.channel) for number in range(1, 500))
    clients = [first, *more]

    async def boot(client: RawClient) -> None:
        await client.say(C)
        assert names(await client.hear()) == ["a"]
        await client.ack(C)

    await asyncio.gather(*(boot(client) for client in clients))
    assert plane.nodes.connected() == 500
    await publish(res(C, "a", "2"))
    for response in await asyncio.gather(*(client.hear() for client in clients)):
        assert names(response) == ["a"]
