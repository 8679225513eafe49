"""What manifests are once loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from pydantic import ValidationError

from xds_server.policy import (
    DEVELOPMENT_JWKS,
    KINDS,
    Agent,
    Function,
    Gateway,
    Issuer,
    Location,
    Model,
    Part,
    load,
)

_KEY = b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "x"}]}'


def _load(kind: str, spec: str, workspace: str = "") -> object:
    text = f"apiVersion: fairlead/v1\nkind: {kind}\nmetadata: {{name: a, {workspace}}}\nspec: {spec}\n"
    loaded = load({"a.yaml": text}, {DEVELOPMENT_JWKS: _KEY, "keys.json": _KEY})
    assert loaded.diagnostics == ()
    (manifest,) = loaded.manifests
    return manifest


def test_defaults() -> None:
    gateway = _load("Gateway", "{listeners: [{name: run, port: 80}]}")
    assert isinstance(gateway, Gateway)
    assert gateway.spec.listeners[0].address == "0.0.0.0"
    assert gateway.spec.timeouts.total == 900.0
    assert gateway.spec.limits.request_headers_kib == 60
    assert gateway.spec.workspace_headers == ("x-fairlead-workspace",)
    issuer = _load("Issuer", "{issuer: a, audiences: [x], jwks: {development: true}}")
    assert isinstance(issuer, Issuer)
    assert issuer.spec.workspaces_claim == ("workspaces",)
    assert issuer.spec.headers == ("Authorization",)
    location = _load("Location", "{country: fr, continent: eu, latitude: 48, longitude: 2.5}")
    assert isinstance(location, Location)
    assert location.region == "a"
    assert [flavor.type for flavor in location.spec.flavors] == ["cpu", "gpu"]


def test_workloads_have_one_shape() -> None:
    spec = (
        "{deployments: [{environment: x, revisions: [{name: v1, backends: [{location: eu, address: z:1}]}]}]}"
    )
    specs = [_load(kind, spec, "workspace: w") for kind in ("Model", "Agent", "Function")]
    model, agent, function = specs
    assert isinstance(model, Model)
    assert isinstance(agent, Agent)
    assert isinstance(function, Function)
    assert model.spec == agent.spec == function.spec
    assert model != agent
    assert [each.segment for each in (model, agent, function)] == ["models", "agents", "functions"]
    assert model.spec.deployments[0].revisions[0].weight is None
    assert hash(model.spec) == hash(agent.spec)


def test_manifests_cannot_be_changed() -> None:
    gateway = _load("Gateway", "{listeners: [{name: run, port: 80}]}")
    assert isinstance(gateway, Gateway)
    with pytest.raises(FrozenInstanceError):
        gateway.spec = gateway.spec  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        gateway.spec.listeners[0].port = 81  # type: ignore[misc]


@pytest.mark.parametrize(
    ("jwks", "text"),
    [
        ("{development: true}", _KEY.decode()),
        ("{file: keys.json}", _KEY.decode()),
        ("{uri: https://a/jwks}", None),
        (
            "{inline: {keys: [{x: x, crv: Ed25519, kty: OKP}]}}",
            '{"keys":[{"crv":"Ed25519","kty":"OKP","x":"x"}]}',
        ),
    ],
)
def test_key_sets(jwks: str, text: str | None) -> None:
    head = "apiVersion: fairlead/v1\nkind: Issuer\nmetadata: {name: a}\n"
    source = f"{head}spec: {{issuer: a, audiences: [x], jwks: {jwks}}}\n"
    loaded = load({"a.yaml": source}, {DEVELOPMENT_JWKS: _KEY, "keys.json": _KEY})
    (issuer,) = loaded.manifests
    assert isinstance(issuer, Issuer)
    assert loaded.jwks(issuer) == text


def test_every_kind_says_its_name() -> None:
    assert list(KINDS) == [
        "Workspace",
        "Environment",
        "Policy",
        "Model",
        "Agent",
        "Function",
        "Gateway",
        "Issuer",
        "Location",
        "PolicySource",
    ]
    assert all(kind.kind == name for name, kind in KINDS.items())


_FOLDERS = ("policies", "tests/golden", "tests/policy/golden", "tests/graph/golden")
_EXAMPLES = [
    path for each in _FOLDERS for path in sorted((Path(__file__).parents[2] / each).rglob("in/*.yaml"))
]


def _parts(value: object) -> Iterator[Part]:
    if isinstance(value, tuple):
        for each in value:
            yield from _parts(each)
    if isinstance(value, Part):
        yield value
        for name in value.fields():
            yield from _parts(getattr(value, name))


@pytest.mark.parametrize("path", _EXAMPLES, ids=str)
def test_manifests_are_without_a_dict_to_each_part(path: Path) -> None:
    """There are a million parts in a large policy set: a dict, or a set of what was given, would outweigh the rest."""
    for manifest in load({"a.yaml": path.read_text(errors="surrogateescape")}, {}).manifests:
        assert [part for part in _parts(manifest) if hasattr(part, "__dict__")] == []


def test_a_manifest_read_elsewhere_is_the_same_but_for_its_origin() -> None:
    gateway = _load("Gateway", "{listeners: [{name: run, port: 80}], runtime: {a: 1}}")
    assert isinstance(gateway, Gateway)
    moved = gateway.at(gateway.origin.moved(7))
    assert moved == gateway
    assert hash(moved) == hash(gateway)
    assert (gateway.origin.line, moved.origin.line) == (1, 8)


def test_a_part_takes_neither_other_types_nor_other_names() -> None:
    metadata = {"name": "a", "workspace": "b"}
    backend = {"location": "eu", "address": "z:1", "weight": 1}
    for wrong in (
        {"weight": "1"},
        {"weight": True},
        {"weight": 1.0},
        {"path_prefix": "/v1"},
        {"location": 1},
    ):
        revisions = ({"name": "v1", "backends": ({**backend, **wrong},)},)
        spec = {"deployments": ({"environment": "x", "revisions": revisions},)}
        with pytest.raises(ValidationError):
            Model.read({"metadata": metadata, "spec": spec})
