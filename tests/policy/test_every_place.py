"""Anything at all at any place of any kind of manifest is told of, and makes nothing raise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from xds_server.policy import DEVELOPMENT_JWKS, load
from xds_server.policy.kinds import KINDS

_WORKLOAD: dict[str, Any] = {
    "displayName": "Llama",
    "enabled": True,
    "access": {"claims": [{"claim": ["a", "b"], "anyOf": ["c"]}]},
    "deployments": [
        {
            "environment": "production",
            "enabled": True,
            "policies": ["eu"],
            "sticky": {"header": "x-user", "claim": ["a", "b"], "cookie": {"name": "s", "ttl": "1h"}},
            "servedBy": True,
            "shadow": {"revision": "v0", "percent": 10},
            "testers": {"claims": [{"claim": "role", "anyOf": ["tester"]}]},
            "revisions": [
                {
                    "name": "v0",
                    "weight": 0,
                    "backends": [{"location": "eu-west-3", "address": "10.0.0.1:80"}],
                },
                {
                    "name": "v1",
                    "weight": 1,
                    "healthCheck": {
                        "path": "/",
                        "interval": "5s",
                        "timeout": "1s",
                        "expectedStatuses": ["200"],
                    },
                    "backends": [
                        {
                            "location": "eu-west-3",
                            "flavor": "gpu",
                            "address": "https://a.example.com",
                            "weight": 1,
                            "standby": False,
                            "tls": {"sni": "b.example.com"},
                            "credentials": {"header": "x-key", "file": "a.key", "prefix": "Bearer "},
                            "pathPrefix": "/v1",
                            "healthCheck": {"port": 1, "enabled": True},
                        }
                    ],
                },
            ],
        },
        {
            "environment": "development",
            "rollout": {
                "from": "v1",
                "to": "v2",
                "canary": [5, 100],
                "stepTime": "5m",
                "gates": {
                    "errorRate": {"above": 1.5, "prometheus": {"url": "http://a:9090", "query": "errors"}},
                    "latency": {
                        "above": "1s",
                        "times": 2,
                        "prometheus": {"url": "http://a:9090", "query": "slow"},
                    },
                    "health": True,
                    "minRequests": 10,
                },
                "onBreach": "revert",
                "state": "paused",
            },
            "revisions": [
                {"name": name, "backends": [{"location": "eu-west-3", "address": f"10.0.0.{at}:80"}]}
                for at, name in enumerate(("v1", "v2"))
            ],
        },
    ],
}
_KEYS = [{"kty": "EC", "kid": "a", "crv": "P-256", "x": "x", "y": "y"}]
_SPECS: list[tuple[str, dict[str, Any]]] = [
    ("Workspace", {"displayName": "A", "defaultEnvironment": "production", "issuers": ["a"]}),
    ("Environment", {"displayName": "A", "policies": ["a"]}),
    (
        "Policy",
        {"type": "location", "locations": [{"type": "continent", "name": "eu"}], "resourceTypes": ["model"]},
    ),
    ("Policy", {"type": "flavor", "flavors": [{"type": "gpu", "name": "a100"}]}),
    ("Model", _WORKLOAD),
    ("Agent", _WORKLOAD),
    ("Function", _WORKLOAD),
    (
        "Gateway",
        {
            "listeners": [{"name": "a", "address": "127.0.0.1", "port": 1, "hostnames": ["a.b"]}],
            "paths": {"style": "path", "encodedSlashes": "keep"},
            "workspaceHeaders": ["x-a"],
            "delivery": "on-demand",
            "limits": {"connections": 1, "requestHeadersKiB": 1, "concurrentStreams": 1},
            "timeouts": {"headers": "1s", "idle": "1s", "total": "1s", "drain": "1s", "coldStart": "1s"},
        },
    ),
    (
        "Issuer",
        {
            "issuer": "a",
            "audiences": ["b"],
            "jwks": {"inline": {"keys": _KEYS}},
            "headers": ["Authorization"],
            "workspacesClaim": ["a", "b"],
            "clockSkew": "1s",
            "forwardToken": True,
            "cacheSize": 1,
        },
    ),
    ("Issuer", {"issuer": "a", "audiences": ["b"], "jwks": {"uri": "https://a/jwks", "cacheDuration": "1s"}}),
    (
        "Location",
        {
            "region": "a",
            "country": "fr",
            "continent": "eu",
            "latitude": 1.5,
            "longitude": 2,
            "flavors": [{"name": "cpu", "type": "cpu"}],
        },
    ),
    ("PolicySource", {"url": "https://a/b.yaml", "every": "1s", "tokenFile": "a.key"}),
]
_ANYTHING: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    2**70,
    "",
    " ",
    "x y",
    "🦙",
    [],
    [[]],
    [None],
    {},
    {"a": {"b": []}},
    [{}],
]


def _manifest(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "a", "labels": {"b": "c"}}
    if kind not in ("Workspace", "Gateway", "Issuer", "Location", "PolicySource"):
        metadata["workspace"] = "acme"
    return {"apiVersion": "fairlead/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _everywhere(value: Any, anything: Any) -> Iterator[Any]:
    """The value with `anything` in the place of each of its parts, and as a key more in each mapping."""
    yield anything
    if isinstance(value, dict):
        for key, below in value.items():
            yield from ({**value, key: each} for each in _everywhere(below, anything))
            yield {name: each for name, each in value.items() if name != key}
        yield {**value, "extra": anything}
    if isinstance(value, list):
        for index, below in enumerate(value):
            for each in _everywhere(below, anything):
                yield [*value[:index], each, *value[index + 1 :]]
        yield [*value, anything]


@pytest.mark.parametrize(("kind", "spec"), _SPECS, ids=[f"{kind}-{i}" for i, (kind, _) in enumerate(_SPECS)])
def test_the_whole_manifest_is_good(kind: str, spec: dict[str, Any]) -> None:
    loaded = load(
        {"a.json": json.dumps(_manifest(kind, spec), ensure_ascii=False)},
        {DEVELOPMENT_JWKS: b"", "a.key": b"sk"},
    )
    assert list(map(str, loaded.diagnostics)) == []
    assert [each.kind for each in loaded.manifests] == [kind]


@pytest.mark.parametrize(("kind", "spec"), _SPECS, ids=[f"{kind}-{i}" for i, (kind, _) in enumerate(_SPECS)])
def test_anything_anywhere_is_either_taken_or_told_of(kind: str, spec: dict[str, Any]) -> None:
    texts = {
        json.dumps(each, ensure_ascii=False)
        for anything in _ANYTHING
        for each in _everywhere(_manifest(kind, spec), anything)
    }
    assert len(texts) > 100
    for text in texts:
        loaded = load({"a.json": text}, {})
        assert bool(loaded.manifests) != any(each.is_error for each in loaded.diagnostics), text
        for each in loaded.diagnostics:
            assert each.position.line == 1
            assert 1 <= each.position.column <= len(text) + 1
            assert "pydantic" not in str(each)


def test_every_kind_is_here() -> None:
    assert {kind for kind, _ in _SPECS} == KINDS.keys()
