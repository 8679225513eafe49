"""One combination's test stand: server, recorder, Envoy and models; what both scenarios are made with."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.e2e.serving import Serving
from tests.e2e.upstream import Upstreams
from tests.envoy_process import EnvoyProcess, wait_until
from tests.matrix.combination import Combination
from tests.matrix.traffic import Traffic
from tests.matrix.world import GATEWAY, REGION, World
from tests.xds.record import Record
from tests.xds.recorder import Recorder

_STEPS = ("added", "modified", "removed", "in_place_updated")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The loop of all recorders: gRPC wants one for a process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="recorders", daemon=True).start()
    return loop


@dataclass
class Stand:
    """All that runs, and waits for it."""

    world: World
    serving: Serving
    recorder: Recorder
    envoy: EnvoyProcess
    state: Path
    """Where the server keeps its last good state."""

    @property
    def traffic(self) -> Traffic:
        """A client for each listener that there is now, not yet started."""
        return Traffic(self.world.ports, self.world.certificates.client(), self.world.token)

    def call(self, work: Callable[[], object]) -> None:
        """Do something where the recorder runs."""
        done = threading.Event()

        def run() -> None:
            work()
            done.set()

        _loop().call_soon_threadsafe(run)
        assert done.wait(20)

    def wait_record(self, wanted: Callable[[Record], bool], since: int, what: str) -> None:
        """Wait until a message went by."""
        wait_until(lambda: any(wanted(each) for each in self.recorder.trace[since:]), what)

    def settle(self, after: int = -1, streams: int = 1) -> None:
        """Wait until Envoy has all of what is served, of a generation after that one, and has acknowledged it.

        Envoy is asked, too: with slow answers a scope is acknowledged well before its routes are asked for, and until
        they are there a request for a new model finds nothing.
        """
        envoys = {"envoy": self.envoy}
        self.envoy.wait(
            lambda: (
                self.recorder.open_streams >= streams and self.serving.settled(after=after, envoys=envoys)
            ),
            "Envoy has all that is served",
        )

    def save(self, change: Callable[[], None]) -> None:
        """Change the policies, and wait until Envoy has what they say."""
        before = self.serving.generation()
        assert before is not None
        change()
        self.settle(before)

    def wait_kept(self, words: str) -> None:
        """Wait until the last good state on disk has these words in it."""
        wait_until(
            lambda: any(words in each.read_text() for each in self.state.rglob("*.jsonl")),
            f"{words} is on disk",
        )

    def calm(self) -> None:
        """Wait until nothing waits to be taken away."""
        wait_until(self.serving.calm, "nothing waits to be taken away")

    def updates(self) -> dict[str, int]:
        """What was ever changed in Envoy, of listeners and clusters."""
        stats = self.envoy.stats("manager")
        kinds = [f"{kind}_manager.{kind}_{step}" for kind in ("listener", "cluster") for step in _STEPS]
        return {each: stats[each] for each in kinds if each in stats}

    def received(self) -> dict[str, int]:
        """How often each type was taken by Envoy."""
        found = self.envoy.stats("update_success")
        return {name: value for name, value in found.items() if "control-plane" not in name}

    def stalls(self) -> dict[str, int]:
        """The subscriptions that had to do without an answer."""
        return self.envoy.stalls()

    def rejected(self) -> dict[str, int]:
        """The subscriptions of which something was refused."""
        return {name: value for name, value in self.envoy.stats("update_rejected").items() if value}


@contextmanager
def recording(target: int) -> Iterator[Recorder]:
    """Run a recorder."""
    loop = _loop()
    recorder = Recorder(target)
    asyncio.run_coroutine_threadsafe(recorder.__aenter__(), loop).result(20)
    try:
        yield recorder
    finally:
        asyncio.run_coroutine_threadsafe(recorder.__aexit__(None, None, None), loop).result(20)


@contextmanager
def build(
    combination: Combination, root: Path, *, program: Sequence[str] | None = None, empty: bool = False
) -> Iterator[Stand]:
    """Put everything up, but Envoy is not started yet. `empty`: there is a gateway, and no model."""
    with ExitStack() as running:
        world = World(root / "policies", running.enter_context(Upstreams()))
        world.write_fleet()
        if not empty:
            world.write_workspaces()
        command = program or [str(Path(sys.executable).with_name("fairlead")), "serve"]
        state = root / "state"
        serving = running.enter_context(
            Serving(world.folder, root / "serve.log", [*command, "--state", str(state)])
        )
        recorder = running.enter_context(recording(serving.xds_port))
        bootstrap = combination.bootstrap("envoy", GATEWAY, REGION, recorder.port)
        envoy = EnvoyProcess(bootstrap, root / "envoy", binary=combination.binary)
        running.callback(envoy.stop)
        yield Stand(world, serving, recorder, envoy, state)


def paths(*models: str) -> list[str]:
    """The paths of models, each given as `acme/llama`."""
    return [
        f"/{workspace}/models/{name}/x" for workspace, _, name in (each.partition("/") for each in models)
    ]
