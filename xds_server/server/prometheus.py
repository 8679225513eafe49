"""Questions to Prometheus: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from string import Template
from typing import Any, Final

import httpx

from xds_server.rollout import Query

_PATIENCE_SECONDS: Final = 5.0


class NoDataError(Exception):
    """There is no answer to go by, and why."""


class Prometheus:
    """Asks instant queries. ``close`` it at the end."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(timeout=_PATIENCE_SECONDS, trust_env=False)

    async def ask(self, query: Query, names: Mapping[str, str]) -> float:
        """The one number that a query gives, with ``$name`` replaced by what it stands for. Raises ``NoDataError``."""
        promql = Template(query.promql).safe_substitute(names)
        url = f"{query.url.rstrip('/')}/api/v1/query"
        try:
            answer = await self._client.get(url, params={"query": promql})
            data = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise NoDataError(f"{url}: {str(error) or type(error).__name__}") from error
        return _read(data, url, answer.status_code)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _read(data: Any, url: str, status: int) -> float:
    if not isinstance(data, dict) or data.get("status") != "success":
        words = data.get("error") if isinstance(data, dict) else None
        raise NoDataError(f"{url}: {status} {words or 'not an answer of Prometheus'}")
    try:
        kind, result = data["data"]["resultType"], data["data"]["result"]
        if kind == "vector":
            if len(result) != 1:
                raise NoDataError(f"{url}: the query gives {len(result)} series, and must give one")
            value = float(result[0]["value"][1])
        elif kind == "scalar":
            value = float(result[1])
        else:
            raise NoDataError(f"{url}: the query gives a {kind}, and must give a number")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise NoDataError(f"{url}: not an answer of Prometheus") from error
    if not math.isfinite(value):
        raise NoDataError(f"{url}: the query gives {value}: nothing to divide, most likely")
    return value
