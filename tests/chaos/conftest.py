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
    """The fleet with all models well, and a control plane; so it is again when the test is over."""
    yield running
    if not running.serving.running:  # the test failed meanwhile; the next one is not to
        running.serving.start()
    for each in running.models.values():
        each.kill()
        each.start()
