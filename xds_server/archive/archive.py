"""The archive: what should be on disk of the last good state, what is, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from xds_server.archive.breath import Breath
from xds_server.archive.folder import ArchiveFolder, Fault
from xds_server.archive.image import Image, Stamps
from xds_server.archive.journal import Journal
from xds_server.archive.program import fingerprint
from xds_server.archive.record import Content, Record
from xds_server.graph import Built, Ground, Grounds, Remains, Restored, restore
from xds_server.policy import LoadCache, Loaded
from xds_server.shards import Shards


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was on disk, read but not yet resolved; `cache` is what a loader may remember of it."""

    fleet: Loaded | None
    workspaces: Mapping[str, Remains]
    faults: tuple[Fault, ...]
    caches: tuple[LoadCache, ...]

    def __bool__(self) -> bool:
        return self.fleet is not None or bool(self.workspaces)

    def warm(self, cache: LoadCache) -> None:
        """Have a cache know these texts, so that those which are still the same are not read once more."""
        cache.recall(self.caches, warm=self.fleet is not None and not self.faults)

    def restore(self, today: Loaded | None = None) -> Restored:
        """Make the graph; `today`'s fleet is what workspaces are resolved against where none is left on disk."""
        return restore(self.fleet, self.workspaces, today)


class Archive:
    """Keeps the last good state of each workspace and of the fleet."""

    def __init__(self, state: Path, policies: Path) -> None:
        self._folder = ArchiveFolder(state, policies)
        self._records: dict[str | None, Record] = {}
        self._seen: dict[str | None, tuple[Ground, Ground | None]] = {}
        self._imaged: tuple[Shards[str], Mapping[str, bytes]] | None = None
        """The texts and attachments of which the disk has an image."""
        self._keeping = Lock()
        self.breath = Breath()
        fingerprint()  # of the code that runs, not of what an upgrade may have put in its place by the first write
        self.faults: tuple[Fault, ...] = ()
        """What could not be used of what was on disk, as long as that matters."""

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder.path

    def journal(self, name: str) -> Journal:
        """The journal of something that moves at run time."""
        return Journal(self.path.parents[1] / "live" / self.path.name / f"{name}.json")

    def holds_records(self) -> bool:
        """Whether there is anything on disk to go by."""
        return self._folder.holds_records()

    def saved(self, owner: str | None) -> str | None:
        """Since when an owner's last good state is what it is; None if nothing of it is kept."""
        record = self._records.get(owner)
        return record.saved if record is not None else None

    def recall(self) -> Recalled:
        """Read what is on disk. Raises nothing for what it finds there."""
        records, faults = self._folder.read()
        caches = []
        fleet: Loaded | None = None
        workspaces: dict[str, Remains] = {}
        for record in records:
            self._records[record.owner] = record
            caches.append(LoadCache())
            loaded = record.content.load(caches[-1])
            if record.owner is None:
                fleet = loaded
            else:
                base = record.fleet.load(LoadCache()) if record.fleet is not None else None
                workspaces[record.owner] = Remains(loaded, base)
        self.faults = tuple(faults)
        return Recalled(fleet, workspaces, self.faults, tuple(caches))

    def recall_image(self) -> Image | None:
        """Read the image of what is on disk, if there is one that can be used. Raises FormError and OSError."""
        return self._folder.read_image()

    def resume(self, grounds: Grounds, image: Image) -> None:
        """Know that the records on disk are of these grounds, as their image said. Raises FormError and OSError."""
        self._imaged = (image.texts, image.attachments)
        fleet = grounds.get(None)
        for owner, ground in grounds.items():
            saved = self._folder.saved(owner)
            self._records[owner] = Record(
                owner, saved, Content((), {})
            )  # what it holds is looked at when it changes
            self._seen[owner] = (ground, fleet)

    def keep_image(
        self, built: Built, texts: Shards[str], attachments: Mapping[str, bytes], stamps: Callable[[], Stamps]
    ) -> bool:
        """Keep the image of what was built of these texts, after `keep` has; say whether there is one now.

        Raises OSError when it cannot be written; then there is none.
        """
        with self._keeping:
            if self._imaged is not None and self._imaged[0] is texts and self._imaged[1] == attachments:
                return True
            self._imaged = None
            self.breath.begin()
            image = Image.of(built, texts, attachments, stamps(), self.breath)
            if image is None:
                self._folder.forget_image()
                return False
            self._folder.write_image(image, self.breath)
            self._imaged = (texts, attachments)
            return True

    def keep(self, grounds: Grounds, broken: frozenset[str] = frozenset()) -> int:
        """Bring the disk up to date, file by file, and return how many were written.

        Owners that are gone are forgotten, unless they are `broken`: there may be nothing good of those but what is
        on disk. Raises OSError when not everything could be done; what is left is done next time.
        """
        # Who gave up waiting for one call, as at the end of a process, may make the next while that still writes; its
        # older state must not come out on top.
        with self._keeping:
            return self._keep(grounds, broken)

    def _keep(self, grounds: Grounds, broken: frozenset[str]) -> int:
        # Workspaces come before the fleet: a workspace that stays as it was takes along what it needs of the old one.
        fleet = grounds.get(None)
        self.breath.begin()
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        written = 0
        changed = False
        failure: OSError | None = None
        for owner in sorted(
            grounds.keys() | self._records.keys(), key=lambda each: (each is None, each or "")
        ):
            try:
                if owner in grounds:
                    written += self._keep_one(owner, grounds[owner], fleet, now)
                elif owner is not None and owner not in broken:
                    self._folder.forget(owner)
                    self._records.pop(owner, None)
                    self._seen.pop(owner, None)
                    changed = True
            except FileNotFoundError as error:
                # Somebody took the folder away, and with it all that is written.
                self._records.clear()
                self._seen.clear()
                failure = error
            except OSError as error:
                failure = error
        if failure is not None:
            raise failure
        if written or changed:
            self._folder.sync()
        self.faults = tuple(each for each in self.faults if not each.past)
        return written

    def _keep_one(self, owner: str | None, ground: Ground, fleet: Ground | None, now: str) -> bool:
        seen = self._seen.get(owner)
        if seen is not None and seen[0] is ground and (ground.fleet is fleet or seen[1] is fleet):
            return False
        known = self._records.get(owner)
        record = Record.of(owner, ground, fleet, now, self.breath)
        if known is not None and known.content == record.content:
            record = replace(record, saved=known.saved)
        different = not record.same(known)
        if different:
            self._folder.write(record, self.breath)
            self._records[owner] = record
        self._seen[owner] = (ground, fleet)
        return different
