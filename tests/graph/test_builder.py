"""One load after the other: what is broken stays as it last was, and nothing that it bounds is widened."""

from __future__ import annotations

import pytest

from tests.e2e.certificates import Certificates
from tests.graph import world as w
from xds_server.graph import Builder, Built
from xds_server.policy import DEVELOPMENT_JWKS, load

FLEET = w.write(*w.FLEET)
BROKEN = "kind: Model\nmetadata: {name: llama, workspace: acme}\nspec: {deploymentz: 1}\n"


def tenant(name: str, *more: w.Manifest) -> str:
    return w.write(w.workspace(name), *(more or (w.model("llama", within=name),)))


def names(built: Built) -> dict[str, list[str]]:
    return {
        name: sorted(each.name for each in tenant.endpoints.values())
        for name, tenant in built.graph.tenants.items()
    }


class TestWorkspace:
    def test_keeps_its_last_good_state_while_others_move_on(self) -> None:
        world = w.World()
        good = {"fleet.yaml": FLEET, "acme.yaml": tenant("acme"), "globex.yaml": tenant("globex")}
        first = world.build(good)
        moved = {**good, "acme.yaml": good["acme.yaml"] + "---\n" + BROKEN}
        moved["globex.yaml"] = tenant("globex", w.model("mistral", within="globex"))
        second = world.build(moved)
        assert second.kept == {"acme"}
        assert not second.fleet_kept
        assert names(second) == {"acme": ["llama"], "globex": ["mistral"]}
        assert w.endpoint(second.graph) is w.endpoint(first.graph)

    def test_with_a_dangling_reference_is_as_broken_as_with_bad_text(self) -> None:
        world = w.World()
        world.build({"fleet.yaml": FLEET, "acme.yaml": tenant("acme")})
        nowhere = w.model("mistral", w.deployment(w.revision("v1", w.backend("the-moon"))))
        built = world.build({"fleet.yaml": FLEET, "acme.yaml": tenant("acme", w.model(), nowhere)})
        assert built.kept == {"acme"}
        assert [each.code for each in built.errors] == ["unknown-location"]
        assert names(built) == {"acme": ["llama"]}

    def test_mended_moves_on(self) -> None:
        world = w.World()
        world.build({"fleet.yaml": FLEET, "acme.yaml": tenant("acme")})
        world.build({"fleet.yaml": FLEET, "acme.yaml": BROKEN})
        built = world.build({"fleet.yaml": FLEET, "acme.yaml": tenant("acme", w.model("mistral"))})
        assert (built.kept, built.errors) == (frozenset(), ())
        assert names(built) == {"acme": ["mistral"]}

    def test_broken_from_the_start_is_not_served(self) -> None:
        built = w.World().build({"fleet.yaml": FLEET, "acme.yaml": tenant("acme") + "---\n" + BROKEN})
        assert built.kept == {"acme"}
        assert names(built) == {}

    def test_whose_file_vanishes_is_gone(self) -> None:
        world = w.World()
        world.build({"fleet.yaml": FLEET, "acme.yaml": tenant("acme"), "globex.yaml": tenant("globex")})
        built = world.build({"fleet.yaml": FLEET, "globex.yaml": tenant("globex")})
        assert (built.kept, built.errors) == (frozenset(), ())
        assert names(built) == {"globex": ["llama"]}

    def test_whose_file_cannot_be_read_any_more_stays(self) -> None:
        world = w.World()
        world.build({"fleet.yaml": FLEET, "acme.yaml": tenant("acme")})
        built = world.build({"fleet.yaml": FLEET, "acme.yaml": "workspace: acme\n\tnot: yaml"})
        assert "acme" in built.kept
        assert names(built) == {"acme": ["llama"]}

    def test_that_came_back_after_it_was_gone_remembers_nothing(self) -> None:
        world = w.World()
        world.build({"fleet.yaml": FLEET, "acme.yaml": tenant("acme")})
        world.build({"fleet.yaml": FLEET})
        built = world.build({"fleet.yaml": FLEET, "acme.yaml": tenant("acme") + "---\n" + BROKEN})
        assert names(built) == {}

    def test_whose_models_outlive_its_declaration_keeps_its_state(self) -> None:
        world = w.World()
        world.build({"fleet.yaml": FLEET, "acme.yaml": tenant("acme")})
        built = world.build({"fleet.yaml": FLEET, "acme.yaml": w.write(w.model("mistral"))})
        assert [each.code for each in built.errors] == ["unknown-workspace"]
        assert names(built) == {"acme": ["llama"]}

    def test_a_broken_policy_does_not_free_what_it_bounds(self) -> None:
        world = w.World()
        everywhere = w.model(
            "llama", w.deployment(w.revision("v1", w.backend("eu-west-3"), w.backend("us-east-1")))
        )
        bound = (w.places("eu-only", ("continent", "eu")), w.environment("production", "eu-only"))
        assert w.used(world.build({"a.yaml": FLEET, "b.yaml": tenant("acme", *bound, everywhere)}).graph) == [
            "eu-west-3"
        ]
        typo = w.places("eu-only", ("continent", "europe"))
        built = world.build({"a.yaml": FLEET, "b.yaml": tenant("acme", typo, bound[1], everywhere)})
        assert built.kept == {"acme"}
        assert w.used(built.graph) == ["eu-west-3"]


