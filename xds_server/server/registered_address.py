"""Registered addresses: which ones a backend may say that it has."""

from __future__ import annotations

from ipaddress import ip_address

from xds_server.policy import AddressError, is_tunnelled, list_reached, parse_address

_HINT = "register the address at which Envoys reach the backend, for example `10.0.0.1:8000`"


def read_address(text: str, *, local: bool) -> str:
    """The `host:port` of a backend that registers. Raises ``AddressError``.

    Whoever registers chooses where Envoys send requests to, and each Envoy has its own admin interface on loopback. So
    loopback is for ``local`` ones only: where whoever registers is on the machine of the control plane anyway.
    """
    address = parse_address(text)
    if address.tls or not address.is_ip:
        raise AddressError("must be an IP address and a port, over plain http", _HINT)
    ip = ip_address(address.host)
    if is_tunnelled(ip):
        raise AddressError(f"must not lead through a tunnel; `{ip}` is of 6to4 or Teredo", _HINT)
    if not local and any(each.is_loopback for each in list_reached(ip)):
        raise AddressError(f"must not be loopback; `{ip}` is each Envoy's own machine", _HINT)
    return address.authority
