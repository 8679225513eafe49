"""Section O: bad input and the way back, over the wire."""

from __future__ import annotations

from pathlib import Path

from tests.xds.conftest import Publish
from tests.xds.exchange import VARIANTS, C, Connect, E, bodies, hold, res, until
from tests.xds.policy_folder import CLUSTER, FLEET, following, model, port_of, wait_for
from xds_server.server import ControlPlane


@VARIANTS
async def test_O3_rejected_input_leaves_the_last_good_state_and_its_author_is_told(
    connect: Connect, plane: ControlPlane, variant: str, tmp_path: Path
) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    (tmp_path / "llama.yaml").write_text(model("llama", 1000))
    (tmp_path / "mistral.yaml").write_text(model("mistral", 1000))
    async with following(tmp_path, plane):
        client = connect(variant, region="eu-west-3")
        await hold(client, E, CLUSTER)
        (tmp_path / "llama.yaml").write_text(model("llama", 1001).replace("production", "staging"))
        problem = await until(lambda: plane.readiness.describe()["problems"].get("policies"))
        assert "llama.yaml:" in problem
        assert "staging" in problem
        late = connect(variant, node="late", region="eu-west-3")
        assert port_of(await hold(late, E, CLUSTER)) == 1000
        (tmp_path / "llama.yaml").write_text(model("llama", 1002))
        assert await wait_for(client, 1002) == 1, "nothing was sent meanwhile"
        assert plane.readiness.describe()["problems"] == {}


@VARIANTS
async def test_O6_a_rollback_is_a_new_publish_with_the_old_version(
    connect: Connect, publish: Publish, variant: str
) -> None:
    client = connect(variant)
    told = []
    for body in (" good", " worse", " good"):
        await publish(res(C, "a", body))
        if not told:
            await client.say(C)
        response = await client.hear()
        assert bodies(response) == [f"a{body}"]
        await client.ack(C)
        version = response.resources[0].version if variant == "delta" else response.version_info
        told.append((version, response.nonce))
    versions, nonces = zip(*told, strict=True)
    assert versions[0] == versions[2] != versions[1]
    assert len(set(nonces)) == 3
