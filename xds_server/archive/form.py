"""The form of a record in a file: lines of JSON, the last of which says how many there are and what they hash to.

    {"fairlead": "last good state", "format": 1, "owner": "acme", "saved": "2026-01-31T12:00:00Z"}
    {"in": "content", "file": "policies/acme.yaml", "line": 1, "manifest": "apiVersion: ..."}
    {"in": "content", "file": "policies/ca.pem", "attachment": "-----BEGIN ..."}
    {"lines": 3, "blake2b": "..."}

Bytes that are no UTF-8 stand in texts as surrogates. A line a document keeps both reading and writing interruptible.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from xds_server.archive.record import Content, Document, Record

FORMAT: Final = 1
KIND: Final = "last good state"
_CONTENT, _FLEET = "content", "fleet"


class FormError(ValueError):
    """A file is no record that can be used; the message says why, `newer` that a newer Fairlead wrote it."""

    def __init__(self, message: str, *, newer: bool = False) -> None:
        super().__init__(message)
        self.newer = newer


def encode(record: Record) -> Iterator[bytes]:
    """The lines of a record's file."""
    digest = hashlib.blake2b(digest_size=16)
    count = 0
    for value in _values(record):
        line = json.dumps(value).encode() + b"\n"
        digest.update(line)
        count += 1
        yield line
    yield json.dumps({"lines": count, "blake2b": digest.hexdigest()}).encode() + b"\n"


def decode(data: bytes) -> Record:
    """The record of a file. Raises FormError for anything else."""
    lines = data.splitlines(keepends=True)
    if not lines:
        raise FormError("it is empty")
    head = _read(lines[0])
    if head.get("fairlead") != KIND:
        raise FormError("it is not a last good state of Fairlead")
    if head.get("format") != FORMAT:
        raise FormError(f"it has format {head.get('format')}, and this Fairlead reads {FORMAT}", newer=True)
    end = _read(lines[-1])
    digest = hashlib.blake2b(b"".join(lines[:-1]), digest_size=16).hexdigest()
    if end.get("lines") != len(lines) - 1 or end.get("blake2b") != digest:
        raise FormError("it is cut short or changed")
    values = [_read(line) for line in lines[1:-1]]
    try:
        fleet = _content(values, _FLEET)
        return Record(
            head["owner"],
            str(head["saved"]),
            _content(values, _CONTENT),
            fleet if fleet.documents else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise FormError(f"it lacks {error}") from error


def saved(head: bytes) -> str:
    """Since when a record is what it is, from the first line of its file. Raises FormError for anything else."""
    try:
        return str(_read(head)["saved"])
    except KeyError as error:
        raise FormError(f"it lacks {error}") from error


def _values(record: Record) -> Iterator[dict[str, Any]]:
    yield {"fairlead": KIND, "format": FORMAT, "owner": record.owner, "saved": record.saved}
    for part, content in ((_CONTENT, record.content), (_FLEET, record.fleet)):
        if content is None:
            continue
        for each in content.documents:
            yield {"in": part, "file": each.file, "line": each.line, "manifest": each.text}
        for file, held in content.attachments.items():
            yield {"in": part, "file": file, "attachment": held.decode("utf-8", "surrogateescape")}


def _content(values: list[dict[str, Any]], part: str) -> Content:
    those = [each for each in values if each["in"] == part]
    return Content(
        tuple(Document(each["file"], each["line"], each["manifest"]) for each in those if "manifest" in each),
        {
            each["file"]: each["attachment"].encode("utf-8", "surrogateescape")
            for each in those
            if "attachment" in each
        },
    )


def _read(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FormError("it is cut short or changed") from error
    if not isinstance(value, dict):
        raise FormError("it is cut short or changed")
    return value
