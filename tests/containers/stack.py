"""The fleet of docker-compose.yml, container by container, so that a test can cut one of them off.

In: images and a checkout. Out: running containers on two networks: `control`, which carries configuration, and
`data`, which carries requests. Names, policies and bootstraps are those of docker-compose.yml.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from tests.containers.engine import until
from tests.containers.gateway import Gateway

REGIONS = ("eu-west-3", "us-east-1")
SERVE = ["serve", "/etc/fairlead/policies", "--xds", "0.0.0.0:18000", "--admin", "0.0.0.0:18001"]
ENVOY_PORT = 10000
# How many connections to its control plane an Envoy has lost, by its admin page, which is on its own loopback.
# (`control_plane.connected_state` won't do: it is 1 also while Envoy tries to connect.)
LOST = """
import json, urllib.request
page = "http://127.0.0.1:19000/stats?format=json&filter=^cluster[.].*control-plane[.]upstream_cx_destroy$"
[stat] = json.load(urllib.request.urlopen(page))["stats"]
print(stat["value"])
"""
# Whether a packet gets through to an address at all.
REACHES = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 18000), 3).close()
    print(1)
except OSError:
    print(0)
"""


@dataclass(frozen=True)
class Stack:
    """A control plane and an Envoy in each region."""

    client: docker.DockerClient
    image: str
    control: Network
    control_plane: DockerContainer
    envoys: dict[str, DockerContainer]

    def token(self, workspace: str) -> str:
        """A token of the control plane's development issuer."""
        command = ["fairlead", "token", "create", "--workspace", workspace]
        code, printed = self.control_plane.exec(command)
        assert code == 0, printed
        return printed.decode().strip()

    def gateways(self, token: str) -> dict[str, Gateway]:
        """The Envoy of each region, for its clients."""
        return {
            region: Gateway(
                f"http://{envoy.get_container_host_ip()}:{envoy.get_exposed_port(ENVOY_PORT)}", token
            )
            for region, envoy in self.envoys.items()
        }

    def cut_off(self, region: str) -> None:
        """Take an Envoy off the control network, and wait until it has given its connection up."""
        lost = self._inside(region, LOST)
        self._control().disconnect(self.envoys[region].get_container_id())
        assert not self._inside(region, REACHES, self._address()), "the engine does not keep networks apart"
        assert until(lambda: self._inside(region, LOST) > lost, 90), f"{region} has not noticed"

    def reconnect(self, region: str) -> None:
        """Put an Envoy back on the control network."""
        self._control().connect(self.envoys[region].get_container_id())

    def logs(self) -> str:
        """The end of what each container has said, for a test that fails."""
        containers = {"control-plane": self.control_plane, **self.envoys}
        tails = {
            name: container.get_wrapped_container().logs(tail=40) for name, container in containers.items()
        }
        return "\n".join(f"--- {name}\n{tail.decode(errors='replace')}" for name, tail in tails.items())

    def _inside(self, region: str, code: str, *arguments: str) -> int:
        """What Python code prints that runs beside an Envoy, in its network."""
        beside = f"container:{self.envoys[region].get_container_id()}"
        said: bytes = self.client.containers.run(
            self.image, ["-c", code, *arguments], entrypoint="python", network_mode=beside, remove=True
        )
        return int(said)

    def _address(self) -> str:
        control_plane = self.control_plane.get_wrapped_container()
        control_plane.reload()
        return str(control_plane.attrs["NetworkSettings"]["Networks"][self.control.name]["IPAddress"])

    def _control(self) -> docker.models.networks.Network:
        return self.client.networks.get(self.control.id)


@contextlib.contextmanager
def stack(client: docker.DockerClient, fairlead: str, envoy: str, checkout: Path) -> Iterator[Stack]:
    """Run the fleet until the block ends; then its containers and networks are gone."""
    with contextlib.ExitStack() as running:
        control = running.enter_context(Network(docker_network_kw={"internal": True}))
        data = running.enter_context(Network())
        for region in REGIONS:
            running.enter_context(_model(fairlead, data, region))
        control_plane = running.enter_context(_control_plane(fairlead, control, checkout))
        envoys = {}
        for region in REGIONS:
            envoys[region] = running.enter_context(_envoy(envoy, data, checkout, region))
            control.connect(envoys[region].get_container_id())
        yield Stack(client, fairlead, control, control_plane, envoys)


def _control_plane(image: str, control: Network, checkout: Path) -> DockerContainer:
    container = DockerContainer(image, network=control, network_aliases=["control-plane"], init=True)
    container.with_volume_mapping(str(checkout / "policies" / "compose"), "/etc/fairlead/policies", "ro")
    return container.with_command(SERVE)


def _model(image: str, data: Network, region: str) -> DockerContainer:
    container = DockerContainer(image, network=data, network_aliases=[f"model-{region}"])
    container.with_kwargs(entrypoint=["python", "-m", "xds_server.cli.sample_model"])
    return container.with_command(["--listen", "0.0.0.0:8000", "--region", region])


def _envoy(image: str, data: Network, checkout: Path, region: str) -> DockerContainer:
    container = DockerContainer(image, network=data)
    container.with_volume_mapping(
        str(checkout / "envoy" / f"{region}.yaml"), "/etc/envoy/bootstrap.yaml", "ro"
    )
    container.ports[f"{ENVOY_PORT}/tcp"] = ("127.0.0.1", None)
    return container.with_command(["-c", "/etc/envoy/bootstrap.yaml", "--log-level", "warning"])
