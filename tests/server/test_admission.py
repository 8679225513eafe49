"""Who may come in, and when: pure, on a clock of the test's own."""

from __future__ import annotations

from time import monotonic

from prometheus_client import Counter, Gauge

from xds_server.server.admission import Seats, Turns
from xds_server.server.pacing import Pacing, Turn


class Door:
    """Turns, and the order in which they came."""

    def __init__(self, places: int, patience: float = 10.0) -> None:
        self.turns = Turns(places, patience)
        self.came: list[str] = []

    def ask(self, *names: str, now: float = 0.0) -> None:
        for name in names:
            self.turns.ask(name, lambda name=name: self.came.append(name), now)


def test_H13_turns_come_in_order_and_never_more_at_once_than_there_are_places() -> None:
    door = Door(2)
    door.ask(*"abcde")
    assert (door.came, door.turns.active, door.turns.waiting) == (["a", "b"], 2, 3)
    door.turns.done("b", 1.0)
    assert (door.came, door.turns.active) == (["a", "b", "c"], 2)
    door.turns.done("a", 1.0)
    door.turns.done("c", 1.0)
    assert (door.came, door.turns.waiting) == (list("abcde"), 0)


def test_H13_who_takes_too_long_makes_room_but_only_if_others_wait() -> None:
    door = Door(1, patience=10.0)
    door.ask("slow", now=0.0)
    assert door.turns.deadline is None
    door.turns.expire(100.0)
    assert door.turns.active == 1
    door.ask("next", "last", now=105.0)
    # It had its time before the others came.
    assert door.came == ["slow", "next"]
    assert door.turns.deadline == 115.0
    door.turns.expire(114.9)
    assert door.came == ["slow", "next"]
    door.turns.expire(115.0)
    assert door.came == ["slow", "next", "last"]
    door.turns.done("slow", 116.0)
    assert door.turns.active == 1


def test_H13_who_goes_while_waiting_is_passed_over() -> None:
    door = Door(1)
    door.ask(*"abc")
    door.turns.done("b", 1.0)
    door.turns.done("a", 1.0)
    assert door.came == ["a", "c"]
    door.turns.done("c", 1.0)
    door.turns.done("c", 1.0)
    assert (door.turns.active, door.turns.waiting) == (0, 0)


class Wake:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


async def test_H13_each_type_of_a_client_that_comes_up_needs_a_turn_and_later_on_nothing_does() -> None:
    pacing = Pacing(Turns(1, 3600.0), *(Gauge(name, name, registry=None) for name in ("active", "waiting")))
    first, second = (Turn(pacing, Wake()) for _ in range(2))
    assert first.has_come()
    first.open(monotonic())
    assert first.has_come()
    first.end()
    assert first.has_come()
    assert second.has_come()
    first.open(monotonic())
    assert not first.has_come()
    second.end()
    assert first.has_come()
    first.end()
    assert second.has_come()
    second.open(monotonic() + 3600)
    assert second.has_come()
    # Its place is taken by another, and it needs none.
    third = Turn(pacing, Wake())
    assert third.has_come()
    second.open(monotonic() + 3600)
    assert second.has_come()


def test_A13_no_more_seats_than_the_limit() -> None:
    refused = Counter("refused", "for the test", registry=None)
    seats = Seats(2, refused)
    assert [seats.take() for _ in range(3)] == [True, True, False]
    seats.free()
    assert seats.take()
    assert refused._value.get() == 1
    assert "2 streams" in seats.words
