"""One resource, and a layer of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Resource:
    """One xDS resource: an encoded message and what the protocol must know about it.

    `version` is a hash of type, name and bytes (16 hexadecimal digits), so replicas and restarts agree on it:
    https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#resource-versions
    """

    type_url: str
    name: str
    version: str
    body: bytes = field(repr=False)
    """The serialised message: the value of the `Any`. Encoded once, carried everywhere."""
    origin: str = field(default="", compare=False)
    """`file:line` of the manifest it came from: the owner of a NACK. Not part of the version."""
    needs: tuple[str, ...] = field(default=(), compare=False)
    """Names of the clusters the body refers to. A client gets the body only when it has them, and loses them only
    after it no longer has the body. Not part of the version."""
    uses: tuple[str, ...] = field(default=(), compare=False)
    """Names of further clusters the body refers to and can do without for a moment: not waited for, and taken away
    only after the body, too. Not part of the version."""

    @classmethod
    def of(
        cls,
        type_url: str,
        name: str,
        body: bytes,
        origin: str = "",
        needs: Iterable[str] = (),
        *,
        uses: Iterable[str] = (),
    ) -> Resource:
        """Make a resource and its version from its type URL, its name and its serialised message."""
        digest = blake2b(f"{type_url}\0{name}\0".encode(), digest_size=8)
        digest.update(body)
        return cls(type_url, name, digest.hexdigest(), body, origin, tuple(needs), tuple(uses))

    @property
    def clusters(self) -> tuple[str, ...]:
        """The clusters that a client with this body may send something to."""
        return self.needs + self.uses


Layer = Mapping[str, Mapping[str, Resource]]
"""Resources by type URL, then by name; those in reserve under `reserve(type_url)`, parked ones
under `parked(type_url)` too."""


def layer(resources: Iterable[Resource]) -> Layer:
    """Index resources by type URL and name. Raises `ValueError` when a name comes twice within a type."""
    index: dict[str, dict[str, Resource]] = {}
    for resource in resources:
        names = index.setdefault(resource.type_url, {})
        if resource.name in names:
            raise ValueError(f"{resource.type_url} {resource.name!r} is in one layer twice")
        names[resource.name] = resource
    return index
