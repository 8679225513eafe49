"""TLS and client identities on the xDS port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.e2e.certificates import Certificates
from tests.server.party import SERVER, Party
from tests.server.planes import PATIENCE, C, boot, catalogue, cluster, message, serving, until
from tests.xds.raw_client import RawClient, names
from xds_server.protocol import types as t
from xds_server.server import BadCertificateError, ControlPlane
from xds_server.snapshot import Catalogue, layer

SPIFFE = "spiffe://fleet/gateway/edge"


@pytest.fixture
def party(tmp_path: Path) -> Party:
    return Party(tmp_path / "tls")


@asynccontextmanager
async def client_of(
    party: Party, plane: ControlPlane, *sans: str, gateway: str = "edge", **options: Any
) -> AsyncIterator[RawClient]:
    client = RawClient(plane.xds_port, gateway=gateway, channel=party.channel(plane, *sans), **options)
    try:
        yield client
    finally:
        await client.close()


async def refusal(client: RawClient) -> tuple[grpc.StatusCode, str]:
    return await client.status(), await client.call.details()


@pytest.mark.parametrize("san", ["edge", SPIFFE])
@pytest.mark.parametrize("variant", ["delta", "sotw"])
async def test_B10_a_member_is_served(party: Party, san: str, variant: str) -> None:
    async with serving(tls=party.tls()) as plane:
        await plane.publish(catalogue(1, cluster("a")))
        async with client_of(party, plane, san, variant=variant) as client:
            assert names(await boot(client)) == ["a"]


@pytest.mark.parametrize("variant", ["delta", "sotw"])
async def test_B10_M14_L2_who_is_no_member_is_sent_nothing(
    party: Party, variant: str, logged: list[dict[str, Any]]
) -> None:
    async with serving(tls=party.tls()) as plane:
        await plane.publish(catalogue(1, cluster("key", "", t.SECRET), gateways=("edge", "core")))
        async with client_of(party, plane, "core", "x.example", variant=variant) as client:
            await client.say(t.SECRET, "key")
            status, words = await refusal(client)
        assert status == grpc.StatusCode.PERMISSION_DENIED
        assert words == "the client certificate (core, x.example) is not of a member of gateway edge"
        assert plane.metrics.responses.labels("Secret")._value.get() == 0
        assert plane.nodes.all() == []
        [warning] = [each for each in logged if each["log_level"] == "warning"]
        assert (warning["gateway"], warning["peer"]) == ("edge", "core, x.example")
        async with client_of(party, plane, "core", gateway="core", variant=variant) as client:
            await client.say(t.SECRET, "key")
            assert len((await client.hear()).resources) == 1


async def test_B10_a_gateway_that_lists_identities_admits_those_and_no_others(party: Party) -> None:
    async with serving(tls=party.tls()) as plane:
        listed = {"edge": frozenset({"envoy.edge.example", "spiffe://fleet/edge/1"})}
        await plane.publish(catalogue(1, cluster("a"), identities=listed))
        for san in listed["edge"]:
            async with client_of(party, plane, san) as client:
                assert names(await boot(client)) == ["a"]
        async with client_of(party, plane, "edge") as client:
            await client.say(C)
            assert await client.status() == grpc.StatusCode.PERMISSION_DENIED


async def test_B10_F5_who_comes_before_the_first_catalogue_is_decided_on_when_it_is_there(
    party: Party,
) -> None:
    async with serving(tls=party.tls()) as plane:
        async with (
            client_of(party, plane, "edge", node="good") as good,
            client_of(party, plane, "other", node="bad") as bad,
        ):
            for client in (good, bad):
                await client.say(C)
            await until(lambda: plane.nodes.connected() == 2)
            await plane.publish(catalogue(1, cluster("a")))
            assert names(await good.hear()) == ["a"]
            assert (await refusal(bad))[0] == grpc.StatusCode.PERMISSION_DENIED
        assert plane.metrics.responses.labels("Cluster")._value.get() == 1


async def test_B10_B7_who_is_struck_off_the_list_is_sent_nothing_more(party: Party) -> None:
    async with serving(tls=party.tls()) as plane:
        await plane.publish(catalogue(1, cluster("a"), identities={"edge": frozenset({"one", "two"})}))
        async with (
            client_of(party, plane, "one", node="1") as one,
            client_of(party, plane, "two", node="2") as two,
        ):
            for client in (one, two):
                await boot(client)
            await plane.publish(catalogue(2, cluster("a", "2"), identities={"edge": frozenset({"one"})}))
            assert names(await one.hear()) == ["a"]
            assert (await refusal(two))[0] == grpc.StatusCode.PERMISSION_DENIED
            # Members of a gateway that is gone stay, nobody else comes.
            await one.ack(C)
            await plane.publish(catalogue(3, cluster("a", "3"), gateways=("other",)))
            assert names(await one.hear()) == ["a"]
            async with client_of(party, plane, "other", node="3") as third:
                await third.say(C)
                assert await third.status() == grpc.StatusCode.PERMISSION_DENIED


async def test_B10_M14_what_a_gateway_that_is_gone_had_is_for_those_it_listed_last(party: Party) -> None:
    own = {"edge": layer([cluster("key", "", t.SECRET)])}
    listed = {"edge": frozenset({"one"})}
    async with serving(tls=party.tls()) as plane:
        await plane.publish(Catalogue(1, shared={}, gateways=own, identities=listed))
        async with client_of(party, plane, "one", node="1") as member:
            await member.say(t.SECRET, "key")
            assert len((await member.hear()).resources) == 1
            await plane.publish(catalogue(2, gateways=("other",)))
            # Its nodes still have its secrets; the gateway's name alone never opened them.
            async with client_of(party, plane, "edge", node="2") as other:
                await other.say(t.SECRET, "key")
                assert await other.status() == grpc.StatusCode.PERMISSION_DENIED
            member.met = False  # it says who it is again
            await member.ack(t.SECRET)
            await until(lambda: (plane.nodes.one("1") or {})["synced"])


async def test_B10_B5_who_claims_the_id_of_another_gateways_node_learns_nothing_of_it(party: Party) -> None:
    async with serving(tls=party.tls()) as plane:

        async def publish(generation: int, *names: str) -> None:
            listeners = [cluster(name, "", t.LISTENER) for name in names]
            await plane.publish(catalogue(generation, *listeners, gateways=("edge", "core")))

        await publish(1, "a")
        async with client_of(party, plane, "edge", node="n") as client:
            await client.say(t.LISTENER)
            await client.hear()
            await client.ack(t.LISTENER)
            await publish(2, "a", "x", "y")
            await client.hear()
            await client.nack(t.LISTENER, "x is bad")
            assert names(await client.hear()) == ["y"]
        await until(lambda: plane.nodes.connected() == 0)
        await publish(3, "a")
        for gateway, left in (("core", []), ("edge", ["x", "y"])):
            async with client_of(party, plane, gateway, node="n", gateway=gateway) as client:
                await client.say(t.LISTENER)
                assert list((await client.hear()).removed_resources) == left


async def test_B10_no_service_answers_without_a_certificate_or_with_a_strangers(party: Party) -> None:
    async with serving(tls=party.tls()) as plane:
        await plane.publish(catalogue(1, cluster("a")))
        strangers = party.channel(plane, "edge", signer=Certificates.make())
        for channel in (party.channel(plane), strangers):
            for path in (
                "/grpc.health.v1.Health/Check",
                "/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus",
            ):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await channel.unary_unary(path)(b"", timeout=PATIENCE)
                assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
            client = RawClient(plane.xds_port, channel=channel)
            assert await client.status() == grpc.StatusCode.UNAVAILABLE
            await channel.close()
        async with party.channel(plane, "anybody") as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        plain = RawClient(plane.xds_port)
        assert await plain.status() == grpc.StatusCode.UNAVAILABLE
        await plain.close()


@pytest.mark.parametrize(("san", "wanted"), [("edge", None), ("other", grpc.StatusCode.PERMISSION_DENIED)])
async def test_B10_P4_load_is_reported_by_members_only(
    party: Party, san: str, wanted: grpc.StatusCode | None
) -> None:
    async with serving(tls=party.tls()) as plane:
        report = message("envoy.service.load_stats.v3.LoadStatsRequest")
        report.node.id, report.node.cluster = "n", "edge"
        async with party.channel(plane, san) as channel:
            path = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats"
            early: Any = channel.stream_stream(path)()
            await early.write(report.SerializeToString())
            assert await asyncio.wait_for(early.code(), PATIENCE) == grpc.StatusCode.UNAVAILABLE
            await plane.publish(catalogue(1))
            call: Any = channel.stream_stream(path)()
            await call.write(report.SerializeToString())
            if wanted is None:
                assert await asyncio.wait_for(call.read(), PATIENCE)
                call.cancel()
            else:
                assert await asyncio.wait_for(call.code(), PATIENCE) == wanted
                assert plane.loads.describe()["nodes"] == []


async def test_B10_P4_who_claims_the_id_of_another_gateways_node_is_not_told_its_clusters(
    party: Party,
) -> None:
    async with serving(tls=party.tls()) as plane:
        await plane.publish(catalogue(1, cluster("a"), gateways=("edge", "core")))
        async with client_of(party, plane, "edge", node="n") as client:
            await boot(client)
            await until(lambda: (plane.nodes.one("n") or {})["synced"])
            for gateway, told in (("core", []), ("edge", ["a"])):
                report = message("envoy.service.load_stats.v3.LoadStatsRequest")
                report.node.id, report.node.cluster = "n", gateway
                async with party.channel(plane, gateway) as channel:
                    path = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats"
                    call: Any = channel.stream_stream(path)()
                    await call.write(report.SerializeToString())
                    answer = await asyncio.wait_for(call.read(), PATIENCE)
                    found = message("envoy.service.load_stats.v3.LoadStatsResponse", answer)
                    assert list(found.clusters) == told
                    call.cancel()


async def test_without_a_client_authority_clients_are_not_asked_who_they_are(party: Party) -> None:
    async with serving(tls=party.tls(clients=False)) as plane:
        await plane.publish(catalogue(1, cluster("a")))
        async with client_of(party, plane) as client:
            assert names(await boot(client)) == ["a"]


async def test_a_rotation_needs_no_restart(party: Party, logged: list[dict[str, Any]]) -> None:
    old = party.certificates
    async with serving(tls=party.tls(clients=False)) as plane:
        await plane.publish(catalogue(1, cluster("a")))

        async def trusts(authority: Certificates) -> bool:
            async with party.channel(plane, trust=authority) as channel:
                call = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
                code = await call.code()
                assert code in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
                return code is grpc.StatusCode.OK

        async with client_of(party, plane) as settled:
            await boot(settled)
            fresh = Certificates.make()
            # Half a rotation: the new chain with the old key is no pair, and what was good stays.
            party.write("chain.pem", fresh.chain(SERVER))
            assert await trusts(old)
            assert [each for each in logged if "cannot be used" in each["event"]]
            party.write("key.pem", fresh.key)
            assert await trusts(fresh)
            assert not await trusts(old)
            (party.folder / "chain.pem").unlink()
            assert await trusts(fresh)
            # Streams that were open do not notice.
            await plane.publish(catalogue(2, cluster("a", "2")))
            assert names(await settled.hear()) == ["a"]


async def test_B10_a_client_authority_is_exchanged_without_a_restart(party: Party) -> None:
    async with serving(tls=party.tls()) as plane:
        await plane.publish(catalogue(1, cluster("a")))
        fresh = Certificates.make()
        party.write("ca.pem", fresh.authority)
        channel = party.channel(plane, "edge", signer=fresh)
        client = RawClient(plane.xds_port, channel=channel)
        assert names(await boot(client)) == ["a"]
        await client.close()
        async with client_of(party, plane, "edge") as former:
            assert await former.status() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("chain.pem", "none", "chain.pem is no certificate in PEM"),
        ("key.pem", "none", "key.pem is no private key in PEM without a passphrase"),
        ("key.pem", Certificates.make().key, "key.pem is not the key of .*chain.pem"),
        ("ca.pem", "none", "ca.pem holds no certificate in PEM"),
        ("ca.pem", None, "ca.pem: No such file"),
    ],
)
def test_what_cannot_be_used_is_named_at_the_start(
    party: Party, name: str, text: str | None, words: str
) -> None:
    if text is None:
        (party.folder / name).unlink()
    else:
        party.write(name, text)
    with pytest.raises(BadCertificateError, match=words):
        ControlPlane(tls=party.tls())


async def test_P2_B10_a_certificate_is_told_of_the_nodes_of_its_own_gateways(party: Party) -> None:
    async with serving(tls=party.tls()) as plane:
        await plane.publish(catalogue(1, cluster("a"), gateways=("edge", "core")))
        async with (
            client_of(party, plane, "edge", node="e") as edge,
            client_of(party, plane, "core", gateway="core", node="c") as core,
        ):
            await boot(edge)
            await boot(core)

            async def told(*sans: str) -> list[str]:
                request = message("envoy.service.status.v3.ClientStatusRequest")
                async with party.channel(plane, *sans) as channel:
                    fetch = channel.unary_unary(
                        "/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus"
                    )
                    payload = await fetch(request.SerializeToString(), timeout=PATIENCE)
                answer = message("envoy.service.status.v3.ClientStatusResponse", payload)
                return sorted(config.node.id for config in answer.config)

            assert await told("edge") == ["e"]
            assert await told("core", "edge") == ["c", "e"]
            assert await told("stranger") == []


async def test_a_certificate_that_has_expired_is_told_of(party: Party, logged: list[dict[str, Any]]) -> None:
    party.write("chain.pem", party.certificates.chain(SERVER, life=timedelta(days=-1)))
    async with serving(tls=party.tls()):
        [warning] = [each for each in logged if each["log_level"] == "warning"]
    assert "expired" in warning["event"]
    assert warning["certificate"].endswith("chain.pem")
