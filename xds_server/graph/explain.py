"""Explain: the decision that the gateways take on a request, and why, from the same graph that is compiled."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from .access import (
    Claims,
    find_authority,
    find_fence,
    is_bound,
    is_member,
    is_readable,
    meets,
    meets_rules,
)
from .decision import Copy, Decision, Excluded, Hop, Refusal, Share
from .delivery import Delivery
from .direct import HEADER, AmbiguousRevisionError, find_choice
from .endpoint import Deployment, Endpoint, Revision
from .graph import Graph
from .handling import list_reasons
from .note import note_delivery, note_deployment, note_region, note_registration, note_residency
from .order import order_backends
from .path import PathRefusedError, hides_dots, normalise_path, split_run_path
from .place import Place, measure_distance
from .residency import HINT_HEADER, NO_WISH, RESIDENCY_HEADER, Wish, list_residencies
from .rule import ClaimRule
from .selection import list_selections
from .traffic import PARTS, list_keys

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_ENVIRONMENT = re.compile(r"(?:^|&)environment(?:=([^&]*))?(?=&|$)")
_ENCODED = re.compile(r"(?:^|&)(?=[^=&]*%)(?:[environmt]|%[67][0-9a-fA-F])+(?=[=&]|$)")


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request says of who sends it: claims of a verified token (``None``: not looked at), headers, and what
    both say of the place."""

    claims: Claims | None
    headers: Mapping[str, str]
    wish: Wish


def explain(
    graph: Graph,
    url: str,
    *,
    region: str,
    claims: Claims | None = None,
    method: str = "POST",
    headers: Mapping[str, str] = MappingProxyType({}),
    keep_escaped_slashes: bool = False,
    delivery: Delivery = "eager",
) -> Decision:
    """Decide a request as an Envoy in ``region`` would.

    ``url`` is absolute or a path with its query; ``claims`` are those of a verified token (``None``: access is not
    checked); ``headers`` are the request's, names in lower case; ``delivery`` is how models come to it. Never raises
    for what the request holds: a refusal is a decision, too.
    """
    raw, mark, query = _split(url)
    decision = Decision(method=method, url=url, region=region)
    try:
        path = normalise_path(raw, keep_escaped_slashes=keep_escaped_slashes)
    except PathRefusedError as error:
        return replace(decision, refusal=Refusal(400, "BAD_REQUEST", str(error)))
    run = split_run_path(path)
    decision = replace(decision, path=path, workspace=path.split("/")[1], notes=note_region(graph, region))
    if run is not None:
        forwarded = f"{run.rest}{mark}{query}"
        decision = replace(decision, kind=run.segment, name=run.name, forwarded_path=forwarded)
    endpoint = graph.find_endpoint(run.workspace, run.segment, run.name) if run is not None else None
    refusal = _check_access(graph, claims, path.split("/")[1])
    if claims is not None:
        decision = replace(decision, access="denied" if refusal else "allowed")
    refusal = refusal or _check_path(path) or _check_query(query) or _check_headers(headers)
    if refusal is None and endpoint is None:
        refusal = Refusal(404, "MODEL_NOT_FOUND", "no model is declared at this path")
    if refusal is not None or endpoint is None:
        return replace(decision, refusal=refusal)
    if claims is not None and not meets_rules(endpoint, claims):
        refusal = Refusal(403, "FORBIDDEN", "the token's claims do not meet the model's access rules")
        return replace(decision, access="denied", origin=endpoint.origin, refusal=refusal)
    if claims is not None and not is_bound(graph, endpoint, claims):
        refusal = Refusal(403, "FORBIDDEN", "the workspace requires a residency, and the token has none")
        return replace(decision, access="denied", origin=endpoint.origin, refusal=refusal)
    wish = Wish(headers.get(RESIDENCY_HEADER), headers.get(HINT_HEADER), find_fence(graph, claims))
    notes = (*decision.notes, *note_delivery(endpoint, delivery))
    decision = replace(decision, origin=endpoint.origin, notes=notes)
    return _select(decision, graph, endpoint, query, Caller(claims, headers, wish))


