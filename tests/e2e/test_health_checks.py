"""Backends that fail their check are left out before anyone meets them: by HTTP, gRPC, or a connection alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cold import Cold, run_cold
from tests.e2e.grpc_server import run_grpc
from tests.e2e.manifest import backend, manifest, revision, write
from tests.e2e.world import FRANKFURT, PARIS
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

# A model that is only slow to answer may be taken for ill now and then: what the tests wait for comes all the same.
_BRISK = {"interval": "400ms", "timeout": "400ms", "unhealthyThreshold": 1}


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cold]:
    with run_cold(tmp_path_factory.mktemp("checks")) as running:
        yield running


def _deploy(cold: Cold, name: str, near: str, far: str, check: dict[str, Any]) -> None:
    backends = [backend(PARIS, near), backend(FRANKFURT, far)]
    revisions = [revision("v1", *backends, healthCheck={**_BRISK, **check})]
    # Never sent again: what is left out is left out by the check alone.
    deployment = {"environment": "production", "revisions": revisions, "retries": {"attempts": 0}}
    model = manifest("Model", name, "acme", deployments=[deployment])
    cold.save(lambda: write(cold.folder, f"acme/{name}.yaml", [model]))


def test_a_server_that_says_it_does_not_serve_is_left_out_and_comes_back(cold: Cold) -> None:
    """Asked about its service over HTTP/2 without TLS, as all its requests are."""
    with run_grpc("near") as near, run_grpc("far") as far:
        _deploy(cold, "by-grpc", near.address, far.address, {"type": "grpc", "service": "inference"})

        def served() -> str | None:
            return cold.ask("by-grpc", "POST", b"{}").header("x-name")  # a refusal has none

        wait_until(lambda: served() == "near", "the nearest serves")
        near.serving = False
        wait_until(lambda: served() == "far", "the next one serves")
        near.serving = True
        wait_until(lambda: served() == "near", "the nearest serves again")
        assert b"inference" in {*near.services}


def test_a_place_that_accepts_no_connection_is_left_out_and_comes_back(cold: Cold) -> None:
    one, two = cold.upstreams["one"], cold.upstreams["two"]
    _deploy(cold, "by-tcp", one.address, two.address, {"type": "tcp"})
    wait_until(lambda: cold.served("by-tcp") == "one", "the nearest serves")
    one.close()
    wait_until(lambda: cold.served("by-tcp") == "two", "the next one serves")
    one.open()
    wait_until(lambda: cold.served("by-tcp") == "one", "the nearest serves again")


def test_a_model_whose_path_answers_otherwise_than_expected_is_left_out(cold: Cold) -> None:
    one, two = cold.upstreams["one"], cold.upstreams["two"]
    check = {"path": "/only/one/status/500"}
    _deploy(cold, "by-http", one.address, two.address, check)
    wait_until(lambda: cold.served("by-http") == "two", "only the next one is well")
    _deploy(cold, "by-http", one.address, two.address, {**check, "expectedStatuses": ["500"]})
    wait_until(lambda: cold.served("by-http") == "one", "now that is what is expected")