class TestDeclaredButBroken:
    """What a workspace refers to is there, only broken: no second mistake, and the workspace does not move."""

    LAB = w.write(w.location("lab"))
    AT_LAB = w.model("llama", w.deployment(w.revision("v1", w.backend("lab"))))

    def test_an_issuer_from_the_start(self) -> None:
        broken = w.write(w.gateway(), w.issuer(audience=["x"]))
        built = w.World().build({"fleet.yaml": broken, "acme.yaml": tenant("acme")})
        assert [each.code for each in built.errors] == ["unknown-key"]
        assert built.kept == {"acme"}
        assert names(built) == {}

    def test_an_issuer_that_was_good(self) -> None:
        world = w.World()
        good = {"fleet.yaml": FLEET, "acme.yaml": tenant("acme")}
        world.build(good)
        corporate = w.issuer("corporate", issuer="https://corporate.example", audience=["x"])
        text = w.write(w.workspace("acme", "dev", "corporate"), w.model("mistral"))
        built = world.build({**good, "corporate.yaml": w.write(corporate), "acme.yaml": text})
        assert [each.code for each in built.errors] == ["unknown-key"]
        assert built.kept == {"acme"}
        assert names(built) == {"acme": ["llama"]}
        assert built.graph.tenants["acme"].issuers == ("dev",)

    def test_a_new_location_waits_for_the_fleet(self) -> None:
        world = w.World()
        good = {"fleet.yaml": FLEET, "acme.yaml": tenant("acme")}
        world.build(good)
        files = {**good, "lab.yaml": self.LAB, "acme.yaml": tenant("acme", self.AT_LAB)}
        broken = FLEET.replace("port: 10000", "port: 10000000")
        built = world.build({**files, "fleet.yaml": broken})
        assert {each.position.file for each in built.errors} == {"fleet.yaml"}
        assert built.kept == {"acme"}
        assert w.used(built.graph) == ["eu-west-3"]
        mended = world.build(files)
        assert (mended.kept, mended.errors) == (frozenset(), ())
        assert w.used(mended.graph) == ["lab"]

    def test_what_is_nowhere_is_a_mistake_while_the_fleet_is_broken_too(self) -> None:
        broken = FLEET.replace("port: 10000", "port: 10000000")
        built = w.World().build({"fleet.yaml": broken, "acme.yaml": tenant("acme", self.AT_LAB)})
        assert [each.code for each in built.errors] == ["unknown-location", "bad-value"]

    def test_a_mistake_that_is_hidden_comes_out_when_the_broken_one_is_deleted(self) -> None:
        world = w.World()
        bound = w.environment("production", "eu-only")
        files = {"fleet.yaml": FLEET, "acme.yaml": tenant("acme", bound, w.model())}
        typo = w.write(w.manifest("Polcy", "eu-only", workspace="acme"))
        assert "unknown-policy" not in {
            each.code for each in world.build({**files, "typo.yaml": typo}).errors
        }
        built = world.build(files)
        assert [each.code for each in built.errors] == ["unknown-policy"]
        assert built.kept == {"acme"}

    def test_a_hint_knows_what_was_declared_since(self) -> None:
        world = w.World()
        typo = w.model("llama", w.deployment(w.revision("v1", w.backend("eu-west-3")), policies=("eu-onyl",)))
        files = {"fleet.yaml": FLEET, "acme.yaml": tenant("acme", typo)}
        (before,) = world.build(files).errors
        (after,) = world.build({**files, "b.yaml": w.write(w.places("eu-only", ("continent", "eu")))}).errors
        assert before.hint == "declare it as a Policy of this workspace"
        assert after.hint == "did you mean `eu-only`?"

    def test_a_file_that_cannot_be_read_may_declare_anything(self) -> None:
        builder = Builder()
        files = {"acme.yaml": tenant("acme", self.AT_LAB)}
        built = builder.build(load(files, {}, unreadable={"shared.yaml": "permission denied"}))
        assert [each.code for each in built.errors] == ["unreadable"]
        assert names(built) == {}

    def test_a_draft_takes_nothing_from_anyone_else(self) -> None:
        world = w.World()
        good = {"fleet.yaml": FLEET, "acme.yaml": tenant("acme"), "globex.yaml": tenant("globex")}
        world.build(good)
        typo = w.write(w.manifest("Modle", "llama", {"deployments": []}, workspace="acme"))
        built = world.build({**good, "typo.yaml": typo})
        assert built.kept == {"acme"}
        assert not built.fleet_kept


