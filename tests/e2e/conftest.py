from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.e2e.stack import Stack, run_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with run_stack(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture(params=["paris", "virginia"])
def port(request: pytest.FixtureRequest, stack: Stack) -> int:
    """The run endpoint of each region in turn: one Envoy is fed by delta, the other by state of the world."""
    found: int = getattr(stack.ports, request.param)
    return found


@pytest.fixture
def seed() -> str:
    """What the random tests draw from: always the same, unless FAIRLEAD_TEST_SEED says otherwise."""
    return os.environ.get("FAIRLEAD_TEST_SEED", "1")
