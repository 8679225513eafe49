from __future__ import annotations

import subprocess
import sys

import pytest

from xds_server.snapshot import Audience, Catalogue, Resource, View, diff, layer

C = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
E = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


def cluster(name: str, body: str = "1") -> Resource:
    return Resource.of(C, name, body.encode())


def view(*resources: Resource, generation: int = 1) -> View:
    return View(generation, (layer(resources),))


def test_version_binds_type_name_and_bytes_and_nothing_else() -> None:
    one = Resource.of(C, "a", b"x", origin="p.yaml:3", needs=["b"])
    assert one.version == Resource.of(C, "a", b"x").version
    assert one == Resource.of(C, "a", b"x")
    others = [Resource.of(E, "a", b"x"), Resource.of(C, "b", b"x"), Resource.of(C, "a", b"y")]
    assert len({one.version, *(other.version for other in others)}) == 4
    assert len(one.version) == 16


def test_F10_versions_are_equal_in_another_process_with_another_hash_seed() -> None:
    code = (
        "from xds_server.snapshot import *;"
        f"v = View(1, (layer(Resource.of({C!r}, n, n.encode()) for n in {{'a', 'b', 'c'}}),));"
        f"print(v.version({C!r}))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1


def test_F8_set_version_changes_only_with_content() -> None:
    first = view(cluster("a"), cluster("b"))
    assert first.version(C) == view(cluster("b"), cluster("a"), generation=2).version(C)
    assert first.version(C) != view(cluster("a"), cluster("b", "2")).version(C)
    assert first.version(C) != view(cluster("a")).version(C)
    assert view().version(C) == "0" * 16


def test_a_name_twice_in_a_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is in one layer twice"):
        layer([cluster("a"), cluster("a", "2")])


def test_view_composes_three_layers() -> None:
    catalogue = Catalogue(
        7,
        shared=layer([cluster("shared")]),
        gateways={"edge": layer([cluster("edge")]), "inner": layer([cluster("inner")])},
        regional=lambda region: layer([Resource.of(E, "shared", region.encode())]),
    )
    seen = catalogue.view(Audience("edge", "eu"))
    assert seen is not None
    assert sorted(seen.names(C)) == ["edge", "shared"]
    assert seen.count(C) == 2
    assert seen.types() == {C, E}
    assert seen.generation == 7
    found = seen.get(E, "shared")
    assert found is not None
    assert found.body == b"eu"
    assert seen.get(C, "inner") is None
    assert seen.get("other", "inner") is None
    assert catalogue.view(Audience("none", "eu")) is None
    assert catalogue.view(Audience("edge", "eu")) is seen


def test_a_region_is_compiled_once_and_only_when_asked_for() -> None:
    calls: list[str] = []

    def regional(region: str) -> dict[str, dict[str, Resource]]:
        calls.append(region)
        return {}

    catalogue = Catalogue(1, shared={}, gateways={"a": {}, "b": {}}, regional=regional)
    assert calls == []
    for audience in [Audience("a", "eu"), Audience("b", "eu"), Audience("a", "eu"), Audience("a", "us")]:
        catalogue.view(audience)
    assert calls == ["eu", "us"]
    assert catalogue.view(Audience("none", "asia")) is None
    assert calls == ["eu", "us"]


def test_diff_names_what_was_added_changed_and_removed() -> None:
    old = view(cluster("same"), cluster("new bytes"), cluster("gone"))
    new = view(cluster("same"), cluster("new bytes", "2"), cluster("added"))
    found = diff(old, new)
    assert found.changed == {C: {"new bytes", "added"}}
    assert found.removed == {C: {"gone"}}
    assert found.types() == {C}
    assert found.names(C) == {"new bytes", "added", "gone"}
    assert found


def test_diff_of_equal_views_is_false() -> None:
    assert not diff(view(cluster("a")), view(cluster("a"), generation=2))
    assert diff(None, view(cluster("a"))).changed == {C: {"a"}}


def test_diff_follows_a_name_from_one_layer_to_another() -> None:
    old = View(1, (layer([cluster("a"), cluster("b")]), {}))
    new = View(2, ({}, layer([cluster("a"), cluster("b", "2")])))
    found = diff(old, new)
    assert found.changed == {C: {"b"}}
    assert not found.removed


class Guarded(dict[str, Resource]):
    """A mapping that must not be walked."""

    def items(self):  # type: ignore[no-untyped-def,override]
        raise AssertionError("walked")


def test_N7_an_unchanged_mapping_is_not_walked() -> None:
    shared = {C: Guarded({"a": cluster("a")})}
    assert not diff(View(1, (shared,)), View(2, (shared,)))
    assert not diff(View(1, ({**shared},)), View(2, ({**shared},)))


def test_a_gateway_that_is_gone_keeps_its_own_while_all_else_follows() -> None:
    audience = Audience("edge", "eu")
    own = {"edge": layer([cluster("own")])}
    older = Catalogue(1, shared=layer([cluster("a")]), gateways=own)
    newer = Catalogue(2, shared=layer([cluster("a", "2")]), gateways={})
    before = older.view(audience)
    after = newer.view(audience, before)
    assert after is not None
    assert sorted(after.names(C)) == ["a", "own"]
    assert after.get(C, "a") == cluster("a", "2")
    assert after.generation == 2
