"""Notes: what ``explain`` adds to a decision that it does not follow from."""

from __future__ import annotations

from xds_server.policy import format_duration

from .delivery import Delivery
from .endpoint import Deployment, Endpoint
from .graph import Graph
from .residency import list_withheld


def note_region(graph: Graph, region: str) -> tuple[str, ...]:
    """That nobody knows where a region is."""
    if region in graph.regions:
        return ()
    return (f"no location has the region `{region}`: places are ordered by name, not by distance",)


def note_rollout(deployment: Deployment) -> tuple[str, ...]:
    """That a rollout decides the shares, and whether it goes on."""
    plan = deployment.rollout
    if plan is None:
        return ()
    words = f"a rollout from {plan.old} to {plan.new} ({plan.title}) decides the shares"
    if plan.wish.ends:
        return (f"{words}; it is {plan.wish}",)
    return (f"{words}, and these are those it begins with; how it stands: fairlead rollout status",)


def note_registration(deployment: Deployment) -> tuple[str, ...]:
    """Which revisions have backends that are not in the policies."""
    return tuple(
        f"backends of {each.name} register themselves; the policies do not know which are there"
        for each in deployment.revisions
        if each.registration is not None
    )


def note_deployment(deployment: Deployment) -> tuple[str, ...]:
    """What is to be said of a deployment, whoever asks: what moves, and who may not be there."""
    return (*note_rollout(deployment), *note_registration(deployment), *note_scaling(deployment))


def note_residency(deployment: Deployment) -> tuple[str, ...]:
    """Which residencies a weight of 0 takes from callers, who may choose among those of the split only."""
    withheld = list_withheld(deployment)
    if not withheld:
        return ()
    names = ", ".join(f"`{each}`" for each in withheld)
    return (f"only revisions of weight 0 are in {names}: no request can be bound to it",)


def note_scaling(deployment: Deployment) -> tuple[str, ...]:
    """What becomes of requests while a revision has no backend."""
    scaling = deployment.scaling
    if scaling is None:
        return ()
    hold = format_duration(scaling.hold)
    again = format_duration(scaling.retry_after)
    return (
        f"while a revision has no backend, requests to it wait for {hold} at most, and {scaling.hook.url} is told; "
        f"then, and at once where an Envoy cannot let them wait, 503 SCALING_FROM_ZERO, to come again after {again}",
    )


def note_delivery(endpoint: Endpoint, delivery: Delivery) -> tuple[str, ...]:
    """How Envoys come by the model's configuration."""
    if delivery == "eager":
        return ()
    if endpoint.warm:
        return ("the model is warm: Envoys have its configuration from the start",)
    return ("Envoys fetch the model's configuration with the first request for it",)
