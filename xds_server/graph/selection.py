"""Selection: which deployment a request picks. The compiler writes it as routes, ``explain`` tells it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .endpoint import Deployment, Endpoint


class Named(Enum):
    """How a request names its environment."""

    THIS = "this"
    ANY = "any"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Selection:
    """One line of the choice: for requests that name ``environment`` (or any, or none), this deployment, or 404."""

    named: Named
    environment: str | None
    deployment: Deployment | None

    def matches(self, environment: str | None) -> bool:
        """Whether a request that names this environment (``None``: names none) is decided by this line."""
        if environment is None:
            return self.named is Named.NONE
        return self.named is Named.ANY or (self.named is Named.THIS and environment == self.environment)


def list_selections(endpoint: Endpoint) -> tuple[Selection, ...]:
    """The choice in order, the first match decides. It always decides: never another environment than the one named."""
    return (
        *(Selection(Named.THIS, each.environment, each) for each in endpoint.deployments),
        Selection(Named.ANY, None, None),
        Selection(
            Named.NONE, endpoint.default_environment, endpoint.deployment(endpoint.default_environment)
        ),
    )
