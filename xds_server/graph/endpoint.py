"""The resolved model: endpoints, their deployments, revisions and the backends that policy lets them use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from xds_server.policy import Address, Workload
from xds_server.rollout import Plan

from .handling import BOUNDLESS, USUAL, Handling, Limits
from .place import Flavor, Place
from .placement import Placement
from .routing import NEAREST, Routing
from .rule import ClaimRule
from .scaling import Scaling
from .traffic import PLAIN, Traffic, scale


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that backends are shown, as PEM text; ``file`` is its path as seen from its manifest."""

    file: str
    chain: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """How to speak TLS to a backend: the name to ask for and check, and whose signature to trust.

    ``ca_file`` is a CA file's path as seen from its manifest, the same wherever the policy folder is; ``ca`` is its PEM
    text; both ``None`` stand for the public CAs. ``client`` is what the backend is shown, if it wants to see something.
    """

    name: str
    is_ip: bool
    ca_file: str | None
    ca: str | None
    client: ClientCertificate | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a backend is shown in a header: ``prefix`` and ``secret``.

    The secret is the content of ``file``, a path as seen from its manifest.
    """

    header: str
    file: str
    prefix: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How backends are checked: times in seconds. ``path`` and ``statuses`` (inclusive ranges) are for ``http``,
    ``service`` (empty: the whole server) for ``grpc``."""

    type: str
    path: str
    service: str
    interval: float
    timeout: float
    unhealthy_threshold: int
    healthy_threshold: int
    statuses: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Backend:
    """One upstream address in one place. ``weight`` is relative within its place; 0 is out of use."""

    place: Place
    flavor: Flavor | None
    address: Address
    weight: int
    standby: bool
    tls: UpstreamTls | None
    path_prefix: str
    health_port: int | None
    health_checked: bool
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """One version of a deployment. ``backends`` holds only what policy allows: the residency invariant.

    Of these, ``aside`` are not among them: policy allows them, and the deployment's routing never goes there.
    """

    name: str
    weight: int
    backends: tuple[Backend, ...]
    refused: tuple[Backend, ...]
    health_check: HealthCheck | None
    aside: tuple[Backend, ...] = ()
    routing: Routing = NEAREST
    limits: Limits = BOUNDLESS
    registration: float | None = None
    """Whether backends may register themselves, and for how many seconds at most; those that have are in ``Live``."""
    spills: tuple[str, ...] = ()
    """The regions whose Envoys send a share to the next place now, because the first has too much to do."""
    shadow: bool = False
    """Whether it is sent copies of the deployment's requests."""

    @property
    def by_dns(self) -> bool:
        """Whether a backend is named by DNS."""
        return any(not backend.address.is_ip for backend in self.backends)


@dataclass(frozen=True, slots=True)
class Deployment:
    """An endpoint in one environment; ``placement`` can say why a place is out.

    With a ``rollout``, the weights of its revisions are what the policy alone says; where it stands by now, ``Live``
    does.
    """

    environment: str
    revisions: tuple[Revision, ...]
    placement: Placement
    handling: Handling = USUAL
    rollout: Plan | None = None
    traffic: Traffic = PLAIN
    scaling: Scaling | None = None
    """Whether requests wait for revisions whose backends register themselves, while there are none."""

    @property
    def split(self) -> tuple[tuple[str, int], ...]:
        """The revisions in the split with their weights, in declared order; weight 0 is out of it.

        Of a sticky one, as parts of the same whole in an order of their own: see ``scale``.
        """
        split = tuple((revision.name, revision.weight) for revision in self.revisions if revision.weight > 0)
        return scale(split) if self.traffic.sticky is not None and split else split

    @property
    def attempts(self) -> int:
        """How often a request is sent again at most.

        Where 429 is a reason, no more often than there are other backends in any revision: none is asked twice, since
        it has said when it may be asked again.
        """
        retries = self.handling.retries
        if not retries.on_429:
            return retries.attempts
        backends = (
            sum(backend.weight > 0 for backend in revision.backends)
            for revision in self.revisions
            # How many have registered must not reach into routes.
            if revision.weight > 0 and revision.registration is None
        )
        return min(retries.attempts, max(0, min(backends, default=retries.attempts + 1) - 1))


