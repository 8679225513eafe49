"""Policy folders for tests: read from disk, built, and compiled, without anything that is random or of this machine.

Any test may use it: `read(folder)` gives the texts, `build(folder)` the graph, `compile_folder(folder)` the catalogue.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from xds_server.compiler import Compiler
from xds_server.graph import Builder, Built, Graph
from xds_server.policy import DEVELOPMENT_JWKS, PolicySource, load
from xds_server.snapshot import Audience, Catalogue, Dialect, View

_POLICIES = frozenset({".yaml", ".yml"})
# A public CA and a public key, as real as Envoy wants them.
ROOTS = (Path(__file__).parent / "roots.pem").read_text()
JWKS = (Path(__file__).parent / "development.jwks.json").read_bytes()


def read(folder: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """The policy texts and the other files of a folder, by their path in it; the development issuer has a fixed key,
    and what policy sources publish stands beside them.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    files = {names[path]: path.read_text() for path in paths if path.suffix in _POLICIES}
    attachments = {names[path]: path.read_bytes() for path in paths if path.suffix not in _POLICIES}
    return files, {DEVELOPMENT_JWKS: JWKS, **attachments, **_published(files, attachments)}


def _published(files: dict[str, str], attachments: dict[str, bytes]) -> dict[str, bytes]:
    """What the sources of a set publish, by URL: for the source `governance` it is in `governance.published`."""
    sources = load(files, {}).fleet.list(PolicySource)
    texts = {name.rpartition("/")[2]: content for name, content in attachments.items()}
    names = {each.spec.url: f"{each.name}.published" for each in sources}
    return {url: texts[name] for url, name in names.items() if name in texts}


@cache
def build(folder: Path) -> Built:
    """The graph of a folder, and all that is wrong with it."""
    return Builder().build(load(*read(folder)))


def compile_graph(graph: Graph) -> Catalogue:
    """The catalogue of a graph."""
    return Compiler(ROOTS).compile(graph)


def compile_folder(folder: Path) -> Catalogue:
    """The catalogue of a folder, which must be without errors."""
    built = build(folder)
    assert not built.errors, "\n".join(map(str, built.errors))
    return compile_graph(built.graph)


def list_regions(graph: Graph) -> list[str]:
    """The regions in which some backend stands, used or not, sorted."""
    return sorted(
        {
            backend.place.region
            for endpoint in graph.endpoints.values()
            for deployment in endpoint.deployments
            for revision in deployment.revisions
            for backend in (*revision.backends, *revision.refused)
        }
    )


@cache
def list_views(folder: Path) -> dict[Audience, View]:
    """What each gateway's Envoys see, in each region where some backend stands (`nowhere` if there is none), in state
    of the world and incrementally.

    Gateways of clients without Envoy are left out.
    """
    graph = build(folder).graph
    catalogue = compile_graph(graph)
    envoys = [name for name, edge in graph.edges.items() if edge.gateway.spec.proxyless is None]
    audiences = [
        Audience(name, each, Dialect(incremental=incremental))
        for name in envoys
        for each in list_regions(graph) or ["nowhere"]
        for incremental in (False, True)
    ]
    views = {audience: catalogue.view(audience) for audience in audiences}
    return {audience: view for audience, view in views.items() if view is not None}