def _select(decision: Decision, graph: Graph, endpoint: Endpoint, query: str, caller: Caller) -> Decision:
    match = _ENVIRONMENT.search(query)
    named = (match[1] or "") if match else None
    selection = next(each for each in list_selections(endpoint) if each.matches(named))
    environment = named if named is not None else endpoint.default_environment
    source = "the query" if named is not None else "the workspace's default"
    decision = replace(decision, environment=environment, environment_from=source)
    if selection.deployment is None:
        reason = f"the model is not deployed in environment `{environment}`"
        missing = Refusal(404, "DEPLOYMENT_NOT_FOUND", reason)
        return replace(decision, refusal=_refuse_bound(caller.wish) or missing)
    deployment, place = selection.deployment, graph.regions.get(decision.region)
    if deployment.traffic.testers is not None:
        decision = _choose(decision, deployment, deployment.traffic.testers, query, caller)
        if decision.refusal is not None:
            return decision
    decision = replace(_tell(decision, deployment), served_by=deployment.traffic.served_by)
    refusal = _check_wish(deployment, caller.wish)
    withheld = note_residency(deployment)
    if refusal is not None:
        return replace(decision, refusal=refusal, notes=(*decision.notes, *withheld))
    if decision.revision is None:
        decision = replace(decision, shadow=_copy(deployment, place))
    shares = _share(deployment, place, decision.revision, caller.wish)
    registering = note_registration(deployment)
    noted = (*note_deployment(deployment), *withheld)
    decision = replace(decision, notes=(*decision.notes, *noted))
    if not registering and not any(share.hops for share in shares if share.percent > 0):
        refusal = Refusal(503, "UPSTREAM_UNAVAILABLE", "no backend stands in an allowed place")
        return replace(decision, shares=shares, refusal=refusal)
    if decision.revision is None and len(deployment.split) > 1:
        decision = replace(decision, sticky=list_keys(deployment.traffic))
    return replace(decision, shares=shares)


def _tell(decision: Decision, deployment: Deployment) -> Decision:
    """The decision with what holds for the deployment as a whole."""
    return replace(
        decision,
        routing=deployment.revisions[0].routing,
        attempts=deployment.attempts,
        retried_on=list_reasons(deployment.handling.retries, decision.method),
        handling=deployment.handling,
    )


def _choose(
    decision: Decision, deployment: Deployment, testers: Iterable[ClaimRule], query: str, caller: Caller
) -> Decision:
    """The decision with the revision that the request names, if it names one, or why it may not."""
    try:
        choice = find_choice(query, caller.headers.get(HEADER))
    except AmbiguousRevisionError as error:
        refusal = _refuse_bound(caller.wish) or Refusal(400, "BAD_REQUEST", str(error))
        return replace(decision, refusal=refusal)
    if choice is None:
        return decision
    name, source = choice
    if caller.claims is not None and not meets(testers, caller.claims):
        refusal = Refusal(403, "REVISION_FORBIDDEN", "the token's claims are not those of a tester")
        return replace(decision, refusal=refusal)
    if name not in (each.name for each in deployment.revisions):
        refusal = Refusal(404, "REVISION_NOT_FOUND", f"the deployment has no revision `{name}`")
        return replace(decision, refusal=_refuse_bound(caller.wish) or refusal)
    return replace(decision, revision=name, revision_from=source)


def _check_access(graph: Graph, claims: Claims | None, workspace: str) -> Refusal | None:
    if claims is None:
        return None
    authority = find_authority(graph, claims)
    if authority is None:
        return Refusal(401, "AUTHENTICATION_FAILED", "no declared issuer has this `iss` and `aud`")
    if not is_readable(authority, claims):
        return Refusal(403, "FORBIDDEN", "the token's residency says nothing")
    if not is_member(graph, authority, claims, workspace):
        reason = f"issuer {authority.name} does not make the caller a member of workspace `{workspace}`"
        return Refusal(403, "FORBIDDEN", reason)
    return None


def _refuse_bound(wish: Wish) -> Refusal | None:
    """Where a request leads nowhere, no residency is offered: who asks for one is told that first."""
    if wish.residency is None and wish.fence is None:
        return None
    return Refusal(
        403, "RESIDENCY_NOT_OFFERED", "what the request names does not exist, and offers no residency"
    )


