"""Routing resolved: how a deployment orders its places, and which of those that policy allows it leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from xds_server.policy import Diagnostic, Workload
from xds_server.policy import Routing as RoutingSpec
from xds_server.rollout import Overflow

from .fault import fault
from .placement import Placement

if TYPE_CHECKING:
    from .endpoint import Revision


@dataclass(frozen=True, slots=True)
class Routing:
    """Which places come first. ``order``: these in this order, the rest by distance. ``weights``: these share the
    requests, the rest by distance behind them. Neither: all by distance. ``caller_choice``: callers narrow and prefer.
    """

    mode: str = "nearest"
    order: tuple[str, ...] = ()
    weights: tuple[tuple[str, int], ...] = ()
    pinned: str | None = None
    overflow: Overflow | None = None
    """When a share of what goes to the first place goes to the next."""
    caller_choice: bool = False

    @property
    def shares(self) -> bool:
        """Whether several places share requests, now or at times."""
        return bool(self.weights) or self.overflow is not None

    def leaves_out(self, place: str) -> str | None:
        """Why the place is never used although policy allows it; ``None`` if it may be."""
        if self.pinned is not None and place != self.pinned:
            return f"the deployment is pinned to {self.pinned}"
        if (place, 0) in self.weights:
            return "routing gives the place weight 0"
        return None


NEAREST = Routing()
"""Of a deployment that says nothing: shared by all of them."""


def build_routing(spec: RoutingSpec | None) -> Routing:
    """A deployment's routing. Weights by name: the order in which they are written says nothing."""
    if spec is None:
        return NEAREST
    over = spec.overflow
    overflow = None if over is None else Overflow(over.above, over.below, over.share)
    weights = tuple(sorted(spec.weights.items()))
    return Routing(spec.mode, spec.order, weights, spec.location, overflow, spec.caller_choice)


def route(revision: Revision, routing: Routing) -> Revision:
    """The revision with the backends that the routing never goes to put aside."""
    out = {each.place.name for each in revision.backends if routing.leaves_out(each.place.name) is not None}
    return replace(
        revision,
        backends=tuple(each for each in revision.backends if each.place.name not in out),
        aside=tuple(each for each in revision.backends if each.place.name in out),
        routing=routing,
    )


def find_forbidden(
    workload: Workload,
    spec: RoutingSpec | None,
    path: tuple[str | int, ...],
    revisions: Iterable[Revision],
    placement: Placement,
) -> Iterator[Diagnostic]:
    """A mistake for each place that a routing names and policy refuses. ``path`` is the deployment's."""
    if spec is None:
        return
    held = list(revisions)
    allowed = {each.place.name for revision in held for each in (*revision.backends, *revision.aside)}
    for at, name in _list_named(spec):
        refused = [each for revision in held for each in revision.refused if each.place.name == name]
        if refused and name not in allowed:
            reasons = dict.fromkeys(
                str(each)
                for backend in refused
                for each in placement.find_removals(backend.place, backend.flavor)
            )
            message = f"`{name}` is {'; and '.join(reasons)}"
            hint = "name an allowed place, or change the policy"
            yield fault(workload, "place-not-allowed", (*path, "routing", *at), message, hint)


def find_stranded(
    workload: Workload, path: tuple[str | int, ...], revision: Revision, routing: Routing
) -> Iterator[Diagnostic]:
    """A mistake if a revision with a share has backends only where its routing never goes. ``path`` is its own."""
    used = any(each.weight > 0 for each in revision.backends)
    # A pinned place that policy refuses is the routing's own mistake, and told there.
    told = any(each.place.name == routing.pinned for each in revision.refused)
    if (revision.weight > 0 or revision.shadow) and not used and revision.aside and not told:
        reasons = dict.fromkeys(
            f"{each.place.name} is out: {routing.leaves_out(each.place.name)}" for each in revision.aside
        )
        message = (
            f"revision `{revision.name}` has no backend where its requests may go; {', and '.join(reasons)}"
        )
        hint = "add a backend there, change the routing, or set the revision's weight to 0"
        yield fault(workload, "no-backend-there", (*path, "backends"), message, hint)


def _list_named(spec: RoutingSpec) -> Iterator[tuple[tuple[str | int, ...], str]]:
    yield from ((("order", at), name) for at, name in enumerate(spec.order))
    yield from ((("weights", name), name) for name in spec.weights)
    if spec.location is not None:
        yield ("location",), spec.location
