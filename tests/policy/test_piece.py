"""Pieces are read once: positions are worked out again only where there is something to say."""

from __future__ import annotations

from pathlib import Path

import pytest
from yaml.nodes import Node

from xds_server.policy import DEVELOPMENT_JWKS, LoadCache, load, origin, piece
from xds_server.sources import FolderSource

_POLICIES = Path(__file__).parents[2] / "policies"
_KEY = b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "x"}]}'


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that is composed, in order."""
    texts: list[str] = []
    compose = piece.compose

    def note(text: str) -> list[Node]:
        texts.append(text)
        return compose(text)

    monkeypatch.setattr(piece, "compose", note)
    monkeypatch.setattr(origin, "compose", note)
    return texts


@pytest.mark.parametrize("name", sorted(path.name for path in _POLICIES.iterdir() if path.is_dir()))
def test_a_document_without_mistakes_is_composed_once(name: str, composed: list[str]) -> None:
    read = FolderSource(_POLICIES / name).read()
    cache = LoadCache()
    for _ in range(2):
        loaded = load(read.files, {**read.attachments, DEVELOPMENT_JWKS: _KEY}, cache)
        assert loaded.diagnostics == ()
        assert sorted({each.origin.text for each in loaded.manifests}) == sorted(composed)
    (manifest, *_) = loaded.manifests
    assert manifest.locate(("metadata", "name")).line > manifest.origin.line
    assert composed[-1] == manifest.origin.text


def test_a_mistake_in_the_text_is_placed_without_reading_it_again(composed: list[str]) -> None:
    text = "apiVersion: fairlead/v1\nkind: Environment\nmetadata: {name: no, workspace: a}\nspec: {policys: []}\n"
    found = load({"a.yaml": text}, {}).diagnostics
    assert [str(each.position) for each in found] == ["a.yaml:3:18", "a.yaml:4:8"]
    assert composed == [text]
