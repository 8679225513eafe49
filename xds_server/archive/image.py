"""The image: a good state as the process that ends knows it, so that the next one need not read it again.

Records are texts, which any version of Fairlead reads. The image is what one version made of them, for the very same
one: the texts of all files with what the file system said of each, and of each workload what everybody looks at. It is
the image of the records beside it, or of no use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from xds_server.archive.breath import Breath
from xds_server.graph import Built, Endpoint
from xds_server.policy import Brief, Known, Workload, list_plain
from xds_server.shards import Shards

Stamps = Mapping[str, tuple[str, bytes]]
"""By file: its text, and what the file system said of the file when that was read, if it can be told by that."""


@dataclass(frozen=True, slots=True)
class Image:
    """A policy set in which nothing is wrong, and its workloads.

    `stamps` are of those files that can be told by them, `contexts` by workspace the digest of what its workloads were
    resolved in.
    """

    texts: Shards[str]
    stamps: Mapping[str, bytes]
    attachments: Mapping[str, bytes]
    known: Mapping[str, tuple[Known, ...]]
    """By file."""
    contexts: Mapping[str, str]

    @classmethod
    def of(
        cls,
        built: Built,
        texts: Shards[str],
        attachments: Mapping[str, bytes],
        stamps: Stamps,
        breath: Breath,
    ) -> Image | None:
        """The image of what was built of these texts; None if not all of that is good, and served as it is written."""
        owners = [name for name in built.grounds if name is not None]
        contexts = {
            name: each.context for name in owners if (each := built.grounds[name]).context is not None
        }
        if built.errors or built.kept or built.fleet_kept or built.held or len(contexts) < len(owners):
            return None
        told = {each.position.file for each in built.diagnostics}
        known: dict[str, list[Known]] = defaultdict(list)
        briefs: dict[Brief, Brief] = {}
        for name in owners:
            roster = built.grounds[name].roster
            for workload in list_plain(breath.between(roster.workloads.values())):
                found = built.graph.endpoints.get(f"{name}/{workload.segment}/{workload.name}")
                if found is not None and workload.origin.file not in told and workload.origin.file in texts:
                    brief = _brief(workload, found)
                    known[workload.origin.file].append(_known(workload, briefs.setdefault(brief, brief)))
        return cls(
            texts,
            {name: stamp for name, (text, stamp) in stamps.items() if texts.get(name) is text},
            attachments,
            {name: tuple(each) for name, each in known.items()},
            {name: context.digest() for name, context in contexts.items() if context is not None},
        )


def _brief(workload: Workload, endpoint: Endpoint) -> Brief:
    return Brief(workload.environments, endpoint.revisions, endpoint.warm, workload.published_policies)


def _known(workload: Workload, brief: Brief) -> Known:
    origin, metadata = workload.origin, workload.metadata
    line = origin.line - origin.first
    return Known(origin.first, line, workload.kind, metadata.workspace, metadata.name, metadata.labels, brief)


def list_briefs(known: Mapping[str, Iterable[Known]]) -> Iterator[Brief]:
    """Each brief once."""
    yield from dict.fromkeys(each.brief for found in known.values() for each in found)