@dataclass(frozen=True, slots=True)
class Trust:
    """An issuer that a workspace trusts, and the claim path at which its tokens carry workspaces.

    With a ``residency_claim`` only tokens are trusted that have something at that path.
    """

    issuer: str
    workspaces_claim: tuple[str, ...]
    residency_claim: tuple[str, ...] = ()


class Unbuilt(Protocol):
    """An endpoint that nobody has built yet. It refers to no file; its `revisions` are as `Endpoint.revisions`."""

    revisions: tuple[tuple[str, str, bool], ...]

    def build(self) -> Endpoint:
        """Build it."""


DEFERRED: Final = ("rules", "deployments", "origin")
"""Of an endpoint, what is not there before somebody asks for it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What one run URL reaches: ``/{workspace}/{segment}/{name}``.

    ``deployments`` are the enabled ones; ``default_environment`` may have none. ``warm``: gateways have
    it from the start, also where others are fetched on demand. ``origin`` is ``file:line`` and takes no part in
    equality, so that moving a manifest within a file changes nothing in the fleet.
    """

    workspace: str
    segment: str
    name: str
    default_environment: str
    trusts: tuple[Trust, ...]
    rules: tuple[ClaimRule, ...]
    deployments: tuple[Deployment, ...]
    warm: bool
    origin: str = field(compare=False)
    path: str = field(init=False, compare=False)
    """The endpoint's path without the leading slash: its identity. Kept, since every step sorts and looks up by it."""
    unbuilt: Unbuilt | None = field(init=False, default=None, compare=False, repr=False)
    """What it is made of when somebody wants to know more than this: see `deferral`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", f"{self.workspace}/{self.segment}/{self.name}")

    if not TYPE_CHECKING:  # to a type checker, all attributes are there

        def __getattr__(self, name: str) -> object:
            """Build what there is no more time to put off."""
            if name not in DEFERRED or self.unbuilt is None:
                raise AttributeError(f"{type(self).__name__} has no {name}")
            built = self.unbuilt.build()
            for each in DEFERRED:
                object.__setattr__(self, each, getattr(built, each))
            return getattr(self, name)

    @property
    def revisions(self) -> tuple[tuple[str, str, bool], ...]:
        """Of each revision: its environment, its name, and whether a backend is named by DNS."""
        if self.unbuilt is not None:
            return self.unbuilt.revisions
        return tuple(
            [
                (deployment.environment, revision.name, revision.by_dns)
                for deployment in self.deployments
                for revision in deployment.revisions
            ]
        )

    @property
    def authorities(self) -> dict[str, str]:
        """PEM texts by the path of the CA file: all that backends are checked against but the public CAs."""
        if self.unbuilt is not None:
            return {}
        return {
            backend.tls.ca_file: backend.tls.ca
            for deployment in self.deployments
            for revision in deployment.revisions
            for backend in revision.backends
            if backend.tls is not None and backend.tls.ca_file is not None and backend.tls.ca is not None
        }

    @property
    def choices(self) -> tuple[str, ...]:
        """The locations at which callers may hint, each as often as a revision is there."""
        if self.unbuilt is not None:  # nothing is put off where callers choose
            return ()
        return tuple(
            name
            for deployment in self.deployments
            for revision in deployment.revisions
            if revision.routing.caller_choice
            for name in {
                each.place.name for each in revision.backends if each.weight > 0 and not each.standby
            }
        )

    def deployment(self, environment: str) -> Deployment | None:
        """The deployment in an environment, or ``None``."""
        return next((each for each in self.deployments if each.environment == environment), None)


def path_of(workload: Workload) -> str:
    """The path of the endpoint that a workload makes."""
    return f"{workload.workspace}/{workload.segment}/{workload.name}"
