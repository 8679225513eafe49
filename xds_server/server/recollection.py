"""Recollection: a start goes on from what the process before it knew, if that can be known again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import structlog

from xds_server.archive import Archive, FormError, Image
from xds_server.graph import Builder, Built
from xds_server.policy import LoadCache, load
from xds_server.shards import Shards

log = structlog.get_logger("fairlead.pipeline")


class Forgetful(Protocol):
    """A source that can be told what was read before."""

    def recall(self, files: Shards[str], stamps: Mapping[str, bytes]) -> None:
        """Know files by what was seen of them."""


def recollect(archive: Archive, source: Forgetful, cache: LoadCache, builder: Builder) -> Built | None:
    """Have source, cache and builder, which are new, know what the process before this one knew.

    Returns what it served last; `None` if that has to be made again from the records. Raises nothing for what is on
    disk. What is wrong with an image is told, and costs no more than the time that it would have saved; but cache and
    builder may then know half of it, and have to be made anew.
    """
    try:
        image = archive.recall_image()
        return _go_on(image, archive, source, cache, builder) if image is not None else None
    except FormError as error:
        reason = str(error)
    except OSError as error:
        reason = str(error.strerror or error)
    except Exception as error:  # noqa: BLE001 (whatever is on disk, all can be read anew)
        reason = f"{type(error).__name__}: {error}"
    log.info("all policies are read anew: what the last process knew of them is of no use", reason=reason)
    return None


def _go_on(image: Image, archive: Archive, source: Forgetful, cache: LoadCache, builder: Builder) -> Built:
    cache.foreknow(image.texts, image.known)
    loaded = load(image.texts, image.attachments, cache)
    built = builder.build(loaded, vouched=image.contexts)
    if built.errors or built.kept or not built.servable:
        raise FormError("what was good then is not now")
    archive.resume(built.grounds, image)
    source.recall(image.texts, image.stamps)
    log.info("going on from what the last process knew", models=len(built.graph.endpoints))
    return Built(built.graph, (), frozenset(), fleet_kept=True, grounds=built.grounds)
