from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# Needs more Envoys than one: `make test-matrix`.
collect_ignore = ["matrix"]

pytest_plugins = ["tests.xds.conformance"]

# `pytest tests/xds/machine/test_model.py --hypothesis-profile=deep`: random conversations for a long time.
settings.register_profile("deep", max_examples=3_000, stateful_step_count=60, deadline=None, print_blob=True)
# Otherwise the same examples each time, however long a machine that has much else to do takes for one of them.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="write what the goldens should say from what the code says now, and delete those without a case",
    )


@pytest.fixture
def update_goldens(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-goldens"))


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command run in the tests' own process sets logging up for good, on a stream that is soon closed."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
