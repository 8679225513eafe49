"""A root file system put together from files of this machine: what an image has when none can be pulled.

In: paths on this machine. Out: a tar stream for ``docker import``. Must not run anything of what it packs.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

ELF = b"\x7fELF"


class Rootfs:
    """Collects files, with the shared libraries they load, and writes them as one tar.

    Every path stays what it is on this machine unless said otherwise, everything belongs to root, and every
    folder on the way can be entered by all: the processes in the containers are not root.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=out, mode="w")  # noqa: SIM115 - closed by close()
        self._held: set[str] = set()

    def close(self) -> None:
        """End the archive; the stream it was written to stays open."""
        self._tar.close()

    def folder(self, at: str, mode: int = 0o755) -> None:
        """Add an empty folder, and those above it."""
        if at in ("/", ".") or at in self._held:
            return
        self.folder(str(Path(at).parent))
        self._held.add(at)
        entry = tarfile.TarInfo(at.lstrip("/"))
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(entry)

    def text(self, at: str, content: str, mode: int = 0o644) -> None:
        """Add a text file."""
        self._add(at, io.BytesIO(content.encode()), len(content.encode()), mode)

    def link(self, at: str, to: str) -> None:
        """Add a symbolic link at `at` that leads to `to`."""
        self.folder(str(Path(at).parent))
        entry = tarfile.TarInfo(at.lstrip("/"))
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, to, 0o777
        self._held.add(at)
        self._tar.addfile(entry)

    def file(self, source: Path, at: str | None = None) -> None:
        """Add one file: what a link leads to, not the link. A program brings the libraries it loads."""
        at = at or str(source)
        if at in self._held:
            return
        with source.open("rb") as content:
            binary = content.read(4) == ELF
            content.seek(0)
            status = source.stat()
            mode = 0o755 if status.st_mode & 0o100 else 0o644
            # With its time, by which Python knows whether the bytecode beside a module is current.
            self._add(at, content, status.st_size, mode, int(status.st_mtime))
        if binary:
            for library in libraries(source):
                self.file(library)

    def tree(self, source: Path, wanted: Callable[[Path], bool], at: str | None = None) -> None:
        """Add what is below a folder and `wanted`; an unwanted folder is left out whole."""
        at = at or str(source)
        self.folder(at)
        for path in sorted(source.iterdir()):
            if not wanted(path):
                continue
            if path.is_dir():
                self.tree(path, wanted, f"{at}/{path.name}")
            elif path.is_file():
                self.file(path, f"{at}/{path.name}")

    def _add(self, at: str, content: BinaryIO, size: int, mode: int, time: int = 0) -> None:
        self.folder(str(Path(at).parent))
        entry = tarfile.TarInfo(at.lstrip("/"))
        entry.size, entry.mode, entry.mtime = size, mode, time
        self._held.add(at)
        self._tar.addfile(entry, content)


def libraries(program: Path) -> list[Path]:
    """The shared libraries that the loader gives a program or library, the loader itself included."""
    listing = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    # Lines are `libm.so.6 => /lib/libm.so.6 (0x…)`, `/lib64/ld-linux.so.2 (0x…)` or `linux-vdso.so.1 (0x…)`.
    names = (line.partition("=>")[2] or line for line in listing.stdout.splitlines())
    return [Path(name.split()[0]) for name in names if name.strip().startswith("/")]


def installed(library: str) -> Path:
    """Where the loader finds a shared library of this name (`libgcc_s.so.1`)."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    command = [shutil.which("ldconfig", path=path) or "ldconfig", "-p"]
    # Lines are `libgcc_s.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libgcc_s.so.1`.
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        name, _, where = line.partition(" => ")
        if name.split()[:1] == [library]:
            return Path(where)
    raise FileNotFoundError(f"{library} is not installed here")
