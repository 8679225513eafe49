"""Routes are written once for all endpoints of a shape: whichever came first, each gets its own."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.golden.files import CASES, list_cases
from tests.golden.folder import build
from xds_server.compiler import show
from xds_server.compiler.route import compile_routes
from xds_server.compiler.target import NEWEST
from xds_server.graph import Endpoint


def _told(endpoint: Endpoint) -> tuple[str, tuple[str, ...]]:
    resource = compile_routes(endpoint, NEWEST)
    return json.dumps(show(resource)), resource.needs


@pytest.mark.parametrize("case", list_cases())
def test_endpoints_of_one_shape_differ_in_their_names_only(case: str) -> None:
    graph = build(CASES / case / "in").graph
    for endpoint in (each for tenant in graph.tenants.values() for each in tenant.endpoints.values()):
        told, needs = _told(endpoint)
        for name in ("t", "quite-another.name_of-a-model"):
            other, others = _told(replace(endpoint, name=name))
            path = other.partition('"name": "')[2].partition('"')[0]
            assert path == f"{endpoint.workspace}/{endpoint.segment}/{name}"
            said = json.dumps({"key": "x-fairlead-model", "value": name})
            assert said in other
            assert others == tuple(each.replace(endpoint.path, path) for each in needs)
            ours = other.replace(said, said.replace(f'"{name}"', f'"{endpoint.name}"'))
            assert ours.replace(path, endpoint.path) == told
