from __future__ import annotations

import pytest

from xds_server.policy import Model, load

_TEXT = """# A file of two documents.
apiVersion: fairlead/v1
kind: Environment
metadata: {name: production, workspace: acme}
---
# The second.
apiVersion: fairlead/v1
kind: Model
metadata:
  name: llama
  workspace: acme
spec:
  deployments:
    - environment: production
      policies: [eu, "gpu"]
      revisions:
      - name: v1
        backends: [{location: eu-west-3,
                    address: 10.0.0.1:8000}]
"""


def _model() -> Model:
    (_, model) = load({"a.yaml": _TEXT}, {}).manifests
    assert isinstance(model, Model)
    return model


def test_where_a_manifest_begins() -> None:
    origin = _model().origin
    assert (origin.file, origin.line, str(origin)) == ("a.yaml", 7, "a.yaml:7")


@pytest.mark.parametrize(
    ("path", "key", "shown"),
    [
        ((), False, "a.yaml:7:1"),
        (("metadata", "name"), False, "a.yaml:10:9"),
        (("metadata", "name"), True, "a.yaml:10:3"),
        (("spec", "deployments", 0), False, "a.yaml:14:7"),
        (("spec", "deployments", 0, "policies", 1), False, "a.yaml:15:22"),
        (("spec", "deployments", 0, "revisions", 0, "backends", 0, "address"), False, "a.yaml:19:30"),
        (("spec", "deployments", 0, "revisions", 0, "weight"), False, "a.yaml:17:9"),
        (("spec", "deployments", 7), False, "a.yaml:14:5"),
        (("nothing", "here"), False, "a.yaml:7:1"),
    ],
)
def test_where_a_value_stands(path: tuple[str | int, ...], key: bool, shown: str) -> None:
    assert str(_model().origin.locate(path, key)) == shown


def test_documents_on_the_separator_line() -> None:
    text = "---\n--- {apiVersion: fairlead/v1, kind: Environment,\n metadata: {name: x, workspace: a}}\n"
    (manifest,) = load({"a.yaml": text}, {}).manifests
    assert str(manifest.origin) == "a.yaml:2"
    assert str(manifest.origin.locate(("metadata", "name"))) == "a.yaml:3:19"


def test_origin_takes_no_part_in_equality() -> None:
    (one,) = load({"a.yaml": _TEXT.split("---", maxsplit=1)[0]}, {}).manifests
    (other,) = load({"b.yaml": "\n\n" + _TEXT.split("---", maxsplit=1)[0]}, {}).manifests
    assert one == other
    assert hash(one) == hash(other)
    assert one.origin != other.origin
