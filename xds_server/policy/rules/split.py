"""Splits: deployments, revisions and backends that cannot all be, and weights that cannot work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from xds_server.policy.kinds.address import AddressError, parse_address
from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.credentials import credential_rules
from xds_server.policy.rules.health import health_rules
from xds_server.policy.rules.registration import registration_rules
from xds_server.policy.rules.rollout import rollout_rules
from xds_server.policy.rules.routing import routing_rules
from xds_server.policy.rules.scaling import scaling_rules
from xds_server.policy.rules.traffic import traffic_rules
from xds_server.policy.rules.upstream import upstream_rules
from xds_server.policy.rules.value import entries, mapping, repeated, text, whole

MOST = 2**32 - 1
"""What weights may add up to. Source: `WeightedCluster` and `LbEndpoint`,
https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto
"""


def workload_rules(spec: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a Model, Agent or Function."""
    deployments = entries(spec, "deployments")
    if len(deployments) > 1:
        claims = (
            (("spec", "deployments", index, "environment"), text(deployment, "environment"))
            for index, deployment in deployments
        )
        yield from repeated(claims, lambda name: f"there is a deployment to `{name}` already")
    for index, deployment in deployments:
        way: Path = ("spec", "deployments", index)
        if "policies" in deployment:
            yield from _names((*way, "policies"), deployment["policies"])
        yield from _revisions(way, deployment)
        yield from routing_rules(way, deployment)
        yield from upstream_rules(way, deployment)
        yield from rollout_rules(way, deployment)
        yield from traffic_rules(way, deployment)
        yield from scaling_rules(way, deployment)


def _revisions(way: Path, deployment: dict[str, Any]) -> Iterator[Fault]:
    revisions = entries(deployment, "revisions")
    if len(revisions) > 1:
        claims = (((*way, "revisions", index, "name"), text(each, "name")) for index, each in revisions)
        yield from repeated(claims, lambda name: f"there is a revision `{name}` already")
    if "rollout" not in deployment:
        yield from _shares(way, "revisions", revisions, deployment.get("revisions"))
    for index, revision in revisions:
        here: Path = (*way, "revisions", index)
        if "healthCheck" in revision:
            yield from health_rules(here, mapping(revision, "healthCheck"))
        yield from registration_rules(here, revision)
        yield from _backends(here, revision)
        yield from credential_rules(here, revision)


def _shares(
    way: Path, what: str, revisions: Sequence[tuple[int, dict[str, Any]]], declared: Any
) -> Iterator[Fault]:
    silent = [index for index, revision in revisions if "weight" not in revision]
    if silent and isinstance(declared, tuple) and len(declared) > 1:
        for index in silent:
            hint = "with more than one revision, each says its weight"
            yield Fault("missing-weight", (*way, what, index), "`weight` is missing", hint)
        return
    weights = [revision.get("weight", 1) for _, revision in revisions]
    yield from _weights((*way, what), weights, "revisions", "to serve nothing, write `enabled: false`")


def _backends(way: Path, revision: dict[str, Any]) -> Iterator[Fault]:
    backends = entries(revision, "backends")
    weights = [backend.get("weight", 1) for _, backend in backends]
    yield from _weights((*way, "backends"), weights, "backends", "to serve nothing, write `enabled: false`")
    claims = []
    for index, backend in backends:
        here: Path = (*way, "backends", index)
        address, location = text(backend, "address"), text(backend, "location")
        if address is None:
            continue
        try:
            parsed = parse_address(address)
        except AddressError:
            continue
        if location is not None:
            claims.append(((*here, "address"), (location, parsed.authority)))
        if "tls" in backend and not parsed.tls:
            hint = f"write `https://{parsed.authority}`, or leave `tls` out"
            yield Fault("tls-without-https", (*here, "tls"), "`tls` is only for an https address", hint)
        yield from _client((*here, "tls"), mapping(backend, "tls"))
        if parsed.tls and parsed.is_ip and text(mapping(backend, "tls"), "sni") is None:
            hint = "add `tls: {sni: name.in.its.certificate}`"
            yield Fault(
                "missing-key", (*here, "address"), "an https address that is an IP needs `tls.sni`", hint
            )
    if len(claims) > 1:
        yield from repeated(claims, lambda claim: f"there is a backend `{claim[1]}` in `{claim[0]}` already")


def _client(path: Path, tls: dict[str, Any]) -> Iterator[Fault]:
    for given, wanted in (("certificate", "key"), ("key", "certificate")):
        if given in tls and wanted not in tls:
            yield Fault("missing-key", path, f"`{wanted}` is missing: `{given}` is of no use without it")


def _weights(path: Path, weights: list[Any], what: str, hint: str) -> Iterator[Fault]:
    if not weights or not all(whole(weight) and weight >= 0 for weight in weights):
        return
    if sum(weights) == 0:
        yield Fault("zero-weights", (*path, 0, "weight"), f"the weights of all {what} are 0", hint)
    if sum(weights) > MOST:
        message = f"the weights of all {what} add up to {sum(weights)}; at most {MOST} is possible"
        yield Fault("large-weights", (*path, 0, "weight"), message, "divide them all by the same number")


def _names(path: Path, names: Any) -> Iterator[Fault]:
    if isinstance(names, tuple):
        claims = (((*path, index), name) for index, name in enumerate(names) if isinstance(name, str))
        yield from repeated(claims, lambda name: f"`{name}` is listed already")