class TestFleet:
    def test_keeps_its_last_state_while_workspaces_move_on(self) -> None:
        world = w.World()
        first = world.build({"fleet.yaml": FLEET, "acme.yaml": tenant("acme")})
        broken = FLEET.replace("port: 10000", "port: 10000000")
        built = world.build({"fleet.yaml": broken, "acme.yaml": tenant("acme", w.model("mistral"))})
        assert built.fleet_kept
        assert built.graph.edges == first.graph.edges
        assert built.graph.authorities == first.graph.authorities
        assert names(built) == {"acme": ["mistral"]}

    def test_broken_from_the_start_serves_nothing_and_says_its_own_mistake_only(self) -> None:
        world = w.World()
        broken = FLEET.replace("port: 10000", "port: 10000000")
        built = world.build({"fleet.yaml": broken, "acme.yaml": tenant("acme")})
        assert built.graph.edges == {}
        assert not built.servable
        assert {each.position.file for each in built.errors} == {"fleet.yaml"}
        lab = w.write(w.location("lab"))
        there = w.model("llama", w.deployment(w.revision("v1", w.backend("lab"))))
        again = world.build({"fleet.yaml": broken, "lab.yaml": lab, "acme.yaml": tenant("acme", there)})
        assert {each.position.file for each in again.errors} == {"fleet.yaml"}
        mended = world.build({"fleet.yaml": FLEET, "lab.yaml": lab, "acme.yaml": tenant("acme", there)})
        assert (mended.errors, mended.servable, mended.fleet_kept) == ((), True, False)
        assert w.used(mended.graph) == ["lab"]

    def test_a_removed_gateway_is_gone(self) -> None:
        world = w.World()
        world.build({"fleet.yaml": w.write(w.gateway("a"), w.gateway("b", 10001), w.issuer())})
        assert world.build({"fleet.yaml": w.write(w.gateway("a"), w.issuer())}).graph.edges.keys() == {"a"}


