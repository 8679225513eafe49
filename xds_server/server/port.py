"""Addresses to listen on."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address


class PortTaken(Exception):  # noqa: N818 - reads as what happened
    """An address to listen on is in use. `address` says which, `remedy` what to do."""

    def __init__(self, address: str, purpose: str) -> None:
        self.address = address
        self.purpose = purpose
        self.remedy = (
            f"stop what listens there (`ss -ltnp 'sport = :{address.rpartition(':')[2]}'` names it), "
            "or choose another address"
        )
        super().__init__(f"{address} ({purpose}) is already in use: {self.remedy}")


def split(address: str) -> tuple[str, int]:
    """Take `host:port` or `[host]:port` apart. Raises `ValueError` when it is neither."""
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise ValueError(f"{address!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def bind(address: str, purpose: str) -> socket.socket:
    """Open a listening socket on `host:port`; port 0 is any free one.

    Raises `PortTaken`, `ValueError` for what is no address, `OSError` for anything else.
    """
    host, port = split(address)
    family, kind, protocol, _, place = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(place)
        opened.listen(128)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(address, purpose) from error
        raise
    return opened


def is_loopback(address: str) -> bool:
    """Say whether whoever connects to `host:port` is on this machine. Raises `ValueError` for what is no address.

    No, where the host cannot be found.
    """
    host, port = split(address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return False
    return all(ip_address(place[0]).is_loopback for *_, place in found)
