"""The children of one command: watched together, stopped together."""

from __future__ import annotations

import asyncio

from xds_server.cli.child import Child, ending
from xds_server.cli.live import is_request
from xds_server.cli.outcome import CommandError


class Crew:
    """The children in the order in which they were started; the last to come is the first to be stopped."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._ends: dict[asyncio.Task[int], Child] = {}

    def add(self, child: Child) -> None:
        """Watch over a child that was started."""
        self._children.append(child)
        self._ends[asyncio.create_task(child.wait(), name=f"end of {child.name}")] = child

    async def next_end(self) -> tuple[Child, int]:
        """Wait until a child ends that was not reported yet; return it and its exit code."""
        if not self._ends:
            await asyncio.get_running_loop().create_future()  # nobody can end: wait to be cancelled
        done, _ = await asyncio.wait(self._ends, return_when=asyncio.FIRST_COMPLETED)
        task = done.pop()
        return self._ends.pop(task), task.result()

    async def stop(self, grace: float) -> None:
        """Stop every child, each within ``grace`` seconds, and return when none is left."""
        await asyncio.gather(*(child.stop(grace) for child in reversed(self._children)))

    def kill(self) -> None:
        """Kill every child at once."""
        for child in self._children:
            child.kill()


def failure(child: Child, code: int) -> CommandError:
    """Say which child ended, how, and what its last words were; requests that it logged are none."""
    words = "\n".join(f"  {line}" for line in child.tail if not is_request(line))
    told = f"; its last words:\n{words}" if words else ", without a word"
    how = f"ended with {ending(code)}" if code >= 0 else f"was {ending(code)}"
    return CommandError(f"{child.name} (pid {child.pid}) {how}{told}")
