"""Section N: bursts, slow clients, and what a change costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.xds.conftest import Publish
from tests.xds.exchange import VARIANTS, C, Connect, E, P, S, bodies, hold, res
from tests.xds.policy_folder import CLUSTER, FLEET, following, model, wait_for
from xds_server.compiler import Compiler
from xds_server.graph import Builder
from xds_server.policy import load
from xds_server.server import ControlPlane
from xds_server.snapshot import Audience, Resource, View, diff
from xds_server.sources.burst import Burst


@VARIANTS
async def test_N1_a_burst_of_changes_is_few_responses_and_ends_at_the_last(
    connect: Connect, plane: ControlPlane, variant: str, tmp_path: Path
) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    (tmp_path / "llama.yaml").write_text(model("llama", 1000))
    async with following(tmp_path, plane):
        client = connect(variant, region="eu-west-3")
        await hold(client, E, CLUSTER)
        for port in range(1001, 1201):
            (tmp_path / "new").write_text(model("llama", port))
            (tmp_path / "new").rename(tmp_path / "llama.yaml")
        assert await wait_for(client, 1200) < 20
        assert plane.readiness.generation is not None
        assert plane.readiness.generation < 20


async def test_N2_a_lone_change_is_not_held_back(
    connect: Connect, plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Were it held back until it is quiet, nobody would wait for it.
    monkeypatch.setattr("xds_server.sources.folder.Burst", lambda: Burst(quiet=3600, longest=3600))
    (tmp_path / "fleet.yaml").write_text(FLEET)
    (tmp_path / "llama.yaml").write_text(model("llama", 1000))
    async with following(tmp_path, plane):
        client = connect(region="eu-west-3")
        await hold(client, E, CLUSTER)
        (tmp_path / "new").write_text(model("llama", 1001))
        (tmp_path / "new").rename(tmp_path / "llama.yaml")
        assert await wait_for(client, 1001) == 1


@VARIANTS
async def test_N3_a_client_that_does_not_answer_delays_nobody_else(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"))
    silent, other = connect(variant), connect(variant, node="other")
    await silent.say(C)
    await silent.hear()
    await hold(other, C)
    for turn in range(20):
        await publish(res(C, "a", str(turn)))
        assert bodies(await other.hear()) == [f"a{turn}"]
        await other.ack(C)
    await silent.ack(C)
    assert bodies(await silent.hear()) == ["a19"]


@VARIANTS
async def test_N5_a_new_subscription_is_served_before_what_waits(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(E, "a"), res(E, "b"), res(S, "tls"))
    client = connect(variant)
    await client.say(E, "a")
    await client.hear()
    for turn in range(50):
        await publish(res(E, "a", str(turn)), res(E, "b"), res(S, "tls"))
    assert bodies(await hold(client, S, "tls")) == ["tls"], "another type"
    # The same type: the name comes with the very next response, not after it.
    await client.say(E, *(("b",) if variant == "delta" else ("a", "b")), nonce=client.nonces[E])
    assert bodies(await client.hear()) == ["a49", "b"]


@pytest.mark.parametrize("models", [5, 50])
def test_N7_N8_new_endpoints_are_encoded_and_nothing_else_however_many_models_there_are(
    models: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[str] = []
    make = Resource.of.__func__  # type: ignore[attr-defined]

    def note(cls: type[Resource], type_url: str, name: str, *rest: object, **more: object) -> Resource:
        encoded.append(name)
        made: Resource = make(cls, type_url, name, *rest, **more)
        return made

    monkeypatch.setattr(Resource, "of", classmethod(note))
    builder, compiler = Builder(), Compiler("")
    files = {"fleet.yaml": FLEET} | {f"{n}.yaml": model(f"m{n}", 1000) for n in range(models)}

    def compile_all() -> View:
        built = builder.build(load(files, {}))
        assert not built.errors
        view = compiler.compile(built.graph).view(Audience("edge", "eu-west-3"))
        assert view is not None
        return view

    before = compile_all()
    assert len(encoded) < 10, "what is the fleet's"
    for type_url in before.types():
        before.encode(type_url)
    assert len(encoded) > models
    encoded.clear()
    files["0.yaml"] = model("m0", 1001)
    after = compile_all()
    name = "acme/models/m0/production/v1"
    assert diff(before, after).changed == {E: {name}}
    assert len(encoded) <= 4, "the resources of one model at most"
    assert after.get(P, "acme/models/m1") is before.get(P, "acme/models/m1")
