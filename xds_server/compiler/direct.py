"""Direct address of revisions: routes for testers' requests, in front of the split, whatever its weights.

They look at the query parameter and the header as written, the way ``environment`` is looked at: what can be read in
two ways is refused. Only deployments with testers have them: elsewhere both are the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from xds_server.graph import USE_REVISION_HEADER, USE_REVISION_PARAMETER, Deployment

AMBIGUOUS_REVISION: Final = "ambiguous-revision"
UNKNOWN_REVISION: Final = "unknown-revision"
"""Names of routes that refuse, by which the local reply knows what to say."""

_NAME = USE_REVISION_PARAMETER
# As the request guard's for `environment`: Envoy takes the first of a repeated parameter, an upstream may take the
# last; and it compares names undecoded. Two, since Envoy up to 1.38 refuses larger programs.
_TWICE = rf"[^?]*\?(?:.*&)?{_NAME}(?:=[^&]*)?&(?:.*&)?{_NAME}(?:[=&].*)?"
_ENCODED = rf"[^?]*\?(?:.*&)?[{_NAME}]*%[67][0-9a-fA-F](?:[{_NAME}]|%[67][0-9a-fA-F])*(?:[=&].*)?"

_ANY_PARAMETER: dict[str, Any] = {"query_parameters": [{"name": _NAME, "present_match": True}]}
_ANY_HEADER: dict[str, Any] = {"headers": [{"name": USE_REVISION_HEADER, "present_match": True}]}


def list_ambiguities() -> Iterator[dict[str, Any]]:
    """Conditions of requests that are refused with 400."""
    for regex in (_TWICE, _ENCODED):
        yield {"headers": [{"name": ":path", "string_match": {"safe_regex": {"regex": regex}}}]}
    yield {**_ANY_PARAMETER, **_ANY_HEADER}


def list_choices(deployment: Deployment) -> Iterator[tuple[dict[str, Any], str]]:
    """Conditions of requests that name a revision, and its name."""
    for revision in deployment.revisions:
        exact = {"string_match": {"exact": revision.name}}
        yield {"query_parameters": [{"name": _NAME, **exact}]}, revision.name
        yield {"headers": [{"name": USE_REVISION_HEADER, **exact}]}, revision.name


def name_choices(deployment: Deployment) -> tuple[str, ...]:
    """The revisions that testers may choose, whatever their weights."""
    if deployment.traffic.testers is None:
        return ()
    return tuple(revision.name for revision in deployment.revisions)


def join(match: dict[str, Any], condition: dict[str, Any]) -> dict[str, Any]:
    """A match, and what else must hold."""
    query = [*match.get("query_parameters", ()), *condition.get("query_parameters", ())]
    return {**match, **condition, **({"query_parameters": query} if query else {})}


def list_unknown() -> Iterator[dict[str, Any]]:
    """Conditions of requests that name a revision which is none of the deployment's: 404."""
    yield _ANY_PARAMETER
    yield _ANY_HEADER


def refuse(status: int, name: str) -> dict[str, Any]:
    """A route that answers itself; the listener's local reply writes the body."""
    return {"name": name, "direct_response": {"status": status}}
