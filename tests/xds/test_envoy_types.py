"""Rules of single types, shown by the real Envoy."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.e2e.certificates import Certificates
from tests.envoy_process import EnvoyProcess, delta_ads, free_port, wait_until
from tests.xds.conftest import Publish
from tests.xds.envoys import VARIANTS, Bootstrap, Traffic, off, still, synced
from tests.xds.richer_fleet import (
    authority,
    fetched_filter,
    fetched_routes,
    fetched_scopes,
    filter_config,
    front,
    no_endpoints,
    routes,
    runtime,
    saying,
    scope,
    tls_cluster,
    with_runtime,
)
from tests.xds.simple_fleet import cluster, endpoints, route
from xds_server.server import ControlPlane
from xds_server.snapshot import Resource

pytestmark = pytest.mark.envoy


def ask(port: int, headers: dict[str, str] | None = None) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=20) as client:
        return client.get(f"http://127.0.0.1:{port}/", headers=headers)


@VARIANTS
async def test_B2_M13_E1_F4_F6_an_envoy_with_runtime_boots_on_nothing_and_returns_to_it(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, tmp_path: Path
) -> None:
    port = free_port()
    await publish(runtime("values", {"fairlead.test": 1}))
    started = with_runtime(bootstrap(plane.xds_port, gateway="edge", region="eu"), "values")
    with EnvoyProcess(started, tmp_path) as envoy:

        def value() -> str:
            found: dict[str, str] = envoy.get("/runtime?format=json").json()["entries"]["fairlead.test"]
            return found["final_value"]

        # Runtime is asked for first, clusters and listeners after it; there are none, and that is told.
        await off(envoy.wait_ready)
        assert value() == "1"
        await publish(
            runtime("values", {"fairlead.test": 2}),
            front("front", port, **fetched_routes("r")),
            routes("r", saying("hello")),
            cluster("c1"),
            no_endpoints("c1"),
        )
        await off(wait_until, lambda: synced(plane))
        await off(envoy.wait, lambda: value() == "2", "the runtime value has changed")
        assert (await off(ask, port)).text == "hello"
        await publish()
        await off(
            envoy.wait,
            lambda: (
                set(envoy.stats("total_listeners_active|cluster_manager.active_clusters").values()) == {0, 1}
            ),
            "no listener, and no cluster but the server's",
        )
        assert envoy.stalls() == {}


@VARIANTS
async def test_F2_E7_M10_scopes_are_kept_added_and_taken_away(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, tmp_path: Path
) -> None:
    port = free_port()
    listener = front("front", port, on_demand=True, **fetched_scopes())
    both = [routes("r1", saying("one")), routes("r2", saying("two"))]
    await publish(listener, *both, scope("a", "r1"), scope("b", "r2", on_demand=True))
    with EnvoyProcess(bootstrap(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
        await off(envoy.wait_ready)
        assert (await off(ask, port, {"x-scope": "a"})).text == "one"
        # The routes of an on-demand scope are asked for with its first request (and by a filter of that name).
        assert (await off(ask, port, {"x-scope": "b"})).text == "two"
        assert (await off(ask, port, {"x-scope": "c"})).status_code == 404
        # One scope changes, another one comes, the third is not spoken of: it stays.
        await publish(listener, *both, scope("a", "r2"), scope("b", "r2", on_demand=True), scope("c", "r1"))
        await off(wait_until, lambda: synced(plane))
        answers = [(await off(ask, port, {"x-scope": name})).text for name in "abc"]
        assert answers == ["two", "two", "one"]
        await publish(listener, *both, scope("a", "r2"), scope("c", "r1"))
        await off(envoy.wait, lambda: ask(port, {"x-scope": "b"}).status_code == 404, "the scope has gone")
        answers = [(await off(ask, port, {"x-scope": name})).text for name in "ac"]
        assert answers == ["two", "one"]
        assert envoy.stalls() == {}


@VARIANTS
async def test_G12_G13_endpoints_that_are_not_there_drain_only_when_they_are_told_to_be_none(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    port = free_port()
    rest = [
        front("front", port, **fetched_routes("r")),
        route("r", "c1"),
        cluster("c1"),
        cluster("empty"),
        no_endpoints("empty"),
    ]
    await publish(*rest, endpoints("c1", upstreams[0]))
    with EnvoyProcess(bootstrap(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
        await off(envoy.wait_ready)
        assert envoy.stalls() == {}, "a cluster whose endpoints are told to be none is warm at once"
        await publish(*rest)
        await off(wait_until, lambda: synced(plane))
        assert (await off(ask, port)).text == "one"
        await publish(*rest, no_endpoints("c1"))
        await off(envoy.wait, lambda: ask(port).status_code == 503, "no endpoint is left")
        await publish(*rest, endpoints("c1", upstreams[1]))
        await off(envoy.wait, lambda: ask(port).text == "two", "endpoints are there again")


@VARIANTS
async def test_M12_G14_a_fetched_filter_is_there_at_boot_changes_and_goes_without_a_failure(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    port = free_port()
    rest = [route("r", "c1"), cluster("c1"), endpoints("c1", upstreams[0])]
    filtered = front("front", port, fetched_filter("extra"), **fetched_routes("r"))
    plain = front("front", port, **fetched_routes("r"))
    await publish(filtered, filter_config("extra", "1"), *rest)
    with EnvoyProcess(bootstrap(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
        await off(envoy.wait_ready)
        assert (await off(ask, port)).headers["x-filter"] == "1"
        with Traffic(port) as traffic:
            await publish(filtered, filter_config("extra", "2"), *rest)
            await off(envoy.wait, lambda: ask(port).headers.get("x-filter") == "2", "the filter has changed")
            # The listener goes on without it, and it goes; connections from before still have it.
            await publish(plain, *rest)
            await off(envoy.wait, lambda: "x-filter" not in ask(port).headers, "the filter is out of use")
            await off(wait_until, lambda: synced(plane))
            seen = len(traffic.answers)
            await off(wait_until, lambda: len(traffic.answers) > seen + 50)
        assert traffic.bad == []
        assert envoy.stalls() == {}


@VARIANTS
async def test_J6_J7_G15_secrets_are_there_in_time_rotate_and_are_not_sent_again_with_their_cluster(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, tmp_path: Path
) -> None:
    def state(connect_timeout: str, pem: str) -> list[Resource]:
        return [tls_cluster("c1", "ca", connect_timeout), no_endpoints("c1"), authority("ca", pem)]

    first, second = Certificates.make().authority, Certificates.make().authority
    await publish(*state("1s", first))
    with EnvoyProcess(bootstrap(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
        taken = "cluster.c1.client_ssl_socket_factory.ssl_context_update_by_sds"
        sent = "sds.ca.update_success"
        await off(envoy.wait_ready)
        assert envoy.stats(f"{taken}|{sent}$") == {taken: 1, sent: 1}
        await publish(*state("2s", first))
        await off(wait_until, lambda: synced(plane))
        # Its cluster is warm again, although the secret was not sent again.
        assert envoy.stats(f"warming_clusters|{sent}$") == {
            "cluster_manager.warming_clusters": 0,
            sent: 1,
        }
        await publish(*state("2s", second))
        await off(envoy.wait, lambda: envoy.stats(sent) == {sent: 2}, "the secret has been rotated")
        assert envoy.stalls() == {}


async def test_J6_a_secret_told_missing_holds_nothing_back(
    plane: ControlPlane, publish: Publish, tmp_path: Path
) -> None:
    port = free_port()
    resources = [
        front("front", port, **fetched_routes("r")),
        routes("r", saying("hello")),
        tls_cluster("c1", "ca"),
        no_endpoints("c1"),
    ]
    await publish(*resources)
    with EnvoyProcess(delta_ads(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
        await off(envoy.wait_ready)
        assert (await off(ask, port)).text == "hello"
        await publish(*resources, authority("ca", Certificates.make().authority))
        taken = "cluster.c1.client_ssl_socket_factory.ssl_context_update_by_sds"
        await off(envoy.wait, lambda: envoy.stats(taken) == {taken: 1}, "the secret comes when it is there")
        assert envoy.stalls() == {}


async def test_M6_M7_M8_E8_clusters_asked_for_on_demand(
    plane: ControlPlane, publish: Publish, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    one, two = upstreams
    port = free_port()
    rest = [
        front("front", port, on_demand=True, **fetched_routes("r")),
        routes("r", {"route": {"cluster_header": "x-cluster"}}),
        cluster("a"),
        endpoints("a", one),
    ]
    await publish(*rest)
    with EnvoyProcess(delta_ads(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:

        def answer(name: str) -> str:
            found = ask(port, {"x-cluster": name})
            return found.text if found.status_code == 200 else str(found.status_code)

        await off(envoy.wait_ready)
        # The filter would wait for an hour: the answer comes because the server says that there is none.
        assert await off(answer, "dyn") == "503"
        await publish(*rest, cluster("dyn"), endpoints("dyn", two))
        await off(envoy.wait, lambda: answer("dyn") == "two", "it comes without being asked for again")
        assert await off(answer, "a") == "one", "the others are still there"
        await publish(*rest)
        await off(envoy.wait, lambda: "dyn::" not in envoy.get("/clusters").text, "it is gone", 20)
        await publish(*rest, cluster("dyn"), endpoints("dyn", one))
        await off(envoy.wait, lambda: "dyn::" in envoy.get("/clusters").text, "it is pushed")
        await off(envoy.wait, lambda: answer("dyn") == "one")
        assert await off(answer, "a") == "one"
        assert still(envoy)["cluster_manager.cluster_modified"] == 0
        assert envoy.stalls() == {}
