"""What is in progress, added up over the Envoys of a region, and what is kept of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.graph import world as w
from xds_server.archive import Journal
from xds_server.graph import Graph
from xds_server.protocol import Node
from xds_server.server.load_reports import Load, Place
from xds_server.server.metrics import Metrics
from xds_server.server.overflows import Overflows
from xds_server.server.readiness import Readiness

LLAMA = "acme/models/llama"
PARIS, FRANKFURT, VIRGINIA = "eu-west-3", "eu-central-1", "us-east-1"
SPILLS = {LLAMA: (("production", (PARIS,)),)}
INTERVAL = 10.0


def graph(**routing: Any) -> Graph:
    backends = [w.backend(place, f"10.0.0.{at}:80") for at, place in enumerate((PARIS, FRANKFURT, VIRGINIA))]
    revisions = (w.revision("v1", *backends, weight=1), w.revision("v2", *backends, weight=1))
    deployed = w.deployment(*revisions, **({"routing": routing} if routing else {}))
    return w.build_graph(*w.FLEET, w.workspace(), w.model("llama", deployed))


OVERFLOW = {"overflow": {"above": 10, "below": 6, "share": 30}}


class Control:
    """The overflows of one process."""

    def __init__(self, file: Path | None = None) -> None:
        self.now = 1000.0
        self.metrics = Metrics()
        self.overflows = Overflows(
            self.metrics, Readiness(), Journal(file) if file is not None else None, lambda: self.now
        )
        self.overflows.follow(graph(**OVERFLOW))

    def report(
        self,
        node: str,
        region: str = PARIS,
        named: tuple[str, ...] = ("v1", "v2"),
        seconds: float = INTERVAL,
        **busy: dict[str, int],
    ) -> Any:
        """A report of requests in progress, by revision and place; what spills then.

        It names clusters of these revisions, beside one that is nobody's.
        """
        rows = [
            (Place(f"{LLAMA}/production/{name}", place, place), Load(in_progress=number))
            for name, places in busy.items()
            for place, number in places.items()
        ]
        clusters = frozenset({"fairlead", *(f"{LLAMA}/production/{name}" for name in named)})
        self.overflows.take(Node(node, "edge", region), rows, seconds, clusters)
        return self.overflows.spilling


def test_all_envoys_of_the_region_and_all_revisions_count_together() -> None:
    control = Control()
    assert control.report("one", v1={PARIS: 4}, v2={PARIS: 2}) == {}
    assert control.report("two", v1={PARIS: 4}) == {}
    assert control.report("far", VIRGINIA, v1={PARIS: 100}) == {}
    assert control.report("two", v1={PARIS: 5}) == SPILLS
    assert b"fairlead_overflows 1.0" in control.metrics.render()


def test_what_is_in_progress_elsewhere_is_no_load_at_home() -> None:
    control = Control()
    assert control.report("one", v1={PARIS: 1, FRANKFURT: 100, VIRGINIA: 100}) == {}


def test_it_comes_back_when_every_envoy_had_its_say() -> None:
    control = Control()
    control.report("one", v1={PARIS: 11})
    assert control.report("two", v1={PARIS: 3, FRANKFURT: 3}) == SPILLS
    control.now += 1
    assert control.report("one", v1={}) == SPILLS
    control.now += 5
    assert control.report("two", v1={PARIS: 5}) == SPILLS
    control.now += 5
    assert control.report("one") == SPILLS
    control.now += 1
    assert control.report("two", v1={PARIS: 5}) == SPILLS
    control.now += 4
    assert control.report("one") == {}


def test_of_an_envoy_that_left_nothing_counts() -> None:
    control = Control()
    control.report("one", v1={PARIS: 8})
    control.overflows.leave(Node("one", "edge", PARIS))
    assert control.report("two", v1={PARIS: 8}) == {}


async def test_a_new_process_goes_on_and_no_data_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "live" / "overflows.json"
    control = Control(file)
    control.report("one", v1={PARIS: 11})
    await control.overflows.keep()
    assert json.loads(file.read_text())["entries"] == {f"{LLAMA}/production": [PARIS]}
    again = Control(file)
    assert again.overflows.spilling == SPILLS
    again.now += 1000
    again.overflows.follow(graph(**OVERFLOW))
    assert again.overflows.spilling == SPILLS


@pytest.mark.parametrize("text", ["{}", '{"format": 1, "entries": {"acme/models/llama/production": 3}}'])
def test_a_file_that_says_nothing_is_no_reason_to_spill(tmp_path: Path, text: str) -> None:
    file = tmp_path / "overflows.json"
    file.write_text(text)
    file.chmod(0o600)
    assert Control(file).overflows.spilling == {}


def test_what_declares_no_overflow_any_more_does_not_spill() -> None:
    control = Control()
    control.report("one", v1={PARIS: 11})
    control.overflows.follow(graph())
    assert control.overflows.spilling == {}
    assert control.report("one", v1={PARIS: 11}) == {}


def test_who_does_not_name_a_cluster_once_has_in_it_what_it_had() -> None:
    control = Control()
    control.report("one", v1={PARIS: 11})
    for _ in range(2):
        control.now += INTERVAL
        # v1 came anew within the interval: no matter how much there is to do, the Envoy leaves it out.
        assert control.report("one", named=()) == SPILLS
        control.now += INTERVAL
        assert control.report("one", v1={PARIS: 11}) == SPILLS


def test_who_does_not_name_a_cluster_twice_in_a_row_has_nothing_in_it() -> None:
    control = Control()
    control.report("one", v1={PARIS: 11})
    seen = []
    for _ in range(4):
        control.now += INTERVAL
        seen.append(control.report("one", named=("v2",)))
    assert seen == [SPILLS, SPILLS, {}, {}]


def test_who_has_just_started_is_heard_before_a_spill_ends() -> None:
    control = Control()
    control.report("one", v1={PARIS: 2})
    control.report("two", v1={PARIS: 9})
    control.overflows.leave(Node("two", "edge", PARIS))
    control.now += 1
    control.report("one", v1={PARIS: 2})
    control.now += 9.5
    # It is back, and loaded again, which its first report does not say yet: its clusters are new to it.
    assert control.report("two", named=()) == SPILLS
    control.now += 0.5
    assert control.report("one", v1={PARIS: 2}) == SPILLS
    control.now += 9.5
    assert control.report("two", v1={PARIS: 9}) == SPILLS
    control.now += 100
    assert control.report("one", v1={PARIS: 2}) == SPILLS


def test_who_has_just_started_does_not_hold_a_spill_up_for_ever() -> None:
    control = Control()
    control.report("one", v1={PARIS: 11})
    seen = []
    for _ in range(3):
        control.now += INTERVAL / 2
        control.report("one")
        control.now += INTERVAL / 2
        seen.append(control.report("two", named=()))
    assert seen == [SPILLS, SPILLS, {}]


def test_a_report_that_does_not_say_how_long_it_covers_does_not_end_a_spill_sooner() -> None:
    control = Control()
    control.report("one", v1={PARIS: 11})
    control.now += INTERVAL
    assert control.report("one") == SPILLS
    for _ in range(9):
        control.now += 1
        assert control.report("two", seconds=0.0) == SPILLS
    control.now += 1
    assert control.report("two", seconds=0.0) == {}


def test_a_cluster_that_is_new_to_a_deployment_is_not_taken_for_idle() -> None:
    control, all_three = Control(), ("v1", "v2", "v3")
    for _ in range(2):
        control.report("one", v1={PARIS: 11})
        control.report("two")
    backends = [w.backend(place, f"10.0.0.{at}:80") for at, place in enumerate((PARIS, FRANKFURT))]
    revisions = (w.revision(name, *backends, weight=1) for name in all_three)
    deployed = w.deployment(*revisions, routing=OVERFLOW)
    control.overflows.follow(w.build_graph(*w.FLEET, w.workspace(), w.model("llama", deployed)))
    control.now += INTERVAL
    control.report("one")
    control.report("two")
    control.now += INTERVAL
    assert control.report("two", named=all_three) == SPILLS
    assert control.report("one", named=all_three, v3={PARIS: 11}) == SPILLS
