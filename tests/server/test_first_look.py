"""What a stream's first look needs is encoded beside the event loop, and what it does not look at is not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.xds.machine.conversation import C, Delta, E, Sotw
from xds_server.protocol import Request
from xds_server.server import first_look
from xds_server.shards import Shards
from xds_server.snapshot import Recipe, Resource, View, Workshop

COUNT = 20


class Made:
    """A view of clusters and endpoints, each made in a thread that is noted."""

    def __init__(self) -> None:
        self.threads: dict[tuple[str, str], threading.Thread] = {}
        subjects = Shards({f"m{number}": f"m{number}" for number in range(COUNT)})
        self.view = View(1, ({each: Workshop[str]().follow(subjects, self.recipe(each)) for each in (C, E)},))

    def recipe(self, type_url: str) -> Recipe[str]:
        def make(name: str) -> Iterator[Resource]:
            assert (type_url, name) not in self.threads, "it is made once"
            self.threads[type_url, name] = threading.current_thread()
            yield Resource.of(type_url, name, b"")

        return Recipe(lambda name: (name,), make, str)

    def beside(self, type_url: str) -> set[str]:
        """The names that were made in another thread than this one."""
        here = threading.current_thread()
        return {
            name for (url, name), thread in self.threads.items() if url == type_url and thread is not here
        }


async def test_everything_of_a_type_is_made_in_a_thread_once_for_all_streams() -> None:
    made = Made()
    for _ in range(2):
        client = Delta()
        client.sub(C)
        client.stream.on_view(made.view)
        await first_look.encode(client.stream)
        assert len(made.beside(C)) == COUNT
        (response,) = client.poll()
        assert len(response.resources) == COUNT
    assert made.beside(E) == set()


async def test_in_state_of_the_world_it_is_the_whole_type() -> None:
    made, client = Made(), Sotw()
    client.ask(E, "m1")
    client.stream.on_view(made.view)
    await first_look.encode(client.stream)
    assert len(made.beside(E)) == COUNT


@pytest.mark.parametrize("many", [2, 3])
async def test_names_are_made_in_a_thread_if_they_are_many(
    many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_look, "MANY", 3)
    made, client = Made(), Delta()
    names = [f"m{number}" for number in range(many)]
    client.sub(E, *names)
    client.stream.on_view(made.view)
    await first_look.encode(client.stream)
    assert made.beside(E) == (set(names) if many == 3 else set())
    client.poll()
    assert {name for url, name in made.threads if url == E} == set(names)


async def test_others_are_served_meanwhile() -> None:
    made, client, turns = Made(), Delta(), 0
    going = threading.Event()
    encode = View.encode

    def slowly(self: View, *rest: object) -> None:
        assert going.wait(10)
        encode(self, C)

    client.stream.on_request(Request(C, subscribe=()), 0.0)
    client.stream.on_view(made.view)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(View, "encode", slowly)
        looking = asyncio.create_task(first_look.encode(client.stream))
        while turns < 3:
            await asyncio.sleep(0.01)
            turns += 1
        assert not looking.done()
        going.set()
        await looking
