from __future__ import annotations

import pytest

from xds_server.protocol.subscription import Change, Subscription


def state(subscription: Subscription) -> tuple[bool, set[str]]:
    return subscription.wildcard, subscription.names


def test_E3_sotw_sequence_of_the_specification() -> None:
    s = Subscription(wildcard_type=True)
    assert s.replace([]) == Change(opened=True)
    assert state(s) == (True, set())
    assert s.replace(["*", "A"]) == Change(asked=frozenset("A"))
    assert state(s) == (True, {"A"})
    assert s.replace(["A"]) == Change(closed=True)
    assert state(s) == (False, {"A"})
    assert s.replace([]) == Change(dropped=frozenset("A"))
    assert state(s) == (False, set())


def test_E4_delta_sequence_of_the_specification() -> None:
    s = Subscription(wildcard_type=True)
    assert s.update([], [], first=True).opened
    assert state(s) == (True, set())
    s.update(["A"], [], first=False)
    assert state(s) == (True, {"A"})
    assert s.update([], ["*"], first=False).closed
    assert state(s) == (False, {"A"})
    s.update([], ["A"], first=False)
    assert state(s) == (False, set())
    s.update([], [], first=False)
    assert state(s) == (False, set())


@pytest.mark.parametrize("variant", ["sotw", "delta"])
def test_E1_E2_wildcard_by_an_empty_first_request_or_a_star(variant: str) -> None:
    for names in ([], ["*"]):
        s = Subscription(wildcard_type=True)
        change = s.replace(names) if variant == "sotw" else s.update(names, [], first=True)
        assert change.opened
        assert state(s) == (True, set())


@pytest.mark.parametrize("variant", ["sotw", "delta"])
def test_E6_other_types_have_no_wildcard(variant: str) -> None:
    for names in ([], ["*"]):
        s = Subscription(wildcard_type=False)
        change = s.replace(names) if variant == "sotw" else s.update(names, [], first=True)
        assert not change
        assert state(s) == (False, set())


def test_E13_order_and_repetition_of_names_do_not_matter() -> None:
    s = Subscription(wildcard_type=False)
    s.replace(["a", "b"])
    assert not s.replace(["b", "a", "b"])


def test_E18_unsubscribing_unknown_names_is_ignored() -> None:
    s = Subscription(wildcard_type=False)
    s.update(["a"], [], first=True)
    assert not s.update([], ["zz"], first=False)
    assert state(s) == (False, {"a"})


def test_E21_a_name_in_both_lists_ends_subscribed_and_asked() -> None:
    s = Subscription(wildcard_type=False)
    s.update(["a"], [], first=True)
    assert s.update(["a"], ["a"], first=False) == Change(asked=frozenset("a"))
    assert state(s) == (False, {"a"})


def test_E16_a_named_sotw_client_that_names_nothing_asks_for_nothing() -> None:
    s = Subscription(wildcard_type=True)
    s.replace(["a"])
    assert s.replace([]) == Change(dropped=frozenset("a"))
    assert state(s) == (False, set())