class TestRestriction:
    """A kept workspace lives on today's map."""

    LAB = "lab.yaml"

    def world(self, **lab: object) -> tuple[w.World, dict[str, str]]:
        world = w.World()
        text = tenant(
            "acme",
            w.places("eu-only", ("continent", "eu")),
            w.environment("production", "eu-only"),
            w.model(
                "llama",
                w.deployment(w.revision("v1", w.backend("lab", "10.0.0.1:80"), w.backend("eu-west-3"))),
            ),
        )
        files = {"fleet.yaml": FLEET, "acme.yaml": text, self.LAB: w.write(w.location("lab", **lab))}
        assert w.used(world.build(files).graph) == ["lab", "eu-west-3"]
        return world, {**files, "acme.yaml": text + "---\n" + BROKEN}

    def test_a_place_that_moved_to_another_continent_is_out(self) -> None:
        world, files = self.world(country="tr", continent="eu")
        moved = w.write(w.location("lab", country="tr", continent="as"))
        built = world.build({**files, self.LAB: moved})
        assert built.kept == {"acme"}
        assert w.used(built.graph) == ["eu-west-3"]

    def test_a_place_that_is_gone_is_out(self) -> None:
        world, files = self.world()
        del files[self.LAB]
        built = world.build(files)
        assert built.kept == {"acme"}
        assert w.used(built.graph) == ["eu-west-3"]

    def test_a_place_that_moved_within_what_is_allowed_is_where_it_is_now(self) -> None:
        world, files = self.world()
        built = world.build({**files, self.LAB: w.write(w.location("lab", latitude=1.0))})
        places = {
            each.place.name: each.place
            for each in w.endpoint(built.graph).deployments[0].revisions[0].backends
        }
        assert places["lab"].latitude == 1.0
        assert w.used(built.graph) == ["lab", "eu-west-3"]

    def test_a_place_that_comes_back_is_not_let_in_before_the_workspace_is_mended(self) -> None:
        world, files = self.world()
        lab = files.pop(self.LAB)
        world.build(files)
        built = world.build({**files, self.LAB: lab})
        assert w.used(built.graph) == ["eu-west-3"]
        mended = {**files, self.LAB: lab, "acme.yaml": files["acme.yaml"].removesuffix("---\n" + BROKEN)}
        assert w.used(world.build(mended).graph) == ["lab", "eu-west-3"]


class TestIdentity:
    """What did not change is the same object, so that everything after it can be skipped by one `is`."""

    def test_an_unrelated_change_leaves_endpoints_alone(self) -> None:
        world = w.World()
        both = (w.places("eu", ("continent", "eu")), w.model("llama"), w.model("mistral"))
        files = {"fleet.yaml": FLEET, "acme.yaml": tenant("acme", *both), "globex.yaml": tenant("globex")}
        before = world.build(files).graph
        changed = w.model("mistral", w.deployment(w.revision("v2", w.backend("eu-west-1"))))
        files["acme.yaml"] = tenant("acme", w.places("eu", ("continent", "na")), w.model("llama"), changed)
        after = world.build(files).graph
        assert w.endpoint(after, "acme/models/llama") is w.endpoint(before, "acme/models/llama")
        assert w.endpoint(after, "acme/models/mistral") is not w.endpoint(before, "acme/models/mistral")
        assert after.tenants["globex"] is before.tenants["globex"]

    def test_a_location_nobody_uses_leaves_endpoints_alone(self) -> None:
        world = w.World()
        files = {"fleet.yaml": FLEET, "acme.yaml": tenant("acme")}
        before = world.build(files).graph
        after = world.build({**files, "lab.yaml": w.write(w.location("lab"))}).graph
        assert "lab" in after.places
        assert w.endpoint(after) is w.endpoint(before)

    def test_what_an_endpoint_stands_on_changes_it(self) -> None:
        world = w.World()
        lab = {"lab.yaml": w.write(w.location("lab"))}
        text = tenant("acme", w.model("llama", w.deployment(w.revision("v1", w.backend("lab")))))
        files = {"fleet.yaml": FLEET, "acme.yaml": text, **lab}
        before = w.endpoint(world.build(files).graph)
        files["lab.yaml"] = w.write(w.location("lab", latitude=50.0))
        after = w.endpoint(world.build(files).graph)
        assert after != before
        assert after.deployments[0].revisions[0].backends[0].place.latitude == 50.0

    def test_an_endpoint_equals_itself_moved_within_its_file(self) -> None:
        text = tenant("acme")
        one = w.World().build({"fleet.yaml": FLEET, "acme.yaml": text}).graph
        two = w.World().build({"fleet.yaml": FLEET, "acme.yaml": "# a line\n\n" + text}).graph
        assert w.endpoint(one) == w.endpoint(two)
        assert w.endpoint(one).origin != w.endpoint(two).origin

    def test_a_changed_ca_changes_what_uses_it(self) -> None:
        world = w.World()
        secure = w.backend("eu-west-3", "https://a.example", tls={"ca": "ca.pem"})
        text = tenant("acme", w.model("llama", w.deployment(w.revision("v1", secure))), w.model("other"))
        files = {"fleet.yaml": FLEET, "acme.yaml": text}
        before = world.build(files, {"ca.pem": ROOTS}).graph
        after = world.build(files, {"ca.pem": ROOTS + b"\n"}).graph
        assert w.endpoint(before) != w.endpoint(after)
        assert w.endpoint(before, "acme/models/other") is w.endpoint(after, "acme/models/other")


