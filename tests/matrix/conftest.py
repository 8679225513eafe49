from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from tests.matrix.combination import COMBINATIONS, Combination
from tests.matrix.faults import Trials, suffer
from tests.matrix.journey import Journey, travel
from tests.matrix.runs import AT_ONCE, Runs

Outcome = TypeVar("Outcome")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test of this folder is one for each combination."""
    metafunc.parametrize("combination", COMBINATIONS, ids=str, scope="session")


@pytest.fixture(scope="session")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="matrix") as running:
        yield running
        running.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def journeys(
    request: pytest.FixtureRequest, pool: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory
) -> Runs[Journey]:
    return _begin(request, pool, travel, tmp_path_factory.mktemp("journeys"), "journey")


@pytest.fixture(scope="session")
def all_trials(
    request: pytest.FixtureRequest, pool: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory
) -> Runs[Trials]:
    return _begin(request, pool, suffer, tmp_path_factory.mktemp("faults"), "trials")


@pytest.fixture
def journey(combination: Combination, journeys: Runs[Journey]) -> Journey:
    return journeys[combination]


@pytest.fixture
def trials(combination: Combination, all_trials: Runs[Trials]) -> Trials:
    return all_trials[combination]


def _begin(
    request: pytest.FixtureRequest,
    pool: ThreadPoolExecutor,
    run: Callable[[Combination, Path], Outcome],
    root: Path,
    fixture: str,
) -> Runs[Outcome]:
    """Begin a scenario for all combinations that are tested with it."""
    wanted: dict[Combination, None] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and fixture in item.fixturenames:
            wanted[item.callspec.params["combination"]] = None
    return Runs(pool, run, wanted, root)
