"""The shape of an endpoint: what its routes depend on, whatever it is called."""

from __future__ import annotations

from dataclasses import dataclass, field

from xds_server.graph import ClaimRule, Endpoint, Handling, Traffic, Trust, list_residencies

from .direct import name_choices
from .retry import RetryRule

_Split = tuple[
    str,
    tuple[tuple[str, int], ...],
    tuple[str, ...],
    Traffic,
    Handling,
    RetryRule,
    tuple[str, ...],
    tuple[float, int] | None,
]
"""Of a deployment: its environment, the split, and all else that its routes depend on."""


@dataclass(frozen=True, slots=True)
class Shape:
    """All that an endpoint's routes depend on but its path, and some endpoint of which that is so.

    Most models of a workspace have one shape: their routes are written once, and addressed to each.
    """

    workspace: str
    default_environment: str
    trusts: tuple[Trust, ...]
    rules: tuple[ClaimRule, ...]
    splits: tuple[_Split, ...]
    endpoint: Endpoint = field(compare=False)

    @classmethod
    def of(cls, endpoint: Endpoint) -> Shape:
        """The shape of an endpoint."""
        return cls(
            endpoint.workspace,
            endpoint.default_environment,
            endpoint.trusts,
            endpoint.rules,
            tuple(
                [
                    (
                        each.environment,
                        each.split,
                        name_choices(each),
                        each.traffic,
                        each.handling,
                        RetryRule.of(each),
                        list_residencies(each),
                        None if each.scaling is None else (each.scaling.hold, each.scaling.retry_after),
                    )
                    for each in endpoint.deployments
                ]
            ),
            endpoint,
        )
