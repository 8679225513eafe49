"""What a source holds at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xds_server.shards import Shards


@dataclass(frozen=True, slots=True)
class SourceText:
    """The texts of a policy set, each under its name as shown to people.

    `files` are policies; bytes that are not UTF-8 stand in them as surrogates (`surrogateescape`), for the
    loader to point at. `attachments` are the files that policies may refer to. `problems` are files that
    could not be read, each with the reason. What policy sources publish is no file: it is attached under its URL, and
    `unfetched` says by URL why it is not.
    """

    files: Shards[str]
    attachments: Mapping[str, bytes]
    problems: Mapping[str, str]
    unfetched: Mapping[str, str] = field(default_factory=dict)
