"""Texts that are not, or only nearly, YAML: bytes, line ends, nesting, and what nobody writes by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xds_server.policy import EVERYTHING, Diagnostic, Model, Severity, load

_MODEL = """apiVersion: fairlead/v1
kind: Model
metadata: {name: llama, workspace: acme}
spec:
  displayName: Llama é
  deployments:
    - environment: production
      revisions: [{name: v1, backends: [{location: eu-west-3, address: 10.0.0.1:8000}]}]
"""


def _told(text: str) -> list[str]:
    return [f"{each.position}: {each.code}" for each in load({"a.yaml": text}, {}).diagnostics]


def _one(text: str) -> Diagnostic:
    (diagnostic,) = load({"a.yaml": text}, {}).diagnostics
    return diagnostic


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + _MODEL,
        _MODEL.replace("\n", "\r\n"),
        _MODEL.replace("\n", "\r"),
        "---\n" + _MODEL,
        "--- # a comment\n" + _MODEL,
        "# a comment\n---\n" + _MODEL + "---\n",
        _MODEL + "...\n",
        _MODEL.rstrip("\n"),
        "---\n\n---\n" + _MODEL + "---\n# the end\n",
    ],
)
def test_other_ways_to_write_the_same(text: str) -> None:
    loaded = load({"a.yaml": text}, {})
    assert loaded.diagnostics == ()
    assert loaded.manifests == load({"b.yaml": _MODEL}, {}).manifests


def test_json_is_read_too() -> None:
    text = '{"apiVersion": "fairlead/v1", "kind": "Environment",\n "metadata": {"name": "x", "workspace": "\\u0061"}}'
    (manifest,) = load({"a.json": text}, {}).manifests
    assert manifest.title == "Environment a/x"


def test_a_separator_ends_a_document_even_within_quotes() -> None:
    text = _MODEL.replace("Llama é", '"text\n---\nmore"')
    assert _told(text) == ["a.yaml:5:16: syntax", "a.yaml:8:14: syntax"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"name: caf\xe9\n".decode("utf-8", "surrogateescape"), "a.yaml:1:10: not-utf8"),
        ("a: 1\nb: \x00\n", "a.yaml:2:4: bad-character"),
        ("a: '\x1b[31m'\n", "a.yaml:1:5: bad-character"),
        ("a: x\u2028b: y\n", "a.yaml:1:5: bad-character"),
        ("a: x\x85b: y\n", "a.yaml:1:5: bad-character"),
        ("# \u202e\na: b\n", "a.yaml:1:3: bad-character"),
        ("a: \ufeffb\n", "a.yaml:1:4: bad-character"),
    ],
)
def test_characters_that_no_file_may_hold(text: str, told: str) -> None:
    assert _told(text) == [told]
    assert _one(text).workspaces == EVERYTHING


def test_text_that_is_not_utf_8_concerns_the_workspaces_it_mentions() -> None:
    text = _MODEL.encode("latin-1").decode("utf-8", "surrogateescape")
    assert _one(text).workspaces == {"acme"}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "? " * 100_000,
        "[" * 200 + "]" * 200,
        "- " * 200 + "x",
    ],
)
def test_nesting_without_end_is_refused(text: str) -> None:
    found = load({"a.yaml": text}, {}).diagnostics
    assert "too-deep" in {each.code for each in found}
    assert all(each.workspaces == EVERYTHING for each in found)


def test_deep_nesting_by_indentation_is_refused() -> None:
    text = "\n".join(" " * depth + "a:" for depth in range(2000))
    assert _one(text).code == "too-deep"


def test_an_alias_bomb_is_refused_before_it_goes_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    found = load({"a.yaml": "\n".join(lines)}, {}).diagnostics
    assert {each.code for each in found} == {"alias"}
    assert len(found) == 10


def test_one_unreadable_document_says_nothing_about_the_others() -> None:
    loaded = load({"a.yaml": f"kind: [\n---\n{_MODEL}"}, {})
    (model,) = loaded.manifests
    assert isinstance(model, Model)
    assert model.origin.line == 3
    assert [each.code for each in loaded.diagnostics] == ["syntax"]


def test_files_that_cannot_be_read_concern_everyone() -> None:
    loaded = load({"a.yaml": _MODEL}, {}, unreadable={"b.yaml": "permission denied", "c.pem": "too large"})
    error, warning = loaded.diagnostics
    assert (error.severity, error.workspaces) == (Severity.ERROR, EVERYTHING)
    assert str(error) == "b.yaml:1:1: error[unreadable] file: permission denied"
    assert error.breaks("any")
    assert error.breaks_fleet
    assert (warning.severity, warning.breaks("any"), warning.breaks_fleet) == (Severity.WARNING, False, False)
    assert len(loaded.manifests) == 1


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("ab:-{}[],#&*!|>'\"%@` \n\t?~0129.é\x00\ud800")), max_size=60))
def test_no_text_makes_load_raise(text: str) -> None:
    load(
        {"a.yaml": text, "b.yaml": "kind: Model\n" + text, "c.yaml": "metadata: {workspace: a}\n" + text}, {}
    )


_BOUNDS = """apiVersion: fairlead/v1
kind: Environment
metadata:
  name: production
  labels: {team: "a b"}
{}
spec:
  displayName: Production
  policies: [eu-only, 'gpu-only']
"""
_OWNER = "  workspace: acme"


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_damaged_environment_never_leaves_its_workspace_without_bounds(data: st.DataObject) -> None:
    before, after = _BOUNDS.split("{}\n")
    position = data.draw(st.integers(0, len(before) + len(after) - 1))
    length = data.draw(st.integers(0, 12))
    insert = data.draw(st.text(alphabet="x:{}[]\"'-\n &*!%,?", max_size=3))
    if position < len(before):
        before = before[:position] + insert + before[min(position + length, len(before) - 1) :]
    else:
        position -= len(before)
        after = after[:position] + insert + after[position + length :]
    loaded = load({"a.yaml": f"{before}{_OWNER}\n{after}"}, {})
    kept = [each for each in loaded.manifests if each.kind == "Environment" and each.workspace == "acme"]
    assert kept or any(each.breaks("acme") for each in loaded.diagnostics)
