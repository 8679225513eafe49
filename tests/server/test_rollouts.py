"""The conductor of rollouts: what it keeps, what it forgets, and what it says."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from tests.graph import world as w
from xds_server.archive import Journal
from xds_server.graph import Facts, Graph, Moved, Overlay
from xds_server.rollout import NotPossibleError, Order, Phase
from xds_server.server.load_reports import Load, Place
from xds_server.server.metrics import Metrics
from xds_server.server.readiness import Readiness
from xds_server.server.rollout_pages import rollout_routes
from xds_server.server.rollouts import Rollouts, UnknownRolloutError
from xds_server.server.tallies import Tallies
from xds_server.server.wake_hook import MARK

LLAMA = ("acme/models/llama", "production")
PLAN = {"from": "v1", "to": "v2", "canary": [20, 60, 100], "stepTime": "10s"}


def graph(**rollout: Any) -> Graph:
    """Of one model with that rollout; without any, of one without."""
    if not rollout:
        revisions = (w.revision("v1", w.backend("eu-west-3"), weight=1),)
        return w.build_graph(*w.FLEET, w.workspace(), w.model("llama", w.deployment(*revisions)))
    revisions = tuple(
        w.revision(name, w.backend("eu-west-3", f"{name}.test:80")) for name in ("v1", "v2", "v3")
    )
    declared = w.model("llama", w.deployment(*revisions, rollout=rollout))
    return w.build_graph(*w.FLEET, w.workspace(), declared)


def split(found: Graph) -> tuple[tuple[str, int], ...]:
    deployment = w.endpoint(found).deployment("production")
    assert deployment is not None
    return deployment.split


class Process:
    """One life of a control plane, over a file that outlives it."""

    def __init__(self, file: Path | None, found: Graph) -> None:
        self.now = 1000.0
        self.metrics, self.readiness = Metrics(), Readiness()
        journal = Journal(file) if file is not None else None
        self.rollouts = Rollouts(self.metrics, self.readiness, "", journal, lambda: self.now)
        self.begun_with = self.lay(found)
        self.rollouts.follow(found)

    def lay(self, found: Graph) -> Graph:
        return Overlay().lay(found, {path: Facts(each) for path, each in self.rollouts.moved.items()})

    async def look(self, after: float = 0.0) -> dict[str, Any]:
        """Look again and again until so many seconds have passed; what is told then."""
        while after > 1:
            self.now, after = self.now + 1, after - 1
            await self.rollouts.look()
        return await self.look_once(after)

    async def look_once(self, after: float) -> dict[str, Any]:
        """Look for the first time after so many seconds."""
        self.now += after
        await self.rollouts.look()
        return self.rollouts.describe_one(LLAMA)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "live" / "rollouts.json"


async def test_a_new_process_goes_on_where_the_last_one_stood(file: Path) -> None:
    found = graph(**PLAN)
    first = Process(file, found)
    assert split(first.begun_with) == (("v1", 100),)
    await first.look()
    assert (await first.look(after=10))["percent"] == 60
    await first.look(after=4)
    # No goodbye: the process is killed.
    second = Process(file, found)
    assert split(second.begun_with) == (("v1", 40), ("v2", 60))
    assert (await second.look_once(after=500))["percent"] == 60
    assert (await second.look(after=6))["percent"] == 100
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("stopped", [3.0, 60.0, 1e6])
async def test_a_step_does_not_pass_on_time_in_which_nobody_looked(stopped: float) -> None:
    """As when the process is stopped, or its machine paused."""
    first = Process(None, graph(**PLAN))
    await first.look()
    await first.look(after=5)
    told = await first.look_once(after=stopped)
    assert (told["percent"], told["elapsed"]) == (20, 7.0)
    assert (await first.look(after=2))["percent"] == 20
    assert (await first.look(after=1))["percent"] == 60


async def test_an_order_outlives_the_process(file: Path) -> None:
    found = graph(**PLAN)
    first = Process(file, found)
    await first.look()
    await first.rollouts.command(LLAMA, Order.FREEZE)
    second = Process(file, found)
    told = await second.look_once(after=1000)
    assert (told["phase"], told["percent"], told["reason"]) == ("frozen", 20, "BY_COMMAND")


async def test_what_is_declared_no_more_is_forgotten(file: Path) -> None:
    first = Process(file, graph(**PLAN))
    await first.look()
    first.rollouts.follow(graph())
    assert first.rollouts.moved == {}
    with pytest.raises(UnknownRolloutError):
        first.rollouts.describe_one(LLAMA)
    with pytest.raises(UnknownRolloutError):
        await first.rollouts.command(LLAMA, Order.PAUSE)
    await first.rollouts.look()
    assert json.loads(file.read_text())["entries"] == {}
    assert b"acme/models/llama" not in first.metrics.render()
    # And one that is declared anew begins anew.
    first.rollouts.follow(graph(**PLAN))
    assert split(first.lay(graph(**PLAN))) == (("v1", 100),)


async def test_a_model_that_is_away_for_a_moment_goes_on_where_it_stood(file: Path) -> None:
    first = Process(file, graph(**PLAN))
    await first.look()
    first.rollouts.follow(w.build_graph(*w.FLEET, w.workspace()))
    first.now += 60
    await first.rollouts.look()
    first.rollouts.follow(graph(**PLAN))
    assert (await first.look())["percent"] == 20
    first.rollouts.follow(w.build_graph(*w.FLEET, w.workspace()))
    first.now += 300
    await first.rollouts.look()
    assert Process(file, w.build_graph(*w.FLEET, w.workspace())).rollouts.moved == {}


async def test_another_target_is_another_rollout_and_takes_nothing_of_the_last_one(file: Path) -> None:
    first = Process(file, graph(**PLAN))
    await first.look()
    other = graph(**{**PLAN, "from": "v2", "to": "v3"})
    assert split(first.lay(other)) == (("v2", 100),)
    first.rollouts.follow(other)
    assert (await first.look())["percent"] == 20
    assert split(first.lay(other)) == (("v2", 80), ("v3", 20))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 2, "entries": {}}', '{"format": 1, "entries": []}']
)
async def test_a_file_that_is_no_journal_is_set_aside(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    file.chmod(0o600)
    first = Process(file, graph(**PLAN))
    assert split(first.begun_with) == (("v1", 100),)
    assert [each.read_text() for each in file.parent.glob("*.set-aside-*")] == [text]
    assert (await first.look())["percent"] == 20


async def test_an_entry_that_cannot_be_read_takes_no_other_along(file: Path) -> None:
    first = Process(file, graph(**PLAN))
    await first.look()
    data = json.loads(file.read_text())
    data["entries"]["acme/models/other/production"] = {"phase": "flying"}
    file.write_text(json.dumps(data))
    assert (await Process(file, graph(**PLAN)).look())["percent"] == 20


async def test_a_file_that_others_can_write_is_not_believed(file: Path) -> None:
    first = Process(file, graph(**PLAN))
    await first.look()
    file.chmod(0o666)
    assert split(Process(file, graph(**PLAN)).begun_with) == (("v1", 100),)


async def test_a_disk_that_refuses_is_told_of_and_holds_nothing_up(file: Path, tmp_path: Path) -> None:
    (tmp_path / "live").write_text("no folder")
    first = Process(file, graph(**PLAN))
    assert (await first.look())["percent"] == 20
    assert "cannot be written" in first.readiness.describe()["problems"]["rollouts"]
    (tmp_path / "live").unlink()
    await first.look(after=10)
    assert first.readiness.describe()["problems"] == {}


async def test_an_order_that_could_not_be_kept_is_kept_when_it_can_be(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Process(file, graph(**PLAN))
    await first.look()
    with monkeypatch.context() as full:
        full.setattr(Journal, "write", _refuse)
        await first.rollouts.command(LLAMA, Order.CANCEL)
        assert first.readiness.describe()["problems"].keys() == {"rollouts"}
    await first.look(after=1)
    assert first.readiness.describe()["problems"] == {}
    assert Process(file, graph(**PLAN)).rollouts.describe_one(LLAMA)["phase"] == "cancelled"


def _refuse(self: Journal, entries: Any) -> None:
    raise OSError(28, "No space left on device")


async def test_the_newest_state_is_the_last_one_on_disk(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Process(file, graph(**PLAN))
    await first.look()
    write, slow = Journal.write, threading.Event()

    def wait(self: Journal, entries: Any) -> None:
        slow.wait(5)
        write(self, entries)

    monkeypatch.setattr(Journal, "write", wait)
    looking = asyncio.create_task(first.look(after=5))
    await asyncio.sleep(0.05)
    monkeypatch.setattr(Journal, "write", write)
    ordering = asyncio.create_task(first.rollouts.command(LLAMA, Order.CANCEL))
    await asyncio.sleep(0.05)
    slow.set()
    await asyncio.gather(looking, ordering)
    assert Process(file, graph(**PLAN)).rollouts.describe_one(LLAMA)["phase"] == "cancelled"


async def test_an_order_is_answered_with_what_it_brought_about(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with what a look made of it while it was written down."""
    first = Process(file, graph(**PLAN))
    await first.look()
    await first.rollouts.command(LLAMA, Order.CANCEL)
    write, slow = Journal.write, threading.Event()

    def wait(self: Journal, entries: Any) -> None:
        slow.wait(5)
        write(self, entries)

    monkeypatch.setattr(Journal, "write", wait)
    ordering = asyncio.create_task(first.rollouts.command(LLAMA, Order.RESUME))
    looking = asyncio.create_task(first.look())
    async with asyncio.timeout(20):
        while first.rollouts.describe_one(LLAMA)["percent"] != 20:
            await asyncio.sleep(0.01)
    slow.set()
    told, _ = await asyncio.gather(ordering, looking)
    assert (told["phase"], told["percent"], told["reason"]) == ("running", 0, "RESTARTED")