ROOTS = w.ROOTS.encode()


class TestSlip:
    """A slip of the pen in an Environment takes nothing from the workspace that it keeps within bounds."""

    BOUND = w.write(w.environment("production", "eu-only"))
    ACME = w.write(
        w.workspace("acme"),
        w.places("eu-only", ("continent", "eu")),
        w.model("llama", w.deployment(w.revision("v1", w.backend("eu-west-3"), w.backend("us-east-1")))),
    )

    def build(self, slip: str, more: str = "", *, cold: bool = False) -> Built:
        world = w.World()
        files = {"fleet.yaml": FLEET, "acme.yaml": self.ACME, "bound.yaml": self.BOUND}
        if not cold:
            assert w.used(world.build(files).graph) == ["eu-west-3"]
        return world.build({**files, "bound.yaml": slip, **({"more.yaml": more} if more else {})})

    @pytest.mark.parametrize("workspace", ["acmee", "acm", "elsewhere"])
    def test_in_its_workspace(self, workspace: str) -> None:
        built = self.build(w.write(w.environment("production", "eu-only", within=workspace)))
        assert w.used(built.graph) == ["eu-west-3"]
        assert "acme" in built.kept
        [told] = [each for each in built.errors if each.code == "unknown-workspace"]
        assert told.workspaces == frozenset({"acme", workspace})
        assert "did you mean `acme`?" in str(told)

    def test_in_its_workspace_and_elsewhere(self) -> None:
        slip = w.write(w.environment("production", "eu-only", within="acmee")).replace("spec", "speck")
        built = self.build(slip)
        assert w.used(built.graph) == ["eu-west-3"]

    def test_in_its_workspace_from_the_start(self) -> None:
        built = self.build(w.write(w.environment("production", "eu-only", within="acmee")), cold=True)
        assert names(built) == {}

    @pytest.mark.parametrize("name", ["prodution", "productoin", "productions"])
    def test_in_its_name(self, name: str) -> None:
        built = self.build(w.write(w.environment(name, "eu-only")))
        assert w.used(built.graph) == ["eu-west-3"]
        assert [each.code for each in built.errors] == ["misspelt-environment"]
        assert names(self.build(w.write(w.environment(name, "eu-only")), cold=True)) == {}

    def test_is_none_where_the_environment_is_used_or_the_other_declared(self) -> None:
        both = w.write(w.environment("productions", "eu-only")), self.BOUND
        assert not self.build("---\n".join(both)).errors
        other = w.model("mistral", w.deployment(w.revision("v1", w.backend("eu-west-3")), to="productions"))
        assert not self.build(both[0], w.write(other)).errors

    def test_is_none_where_a_new_workspace_is_only_broken(self) -> None:
        near = (
            tenant("acme2").replace("issuers", "issuer")
            + "---\n"
            + w.write(w.environment("production", within="acme2"))
        )
        built = self.build(tenant("elsewhere"), near)
        assert built.kept == {"acme2"}

    def test_stops_nobody_who_misses_nothing(self) -> None:
        stray = w.write(w.environment("production", within="acmee"))
        built = self.build(self.BOUND, stray)
        assert built.kept == {"acmee"}


