"""Streams with a maximum age."""

from __future__ import annotations

import pytest

from tests.server.planes import C, boot, catalogue, cluster, local_channel, serving, until
from tests.xds.raw_client import RawClient, names


@pytest.mark.parametrize("variant", ["delta", "sotw"])
async def test_A11_H1_F11_an_old_connection_is_told_to_go_and_coming_back_costs_nothing(variant: str) -> None:
    # Each connection has that, and a second more, for all that is said on it.
    async with serving(max_stream_age=2.0) as plane:
        await plane.publish(catalogue(1, cluster("a")))
        client = RawClient(plane.xds_port, variant, channel=local_channel(plane.xds_port))
        first = await boot(client)
        # The connection is closed from the other side, though the stream did nothing wrong.
        await client.status()
        await until(lambda: plane.nodes.connected() == 0)
        sent = plane.metrics.responses.labels("Cluster")._value.get()
        client.call = client.channel.stream_stream(client.path)()
        client.met = False
        if variant == "delta":
            await client.say(C, held={"a": first.resources[0].version})
        else:
            await client.say(C, version=first.version_info)
        await until(lambda: (plane.nodes.one("node-1") or {}).get("synced"))
        assert plane.metrics.responses.labels("Cluster")._value.get() == sent
        await plane.publish(catalogue(2, cluster("b")))
        assert "b" in names(await client.hear())
        await client.close()
