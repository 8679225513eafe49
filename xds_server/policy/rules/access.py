"""Access: where an issuer's keys come from, and where its tokens stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.jwks import jwks_problems
from xds_server.policy.rules.listener import same_words
from xds_server.policy.rules.url import url_rules
from xds_server.policy.rules.value import mapping, text

_JWKS: Path = ("spec", "jwks")
_SOURCES = ("inline", "file", "uri", "development")
_EXAMPLE = "https://issuer.example.com/.well-known/jwks.json"
_NOT_FOR_TOKENS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "cookie", "te", "upgrade"}
)


def issuer_rules(spec: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in an Issuer."""
    if isinstance(spec.get("jwks"), dict):
        yield from _jwks(spec["jwks"])
    yield from _residency_claim(spec.get("residencyClaim"))
    headers = spec.get("headers")
    yield from same_words(("spec", "headers"), headers)
    for index, header in enumerate(headers if isinstance(headers, tuple) else ()):
        if isinstance(header, str) and header.casefold() in _NOT_FOR_TOKENS:
            message = f"`{header}` cannot carry a bearer token"
            yield Fault("bad-value", ("spec", "headers", index), message, "for example `Authorization`")


def _residency_claim(claim: Any) -> Iterator[Fault]:
    # Envoy takes the path as one text, with a dot between two names.
    for index, name in enumerate(claim if isinstance(claim, tuple) else ()):
        if isinstance(name, str) and "." in name:
            message = f"`{name}` has a dot, and Envoy would look for a claim within a claim"
            hint = "name a claim without one; `[tenant, residency]` leads into `tenant`"
            yield Fault("bad-claim", ("spec", "residencyClaim", index), message, hint)


def _jwks(jwks: dict[str, Any]) -> Iterator[Fault]:
    given = [source for source in _SOURCES if source in jwks]
    if len(given) != 1:
        held = "none of them is" if not given else " and ".join(f"`{source}`" for source in given) + " are"
        hint = "keep one of " + ", ".join(given) if given else None
        message = f"exactly one of {', '.join(_SOURCES)} must be given; {held}"
        yield Fault("one-source", _JWKS, message, hint)
    if "cacheDuration" in jwks and "uri" not in jwks:
        path: Path = (*_JWKS, "cacheDuration")
        yield Fault("bad-value", path, "`cacheDuration` is only for keys that are fetched from a `uri`")
    uri = text(jwks, "uri")
    if uri is not None:
        risk = "keys must not be fetched over plain http: whoever is on the way could sign"
        yield from url_rules((*_JWKS, "uri"), uri, _EXAMPLE, risk)
    if mapping(jwks, "inline").get("keys"):
        for index, problem in jwks_problems(jwks["inline"]):
            at: Path = (*_JWKS, "inline", "keys")
            yield Fault("bad-jwks", at if index is None else (*at, index), f"the key set {problem}")
