"""The archive's folder: a file for each owner, closed to everybody else, each written whole or not at all.

    last-good/policies-1f0c9e2a/fleet.jsonl
    last-good/policies-1f0c9e2a/workspace.acme.jsonl
    last-good/policies-1f0c9e2a/image

The name in the middle stands for the path of the policies: several policy sets may share a state folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xds_server.archive import image_form
from xds_server.archive.breath import Breath
from xds_server.archive.form import FormError, decode, encode, saved
from xds_server.archive.image import Image
from xds_server.archive.record import Record

_FLEET: Final = "fleet.jsonl"
_IMAGE: Final = "image"
_WORKSPACE: Final = re.compile(r"workspace\.([a-z0-9-]+)\.jsonl")
_DRAFT: Final = re.compile(r"\..+\.draft")
_OTHERS_MAY_WRITE: Final = 0o022
_LAST_LINE: Final = 256
"""Bytes that hold the last line of any record."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What could not be used of the archive: which path, why, and what to do about it.

    `past` says that it is out of the way: what is written next is of use again.
    """

    path: Path
    reason: str
    remedy: str
    past: bool = False

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}; {self.remedy}"


class ArchiveFolder:
    """The records of one policy set below a state folder. Nothing is made before something is written."""

    def __init__(self, state: Path, policies: Path) -> None:
        place = os.path.abspath(policies)
        key = hashlib.blake2b(place.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
        name = re.sub(r"[^A-Za-z0-9._-]", "_", os.path.basename(place)) or "policies"
        self.path = state / "last-good" / f"{name}-{key}"
        self._ready = False

    def read(self) -> tuple[list[Record], list[Fault]]:
        """All records, and what is wrong with files that are none: those are set aside, not deleted."""
        records: list[Record] = []
        faults: list[Fault] = []
        try:
            for folder in self._folders():
                faults += _open_to_others(folder)
            names = sorted(os.listdir(self.path)) if not faults else []
        except FileNotFoundError:
            return [], []
        except OSError as error:
            return [], [Fault(self.path, f"cannot be read: {error.strerror}", "mend it, and restart")]
        for name in names:
            path = self.path / name
            if _DRAFT.fullmatch(name):
                _drop(path)  # of a process that was killed while it wrote
            if name != _FLEET and not _WORKSPACE.fullmatch(name):
                continue
            try:
                if open_to_others := _open_to_others(path):
                    faults += open_to_others
                else:
                    records.append(_read(path, name))
            except FormError as error:
                faults.append(_set_aside(path, error))
            except OSError as error:
                faults.append(Fault(path, f"cannot be read: {error.strerror}", "mend it, and restart"))
        return records, faults

    def read_image(self) -> Image | None:
        """The image of what is on disk; None if there is none. Raises FormError and OSError for one of no use."""
        path = self.path / _IMAGE
        try:
            if any(_open_to_others(each) for each in (*self._folders(), path)):
                raise FormError("other users can write it")
            return image_form.decode(path.read_bytes(), self._digests())
        except FileNotFoundError:
            return None

    def write_image(self, image: Image, breath: Breath) -> None:
        """Keep the image of the records that are on disk now. Raises OSError; there is none then."""
        self._put(_IMAGE, image_form.encode(image, self._digests(), breath))

    def forget_image(self) -> None:
        """Delete the image, if there is one. Raises OSError."""
        (self.path / _IMAGE).unlink(missing_ok=True)

    def saved(self, owner: str | None) -> str:
        """Since when an owner's record is what it is. Raises FormError and OSError."""
        with (self.path / _name(owner)).open("rb") as file:
            return saved(file.readline())

    def _digests(self) -> dict[str, str]:
        """The last lines of all records, which say what they hash to, by file name."""
        found = {}
        for name in os.listdir(self.path):
            if name == _FLEET or _WORKSPACE.fullmatch(name):
                with (self.path / name).open("rb") as file:
                    file.seek(-min(_LAST_LINE, os.fstat(file.fileno()).st_size), os.SEEK_END)
                    lines = file.read().splitlines() or [b""]  # an empty one is none, and fits to no image
                    found[name] = lines[-1].decode("ascii", "replace")
        return found

    def write(self, record: Record, breath: Breath) -> None:
        """Put a record in the place of the owner's last one. Raises OSError; the last one is then still there."""
        self._put(_name(record.owner), breath.between(encode(record)))

    def _put(self, name: str, parts: Iterable[bytes]) -> None:
        if not self._ready:
            for folder in self._folders():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._ready = True
        draft = self.path / f".{name}.{secrets.token_hex(4)}.draft"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileNotFoundError:
            self._ready = False
            raise
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path / name)
        except BaseException:
            _drop(draft)
            raise

    def _folders(self) -> tuple[Path, ...]:
        return self.path.parent.parent, self.path.parent, self.path

    def forget(self, owner: str | None) -> None:
        """Delete an owner's record, if there is one. Raises OSError."""
        (self.path / _name(owner)).unlink(missing_ok=True)

    def sync(self) -> None:
        """Have what was written and forgotten outlive a power cut. Raises OSError."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def holds_records(self) -> bool:
        """Whether there is any, of use or not."""
        try:
            return any(name == _FLEET or _WORKSPACE.fullmatch(name) for name in os.listdir(self.path))
        except OSError:
            return False


def _name(owner: str | None) -> str:
    return _FLEET if owner is None else f"workspace.{owner}.jsonl"


def _read(path: Path, name: str) -> Record:
    record = decode(path.read_bytes())
    if name != _name(record.owner):
        raise FormError(f"it is the record of {record.owner or 'the fleet'}")
    return record


def _open_to_others(path: Path) -> list[Fault]:
    """Whoever can write here decides whom the fleet trusts."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & _OTHERS_MAY_WRITE:
        return []
    return [
        Fault(path, f"other users can write it (mode {mode:03o}), so it is not used", f"chmod go-w {path}")
    ]


def _set_aside(path: Path, error: FormError) -> Fault:
    aside = path.with_name(f"{path.name}.set-aside-{secrets.token_hex(3)}")
    remedy = f"it is set aside as {aside.name}: " + (
        "rename it back before you run the Fairlead that wrote it again"
        if error.newer
        else "delete that when you know what happened"
    )
    try:
        path.rename(aside)
    except OSError as failure:
        remedy = f"it cannot be set aside either ({failure.strerror}); delete it"
        return Fault(path, f"{error}, so it is not used", remedy)
    return Fault(path, f"{error}, so it is not used", remedy, past=True)


def _drop(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # nobody reads a draft: one that stays costs a little room
        return