def _check_wish(deployment: Deployment, wish: Wish) -> Refusal | None:
    offered = list_residencies(deployment)
    for asked, whose in ((wish.fence, "of the token"), (wish.residency, "asked for")):
        if asked is not None and asked not in offered:
            within = ", ".join(offered) or "none: its routing does not set `callerChoice`"
            reason = (
                f"the residency `{asked}` {whose} is not among those that the deployment offers ({within})"
            )
            return Refusal(403, "RESIDENCY_NOT_OFFERED", reason)
    return None


def _check_path(path: str) -> Refusal | None:
    if hides_dots(path):
        return Refusal(400, "BAD_REQUEST", "the path hides a dot segment behind `;` or an escaped character")
    return None


def _check_query(query: str) -> Refusal | None:
    if len(_ENVIRONMENT.findall(query)) > 1:
        return Refusal(400, "BAD_REQUEST", "the query names `environment` more than once")
    if _ENCODED.search(query):
        return Refusal(400, "BAD_REQUEST", "the query holds a percent-encoded parameter name")
    return None


def _check_headers(headers: Mapping[str, str]) -> Refusal | None:
    if "," in headers.get(HEADER, ""):  # as one that is sent twice is joined
        return Refusal(400, "BAD_REQUEST", f"the header `{HEADER}` names more than one revision")
    return None


def _share(deployment: Deployment, origin: Place | None, chosen: str | None, wish: Wish) -> tuple[Share, ...]:
    split = dict(deployment.split) if chosen is None else {chosen: 1}
    total = sum(split.values())
    return tuple(
        Share(
            revision=revision.name,
            weight=revision.weight,
            percent=100 * split.get(revision.name, 0) / total if total else 0.0,
            cluster=(deployment.environment, revision.name),
            limits=revision.limits,
            hops=_list_hops(revision, origin, wish),
            excluded=_list_excluded(deployment, revision),
        )
        for revision in deployment.revisions
        if chosen in (None, revision.name)
    )


def _copy(deployment: Deployment, origin: Place | None) -> Copy | None:
    shadow = deployment.traffic.shadow
    if shadow is None:
        return None
    [share] = _share(deployment, origin, shadow.revision, NO_WISH)
    return Copy(100 * shadow.parts / PARTS, replace(share, percent=0.0))


def _list_hops(revision: Revision, origin: Place | None, wish: Wish) -> tuple[Hop, ...]:
    tiers = wish.narrow(order_backends(revision, origin), revision.routing)
    totals: dict[int, int] = defaultdict(int)
    for tier in tiers:
        totals[tier.priority] += tier.weight
    return tuple(
        Hop(
            priority=tier.priority,
            place=tier.place.name,
            region=tier.place.region,
            distance_km=None if origin is None else round(measure_distance(origin, tier.place), 1),
            standby=tier.standby,
            weight=tier.weight,
            percent=100 * tier.weight / totals[tier.priority],
            addresses=tuple((str(backend.address), backend.weight) for backend in tier.backends),
        )
        for tier in tiers
    )


def _list_excluded(deployment: Deployment, revision: Revision) -> tuple[Excluded, ...]:
    by_policy = [
        Excluded(
            each.place.name, str(each.address), deployment.placement.find_removals(each.place, each.flavor)
        )
        for each in revision.refused
    ]
    by_weight = [
        Excluded(each.place.name, str(each.address), (), out_of_split=True)
        for each in revision.backends
        if each.weight == 0
    ]
    by_routing = [
        Excluded(
            each.place.name, str(each.address), (), left_out=revision.routing.leaves_out(each.place.name)
        )
        for each in revision.aside
    ]
    return (*by_policy, *by_weight, *by_routing)


def _split(url: str) -> tuple[str, str, str]:
    """Path, ``?`` if there is one, query. What begins with a slash has no host: ``//acme/x`` is a path."""
    origin = _ORIGIN.match(url)
    if origin is not None:
        rest = url[origin.end() :]
        url = rest if rest.startswith("/") else f"/{rest}"
    return url.partition("#")[0].partition("?")
