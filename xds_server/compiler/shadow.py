"""Shadow traffic: a part of a split's requests is sent once more, to a revision outside the split.

Envoy waits for no answer and throws it away; the body is mirrored as it streams. The copy is taken from the request as
it goes to the model, so it has no token either. It is marked, since a model may want to know.
https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-routeaction-requestmirrorpolicy
"""

from __future__ import annotations

from typing import Any

from xds_server.graph import Deployment, Endpoint

from .names import REVISION_HEADER, SHADOW_HEADER, name_cluster


def describe_shadow(endpoint: Endpoint, deployment: Deployment) -> dict[str, Any]:
    """What a route to the deployment's split says of its shadow."""
    shadow = deployment.traffic.shadow
    if shadow is None:
        return {}
    marks = ((SHADOW_HEADER, "true"), (REVISION_HEADER, shadow.revision))
    policy = {
        "cluster": name_cluster(endpoint, deployment.environment, shadow.revision),
        "runtime_fraction": {"default_value": {"numerator": shadow.parts, "denominator": "TEN_THOUSAND"}},
        "disable_shadow_host_suffix_append": True,
        "request_headers_mutations": [{"append": _set(*mark)} for mark in marks],
    }
    return {"request_mirror_policies": [policy]}


def _set(name: str, value: str) -> dict[str, Any]:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
