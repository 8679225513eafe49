"""Unread workloads: manifests of which enough is known that nobody has to read them before their `spec` is wanted.

A process before this one read them, found nothing wrong with them, and noted what all workloads are looked at for.
Their text is the same, so what they say is; it is read when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from xds_server.policy.attachment import references
from xds_server.policy.kinds import KINDS, Manifest
from xds_server.policy.kinds.base import WorkloadMetadata
from xds_server.policy.kinds.workload import Workload
from xds_server.policy.origin import Origin
from xds_server.policy.piece import read_piece
from xds_server.policy.reading.document import split

_set = object.__setattr__  # manifests are frozen


@dataclass(frozen=True, slots=True)
class Brief:
    """What is known of an unread workload beside its metadata; most workloads share one of few.

    `environments` are those of all its deployments, `revisions` say of each revision of an enabled deployment: which
    environment, which revision, whether a backend is named by DNS. `policies` are as `Workload.published_policies`.
    It is enabled, and refers to no file.
    """

    environments: tuple[str, ...]
    revisions: tuple[tuple[str, str, bool], ...]
    warm: bool
    policies: tuple[str, ...]

    def read(self, manifest: Manifest) -> None:
        """Read what the manifest says. Raises ValueError if that is not what is known of it."""
        origin = manifest.origin
        found = next((each for each in read_piece(origin.text) if each.index == origin.index), None)
        if found is None or found.manifest is None or found.manifest.metadata != manifest.metadata:
            raise ValueError(f"{origin}: this is no longer {manifest.title}")
        _set(manifest, "spec", found.manifest.spec)


class Known(NamedTuple):
    """An unread workload in its file: where its piece begins, which line of that it begins in, and what it is."""

    first: int
    line: int
    kind: str
    workspace: str
    name: str
    labels: dict[str, str]
    brief: Brief


def unread(file: str, text: str, known: Known) -> Workload:
    """The workload of a piece of text that holds nothing else, and that was read before."""
    metadata = object.__new__(WorkloadMetadata)
    _set(metadata, "name", known.name)
    _set(metadata, "workspace", known.workspace)
    _set(metadata, "labels", known.labels)
    made: Workload = object.__new__(KINDS[known.kind])  # type: ignore[assignment]  # the kinds of briefs are workloads'
    _set(made, "metadata", metadata)
    _set(made, "_origin", Origin(file, known.first + known.line, text, known.first))
    _set(made, "_brief", known.brief)
    return made


def list_plain(manifests: Iterable[Manifest]) -> Iterator[Workload]:
    """Those of the manifests that may be left unread another time: workloads that are enabled, refer to no file, say
    nothing that somebody looks for in all workloads, and are alone in their pieces."""
    for each in manifests:
        if not isinstance(each, Workload):
            continue
        if each.brief is not None or (
            _is_alone(each.origin) and each.spec.enabled and not references(each) and not _stands_out(each)
        ):
            yield each


def _stands_out(workload: Workload) -> bool:
    """Whether somebody looks at all workloads for what it says: at what moves, or at where callers may choose."""
    return any(
        each.rollout is not None
        or (each.routing is not None and (each.routing.overflow is not None or each.routing.caller_choice))
        or any(revision.registration is not None for revision in each.revisions)
        for each in workload.spec.deployments
    )


def _is_alone(origin: Origin) -> bool:
    # `...` ends a document within a piece, and what stands behind `---` in its line may be one.
    return origin.index == 0 and "..." not in origin.text and len(list(split(origin.text))) == 1
