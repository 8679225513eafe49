from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.fleet import Fleet, run_fleet


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with run_fleet(tmp_path_factory.mktemp("chaos")) as fleet:
        yield fleet


@pytest.fixture
def fleet(running: Fleet) -> Iterator[Fleet]:
    """The fleet with all models well; they are again when the test is over."""
    yield running
    for each in running.models.values():
        each.kill()
        each.start()
