"""A control plane and two Envoys of two regions in containers, one of them cut off from its control plane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.containers.gateway import traffic
from tests.containers.stack import Stack, stack

pytestmark = [pytest.mark.docker, pytest.mark.envoy]


@pytest.fixture(scope="module")
def fleet(
    client: docker.DockerClient, fairlead_image: str, envoy_image: str, checkout: Path
) -> Iterator[Stack]:
    with stack(client, fairlead_image, envoy_image, checkout) as running:
        yield running
        print(running.logs())  # which pytest shows when a test has failed


@pytest.fixture
def llama(checkout: Path) -> Iterator[Path]:
    """The model's manifest, which the control plane watches; as it was again after the test."""
    path = checkout / "policies" / "compose" / "acme" / "llama.yaml"
    original = path.read_text()
    yield path
    save(path, original)


def save(path: Path, text: str) -> None:
    """Write a manifest as editors do: whole, under its name at once."""
    draft = path.with_name(".draft")
    draft.write_text(text)
    draft.replace(path)


def test_each_region_asks_its_nearest_model(fleet: Stack) -> None:
    token = fleet.token("acme")
    for region, envoy in fleet.gateways(token).items():
        envoy.wait_for_nearest(region)
        assert envoy.region(environment="development") == "eu-west-3"  # the only one that its policy allows


def test_an_envoy_that_is_cut_off_serves_throughout_and_catches_up(fleet: Stack, llama: Path) -> None:
    gateways = fleet.gateways(fleet.token("acme"))
    cut, connected = gateways["eu-west-3"], gateways["us-east-1"]
    for envoy in (cut, connected):
        envoy.wait()
        envoy.wait(environment="development")
    with traffic(cut) as at_cut, traffic(connected) as at_connected:
        fleet.cut_off("eu-west-3")
        manifest = llama.read_text().replace(":8000\n", ":8000\n              pathPrefix: /changed\n")
        save(llama, manifest)
        connected.wait_for("path", "/changed/")
        # A second change: what is caught up with is the newest state, not the next one.
        off = manifest.replace(
            "environment: development\n", "environment: development\n      enabled: false\n"
        )
        save(llama, off)
        connected.wait(404, environment="development")

        assert cut.path() == "/"
        assert cut.region(environment="development") == "eu-west-3"
        assert at_cut.goes_on(), at_cut.failures

        fleet.reconnect("eu-west-3")
        cut.wait_for("path", "/changed/")
        cut.wait(404, environment="development")
        # The cluster came anew, and the first health check of its nearest model may have been slow.
        cut.wait_for("region", "eu-west-3")
        assert at_cut.goes_on(), at_cut.failures
        assert at_connected.goes_on(), at_connected.failures
    assert at_cut.failures == at_connected.failures == []