class TestHardware:
    def test_that_a_place_no_longer_has_is_out_of_what_is_kept(self) -> None:
        place = {"country": "fr", "continent": "eu", "latitude": 48.8, "longitude": 2.3}
        bound = w.flavors("fast", {"type": "gpu"})
        backends = (w.backend("here", flavor="a100"), w.backend("there", flavor="a100"))
        model = w.model("llama", w.deployment(w.revision("v1", *backends), policies=("fast",)))
        gpu, cpu = ([{"name": "a100", "type": kind}] for kind in ("gpu", "cpu"))
        acme = w.write(w.workspace("acme"), bound, model)

        def fleet(flavors: list[w.Manifest]) -> str:
            there = w.location("there", **{**place, "flavors": flavors})
            return w.write(*w.FLEET, w.location("here", **{**place, "flavors": gpu}), there)

        world = w.World()
        assert w.used(world.build({"f.yaml": fleet(gpu), "acme.yaml": acme}).graph) == ["here", "there"]
        built = world.build({"f.yaml": fleet(cpu), "acme.yaml": acme + "---\n" + BROKEN})
        assert built.kept == {"acme"}
        assert w.used(built.graph) == ["here"]


def test_a_workspace_that_clients_without_envoy_may_call_and_that_is_not_there_is_told() -> None:
    services = w.manifest("Gateway", "services", {"proxyless": {"workspaces": ["acmee", "acme"]}})
    built = w.build(*w.FLEET, services, w.workspace(), w.model())
    [found] = built.diagnostics
    assert not found.is_error
    assert found.code == "unknown-workspace"
    assert found.object == "Gateway services"
    assert found.hint is not None
    assert "acme" in found.hint
    assert built.graph.edges["services"].gateway.spec.proxyless is not None


def test_a_workspace_that_is_there_and_broken_is_not_told_to_be_missing() -> None:
    services = w.manifest("Gateway", "services", {"proxyless": {"workspaces": ["acme"]}})
    built = w.build(*w.FLEET, services, w.workspace(issuers=["nobody"]), w.model())
    assert {found.code for found in built.diagnostics} == {"unknown-issuer"}


def test_notes_beside_certificates_may_be_in_any_encoding() -> None:
    """And whatever a workspace puts into its files is no reason to build nothing for all others."""
    authority = Certificates.make().authority
    backend = w.backend("eu-west-3", "https://models.example.com", tls={"ca": "ca.pem"})
    text = w.write(*w.FLEET, w.workspace(), w.model("llama", w.deployment(w.revision("v1", backend))))
    for note in ("# für uns\n".encode("latin-1"), "# für uns\n".encode()):
        attachments = {DEVELOPMENT_JWKS: w.JWKS, "ca.pem": note + authority.encode()}
        built = Builder().build(load({"all.yaml": text}, attachments))
        assert built.errors == ()
        tls = w.endpoint(built.graph).deployments[0].revisions[0].backends[0].tls
        assert tls is not None
        assert tls.ca is not None
        assert tls.ca.isascii()
        assert tls.ca.endswith(authority)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_key_set_that_envoy_could_not_read_is_a_mistake_of_the_fleet(encoding: str) -> None:
    text = w.write(w.gateway(), w.issuer(jwks={"file": "keys.json"}), w.workspace(), w.model("llama"))
    built = Builder().build(load({"all.yaml": text}, {"keys.json": w.JWKS.decode().encode(encoding)}))
    assert [each.code for each in built.errors] == ["bad-file"]
