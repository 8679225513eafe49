"""Policy sets for tests of the graph, written as data: manifests by file, in the order given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from tests.golden.folder import JWKS, ROOTS
from xds_server.graph import Builder, Built, Endpoint, Graph
from xds_server.policy import DEVELOPMENT_JWKS, LoadCache, load

Manifest = dict[str, Any]

__all__ = ["JWKS", "ROOTS"]

ISSUER = "https://fairlead.local/dev"


def manifest(kind: str, name: str, spec: Manifest | None = None, *, workspace: str | None = None) -> Manifest:
    metadata = {"name": name} if workspace is None else {"name": name, "workspace": workspace}
    return {"apiVersion": "fairlead/v1", "kind": kind, "metadata": metadata, "spec": spec or {}}


def gateway(name: str = "edge", port: int = 10000) -> Manifest:
    return manifest("Gateway", name, {"listeners": [{"name": "run", "address": "127.0.0.1", "port": port}]})


def issuer(name: str = "dev", **more: Any) -> Manifest:
    spec = {"issuer": ISSUER, "audiences": ["fairlead"], "jwks": {"development": True}, **more}
    return manifest("Issuer", name, spec)


def location(name: str, **more: Any) -> Manifest:
    spec = {"country": "fr", "continent": "eu", "latitude": 48.8, "longitude": 2.3, **more}
    return manifest("Location", name, spec)


def workspace(name: str = "acme", *issuers: str, **more: Any) -> Manifest:
    return manifest("Workspace", name, {"issuers": list(issuers or ("dev",)), **more})


def environment(name: str, *policies: str, within: str = "acme") -> Manifest:
    return manifest("Environment", name, {"policies": list(policies)}, workspace=within)


def places(name: str, *allowed: tuple[str, str], within: str = "acme", **more: Any) -> Manifest:
    locations = [{"type": kind, "name": each} for kind, each in allowed]
    return manifest("Policy", name, {"type": "location", "locations": locations, **more}, workspace=within)


def flavors(name: str, *allowed: Manifest, within: str = "acme", **more: Any) -> Manifest:
    return manifest("Policy", name, {"type": "flavor", "flavors": list(allowed), **more}, workspace=within)


def backend(place: str, address: str | None = None, **more: Any) -> Manifest:
    return {"location": place, "address": address or f"{place}.example:80", **more}


def revision(name: str, *backends: Manifest, **more: Any) -> Manifest:
    return {"name": name, "backends": list(backends), **more}


def deployment(
    *revisions: Manifest, to: str = "production", policies: tuple[str, ...] = (), **more: Any
) -> Manifest:
    return {"environment": to, "policies": list(policies), "revisions": list(revisions), **more}


def model(
    name: str = "llama", *deployments: Manifest, within: str = "acme", kind: str = "Model", **more: Any
) -> Manifest:
    deployed = list(deployments) or [deployment(revision("v1", backend("eu-west-3")))]
    return manifest(kind, name, {"deployments": deployed, **more}, workspace=within)


FLEET = (gateway(), issuer())


class _Plain(yaml.SafeDumper):
    """Writes what stands in two places twice: manifests have no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write(*manifests: Manifest) -> str:
    """Manifests as the text of one file."""
    return yaml.dump_all(manifests, Dumper=_Plain, sort_keys=False)


class World:
    """A control plane's memory: it loads and builds one version of a policy set after the other."""

    def __init__(self) -> None:
        self._cache = LoadCache()
        self._builder = Builder()

    def build(self, files: Mapping[str, str], attachments: Mapping[str, bytes] | None = None) -> Built:
        attached = {DEVELOPMENT_JWKS: JWKS, **(attachments or {})}
        return self._builder.build(load(files, attached, self._cache))


def build(*manifests: Manifest) -> Built:
    """The first build of one file."""
    return World().build({"all.yaml": write(*manifests)})


def build_graph(*manifests: Manifest) -> Graph:
    """The graph of one file without errors."""
    built = build(*manifests)
    assert not built.errors, "\n".join(map(str, built.errors))
    return built.graph


def endpoint(graph: Graph, path: str = "acme/models/llama") -> Endpoint:
    found = graph.find_endpoint(*path.split("/"))
    assert found is not None
    return found


def used(graph: Graph, path: str = "acme/models/llama", to: str = "production", at: int = 0) -> list[str]:
    """The places of a revision's admitted backends."""
    found = endpoint(graph, path).deployment(to)
    assert found is not None
    return [each.place.name for each in found.revisions[at].backends]
