"""What a golden case should give: texts by file name, one file per layer and resource type.

The case `minimal` is written in full. Elsewhere a file that says the same is one line that says so, and what is long
and the same in every listener is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.golden.folder import build, compile_graph, list_regions
from xds_server.compiler import show
from xds_server.graph import Graph, find_delivery
from xds_server.snapshot import Audience, Catalogue, Dialect, Layer, is_parked, is_reserve, type_of

CASES = Path(__file__).parent
DIAGNOSTICS = "diagnostics.txt"
_FULL = "minimal"
_SAME = f"# as in {_FULL}\n"
_SAME_EVERYWHERE = ("access_log", "local_reply_config")
_KINDS = {
    "ScopedRouteConfiguration": "scopes",
    "RouteConfiguration": "routes",
    "Cluster": "clusters",
    "ClusterLoadAssignment": "endpoints",
    "Listener": "listeners",
    "TypedExtensionConfig": "filters",
    "Secret": "secrets",
    "Runtime": "runtime",
}

Plain = list[dict[str, Any]]


def list_cases() -> list[str]:
    """The names of all cases."""
    return sorted(path.parent.name for path in CASES.glob("*/in"))


def write_case(case: str) -> dict[str, str]:
    """The files of a case by name: its diagnostics if there are any, and the resources unless there are errors."""
    built = build(CASES / case / "in")
    files = {}
    if built.diagnostics:
        files[DIAGNOSTICS] = "".join(f"{each}\n" for each in built.diagnostics)
    if built.errors:
        return files
    for name, plain in _show_graph(built.graph):
        files[name] = _dump(plain) if case == _FULL else _abridge(name, plain)
    return files


@cache
def _full() -> dict[str, Plain]:
    return dict(_show_graph(build(CASES / _FULL / "in").graph))


def _show_graph(graph: Graph) -> Iterator[tuple[str, Plain]]:
    catalogue = compile_graph(graph)
    yield from _show_layer(catalogue.shared, "")
    for gateway, layer in catalogue.gateways.items():
        yield from _show_layer(layer, f".{gateway}")
    for region in list_regions(graph):
        yield from _show_layer(catalogue.region(region), f".{region}")
        for name, edge in graph.edges.items():
            view = catalogue.view(Audience(name, region))
            if edge.gateway.spec.proxyless is not None and view is not None:
                yield from _show_layer(view.layers[2], f".{name}.{region}")

            if find_delivery(graph, edge) == "on-demand":
                yield from _show_on_demand(catalogue, name, region)


def _show_on_demand(catalogue: Catalogue, gateway: str, region: str) -> Iterator[tuple[str, Plain]]:
    """What is different for Envoys that fetch models with their first request."""
    here = catalogue.view(Audience(gateway, region, Dialect(incremental=True)))
    plain = catalogue.view(Audience(gateway, region))
    assert here is not None
    assert plain is not None
    for layer, others, suffix in zip(here.layers, plain.layers, ("", "", f".{region}"), strict=True):
        own = {key: names for key, names in layer.items() if names and others.get(key) != names}
        yield from _show_layer(own, f".{gateway}{suffix}.on-demand")


def _show_layer(layer: Layer, suffix: str) -> Iterator[tuple[str, Plain]]:
    for key, resources in layer.items():
        if not resources:  # a recipe that nothing is made by
            continue
        kind = _KINDS[type_of(key).rpartition(".")[2]]
        where = "-in-reserve" if is_reserve(key) else "-parked" if is_parked(key) else ""
        yield f"{kind}{where}{suffix}.yaml", [show(resources[name]) for name in sorted(resources)]


def _abridge(name: str, plain: Plain) -> str:
    return _SAME if _full().get(name) == plain else _dump(_abbreviate(plain))


def _abbreviate(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: f"as in {_FULL}" if key in _SAME_EVERYWHERE else _abbreviate(each)
            for key, each in value.items()
        }
    return [_abbreviate(each) for each in value] if isinstance(value, list) else value


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _write_text)


def _dump(plain: Plain) -> str:
    text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text
