"""One engine and one set of images for all the tests here. Without an engine they fail: see engine.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from testcontainers.core.config import ConnectionMode, testcontainers_config

from tests.containers import images
from tests.containers.engine import engine, running


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """A client of the engine, to which ``DOCKER_HOST`` leads from here on."""
    borrowed = running() is not None
    with engine() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", url)
        # Ryuk, which tidies up after testcontainers, is an image that would have to be pulled: everything
        # here is tidied up by the block that made it. Ports are published on this machine's loopback.
        patch.setattr(testcontainers_config, "_ryuk_disabled", True)
        patch.setattr(testcontainers_config, "tc_host_override", "127.0.0.1")
        patch.setattr(testcontainers_config, "connection_mode_override", ConnectionMode.docker_host)
        client = docker.DockerClient(base_url=url)
        try:
            yield client
        finally:
            if borrowed:  # an engine of our own is gone whole, and sooner
                images.forget(client)
            client.close()


@pytest.fixture(scope="session")
def envoy_image(client: docker.DockerClient) -> str:
    return images.envoy(client)


@pytest.fixture(scope="session")
def python_image(client: docker.DockerClient) -> str:
    return images.python(client)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is built and run, with the wheels for it. Its policies may be changed."""
    return images.checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def fairlead_image(client: docker.DockerClient, checkout: Path, python_image: str) -> str:
    return images.fairlead(client, checkout, python_image)
