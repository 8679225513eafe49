"""What is made of the models, the schema and the reference, is current; the examples are good."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from xds_server.policy import DEVELOPMENT_JWKS, KINDS, load
from xds_server.policy.codes import CODES
from xds_server.policy.kinds.shape import parts
from xds_server.policy.reference import reference
from xds_server.policy.schema import schema
from xds_server.sources import FolderSource

_ROOT = Path(__file__).parents[2]
_POLICIES = _ROOT / "policies"
_SETS = sorted(path.name for path in _POLICIES.iterdir() if path.is_dir())
_EXAMPLES = sorted(path.relative_to(_POLICIES).as_posix() for path in _POLICIES.rglob("*.yaml"))
_KEY = b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "x"}]}'


def _validator() -> Draft7Validator:
    return Draft7Validator(json.loads((_POLICIES / "schema.json").read_text()))


def test_the_schema_is_current() -> None:
    """If not: python -m xds_server.policy.schema > policies/schema.json"""
    assert json.loads((_POLICIES / "schema.json").read_text()) == schema()


def test_the_reference_is_current() -> None:
    """If not: python -m xds_server.policy.reference > docs/policy-reference.md"""
    assert (_ROOT / "docs" / "policy-reference.md").read_text() == reference()


def test_the_reference_is_complete() -> None:
    text = reference()
    queue = list(KINDS.values())
    while queue:
        part = queue.pop()
        for field in part.fields().values():
            assert field.description, f"{part.__name__}.{field.alias} has no description"
            assert field.examples or parts(field.annotation), f"{part.__name__}.{field.alias} has no example"
            assert f"| `{field.alias}` |" in text
            queue += parts(field.annotation)  # type: ignore[arg-type]
    assert all(f"## {kind}\n" in text for kind in KINDS)
    assert all(f"| `{code}` |" in text for code in CODES)


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(schema())
    assert "null" not in json.dumps(schema())


@pytest.mark.parametrize("name", _EXAMPLES)
def test_an_example_fits_the_schema(name: str) -> None:
    text = (_POLICIES / name).read_text()
    to_schema = "../" * name.count("/") + "schema.json"
    assert text.startswith(f"# yaml-language-server: $schema={to_schema}\n")
    for document in yaml.safe_load_all(text):
        assert [error.message for error in _validator().iter_errors(document)] == []


@pytest.mark.parametrize("name", _SETS)
def test_an_example_set_is_without_mistakes(name: str) -> None:
    read = FolderSource(_POLICIES / name).read()
    loaded = load(read.files, {**read.attachments, DEVELOPMENT_JWKS: _KEY}, unreadable=read.problems)
    assert list(map(str, loaded.diagnostics)) == []
    assert loaded.manifests


@pytest.mark.parametrize("name", ["quickstart", "canary", "multi-region", "global", "residency", "access"])
def test_each_stage_of_the_tour_says_what_it_shows(name: str) -> None:
    heads = [path.read_text().splitlines()[1] for path in (_POLICIES / name).glob("*.yaml")]
    assert any(head.casefold().startswith(f"# {name}") for head in heads)


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "Environment", "metadata": {"name": "a", "workspace": "b"}},
        {"apiVersion": "fairlead/v1", "kind": "Enviroment", "metadata": {"name": "a", "workspace": "b"}},
        {"apiVersion": "fairlead/v1", "kind": "Environment", "metadata": {"name": "a"}},
        {"apiVersion": "fairlead/v1", "kind": "Environment", "metadata": {"name": "A", "workspace": "b"}},
        {
            "apiVersion": "fairlead/v1",
            "kind": "Gateway",
            "metadata": {"name": "a"},
            "spec": {"listeners": []},
        },
        {"apiVersion": "fairlead/v1", "kind": "Gateway", "metadata": {"name": "a"}, "spec": {"listener": []}},
        {
            "apiVersion": "fairlead/v1",
            "kind": "Issuer",
            "metadata": {"name": "a"},
            "spec": {"issuer": "a", "audiences": ["b"], "jwks": {"file": "a.json", "uri": "https://a"}},
        },
        {
            "apiVersion": "fairlead/v1",
            "kind": "Policy",
            "metadata": {"name": "a", "workspace": "b"},
            "spec": {"type": "flavor", "locations": [{"type": "continent", "name": "eu"}]},
        },
    ],
)
def test_the_schema_refuses(document: object) -> None:
    assert not _validator().is_valid(document)
