"""A control plane's pipeline from one start to the next, with its state on the disk in between."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from tests.server.test_incremental import PARIS
from tests.server.test_incremental_random import Edits, contents, grounds
from xds_server.archive import Archive
from xds_server.server.guard import Guard
from xds_server.server.pipeline import Pipeline, Update
from xds_server.shards import EMPTY, Shards
from xds_server.snapshot import View
from xds_server.sources import FolderSource, SourceText


class Held:
    """A source of texts in memory."""

    def __init__(self, files: Mapping[str, str], attachments: Mapping[str, bytes]) -> None:
        self._files, self._attachments = files, attachments
        self._known: Shards[str] = EMPTY

    def read(self) -> SourceText:
        self._known = self._known.become(self._files)
        return SourceText(self._known, dict(self._attachments), {})

    async def changes(self) -> AsyncIterator[None]:
        """Nothing here changes by itself: each test runs the pipeline when it wants to."""
        for _ in ():
            yield

    def recall(self, files: Shards[str], stamps: Mapping[str, bytes]) -> None:
        self._known = files

    def stamps(self) -> dict[str, tuple[str, bytes]]:
        return {}


class Process:
    """A control plane's pipeline, from its start to when its state is on disk."""

    def __init__(
        self,
        source: FolderSource | Held,
        state: Path,
        policies: Path = Path("policies"),
        guard: Guard | None = None,
    ) -> None:
        self.source, self.archive = source, Archive(state, policies)
        self.pipeline = Pipeline(source, archive=self.archive, guard=guard)
        self.pipeline._recall(self.archive)
        self.recollected = self.pipeline._served is not None
        self.update: Update = self.pipeline.refresh()

    @property
    def view(self) -> View:
        found = self.update.catalogue.view(PARIS)
        assert found is not None
        return found

    def end(self) -> bool:
        """Write what is to be written; say whether there is an image now."""
        built, text = self.update.built, self.update.text
        assert text is not None
        self.archive.keep(built.grounds, built.kept)
        return self.archive.keep_image(built, text.files, text.attachments, self.source.stamps)


def told(update: Update) -> object:
    built = update.built
    return (
        built.diagnostics,
        built.kept,
        built.fleet_kept,
        built.graph,
        built.graph.clusters,
        {path: each.origin for path, each in built.graph.endpoints.items()},
        grounds(built),
    )


def go_on(edits: Edits, folder: Path) -> None:
    """Start after start over what is edited in between: one that goes on from its image is like one that can't."""
    state, recollected = folder / "0", 0
    for step in range(12):
        edits.edit()
        if edits.random.random() < 0.3:
            edits.mend()
        plain = folder / f"{step}-plain"
        if state.exists():
            shutil.copytree(state, plain)
            for each in plain.rglob("image"):
                each.unlink()
        one = Process(Held(edits.files, edits.attachments), state)
        other = Process(Held(edits.files, edits.attachments), plain)
        recollected += one.recollected
        assert not (other.recollected and one.recollected)
        if not one.update.built.servable:
            continue
        assert told(one.update) == told(other.update), step
        if one.update.catalogue.view(PARIS) is not None:
            assert contents(one.view) == contents(other.view), step
        one.end()
    assert recollected > 1, "too few good states to say anything"
