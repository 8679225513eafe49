from __future__ import annotations

import pytest

# Needs more Envoys than one: `make test-matrix`.
collect_ignore = ["matrix"]

pytest_plugins = ["tests.xds.conformance"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="write what the goldens should say from what the code says now, and delete those without a case",
    )


@pytest.fixture
def update_goldens(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-goldens"))
