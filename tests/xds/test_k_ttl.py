"""Section K: there are no TTLs, over the wire."""

from __future__ import annotations

import pytest

from tests.xds.conftest import Publish
from tests.xds.exchange import VARIANTS, Connect, bodies, heard, res, told_of, until
from xds_server.protocol import types as t
from xds_server.server import ControlPlane

FEATURES = pytest.mark.parametrize(
    "features", [(), ("xds.config.supports-resource-ttl",)], ids=["without", "announced"]
)


@VARIANTS
@FEATURES
async def test_K1_K2_K6_no_resource_of_any_type_has_a_ttl(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str, features: tuple[str, ...]
) -> None:
    await publish(*(res(type_url, "a") for type_url in t.ORDER))
    client = connect(variant)
    for type_url in t.ORDER:
        request = client.request(type_url)
        if not client.met:
            request.node.client_features.extend(features)
        (request.resource_names_subscribe if variant == "delta" else request.resource_names).append("a")
        await client.send(request)
        response = await client.hear()
        assert bodies(response) == ["a"]
        (resource,) = response.resources
        if variant == "delta":
            assert not resource.HasField("ttl")
        else:
            # A TTL in state of the world would be in a wrapper around the resource.
            assert resource.type_url == type_url
        await client.ack(type_url, "a")
    await until(lambda: all(told_of(plane, type_url)["acked"] == 1 for type_url in t.ORDER))
    assert all(told_of(plane, type_url)["responses"] == 1 for type_url in t.ORDER)
    assert [each.type_url for each in await heard(client)] == []
