"""The policy set of a command: read, loaded and built, with the development issuer's keys at hand."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from xds_server.cli import diagnostics, issuer, published
from xds_server.cli.outcome import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from xds_server.graph import Built, Graph
    from xds_server.policy import Diagnostic
    from xds_server.shards import Shards
    from xds_server.snapshot import Catalogue
    from xds_server.sources import FolderSource, SourceText

MENTION: Final = re.compile(r"\bdevelopment[\"']?\s*:\s*[Tt]rue\b")
"""How a policy asks for the development issuer. A false alarm costs a key that nobody uses, no more."""


class DevelopmentSource:
    """A source with the development issuer's JWKS among its attachments, wherever the policies ask for it."""

    def __init__(self, source: FolderSource) -> None:
        self._source = source
        self._jwks: tuple[object, bytes] | None = None
        self._files: Shards[str] | None = None
        self._asking: set[str] = set()
        self._attachments: tuple[object, Mapping[str, bytes]] | None = None

    def read(self) -> SourceText:
        """Read the policies; raises ``CommandError`` if the issuer's key is needed and can't be had."""
        text = self._source.read()
        self._follow(text.files)
        return (
            replace(text, attachments=self._attach(text.attachments, self._keys())) if self._asking else text
        )

    def _follow(self, files: Shards[str]) -> None:
        """Keep track of the files that ask for the issuer, by looking at what changed."""
        last = self._files
        changed, gone = files.since(last) if last is not None else (frozenset(files), frozenset())
        self._asking -= gone | changed
        self._asking |= {
            name for name, text in files.pick(changed) if "development" in text and MENTION.search(text)
        }
        self._files = files

    def _attach(self, attachments: Mapping[str, bytes], keys: bytes) -> Mapping[str, bytes]:
        """Return the attachments with the keys; the same object for the same ones."""
        given = (attachments, keys)
        if self._attachments is None or self._attachments[0] != given:
            self._attachments = (given, {**attachments, issuer.ATTACHMENT: keys})
        return self._attachments[1]

    def _keys(self) -> bytes:
        """Return the JWKS, made anew only when the key's file has changed: checking an RSA key takes 50 ms."""
        known = self._jwks
        if known is None or known[0] is None or known[0] != issuer.signature():
            known = self._jwks = (issuer.signature(), issuer.open_issuer().jwks())
        return known[1]

    def recall(self, files: Shards[str], stamps: Mapping[str, bytes]) -> None:
        """Know the files as they were when a process before this one read them."""
        self._source.recall(files, stamps)

    def stamps(self) -> Mapping[str, tuple[str, bytes]]:
        """Tell the files as last read, and by what to know that they are still the same."""
        return self._source.stamps()

    def changes(self) -> AsyncIterator[None]:
        """Yield whenever the policies may have changed."""
        return self._source.changes()


@dataclass(frozen=True, slots=True)
class Checked:
    """A policy set and all that is wrong with it; ``manifests`` is how many could be read."""

    built: Built
    manifests: int

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Errors and warnings, in the order of their places."""
        return self.built.diagnostics

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The errors alone."""
        return self.built.errors


def open_source(path: Path) -> DevelopmentSource:
    """Return the source of a policy folder."""
    from xds_server.sources import FolderSource

    return DevelopmentSource(FolderSource(path))


def check(path: Path, sources: Iterable[str] = ()) -> Checked:
    """Read a policy set, with what `--source` options say is published, and find everything that is wrong with it."""
    from xds_server.graph import Builder
    from xds_server.policy import LoadCache, load

    text = open_source(path).read()
    if not text.files and not text.problems:
        raise CommandError(
            f"there are no policies in {path}", "they are in files that end in .yaml, .yml or .json"
        )
    cache = LoadCache()
    loaded = load(text.files, text.attachments, cache, text.problems)
    given = published.read(loaded, sources)
    attachments = {**text.attachments, **given.attachments}
    loaded = load(text.files, attachments, cache, text.problems, given.unusable)
    built = Builder().build(loaded)
    found = tuple(sorted({*built.diagnostics, *given.diagnostics}))
    return Checked(replace(built, diagnostics=found), len(loaded.manifests))


def read(path: Path, sources: Iterable[str] = ()) -> Built:
    """Read a policy set without errors; its warnings go to stderr. Raises ``CommandError`` if it has errors."""
    built = check(path, sources).built
    diagnostics.tell(built.diagnostics)
    if built.errors:
        raise CommandError(f"the policies in {path} have {diagnostics.number(len(built.errors), 'error')}")
    return built


def compile_catalogue(graph: Graph) -> Catalogue:
    """Compile a graph for every gateway and region, with the public CAs of the certifi bundle."""
    import certifi

    from xds_server.compiler import Compiler

    return Compiler(certifi.contents()).compile(graph)


def choose_gateway(graph: Graph, name: str | None, *, envoys: bool = True) -> str:
    """Return the gateway's name, or the only one's if none is given; raises ``CommandError`` if that fails.

    With ``envoys`` only gateways that have some come into question, not those of clients without Envoy.
    """
    known = [each for each, edge in graph.edges.items() if not envoys or edge.gateway.spec.listeners]
    if name is None and len(known) == 1:
        return known[0]
    if name is None:
        kind = "Gateway with listeners" if envoys and graph.edges else "Gateway"
        raise CommandError(
            f"the policies declare no {kind}" if not known else "there is more than one gateway",
            f"choose one with --gateway: {', '.join(known)}" if known else None,
        )
    if name in graph.edges and name not in known:
        raise CommandError(f"the gateway {name} is for clients without Envoy")
    if name not in known:
        raise CommandError(f"there is no gateway {name}", _alike(name, known))
    return name


def choose_region(graph: Graph, name: str) -> str:
    """Return the region if it is one; raises ``CommandError`` if no Location has it."""
    if name not in graph.regions:
        raise CommandError(
            f"there is no Location of the region {name}",
            _alike(name, graph.regions) or "declare a Location, or use a well-known region such as eu-west-3",
        )
    return name


def _alike(name: str, known: Iterable[str]) -> str | None:
    alike = get_close_matches(name, list(known), 1)
    return f"did you mean {alike[0]}?" if alike else None
