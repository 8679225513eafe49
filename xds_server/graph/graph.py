"""The graph: everything that is declared, resolved, with no reference left to look up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from functools import cached_property

from xds_server.policy import Gateway, Issuer
from xds_server.shards import EMPTY, Shards

from .endpoint import Endpoint
from .place import Place
from .publisher import Publishers


@dataclass(frozen=True, slots=True)
class Certificate:
    """A listener's certificate chain and private key, both PEM."""

    chain: str
    key: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A gateway with the certificates of its listeners, by listener name."""

    gateway: Gateway
    certificates: Mapping[str, Certificate]

    @property
    def name(self) -> str:
        """The gateway's name: what its nodes carry in ``node.cluster``."""
        return self.gateway.name


@dataclass(frozen=True, slots=True)
class Authority:
    """An issuer with its keys as JWKS text, or ``None`` where Envoy fetches them from a URI."""

    issuer: Issuer
    jwks: str | None

    @property
    def name(self) -> str:
        """The issuer's name, under which Envoy leaves the claims of its tokens."""
        return self.issuer.name


@dataclass(frozen=True, slots=True)
class Tenant:
    """A workspace: who it trusts and what it runs."""

    name: str
    default_environment: str
    environments: tuple[str, ...]
    issuers: tuple[str, ...]
    endpoints: Shards[Endpoint] = EMPTY
    """By path."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The workspaces that an issuer's tokens may enter: those named, or with ``all_but`` every one except those."""

    names: frozenset[str]
    all_but: bool

    def covers(self, workspace: str) -> bool:
        """Whether the workspace is among them. One that nobody declared is covered by ``all_but`` only."""
        return (workspace in self.names) is not self.all_but


@dataclass(frozen=True)
class Graph:
    """The whole resolved state at one moment. Immutable; mappings are by name, those of the fleet in sorted order."""

    places: Mapping[str, Place] = field(default_factory=dict)
    edges: Mapping[str, Edge] = field(default_factory=dict)
    authorities: Mapping[str, Authority] = field(default_factory=dict)
    tenants: Shards[Tenant] = EMPTY
    publishers: Publishers = field(default_factory=dict)
    before: InitVar[Graph | None] = None
    """The graph that this one follows: of it stays what is the same."""
    endpoints: Shards[Endpoint] = field(init=False, compare=False, repr=False)
    """All endpoints of all tenants, by path."""
    clusters: int = field(init=False, compare=False, repr=False)
    """How many revisions all endpoints have: each is a cluster."""
    choices: Counter[str] = field(init=False, compare=False, repr=False)
    """The locations at which callers may hint, and how many revisions are there."""

    def __post_init__(self, before: Graph | None) -> None:
        tenants, endpoints = (before.tenants, before.endpoints) if before is not None else (EMPTY, EMPTY)
        gone: set[str] = set()
        put: dict[str, Endpoint] = {}
        changed, left = self.tenants.since(tenants)
        for name in changed | left:
            was, now = (each[name].endpoints if name in each else EMPTY for each in (tenants, self.tenants))
            new, lost = now.since(was)
            gone |= lost
            put.update(now.pick(new))
        old = [each for _, each in endpoints.pick(gone | put.keys())]
        count = before.clusters if before is not None else 0
        count += sum(len(each.revisions) for each in put.values()) - sum(len(each.revisions) for each in old)
        object.__setattr__(self, "endpoints", endpoints.amend(gone, put))
        object.__setattr__(self, "clusters", count)
        choices = before.choices if before is not None else Counter[str]()
        leaving = Counter(name for each in old for name in each.choices)
        come = Counter(name for each in put.values() for name in each.choices)
        if leaving != come:
            choices = choices + come - leaving
        object.__setattr__(self, "choices", choices)

    @cached_property
    def regions(self) -> Mapping[str, Place]:
        """Places by region name, the name a node carries in ``node.locality.region``."""
        return {place.region: place for place in self.places.values()}

    def find_reach(self, issuer: str) -> Reach:
        """The workspaces that trust an issuer, told by the shorter list: gateways go through it on each request."""
        trusting = frozenset(name for name, tenant in self.tenants.items() if issuer in tenant.issuers)
        others = self.tenants.keys() - trusting
        if others and len(trusting) <= len(others):
            return Reach(trusting, all_but=False)
        return Reach(frozenset(others), all_but=True)

    def find_endpoint(self, workspace: str, segment: str, name: str) -> Endpoint | None:
        """The endpoint at a run path, or ``None``."""
        return self.endpoints.get(f"{workspace}/{segment}/{name}")
