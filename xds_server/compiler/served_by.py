"""Which revision and region served a request, told to the client where the deployment says so.

Written by the filter behind the choice of a backend, so it is in answers of backends alone, never in the gateway's own,
and overwrites what a backend says of the kind. Its form is that of a structured field, an item with parameters:
`"v2";region="eu-west-3";attempts=1`. No address is in it.
https://www.rfc-editor.org/rfc/rfc9651#name-items
"""

from __future__ import annotations

from typing import Any

from xds_server.wire import message_class, pack

from .names import BACKEND, ENDPOINT_METADATA, SERVED_BY_HEADER

_PER_ROUTE = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute"


def describe_served_by(revision: str) -> dict[str, Any]:
    """What a route to a revision, or the revision's part of a split, tells the filters."""
    # Names of revisions and regions hold nothing that would have to be escaped.
    region, attempts = f"%UPSTREAM_METADATA({ENDPOINT_METADATA}:region)%", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"
    told = {
        "header": {
            "key": SERVED_BY_HEADER,
            "value": f'"{revision}";region="{region}";attempts={attempts}',
        },
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    message = message_class(_PER_ROUTE)(mutations={"response_mutations": [{"append": told}]})
    return {BACKEND: pack(message)}
