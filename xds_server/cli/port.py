"""TCP ports of this machine: is one free, does somebody listen, and who is it."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from pathlib import Path
from typing import Final

from xds_server.cli.outcome import CommandError

LISTEN_STATE: Final = "0A"


def parse(text: str) -> tuple[str, int]:
    """Split ``127.0.0.1:18000`` or ``[::1]:18000`` into host and port; raises ``ValueError`` if it is
    neither.
    """
    host, colon, digits = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not host or not digits.isascii() or not digits.isdigit() or int(digits) > 65535:
        raise ValueError(f"{text!r} is not host:port")
    return host, int(digits)


def join(host: str, port: int) -> str:
    """Write host and port the way an address has them, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def loopback(host: str) -> bool:
    """Tell whether ``host`` is an address of this machine that no other machine can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reachable(host: str) -> str:
    """Return the address under which this machine reaches a server that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - the one to replace


def require_free(host: str, port: int, what: str, remedy: str) -> None:
    """Raise ``CommandError`` unless ``what`` could listen on ``host:port`` now; port 0 (any) always could.

    The socket is bound without SO_REUSEPORT: Envoy and gRPC set it, and would share the port with whoever has
    it.
    """
    if port == 0:
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError as error:
        where = join(host, port)
        if error.errno == errno.EADDRINUSE:
            owner = holder(port)
            by = f" by {owner}" if owner else ""
            raise CommandError(f"port {port} is taken{by}, and {what} needs {where}", remedy) from error
        raise CommandError(f"{what} cannot listen on {where}: {error.strerror or error}", remedy) from error


def holder(port: int) -> str | None:
    """Name the process that listens on ``port``, as ``envoy (pid 4711)``; ``None`` where the system won't
    tell.
    """
    inodes = {f"socket:[{inode}]" for inode in _listening(port)}
    for link in Path("/proc").glob("[0-9]*/fd/*") if inodes else ():
        with contextlib.suppress(OSError):  # the process ended, or is another user's
            if str(link.readlink()) in inodes:
                process = link.parent.parent
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return None


def _listening(port: int) -> set[str]:
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == LISTEN_STATE and int(columns[1].rpartition(":")[2], 16) == port:
                    found.add(columns[9])
    return found
