"""Embedded addresses: the IPv4 address that an IPv6 address stands for, or is carried to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

_COMPATIBLE: Final = IPv6Network("::/96")
"""https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5.1"""
_TRANSLATED: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""NAT64. In the second, which networks use as they like, the last 32 bits are what it mostly is.
https://www.rfc-editor.org/rfc/rfc6052#section-2.1, https://www.rfc-editor.org/rfc/rfc8215
"""
_METADATA: Final = (
    IPv6Network("fd00:ec2::/32"),  # AWS: IMDS, and credentials of pods
    IPv6Network("fd20:ce::254/128"),  # Google Cloud
    IPv4Network("168.63.129.16/32"),  # Azure
    IPv4Network("100.100.100.200/32"),  # Alibaba Cloud
)
"""Where clouds tell a machine its credentials, beside the link-local addresses.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
https://cloud.google.com/compute/docs/metadata/querying-metadata
https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
"""


Ip = IPv4Address | IPv6Address


def list_reached(ip: Ip) -> tuple[Ip, ...]:
    """What a connection to an address may reach: that, and the IPv4 one in it if it is mapped, compatible, NAT64, 6to4
    or Teredo."""
    inner = _find_embedded(ip) if isinstance(ip, IPv6Address) else None
    return (ip,) if inner is None else (ip, inner)


def _find_embedded(ip: IPv6Address) -> IPv4Address | None:
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if any(ip in network for network in _TRANSLATED):
        return _last(ip)
    if ip in _COMPATIBLE and not (ip.is_unspecified or ip.is_loopback):
        return _last(ip)
    return ip.sixtofour or (ip.teredo[1] if ip.teredo is not None else None)


def is_tunnelled(ip: Ip) -> bool:
    """Whether packets for an address are carried through 6to4 or Teredo, to whoever is at the other end."""
    return isinstance(ip, IPv6Address) and (ip.sixtofour is not None or ip.teredo is not None)


def is_metadata(ip: Ip) -> bool:
    """Whether a cloud's metadata service may be there, link-local addresses aside."""
    return any(ip in network for network in _METADATA)


def _last(ip: IPv6Address) -> IPv4Address:
    return IPv4Address(int(ip) & 0xFFFFFFFF)
