"""Manifests as dictionaries, and folders of them as YAML files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]


class _Plain(yaml.SafeDumper):
    """Without anchors, which the language does not have."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def manifest(kind: str, name: str, workspace: str | None = None, **spec: Any) -> Manifest:
    metadata = {"name": name} if workspace is None else {"name": name, "workspace": workspace}
    return {"apiVersion": "fairlead/v1", "kind": kind, "metadata": metadata, "spec": spec}


def workload(
    name: str,
    workspace: str,
    deployments: Mapping[str, Iterable[Manifest]],
    kind: str = "Model",
    policies: Iterable[str] = (),
    **spec: Any,
) -> Manifest:
    """A workload; `deployments` maps each environment to its revisions."""
    bound = {"policies": list(policies)} if policies else {}
    each = [
        {"environment": environment, "revisions": list(revisions), **bound}
        for environment, revisions in deployments.items()
    ]
    return manifest(kind, name, workspace, deployments=each, **spec)


def revision(name: str, *backends: Manifest, weight: int | None = None, **more: Any) -> Manifest:
    weighed = {} if weight is None else {"weight": weight}
    return {"name": name, "backends": list(backends), **weighed, **more}


def backend(location: str, address: str, **more: Any) -> Manifest:
    return {"location": location, "address": address, **more}


def write(folder: Path, file: str, manifests: Iterable[Manifest]) -> None:
    """Save a file of a policy folder at one go, as editors do."""
    put(folder / file, yaml.dump_all(list(manifests), Dumper=_Plain, sort_keys=False))


def put(path: Path, text: str) -> None:
    """Save a text under its name in one step: whoever reads sees the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text)
    draft.replace(path)