async def test_traffic_moves_only_when_the_share_does() -> None:
    first, moves = Process(None, graph(**PLAN)), []
    first.rollouts.on_move = lambda: moves.append(first.rollouts.moved)
    for _ in range(3):
        await first.look(after=1)
    assert moves == [{"acme/models/llama": (("production", Moved("v1", "v2", 20)),)}]


async def test_an_order_that_cannot_be_followed_changes_nothing() -> None:
    first = Process(None, graph(**PLAN, state="paused"))
    await first.look()
    with pytest.raises(NotPossibleError):
        await first.rollouts.command(LLAMA, Order.PROMOTE)
    assert first.rollouts.describe_one(LLAMA)["phase"] == str(Phase.PAUSED)


class Admin:
    """The pages of one control plane, as a program at some address sees them."""

    def __init__(self) -> None:
        self._app = Starlette(routes=rollout_routes(Process(None, graph(**PLAN)).rollouts))

    async def ask(
        self, method: str, path: str, host: str = "127.0.0.1", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, client=(host, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
            return await client.request(method, path, headers=headers)


async def test_orders_come_from_this_machine_only() -> None:
    admin, path = Admin(), "/rollouts/acme/models/llama/production/freeze"
    assert (await admin.ask("POST", path)).json()["phase"] == "frozen"
    for host in ("10.0.0.1", "2001:db8::1", "elsewhere"):
        answer = await admin.ask("POST", path, host)
        assert answer.status_code == 403
        assert "only from the machine" in answer.json()["error"]
        assert (await admin.ask("GET", "/rollouts", host)).status_code == 200
    assert (await admin.ask("POST", path, "::1")).status_code == 200
    assert (await admin.ask("POST", path, headers={"sec-fetch-site": "cross-site"})).status_code == 403
    # Whoever writes policies chooses where the wake hook is: what it is told is no order.
    assert (await admin.ask("POST", path, headers={MARK: "1"})).status_code == 403


async def test_an_order_to_nobody() -> None:
    answer = await Admin().ask("POST", "/rollouts/acme/models/llama/development/freeze")
    assert answer.status_code == 404
    assert answer.json()["error"] == "acme/models/llama has no rollout in development"


class TestTallies:
    def test_only_what_is_watched_is_counted_and_only_once(self) -> None:
        tallies = Tallies(lambda: 100.0)
        tallies.watch({"a"})
        tallies.count(
            [(Place("a", "eu"), Load(3, 1)), (Place("a", "us"), Load(1)), (Place("b"), Load(9))], 0.0
        )
        assert (tallies.take("a"), tallies.take("b")) == ((4, 1), (0, 0))
        assert tallies.take("a") == (0, 0)

    def test_a_report_that_reaches_back_before_the_beginning_does_not_count(self) -> None:
        now = 100.0
        tallies = Tallies(lambda: now)
        tallies.watch({"a"})
        now = 105.0
        tallies.count([(Place("a"), Load(1))], 10.0)
        assert tallies.take("a") == (0, 0)
        tallies.count([(Place("a"), Load(2))], 5.0)
        assert tallies.take("a") == (2, 0)
        tallies.begin("a")
        tallies.count([(Place("a"), Load(3))], 1.0)
        assert tallies.take("a") == (0, 0)
