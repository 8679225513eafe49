"""Policy sets of any size: one fleet, one workspace, one file a model."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from bench.program import FAIRLEAD

REGIONS = ("eu-west-3", "eu-central-1", "us-east-1")
"""Where backends are; the Envoys stand in the first."""

FLEET = """apiVersion: fairlead/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  delivery: {delivery}
  listeners: [{{name: run, address: 127.0.0.1, port: {port}}}]
---
apiVersion: fairlead/v1
kind: Issuer
metadata: {{name: fairlead-dev}}
spec:
  issuer: https://fairlead.local/dev
  audiences: [fairlead]
  jwks: {{development: true}}
---
apiVersion: fairlead/v1
kind: Workspace
metadata: {{name: acme}}
spec: {{issuers: [fairlead-dev]}}
"""
MODEL = """apiVersion: fairlead/v1
kind: Model
metadata: {{name: {name}, workspace: acme}}
spec:
  deployments:
    - environment: production
      revisions:
        - name: {revision}
          backends:
"""
BACKEND = '            - {{location: {region}, address: "{address}"}}\n'


def write_fleet(folder: Path, *, listener: int, delivery: str = "eager") -> None:
    """Write the gateway, its issuer and the workspace; `delivery` is what `Gateway.spec.delivery` says."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fleet.yaml").write_text(FLEET.format(port=listener, delivery=delivery))


def write_policies(
    folder: Path, *, listener: int, backend: int, models: int, delivery: str = "eager"
) -> None:
    """Fill a folder with a policy set of so many models, `m0` and on."""
    write_fleet(folder, listener=listener, delivery=delivery)
    for index in range(models):
        (folder / f"m{index}.yaml").write_text(model(f"m{index}", [("eu-west-3", f"127.0.0.1:{backend}")]))


def write_wide_policies(folder: Path, *, listener: int, models: int) -> None:
    """As `write_policies`, each model with three regions of two backends, which nobody asks."""
    write_fleet(folder, listener=listener)
    for index in range(models):
        (folder / f"m{index}.yaml").write_text(model(f"m{index}", wide_backends(index)))


def wide_backends(index: int) -> list[tuple[str, str]]:
    """Region and address of each backend of a model: three regions, two backends in each."""
    return [
        (region, f"10.{number}.{index // 250}.{index % 250 + 1}:80{side}0")
        for number, region in enumerate(REGIONS)
        for side in (1, 2)
    ]


def model(name: str, backends: list[tuple[str, str]], revision: str = "v1") -> str:
    """A manifest with one revision, in backends of region and address."""
    places = "".join(BACKEND.format(region=region, address=address) for region, address in backends)
    return MODEL.format(name=name, revision=revision) + places


def save_model(folder: Path, name: str, backend: int, revision: str = "v1") -> None:
    """Save a model's file as an editor does: written beside, then renamed over."""
    draft = folder / f".{name}.tmp"
    draft.write_text(model(name, [("eu-west-3", f"127.0.0.1:{backend}")], revision))
    os.replace(draft, folder / f"{name}.yaml")


def why_not_on_demand(folder: Path) -> str:
    """Why `delivery: on-demand` can't be asked for; empty if it can. The empty folder is for a trial."""
    write_fleet(folder, listener=10000, delivery="on-demand")
    done = subprocess.run(
        [FAIRLEAD, "validate", str(folder), "--format", "json"], capture_output=True, text=True, check=False
    )
    found = [each for each in json.loads(done.stdout) if each.get("severity") == "error"]
    return f"`delivery: on-demand` is not there yet ({found[0]['message']})" if found else ""
