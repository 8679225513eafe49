from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.chaos.fleet import Fleet, run_fleet

_RUNNING = pytest.StashKey[Fleet]()


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """One fleet for all modules of this folder.

    It ends with the last of their tests. With the last of all tests it would check the health of its models until then,
    and the others would have less of the machine.
    """
    folder = request.node.parent
    if _RUNNING not in folder.stash:
        ending = ExitStack()
        folder.stash[_RUNNING] = ending.enter_context(run_fleet(tmp_path_factory.mktemp("chaos")))
        ending.callback(folder.stash.__delitem__, _RUNNING)
        folder.addfinalizer(ending.close)
    return folder.stash[_RUNNING]


@pytest.fixture
def fleet(running: Fleet) -> Iterator[Fleet]:
    """The fleet with all models well, and a control plane; so it is again when the test is over."""
    yield running
    if not running.serving.running:  # the test failed meanwhile; the next one is not to
        running.serving.start()
    for each in running.models.values():
        each.kill()
        each.start()
