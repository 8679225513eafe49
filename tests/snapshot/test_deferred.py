"""Resources that are encoded when somebody looks them up: what that costs, and that nobody can tell otherwise."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from xds_server.shards import Shards
from xds_server.snapshot import Deferred, Diff, Recipe, Resource, View, Workshop, diff

C = "type.googleapis.com/envoy.config.cluster.v3.Cluster"

Subject = tuple[str, int, int]
"""A name, how many resources are made of it, and what is in them."""


class Kitchen:
    """A workshop that notes what it makes."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.workshop: Workshop[Subject] = Workshop()
        self.recipe = Recipe(self.names, self.make, lambda name: name.partition("/")[0])

    @staticmethod
    def names(subject: Subject) -> list[str]:
        return [f"{subject[0]}/{number}" for number in range(subject[1])]

    def make(self, subject: Subject) -> Iterator[Resource]:
        self.made.append(subject[0])
        return (Resource.of(C, name, str(subject[2]).encode()) for name in self.names(subject))

    def follow(self, subjects: Shards[Subject]) -> Deferred[Subject]:
        return self.workshop.follow(subjects, self.recipe)


def subjects(*found: Subject) -> Shards[Subject]:
    return Shards({each[0]: each for each in found})


def see(found: Deferred[Subject]) -> View:
    return View(1, ({C: found},))


def test_names_cost_nothing_and_a_look_up_encodes_what_it_finds_once() -> None:
    kitchen = Kitchen()
    found = kitchen.follow(subjects(("a", 2, 1), ("b", 1, 1), ("none", 0, 1)))
    view = see(found)
    assert sorted(view.names(C)) == ["a/0", "a/1", "b/0"]
    assert len(found) == view.count(C) == 3
    assert view.has(C, "a/1")
    assert not view.has(C, "a/2")
    assert found.get("a/2") is found.get("c/0") is found.get("none/0") is view.get(C, "a") is None
    assert kitchen.made == []
    assert view.get(C, "a/0") is view.get(C, "a/0") is found["a/0"]
    assert kitchen.made == ["a"]


def test_what_is_equal_is_made_once_over_all_generations() -> None:
    kitchen = Kitchen()
    one = kitchen.follow(subjects(("a", 1, 1), ("b", 1, 1)))
    kept = one["a/0"]
    two = kitchen.follow(subjects(("a", 1, int("1")), ("b", 1, 2)))
    assert two["a/0"] is kept
    assert kitchen.made == ["a"]


def test_an_older_generation_says_what_it_always_said_and_leaves_nothing_behind() -> None:
    kitchen = Kitchen()
    one = kitchen.follow(subjects(("a", 1, 1), ("b", 1, 1)))
    two = kitchen.follow(subjects(("a", 1, 2)))
    assert [one["a/0"].body, two["a/0"].body, one["a/0"].body] == [b"1", b"2", b"1"]
    assert (one["b/0"].body, two.get("b/0")) == (b"1", None)
    assert kitchen.workshop._made.keys() == {"a"}
    assert (len(one), len(two), len(one)) == (2, 1, 2)


def test_a_comparison_encodes_what_differs_and_no_more() -> None:
    kitchen = Kitchen()
    base = subjects(*((f"m{number}", 1, 1) for number in range(100)))
    one = see(kitchen.follow(base))
    two = see(kitchen.follow(base.amend(["m1"], {"m2": ("m2", 2, 2), "new": ("new", 1, 1)})))
    assert diff(one, two) == Diff({C: frozenset({"m2/0", "m2/1", "new/0"})}, {C: frozenset({"m1/0"})})
    assert kitchen.made == ["m2", "m2"]


def test_others_are_beside_what_is_made() -> None:
    kitchen, key = Kitchen(), Resource.of(C, "issuer/keys", b"k")
    plain = kitchen.follow(subjects(("a", 1, 1)))
    found = plain.beside({key.name: key})
    assert found["issuer/keys"] is key
    assert (len(found), set(found)) == (2, {"issuer/keys", "a/0"})
    assert diff(see(plain), see(found)) == Diff({C: frozenset({"issuer/keys"})})
    assert diff(see(found), see(plain)) == Diff({}, {C: frozenset({"issuer/keys"})})


def test_a_fault_in_one_takes_no_other_along() -> None:
    """What cannot be made is told once; what was made of it last stays, and all else goes on."""
    kitchen = Kitchen()
    make = kitchen.recipe.make

    def fail(subject: Subject) -> Iterator[Resource]:
        if subject[2] == 13:
            raise RuntimeError(subject[0])
        return iter(make(subject))

    kitchen.recipe = kitchen.recipe._replace(make=fail)
    first = see(kitchen.follow(subjects(("a", 1, 1), ("b", 1, 1))))
    assert {each.name for each in first.resources(C)} == {"a/0", "b/0"}
    with capture_logs() as logged:
        second = see(kitchen.follow(subjects(("a", 1, 13), ("b", 1, 2), ("new", 1, 13))))
        assert diff(first, second) == Diff({C: frozenset({"b/0", "new/0"})})
        for _ in range(2):
            found = {each.name: each for each in second.resources(C)}
            assert found.keys() == {"a/0", "b/0"}
            assert found["a/0"] is first.get(C, "a/0")
            assert second.get(C, "new/0") is None
    assert sorted(each["name"] for each in logged) == ["a", "new"]
    third = see(kitchen.follow(subjects(("a", 1, 3), ("b", 1, 2), ("new", 1, 1))))
    assert diff(second, third).changed[C] >= {"a/0", "new/0"}
    assert {each.name for each in third.resources(C)} == {"a/0", "b/0", "new/0"}


@pytest.mark.parametrize("seed", range(20))
def test_following_says_what_a_look_at_everything_says(seed: int) -> None:
    rng, kitchen = random.Random(seed), Kitchen()
    now: Shards[Subject] = subjects()
    views = [see(kitchen.follow(now))]
    for _ in range(20):
        names = [f"m{rng.randrange(8)}" for _ in range(rng.randrange(3))]
        put = {name: (name, rng.randrange(3), rng.randrange(2)) for name in names}
        now = now.amend([f"m{rng.randrange(8)}"], put)
        views.append(see(kitchen.follow(now)))
        if rng.random() < 0.5:
            rng.choice(views).encode(C)
        before = rng.choice(views)
        was, new = ({each.name: each.version for each in view.resources(C)} for view in (before, views[-1]))
        changed = frozenset(name for name in new if was.get(name) != new[name])
        gone = frozenset(was.keys() - new.keys())
        assert diff(before, views[-1]) == Diff({C: changed} if changed else {}, {C: gone} if gone else {})
        assert len(views[-1].layers[0][C]) == len(new)


def test_all_values_are_those_of_the_names_and_of_the_others() -> None:
    kitchen = Kitchen()
    other = Resource.of(C, "other", b"")
    found = kitchen.follow(subjects(("a", 2, 1), ("b", 1, 1), ("none", 0, 1))).beside({"other": other})
    assert {each.name: each for each in found.values()} == {name: found[name] for name in found}
    assert len(kitchen.made) == 3
