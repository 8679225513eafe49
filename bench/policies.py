"""Policy sets of any size: one fleet, one workspace, one file a model."""

from __future__ import annotations

import os
from pathlib import Path

FLEET = """apiVersion: fairlead/v1
kind: Gateway
metadata: {{name: edge}}
spec:
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
        - name: v1
          backends:
            - {{location: eu-west-3, address: "127.0.0.1:{port}"}}
"""


def write_policies(folder: Path, *, listener: int, backend: int, models: int) -> None:
    """Fill a folder with a policy set of so many models, `m0` and on."""
    folder.mkdir(parents=True)
    (folder / "fleet.yaml").write_text(FLEET.format(port=listener))
    for index in range(models):
        (folder / f"m{index}.yaml").write_text(MODEL.format(name=f"m{index}", port=backend))


def save_model(folder: Path, name: str, backend: int) -> None:
    """Save a model's file as an editor does: written beside, then renamed over."""
    draft = folder / f".{name}.tmp"
    draft.write_text(MODEL.format(name=name, port=backend))
    os.replace(draft, folder / f"{name}.yaml")
