"""Shards behave like a dictionary that is never changed, share what stays the same, and know what differs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_server.shards import EMPTY, Shards

NAMES = st.text(st.characters(codec="utf-8"), max_size=3)
CONTENTS = st.dictionaries(NAMES, st.integers(0, 5), max_size=200)


@given(CONTENTS, CONTENTS, st.sets(NAMES))
def test_amended_it_is_what_a_dictionary_would_be(
    first: dict[str, int], put: dict[str, int], gone: set[str]
) -> None:
    before = Shards(first)
    after = before.amend(gone, put)
    assert before == first
    assert after == {**{name: value for name, value in first.items() if name not in gone}, **put}
    assert len(after) == len(dict(after))
    assert sorted(after) == sorted(dict(after))


@given(CONTENTS, CONTENTS)
def test_what_differs_is_what_a_look_at_everything_finds(
    first: dict[str, int], second: dict[str, int]
) -> None:
    before = Shards({name: [value] for name, value in first.items()})
    after = before.become({name: [value] for name, value in second.items()})
    changed, gone = after.since(before)
    assert after == {name: [value] for name, value in second.items()}
    assert gone == first.keys() - second.keys()
    assert changed == {name for name, value in second.items() if first.get(name) != value}


@given(CONTENTS, st.sets(NAMES, max_size=150))
def test_its_items_and_values_and_what_is_picked_are_a_dictionarys(
    contents: dict[str, int], names: set[str]
) -> None:
    shards = Shards(contents)
    assert dict(shards.items()) == contents
    assert sorted(shards.values()) == sorted(contents.values())
    assert (len(shards.items()), len(shards.values())) == (len(contents), len(contents))
    expected = {name: value for name, value in contents.items() if name in names}
    assert dict(shards.pick(names)) == expected
    assert dict(shards.pick(names | contents.keys())) == contents


def test_what_stays_the_same_is_the_same_object_and_not_looked_at() -> None:
    before = Shards({f"m{number}": object() for number in range(10_000)})
    after = before.amend(["m1"], {"m2": None})
    touched = [now is was for now, was in zip(after._parts, before._parts, strict=True)].count(False)
    assert touched <= 2
    assert after.since(before) == ({"m2"}, {"m1"})


def test_nothing_amended_is_the_very_same() -> None:
    shards = Shards({"a": 1})
    assert shards.amend(["b"]) is shards
    assert shards.become({"a": 1}) is shards
    assert shards.since(shards) == (frozenset(), frozenset())
    assert EMPTY.amend(["a"]) is EMPTY


@pytest.mark.parametrize("size", [0, 1, 64, 65, 5_000])
def test_mappings_with_other_numbers_of_parts_are_compared(size: int) -> None:
    small = Shards({"m1": 1})
    values = {f"m{number}": number for number in range(size)}
    assert small.become(values) == values
    assert small.become(values).since(small).changed == values.keys() - {"m1"}
    assert small.since(Shards(values)).gone == values.keys() - {"m1"}


def test_the_order_is_the_same_in_every_process() -> None:
    program = "from xds_server.shards import Shards; print(*Shards({f'm{n}': n for n in range(1000)}))"
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
