"""Which node belongs to which gateway."""

from __future__ import annotations

import pytest

from xds_server.snapshot import Catalogue, Identity, NodeRule

EDGE = NodeRule("edge", frozenset({"edge"}))


def belongs(identity: Identity, *rules: NodeRule) -> str:
    gateways = {rule.gateway: {} for rule in rules}
    return Catalogue(1, shared={}, gateways=gateways, nodes=rules).gateway_of(identity)


def test_B7_without_rules_a_node_belongs_to_the_gateway_it_names() -> None:
    assert Catalogue(1, shared={}, gateways={}).gateway_of(Identity("n", "edge")) == "edge"
    assert belongs(Identity("n", "edge"), EDGE) == "edge"
    assert belongs(Identity("n", "nobody"), EDGE) == "nobody"  # told of by its name, and sent nothing


def test_B7_all_that_a_rule_says_must_hold_and_of_each_list_one() -> None:
    rule = NodeRule("canary", frozenset({"a", "b"}), ("n1", "m*"), {"stage": "canary"})
    canary = {"stage": "canary", "more": 1}
    assert belongs(Identity("n1", "a", metadata=canary), rule) == "canary"
    assert belongs(Identity("m-17", "b", metadata=canary), rule) == "canary"
    for other in (
        Identity("n2", "a", metadata=canary),
        Identity("n1", "c", metadata=canary),
        Identity("n1", "a", metadata={"stage": "live"}),
        Identity("n1", "a"),
    ):
        assert belongs(other, rule) != "canary"


def test_B7_the_most_specific_rule_wins_in_any_order() -> None:
    exact = NodeRule("exact", ids=("edge-1",))
    long = NodeRule("long", ids=("edge-*",))
    short = NodeRule("short", ids=("e*", "x*"), metadata={"a": "1", "b": "2"})
    two = NodeRule("two", metadata={"a": "1", "b": "2"})
    one = NodeRule("one", frozenset({"edge"}), metadata={"a": "1"})
    node = Identity("edge-1", "edge", metadata={"a": "1", "b": "2"})
    rules = [EDGE, one, two, short, long, exact]
    while rules:
        assert belongs(node, *rules) == belongs(node, *rules[::-1]) == rules[-1].gateway
        rules.pop()


def test_B7_of_equal_claims_the_first_by_name_wins() -> None:
    rules = [NodeRule("b", metadata={"x": "1"}), NodeRule("a", metadata={"y": "1"})]
    node = Identity("n", metadata={"x": "1", "y": "1"})
    assert belongs(node, *rules) == belongs(node, *rules[::-1]) == "a"


def test_B7_a_gateway_whose_rules_leave_a_node_out_does_not_get_it_by_its_name() -> None:
    rule = NodeRule("edge", ids=("edge-*",))
    assert belongs(Identity("other", "edge"), rule) == ""
    assert belongs(Identity("edge-1", "other"), rule) == "edge"


@pytest.mark.parametrize("value", [1, True, ["canary"], None])
def test_B7_metadata_is_compared_as_text_only(value: object) -> None:
    rule = NodeRule("canary", metadata={"stage": str(value)})
    assert belongs(Identity("n", metadata={"stage": value}), rule) != "canary"
