"""gRPC's own xDS client against the real server: a service calls a model without any proxy (section Q)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.compiler.test_compiler import Fleet
from tests.envoy_process import wait_until
from tests.graph import world as w
from tests.server.planes import serving
from tests.xds.grpc_client import GrpcClient, grpc_backend
from tests.xds.recorder import Recorder
from tests.xds.simple_fleet import resource
from xds_server.protocol import types as t
from xds_server.server import ControlPlane
from xds_server.snapshot import Audience, Catalogue

LLAMA = "xds:///acme/models/llama"


async def off(function: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(function, *arguments)


@pytest.fixture
def backends() -> Iterator[tuple[int, int]]:
    with grpc_backend("one") as one, grpc_backend("two") as two:
        yield one, two


class Services:
    """Policies with a gateway of clients without Envoy, compiled one after the other."""

    def __init__(self) -> None:
        self._fleet = Fleet()

    def compile(self, *models: w.Manifest, workspaces: tuple[str, ...] = ("acme",)) -> Catalogue:
        services = w.manifest("Gateway", "services", {"proxyless": {"workspaces": list(workspaces)}})
        base = (*w.FLEET, services, w.workspace(), w.workspace("beta"), w.location("lab"))
        return self._fleet.compile(*base, *models)


def revision(name: str, port: int, **more: Any) -> w.Manifest:
    return w.revision(name, w.backend("lab", f"127.0.0.1:{port}"), **more)


def model(*revisions: w.Manifest, name: str = "llama", **more: Any) -> w.Manifest:
    return w.model(name, w.deployment(*revisions), **more)


async def until(client: GrpcClient, words: str) -> None:
    await off(wait_until, lambda: client.call() == words, f"an answer {words!r}")


def seen(plane: ControlPlane) -> dict[str, Any]:
    told = plane.nodes.one("grpc-1")
    assert told is not None
    types: dict[str, Any] = told["streams"][0]["types"]
    return types


async def test_Q1_Q2_a_service_calls_a_model_by_its_path_and_follows_changes(
    plane: ControlPlane, backends: tuple[int, int]
) -> None:
    one, two = backends
    services = Services()
    await plane.publish(services.compile(model(revision("v1", one))))
    with GrpcClient(LLAMA, plane.xds_port) as client:
        assert await off(client.call) == "one"
        types = seen(plane)
        assert types["Listener"]["subscribed"] == ["acme/models/llama"]  # by name, never everything
        assert types["Cluster"]["subscribed"] == ["acme/models/llama/production/v1"]
        assert not any(each["nacked"] for each in types.values())
        # Another split.
        both = model(revision("v1", one, weight=0), revision("v2", two, weight=1))
        await plane.publish(services.compile(both))
        await until(client, "two")
        # Another backend.
        await plane.publish(
            services.compile(model(revision("v1", one, weight=0), revision("v2", one, weight=1)))
        )
        await until(client, "one")
        # Nothing any more.
        await plane.publish(services.compile())
        await until(client, "UNAVAILABLE")
        # And again: the name was remembered.
        await plane.publish(services.compile(model(revision("v1", two))))
        await until(client, "two")


async def test_Q2_a_split_is_kept_by_weight_and_a_place_with_several_backends_too(
    plane: ControlPlane, backends: tuple[int, int]
) -> None:
    one, two = backends
    await plane.publish(
        Services().compile(
            model(revision("v1", one, weight=1), revision("v2", two, weight=1)),
            model(
                w.revision(
                    "v1",
                    w.backend("lab", f"127.0.0.1:{one}", weight=3),
                    w.backend("lab", f"127.0.0.1:{two}", weight=1),
                ),
                name="wide",
            ),
        )
    )
    with GrpcClient(LLAMA, plane.xds_port) as client:
        answers = [await off(client.call) for _ in range(200)]
    assert set(answers) == {"one", "two"}
    assert 60 < answers.count("one") < 140
    with GrpcClient("xds:///acme/models/wide", plane.xds_port) as client:
        await until(client, "one")
        await until(client, "two")
        answers = [await off(client.call) for _ in range(200)]
    assert set(answers) == {"one", "two"}
    assert 120 < answers.count("one") < 180


async def test_Q1_another_environment_has_a_name_of_its_own(
    plane: ControlPlane, backends: tuple[int, int]
) -> None:
    one, two = backends
    both = w.model(
        "llama", w.deployment(revision("v1", one)), w.deployment(revision("v1", two), to="development")
    )
    await plane.publish(Services().compile(both))
    for target, words in ((LLAMA, "one"), (f"{LLAMA}/production", "one"), (f"{LLAMA}/development", "two")):
        with GrpcClient(target, plane.xds_port) as client:
            assert await off(client.call) == words
    with GrpcClient(f"{LLAMA}/staging", plane.xds_port) as client:
        assert await off(client.call) == "UNAVAILABLE"


async def test_a_workspace_that_the_gateway_does_not_name_is_not_there(
    plane: ControlPlane, backends: tuple[int, int]
) -> None:
    one, two = backends
    services = Services()
    models = (model(revision("v1", one)), model(revision("v1", two), within="beta"))
    await plane.publish(services.compile(*models))
    with GrpcClient("xds:///beta/models/llama", plane.xds_port) as client:
        assert await off(client.call) == "UNAVAILABLE"
        await plane.publish(services.compile(*models, workspaces=("acme", "beta")))
        await until(client, "two")
        await plane.publish(services.compile(*models))
        await until(client, "UNAVAILABLE")


async def test_Q2_a_name_is_resolved_and_the_next_place_takes_over(
    plane: ControlPlane, backends: tuple[int, int]
) -> None:
    one, two = backends
    revisions = w.revision(
        "v1", w.backend("lab", f"localhost:{one}"), w.backend("lab", f"127.0.0.1:{two}", standby=True)
    )
    services = Services()
    await plane.publish(services.compile(model(revisions)))
    with GrpcClient(LLAMA, plane.xds_port) as client:
        assert await off(client.call) == "one"
        with grpc_backend("gone") as gone:
            pass
        away = w.revision(
            "v1", w.backend("lab", f"localhost:{gone}"), w.backend("lab", f"127.0.0.1:{two}", standby=True)
        )
        await plane.publish(services.compile(model(away)))
        await until(client, "two")
        assert not any(each["nacked"] for each in seen(plane).values())


@pytest.fixture
async def recorder(plane: ControlPlane) -> AsyncIterator[Recorder]:
    async with Recorder(plane.xds_port) as running:
        yield running


async def test_Q3_what_grpc_refuses_is_named_with_code_3_and_the_rest_of_the_response_is_used(
    plane: ControlPlane, recorder: Recorder, backends: tuple[int, int]
) -> None:
    one, two = backends
    good = Services().compile(model(revision("v1", one, weight=1), revision("v2", two, weight=1)))
    view = good.view(Audience("services", "lab"))
    assert view is not None
    bad = resource(
        "acme/models/llama/production/v2",
        "envoy.config.cluster.v3.Cluster",
        {"name": "acme/models/llama/production/v2", "type": "STRICT_DNS"},
    )
    own = {kind: dict(view.layers[1][kind]) for kind in view.layers[1]}
    own[t.CLUSTER][bad.name] = bad
    await plane.publish(
        Catalogue(9, shared={}, gateways={"services": own}, private={"services": lambda _: view.layers[2]})
    )
    with GrpcClient(LLAMA, recorder.port) as client:
        await until(client, "one")  # the good half of the response is in use
        refused = [each for each in recorder.trace if each.kind == "request" and each.error is not None]
        assert refused
        assert {each.type_url for each in refused} == {t.CLUSTER}
        assert {each.code for each in refused} == {3}
        assert all(bad.name in str(each.error) for each in refused)
        seen_now = seen(plane)["Cluster"]
        assert bad.name in seen_now["last_nacked"]["error"]
        assert [each["name"] for each in seen_now["resources"] if each["nacked"]] == [bad.name]
        await plane.publish(good)
        await until(client, "two")
        assert not any(each["nacked"] for each in seen(plane)["Cluster"]["resources"])


async def test_Q4_a_client_that_comes_back_asks_in_its_own_order_and_is_served(
    plane: ControlPlane, recorder: Recorder, backends: tuple[int, int]
) -> None:
    one, two = backends
    services = Services()
    await plane.publish(services.compile(model(revision("v1", one))))
    with GrpcClient(LLAMA, recorder.port) as client:
        assert await off(client.call) == "one"
        first = recorder.trace[0].stream
        assert recorder.cut() == 1
        await plane.publish(services.compile(model(revision("v1", two))))
        await until(client, "two")
        again = [each for each in recorder.trace if each.kind == "request" and each.stream != first]
        assert again[0].node == "grpc-1"
        assert {each.type_url for each in again} == {t.LISTENER, t.ROUTE, t.CLUSTER, t.ENDPOINT}
        assert all(each.names for each in again)
        assert {each.error for each in again} == {None}


async def test_Q4_a_server_that_comes_back_changes_nothing_and_then_serves_what_changed(
    backends: tuple[int, int],
) -> None:
    one, two = backends
    services = Services()
    catalogue = services.compile(model(revision("v1", one)))
    async with AsyncExitStack() as running:
        before = await running.enter_async_context(serving())
        await before.publish(catalogue)
        client = running.enter_context(GrpcClient(LLAMA, before.xds_port))
        assert await off(client.call) == "one"
        await before.stop(0)
        assert await off(client.call) == "one"  # without anybody to ask
        after = await running.enter_async_context(serving(before.xds_port))
        await after.publish(catalogue)
        await off(wait_until, lambda: after.nodes.one("grpc-1"), "the client on the new server")
        assert await off(client.call) == "one"
        await after.publish(services.compile(model(revision("v1", two))))
        await until(client, "two")
        assert not any(each["nacked"] for each in seen(after).values())


async def test_Q5_each_response_holds_all_that_was_named_and_exists_not_only_what_changed(
    plane: ControlPlane, recorder: Recorder, backends: tuple[int, int]
) -> None:
    one, two = backends
    services = Services()
    await plane.publish(services.compile(model(revision("v1", one))))
    with GrpcClient(LLAMA, recorder.port) as client:
        assert await off(client.call) == "one"
        both = model(revision("v1", one, weight=1), revision("v2", two, weight=1))
        await plane.publish(services.compile(both))
        await until(client, "two")
        await until(client, "one")
    first, *later = [
        sorted(item.name.rpartition("/")[2] for item in each.items)
        for each in recorder.trace
        if each.kind == "response" and each.type_url == t.CLUSTER
    ]
    assert first == ["v1"]
    assert later == [["v1", "v2"]]  # `v1` did not change; left out, it would be gone to gRPC
