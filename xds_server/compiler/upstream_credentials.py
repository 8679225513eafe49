"""Credentials of backends: a secret that a filter behind the choice of a backend puts into the request.

The secret comes over SDS, so it is in no route, cluster, log or dump, and a new one changes nothing else. Where
backends of a revision have secrets of their own, each injector is skipped for all but the backends whose label it has.
https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/credential_injector_filter
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from xds_server.graph import Backend, Credentials, Endpoint, Revision
from xds_server.wire import message_class, pack

from .names import CREDENTIALS_HEADER, INJECTOR, name_credentials
from .target import Target

_INJECTOR = "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector"
_GENERIC = "envoy.extensions.http.injected_credentials.generic.v3.Generic"
_DELEGATE = "envoy.extensions.common.matching.v3.ExtensionWithMatcher"
_HEADER_INPUT = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
_SKIP = "envoy.extensions.filters.common.matcher.action.v3.SkipFilter"


def label_credentials(credentials: Credentials) -> str:
    """What tells a backend's credentials from those of others: the file, and what stands before its content."""
    return (
        f"{credentials.file}/{quote(credentials.prefix, safe='')}" if credentials.prefix else credentials.file
    )


def list_credentials(revision: Revision) -> list[Credentials]:
    """The distinct credentials of a revision's backends."""
    found = (each.credentials for each in revision.backends if each.credentials is not None)
    return list({label_credentials(each): each for each in found}.values())


def name_choice(revision: Revision, backend: Backend) -> str | None:
    """The label by which an endpoint asks for its credentials; ``None`` where all have the same, or none."""
    if backend.credentials is None or len(list_credentials(revision)) < 2:
        return None
    return label_credentials(backend.credentials)


def describe_injection(endpoint: Endpoint, revision: Revision, target: Target) -> list[dict[str, Any]]:
    """The filters of a cluster that put the credentials in."""
    found = list_credentials(revision)
    if len(found) == 1:
        return [{"name": INJECTOR, "typed_config": _inject(endpoint, found[0], target)}]
    return [
        {"name": f"{INJECTOR}.{at}", "typed_config": _only_for(endpoint, each, target)}
        for at, each in enumerate(found)
    ]


def _inject(endpoint: Endpoint, credentials: Credentials, target: Target) -> dict[str, Any]:
    secret = {"name": name_credentials(endpoint, label_credentials(credentials)), "sds_config": target.source}
    generic = message_class(_GENERIC)(credential=secret, header=credentials.header)
    # Without the secret a request is refused rather than sent as nobody's.
    injector = message_class(_INJECTOR)(
        overwrite=True, credential={"name": "generic", "typed_config": pack(generic)}
    )
    return pack(injector)


def _only_for(endpoint: Endpoint, credentials: Credentials, target: Target) -> dict[str, Any]:
    header = message_class(_HEADER_INPUT)(header_name=CREDENTIALS_HEADER)
    is_other = {
        "not_matcher": {
            "single_predicate": {
                "input": {"name": "label", "typed_config": pack(header)},
                "value_match": {"exact": label_credentials(credentials)},
            }
        }
    }
    skip = {"action": {"name": "skip", "typed_config": pack(message_class(_SKIP)())}}
    delegate = message_class(_DELEGATE)(
        extension_config={"name": INJECTOR, "typed_config": _inject(endpoint, credentials, target)},
        xds_matcher={"matcher_list": {"matchers": [{"predicate": is_other, "on_match": skip}]}},
    )
    return pack(delegate)
