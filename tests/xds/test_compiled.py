"""What the compiler makes, of every golden case and every example: names, references, and what each resource needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.golden.files import CASES, list_cases
from tests.golden.folder import build, list_views
from tests.xds.exchange import C, E, L, P, R, S, X
from xds_server.compiler import show
from xds_server.snapshot import Resource, View, parked, reserve

_POLICIES = Path(__file__).parents[2] / "policies"
_FOLDERS = [
    *(path for path in sorted(_POLICIES.iterdir()) if path.is_dir()),
    *(folder for case in list_cases() if not build(folder := CASES / case / "in").errors),
]
VIEWS = pytest.mark.parametrize("folder", _FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}")


def views(folder: Path) -> list[View]:
    found = list(list_views(folder).values())
    assert found
    return found


def everything(view: View, type_url: str) -> list[Resource]:
    """All there is of a type, in reserve, parked, or neither."""
    keys = (type_url, reserve(type_url), parked(type_url))
    return list({each.name: each for key in keys for each in view.resources(key)}.values())


def walk(value: Any, *keys: str) -> Iterator[Any]:
    """All values under one of these keys, at any depth."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key in keys:
                yield each
            yield from walk(each, *keys)
    elif isinstance(value, list):
        for each in value:
            yield from walk(each, *keys)


def clusters_of(shown: dict[str, Any]) -> set[str]:
    """The clusters that a listener, a route or a filter names."""
    found = {each for each in walk(shown, "cluster") if isinstance(each, str) and "%" not in each}
    for weighted in walk(shown, "weighted_clusters"):
        found |= {each["name"] for each in weighted["clusters"]}
    return found


@VIEWS
def test_G5_F7_M15_a_resource_is_named_as_its_message_and_no_name_is_there_twice(folder: Path) -> None:
    for view in views(folder):
        for type_url in view.types():
            names = [each.name for each in everything(view, type_url)]
            assert len(names) == len(set(names))
        for type_url, key in ((C, "name"), (E, "cluster_name"), (L, "name"), (P, "name"), (R, "name")):
            for resource in everything(view, type_url):
                assert show(resource)[key] == resource.name


@VIEWS
def test_I9_O1_every_cluster_referred_to_exists_and_is_waited_for(folder: Path) -> None:
    for view in views(folder):
        known = {each.name for each in everything(view, C)}
        for type_url in (L, R, X):
            for resource in view.resources(type_url):
                assert clusters_of(show(resource)) <= known
        for resource in view.resources(R):
            assert clusters_of(show(resource)) == set(resource.needs)
        # A filter that fetches keys goes without waiting for them, and its clusters stay as long as it does.
        for type_url in (L, X):
            for resource in view.resources(type_url):
                assert clusters_of(show(resource)) == set(resource.clusters)


@VIEWS
def test_G13_every_cluster_of_endpoints_has_its_assignment_though_it_be_empty(folder: Path) -> None:
    for view in views(folder):
        wanted = {each.name for each in everything(view, C) if show(each).get("type") == "EDS"}
        assert wanted == set(view.names(E))


@VIEWS
def test_M11_O1_every_scope_leads_to_routes_that_exist(folder: Path) -> None:
    for view in views(folder):
        routes = set(view.names(R))
        for resource in view.resources(P):
            assert show(resource)["route_configuration_name"] in routes
        for resource in view.resources(L):
            assert set(walk(show(resource), "route_config_name")) <= routes


@VIEWS
def test_J6_every_secret_referred_to_exists(folder: Path) -> None:
    for view in views(folder):
        wanted = {
            each["name"]
            for type_url in (C, L)
            for resource in everything(view, type_url)
            for key in ("tls_certificate_sds_secret_configs", "validation_context_sds_secret_config")
            for found in walk(show(resource), key)
            for each in (found if isinstance(found, list) else [found])
        }
        assert wanted <= set(view.names(S))


@VIEWS
def test_M12_M17_every_filter_fetched_exists_and_every_route_speaks_of_filters_in_the_chain(
    folder: Path,
) -> None:
    for view in views(folder):
        chains = [
            filters
            for each in view.resources(L)
            # Of those behind the choice of a backend, routes may speak, too.
            for filters in walk(show(each), "http_filters", "upstream_http_filters")
            if filters
        ]
        fetched = {each["name"] for chain in chains for each in chain if "config_discovery" in each}
        assert fetched <= set(view.names(X))
        in_chain = {each["name"] for chain in chains for each in chain}
        for resource in view.resources(R):
            for configured in walk(show(resource), "typed_per_filter_config"):
                assert configured.keys() <= in_chain


SOURCES = ("config_source", "eds_config", "rds_config_source", "scoped_rds_config_source", "sds_config")


@VIEWS
def test_A6_J8_every_source_is_of_version_3_and_waits_as_long_as_envoy_does(folder: Path) -> None:
    """Without a time of its own a source waits 15 s: long enough for any answer, and never for ever."""
    for view in views(folder):
        shown = [show(resource) for type_url in view.types() for resource in everything(view, type_url)]
        sources = list(walk(shown, *SOURCES))
        assert sources
        assert [each for each in sources if each != {"ads": {}, "resource_api_version": "V3"}] == []
        assert all(".v3." in each for each in (*walk(shown, "@type"), *view.types()))


def test_the_walk_finds_references() -> None:
    shown = {"a": [{"route": {"cluster": "x"}}, {"weighted_clusters": {"clusters": [{"name": "y"}]}}]}
    assert clusters_of(shown) == {"x", "y"}
    assert list(walk(shown, "nothing")) == []


def test_the_views_have_references_of_every_kind() -> None:
    """Lest the tests above look at nothing."""
    shown = [
        show(resource)
        for folder in _FOLDERS
        for view in views(folder)
        for type_url in (C, L, R)
        for resource in view.resources(type_url)
    ]
    for key in (
        "config_discovery",
        "sds_config",
        "tls_certificate_sds_secret_configs",
        "typed_per_filter_config",
        "weighted_clusters",
    ):
        assert any(walk(shown, key)), key
