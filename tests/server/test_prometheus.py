"""Questions to a server that speaks Prometheus' query API: one number, or no data and why."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import pytest

from tests.envoy_process import free_port
from tests.server.prometheus_server import Answers, prometheus
from xds_server.rollout import Query
from xds_server.server.prometheus import NoDataError, Prometheus


@pytest.fixture
async def client() -> AsyncIterator[Prometheus]:
    made = Prometheus()
    yield made
    await made.close()


async def test_the_names_in_a_query_stand_for_a_revision_and_nothing_else_does(client: Prometheus) -> None:
    asked: list[str] = []
    query = 'rate(x{cluster="$cluster",job=~"a$$|b$",other="$other"}[1m]) / 1000'
    with prometheus({}, asked) as url, pytest.raises(NoDataError, match="gives 0 series"):
        await client.ask(Query(url + "/", query), {"cluster": "acme/models/llama/production/v2"})
    assert asked == [
        'rate(x{cluster="acme/models/llama/production/v2",job=~"a$|b$",other="$other"}[1m]) / 1000'
    ]


@pytest.mark.parametrize(
    ("answer", "expected"), [(0.25, 0.25), (3, 3.0), ({"resultType": "scalar", "result": [1.0, "7"]}, 7.0)]
)
async def test_one_number(client: Prometheus, answer: object, expected: float) -> None:
    with prometheus({"q": answer}) as url:
        assert await client.ask(Query(url, "q"), {}) == expected


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({}, "gives 0 series, and must give one"),
        ({"q": [1, 2]}, "gives 2 series, and must give one"),
        ({"q": math.nan}, "gives nan"),
        ({"q": math.inf}, "gives inf"),
        ({"q": "many"}, "not an answer of Prometheus"),
        ({"q": {"resultType": "matrix", "result": []}}, "gives a matrix, and must give a number"),
        ({"q": {"resultType": "vector"}}, "not an answer of Prometheus"),
        ({"q": ValueError("parse error: unexpected end")}, "400 parse error: unexpected end"),
    ],
)
async def test_anything_else_is_no_data(client: Prometheus, answers: Answers, words: str) -> None:
    with prometheus(answers) as url, pytest.raises(NoDataError, match=words):
        await client.ask(Query(url, "q"), {})


async def test_nobody_there_and_somebody_else_there(client: Prometheus) -> None:
    with pytest.raises(NoDataError, match="onnect"):
        await client.ask(Query(f"http://127.0.0.1:{free_port()}", "q"), {})
    with prometheus({}) as url, pytest.raises(NoDataError, match="404 not an answer of Prometheus"):
        await client.ask(Query(f"{url}/elsewhere", "q"), {})
