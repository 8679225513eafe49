"""Rules: what can be known to be wrong within one manifest beyond the shape of each value.

In: the kind and values of one document, which may have other faults. Out: faults with their paths. Rules look
at values, not at models, so that one bad value does not hide the others; each is silent about values whose
shape is wrong, which has been said already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from xds_server.policy.reading.fault import Fault
from xds_server.policy.rules.access import issuer_rules
from xds_server.policy.rules.listener import gateway_rules
from xds_server.policy.rules.place import location_rules, policy_rules
from xds_server.policy.rules.source import source_rules
from xds_server.policy.rules.split import workload_rules

_RULES: dict[str, Callable[[dict[str, Any]], Iterator[Fault]]] = {
    "Agent": workload_rules,
    "Function": workload_rules,
    "Gateway": gateway_rules,
    "Issuer": issuer_rules,
    "Location": location_rules,
    "Model": workload_rules,
    "Policy": policy_rules,
    "PolicySource": source_rules,
}


def rules(kind: str, body: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a document of this kind."""
    check = _RULES.get(kind)
    spec = body.get("spec")
    if check is not None and isinstance(spec, dict):
        yield from check(spec)
