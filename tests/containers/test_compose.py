"""docker-compose.yml comes up with the real engine, and what its header says to do works."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import jwt
import pytest

from tests.containers.engine import INSTALL, until
from tests.containers.gateway import Gateway

pytestmark = [pytest.mark.docker, pytest.mark.envoy]
PROJECT = "fairlead-test"
REGIONS = ("eu-west-3", "us-east-1")


@dataclass(frozen=True)
class Compose:
    """docker-compose.yml in a checkout, as a user's shell runs it."""

    client: docker.DockerClient
    program: list[str]
    folder: Path
    settings: dict[str, str]

    def __call__(self, *arguments: str) -> str:
        """Run one compose command; what it prints. An AssertionError, with all it said, when it fails."""
        command = [*self.program, "--project-name", PROJECT, *arguments]
        environment = os.environ | self.settings
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def address(self, region: str) -> str:
        """Where the Envoy of a region is published, as 127.0.0.1:49153."""
        return self("port", f"envoy-{region}", "10000").strip()

    def healthy(self) -> bool:
        """Whether the control plane passes the health check that the file gives it."""
        [container] = self("ps", "--quiet", "control-plane").split()
        return bool(self.client.api.inspect_container(container)["State"]["Health"]["Status"] == "healthy")

    def token(self) -> str:
        """What `fairlead token create` prints in the control plane's container."""
        create = ("fairlead", "token", "create", "--workspace", "acme")
        return self("exec", "-T", "control-plane", *create).strip()

    @contextlib.contextmanager
    def up(self, *services: str) -> Iterator[None]:
        """Services, or everything in the file, running; then gone, with their networks and volumes."""
        try:
            self("up", "--detach", "--build", *services)
            yield
        finally:
            self("down", "--volumes", "--remove-orphans")


def program() -> list[str]:
    """Compose: the plugin of the docker command where there is one, else the command of its own."""
    docker_command = shutil.which("docker")
    if docker_command:
        plugin = subprocess.run([docker_command, "compose", "version"], capture_output=True, check=False)
        if plugin.returncode == 0:
            return [docker_command, "compose"]
    standalone = shutil.which("docker-compose")
    if standalone is None:
        raise AssertionError(f"There is no `docker compose` and no `docker-compose` here. {INSTALL}")
    return [standalone]


@pytest.fixture
def compose(
    client: docker.DockerClient, fairlead_image: str, envoy_image: str, python_image: str, checkout: Path
) -> Compose:
    settings = {
        "FAIRLEAD_IMAGE": fairlead_image,  # built already: `up --build` finds every step in the cache
        "ENVOY_IMAGE": envoy_image,
        "PYTHON_IMAGE": python_image,
        "EU_WEST_3_PORT": "0",  # any that is free
        "US_EAST_1_PORT": "0",
    }
    return Compose(client, program(), checkout, settings)


def test_what_the_header_says_works_and_a_region_may_lose_its_model(compose: Compose) -> None:
    with compose.up():
        token = compose.token()
        gateways = {region: Gateway(f"http://{compose.address(region)}", token) for region in REGIONS}
        for region, gateway in gateways.items():
            gateway.wait_for_nearest(region)
            assert gateway.region(environment="development") == "eu-west-3"
        assert until(compose.healthy, 60), "the control plane's health check does not pass"

        compose("stop", "--timeout", "1", "model-eu-west-3")
        for gateway in gateways.values():
            gateway.wait_for("region", "us-east-1")
            gateway.wait(503, environment="development")
            error = gateway.ask(environment="development").json()["error"]
            assert (error["code"], error["origin"]) == ("UPSTREAM_UNAVAILABLE", "gateway")

        compose("start", "model-eu-west-3")
        gateways["us-east-1"].wait(environment="development")
        assert gateways["us-east-1"].region(environment="development") == "eu-west-3"


def test_the_issuers_key_outlives_the_container(compose: Compose) -> None:
    with compose.up("control-plane"):
        before = jwt.get_unverified_header(compose.token())
        compose("up", "--detach", "--force-recreate", "control-plane")
        assert jwt.get_unverified_header(compose.token()) == before
