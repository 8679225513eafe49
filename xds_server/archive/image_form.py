"""The form of an image in a file: a line that says what it is, a line of columns, and all texts.

    {"fairlead": "image", "format": 2, "program": "...", "records": {"fleet.jsonl": "..."}, "blake2b": "..."}
    {"files": ["policies/a.yaml"], "lengths": [310], "stamps": ["..."], "briefs": [...], "names": [...], ...}
    apiVersion: fairlead/v1 ...

Columns, because JSON reads a hundred thousand values of one kind in milliseconds, and as many objects in a second.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from xds_server.archive.breath import Breath
from xds_server.archive.form import FormError
from xds_server.archive.image import Image, list_briefs
from xds_server.archive.program import fingerprint
from xds_server.policy import Brief, Known
from xds_server.shards import Shards

FORMAT: Final = 2
KIND: Final = "image"


def encode(image: Image, records: Mapping[str, str], breath: Breath) -> Iterator[bytes]:
    """The parts of an image's file. `records` are the digests of the records that it is of, by file name."""
    files = sorted(image.texts)
    briefs = {brief: number for number, brief in enumerate(list_briefs(image.known))}
    columns: dict[str, list[Any]] = {name: [] for name in ("counts", *Known._fields)}
    texts = []
    for file in breath.between(files):
        texts.append(image.texts[file])
        found = image.known.get(file, ())
        columns["counts"].append(len(found))
        for each in found:
            for name, value in zip(Known._fields[:-1], each[:-1], strict=True):
                columns[name].append(value)
            columns["brief"].append(briefs[each.brief])
    everything = {
        **columns,
        "files": files,
        "lengths": [len(each) for each in texts],
        "stamps": [image.stamps.get(file, b"").hex() for file in files],
        "briefs": [[each.environments, each.revisions, each.warm, each.policies] for each in briefs],
        "contexts": dict(image.contexts),
        "attachments": {
            name: held.decode("utf-8", "surrogateescape") for name, held in image.attachments.items()
        },
    }
    # One column at a time: nobody else has a turn while JSON is made.
    parts = [f'"{key}": {json.dumps(held)}' for key, held in breath.between(everything.items())]
    body = f"{{{', '.join(parts)}}}".encode()
    blob = "".join(texts).encode("utf-8", "surrogateescape")
    digest = hashlib.blake2b(body, digest_size=16)
    digest.update(blob)
    head = {"fairlead": KIND, "format": FORMAT, "program": fingerprint(), "records": dict(records)}
    yield json.dumps({**head, "blake2b": digest.hexdigest()}).encode() + b"\n"
    yield body + b"\n"
    yield blob


def decode(data: bytes, records: Mapping[str, str]) -> Image:
    """The image of a file, if it is one of these records and of this program. Raises FormError for anything else."""
    head_line, _, rest = data.partition(b"\n")
    body, _, blob = rest.partition(b"\n")
    try:
        head = json.loads(head_line)
        if head["fairlead"] != KIND or head["format"] != FORMAT or head["program"] != fingerprint():
            raise FormError("another version of Fairlead wrote it")
        if head["records"] != records:
            raise FormError("it is of another state than the last good one")
        digest = hashlib.blake2b(body, digest_size=16)
        digest.update(blob)
        if head["blake2b"] != digest.hexdigest():
            raise FormError("it is cut short or changed")
        return _image(json.loads(body), blob.decode("utf-8", "surrogateescape"))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        if isinstance(error, FormError):
            raise
        raise FormError("it is cut short or changed") from error


def _image(columns: dict[str, Any], blob: str) -> Image:
    texts: dict[str, str] = {}
    known: dict[str, tuple[Known, ...]] = {}
    briefs = [
        Brief(tuple(each[0]), tuple((to, name, dns) for to, name, dns in each[1]), each[2], tuple(each[3]))
        for each in columns["briefs"]
    ]
    rows = zip(
        *(columns[name] for name in Known._fields[:-1]), (briefs[at] for at in columns["brief"]), strict=True
    )
    at = 0
    for file, length, count in zip(columns["files"], columns["lengths"], columns["counts"], strict=True):
        texts[file] = blob[at : at + length]
        at += length
        if count:
            known[file] = tuple([Known(*next(rows)) for _ in range(count)])
    return Image(
        Shards(texts),
        {
            file: bytes.fromhex(stamp)
            for file, stamp in zip(columns["files"], columns["stamps"], strict=True)
            if stamp
        },
        {name: held.encode("utf-8", "surrogateescape") for name, held in columns["attachments"].items()},
        known,
        columns["contexts"],
    )
