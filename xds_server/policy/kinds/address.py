"""Addresses of backends: `10.0.0.1:8000`, `dns.name:8000`, `https://models.example.com`, `[::1]:80`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from xds_server.policy.kinds.embedded import is_metadata, list_reached

Scheme = Literal["http", "https"]

_DEFAULT_PORTS: dict[Scheme, int] = {"http": 80, "https": 443}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_AUTHORITY = re.compile(r"(?:\[([^\]]*)\]|([^:/?#@\[\]]*))(?::([^:/?#@]*))?", re.DOTALL)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?", re.ASCII)
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# The shortest form, of any address that `_usable` could not refuse: a large policy set is full of them.
_ORDINARY = re.compile(
    rf"((?:10|127|172|192|[2-9][0-9]|1[13-5][0-9])\.{_OCTET}\.{_OCTET}\.{_OCTET}):([1-9][0-9]{{0,3}})",
    re.ASCII,
)
_EXAMPLES = "for example `10.0.0.1:8000`, `models.internal:8000` or `https://models.example.com`"


class AddressError(ValueError):
    """Why a text is not an address, with a hint for its author."""

    def __init__(self, message: str, hint: str = _EXAMPLES) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Address:
    """Where a backend listens. `host` is an IP address without brackets, or a lower-case DNS name."""

    scheme: Scheme
    host: str
    port: int
    is_ip: bool

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """`host:port`, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address:
    """The address that `text` writes; without a scheme it is `http` and needs a port. Raises AddressError."""
    ordinary = _ORDINARY.fullmatch(text)
    if ordinary is not None:
        return Address("http", ordinary[1], int(ordinary[2]), True)
    scheme, rest = _scheme(text)
    if "@" in rest:
        raise AddressError("must not hold a user name or password")
    if scheme is not None and rest.endswith("/") and rest.count("/") == 1:
        rest = rest[:-1]
    if any(mark in rest for mark in "/?#"):
        raise AddressError("must end after the host and port", "a path in front goes in `pathPrefix`")
    match = _AUTHORITY.fullmatch(rest)
    if match is None:
        if rest.count(":") > 1:
            raise AddressError("must have its IPv6 address in brackets", "for example `[::1]:8000`")
        raise AddressError("must be `host:port` or a URL")
    v6, name, port = match.groups()
    if v6 is not None:
        host, is_ip = str(_usable(_ipv6(v6))), True
    else:
        host, is_ip = _host(name)
    return Address(scheme or "http", host, _port(port, scheme), is_ip)


def _scheme(text: str) -> tuple[Scheme | None, str]:
    match = _SCHEME.fullmatch(text)
    if match is None:
        return None, text
    scheme = match.group(1).lower()
    if scheme == "http":
        return "http", match.group(2)
    if scheme == "https":
        return "https", match.group(2)
    raise AddressError(f"must be http or https, not `{scheme}`")


def _port(text: str | None, scheme: Scheme | None) -> int:
    if text is None:
        if scheme is None:
            raise AddressError("must say its port", "add it, for example `:8000`, or write a URL")
        return _DEFAULT_PORTS[scheme]
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise AddressError("must have a port from 1 to 65535")
    return int(text)


def _ipv6(text: str) -> IPv6Address:
    try:
        if "%" in text:
            raise ValueError(text)
        return IPv6Address(text)
    except ValueError:
        raise AddressError(f"must have an IPv6 address in its brackets, not `{text}`") from None


def _host(text: str) -> tuple[str, bool]:
    name = text.lower().removesuffix(".")
    if not name:
        raise AddressError("must say its host")
    labels = name.split(".")
    if labels[-1].isdigit() or re.fullmatch("0x[0-9a-f]*", labels[-1]):
        try:
            return str(_usable(IPv4Address(name))), True
        except AddressError:
            raise
        except ValueError:
            raise AddressError(f"must have an IPv4 address of four plain numbers, not `{text}`") from None
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressError(f"must have an IP address or a DNS name as its host, not `{text}`")
    return name, False


def _usable(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Refuse what no backend can have; link-local is where clouds keep their instance credentials."""
    for each in list_reached(ip):
        if each.is_unspecified:
            raise AddressError(f"must be an address to connect to; `{ip}` is one to listen on")
        if each.is_multicast or each == IPv4Address("255.255.255.255"):
            raise AddressError(f"must be the address of one host; `{ip}` is a group of them")
        if each.is_link_local:
            raise AddressError(f"must not be link-local; `{ip}` is never another machine's model")
        if is_metadata(each):
            raise AddressError(f"must not be a cloud's metadata service; `{ip}` is never a model")
    return ip


def is_ip(text: str) -> bool:
    """Whether a text is an IP address, without brackets or port."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _read(value: Any) -> Address:
    if isinstance(value, Address):
        return value
    try:
        if not isinstance(value, str):
            raise AddressError("must be an address")
        return parse_address(value)
    except AddressError as error:
        raise PydanticCustomError(
            "bad-address", "{message}", {"message": str(error), "hint": error.hint}
        ) from None


BackendAddress = Annotated[
    Address,
    PlainValidator(_read),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1, "x-type": "address"}),
]


def _listening(value: Any) -> str:
    if isinstance(value, str) and is_ip(value):
        return str(ip_address(value))
    raise PydanticCustomError(
        "bad-address",
        "{message}",
        {
            "message": "must be an IP address to listen on",
            "hint": "for example `0.0.0.0` for all IPv4 addresses, or `127.0.0.1` for this machine only",
        },
    )


ListenAddress = Annotated[
    str,
    PlainValidator(_listening),
    WithJsonSchema({"type": "string", "minLength": 1, "x-type": "IP address"}),
]
