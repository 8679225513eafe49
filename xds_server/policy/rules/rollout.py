"""Rollouts: plans that cannot be, revisions that are not there, and weights beside a plan that decides them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.service_url import service_url_rules
from xds_server.policy.rules.value import entries, mapping, text, whole
from xds_server.policy.suggestion import did_you_mean

_PLANS = ("canary", "linear", "blueGreen")


def rollout_rules(way: Path, deployment: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a deployment's `rollout`; `way` is the deployment's path."""
    rollout = deployment.get("rollout")
    if not isinstance(rollout, dict):
        return
    here: Path = (*way, "rollout")
    yield from _plan(here, rollout)
    yield from _canary(here, rollout.get("canary"))
    yield from _revisions(here, rollout, deployment)
    yield from _weights(way, rollout, deployment)
    yield from _gates((*here, "gates"), mapping(rollout, "gates"))


def _plan(here: Path, rollout: dict[str, Any]) -> Iterator[Fault]:
    given = [plan for plan in _PLANS if plan in rollout]
    if len(given) != 1:
        held = "none of them is" if not given else " and ".join(f"`{plan}`" for plan in given) + " are"
        hint = "keep one of " + ", ".join(given) if given else "for example `canary: [5, 25, 50, 100]`"
        yield Fault("one-plan", here, f"exactly one of {', '.join(_PLANS)} must be given; {held}", hint)
    if "stepTime" in rollout and given == ["linear"]:
        hint = "the steps share `linear.over` evenly"
        yield Fault("bad-value", (*here, "stepTime"), "`stepTime` is not for `linear`", hint, key=True)


def _canary(here: Path, canary: Any) -> Iterator[Fault]:
    if not isinstance(canary, tuple) or not canary or not all(whole(each) for each in canary):
        return
    for index, (before, after) in enumerate(pairwise(canary), 1):
        if after <= before:
            message = f"{after} follows {before}, and each step must be larger than the one before"
            yield Fault("bad-value", (*here, "canary", index), message)
            return
    if canary[-1] != 100:
        at = (*here, "canary", len(canary) - 1)
        hint = "add 100; to stay at a smaller share, write weights instead of a rollout"
        yield Fault("bad-value", at, "the last step must be 100", hint)


def _revisions(here: Path, rollout: dict[str, Any], deployment: dict[str, Any]) -> Iterator[Fault]:
    known = {name for _, each in entries(deployment, "revisions") if (name := text(each, "name")) is not None}
    old, new = text(rollout, "from"), text(rollout, "to")
    for key, name in (("from", old), ("to", new)):
        if name is not None and known and name not in known:
            message = f"the deployment has no revision `{name}`"
            yield Fault("unknown-revision", (*here, key), message, did_you_mean(name, known))
    if old is not None and old == new:
        yield Fault("bad-value", (*here, "to"), f"`{new}` is where the traffic comes from, too")


def _weights(way: Path, rollout: dict[str, Any], deployment: dict[str, Any]) -> Iterator[Fault]:
    moved = {text(rollout, "from"), text(rollout, "to")}
    for index, revision in entries(deployment, "revisions"):
        # Out of the split is what every other revision is meanwhile.
        if "weight" not in revision or (revision["weight"] == 0 and text(revision, "name") not in moved):
            continue
        message = "the rollout decides the weights as long as it is declared"
        hint = "leave `weight` out; to set weights by hand, take `rollout` out, once it has ended or is cancelled"
        yield Fault("rollout-decides", (*way, "revisions", index, "weight"), message, hint, key=True)


def _gates(here: Path, gates: dict[str, Any]) -> Iterator[Fault]:
    latency = mapping(gates, "latency")
    if latency and "above" not in latency and "times" not in latency:
        yield Fault("missing-key", (*here, "latency"), "needs `above` or `times`", "for example `above: 2s`")
    for key in ("errorRate", "latency"):
        url = text(mapping(mapping(gates, key), "prometheus"), "url")
        if url is not None:
            yield from service_url_rules((*here, key, "prometheus", "url"), url, "http://prometheus:9090")
