"""The sample models that ``fairlead up`` needs: one for each loopback backend which nobody serves yet."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xds_server.cli import port
from xds_server.cli.child import Child
from xds_server.cli.outcome import CommandError

if TYPE_CHECKING:
    from xds_server.graph import Graph


@dataclass(frozen=True, slots=True)
class Sample:
    """A stand-in at one address; ``models`` are the endpoints' paths, as ``acme/models/llama``."""

    host: str
    port: int
    region: str
    models: tuple[str, ...]
    revisions: tuple[str, ...]

    @property
    def name(self) -> str:
        """How people are told of it."""
        return f"sample model in {self.region}"

    @property
    def role(self) -> str:
        """What it stands for, as ``acme/models/llama v1, v2``."""
        return f"{', '.join(self.models)} {', '.join(self.revisions)}"

    @property
    def address(self) -> str:
        """Where it listens, as ``127.0.0.1:8001``."""
        return port.join(self.host, self.port)


def find_samples(graph: Graph) -> tuple[Sample, ...]:
    """List the plain HTTP backends on this machine, one for each address, in the order of their addresses.

    Encrypted backends are left alone: the sample speaks no TLS.
    """
    found: dict[tuple[str, int], list[tuple[str, str, str]]] = {}
    for address, region, model, revision in _backends(graph):
        found.setdefault(address, []).append((region, model, revision))
    return tuple(
        Sample(
            *address,
            region=roles[0][0],
            models=tuple(sorted({model for _, model, _ in roles})),
            revisions=tuple(sorted({revision for _, _, revision in roles})),
        )
        for address, roles in sorted(found.items())
    )


def _backends(graph: Graph) -> Iterator[tuple[tuple[str, int], str, str, str]]:
    """Yield address, region, endpoint and revision of each backend that a sample could stand for."""
    for _, endpoint in sorted(graph.endpoints.items()):
        for deployment in endpoint.deployments:
            for revision in deployment.revisions:
                for backend in revision.backends:
                    address = backend.address
                    if not address.tls and port.loopback(address.host):
                        host = "127.0.0.1" if address.host == "localhost" else address.host
                        yield (host, address.port), backend.place.region, endpoint.path, revision.name


def claim(sample: Sample) -> socket.socket | None:
    """Return a listening socket for the sample, or ``None`` if somebody serves its address already.

    The socket is opened here and handed to the child: requests that come before it is up wait instead of
    failing. Raises ``CommandError`` if the address can't be listened on for another reason.
    """
    family = socket.AF_INET6 if ":" in sample.host else socket.AF_INET
    try:
        return socket.create_server((sample.host, sample.port), family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        raise CommandError(
            f"{sample.name} cannot listen on {sample.address}: {error.strerror or error}",
            "change the backend's address in the policies, or serve it yourself",
        ) from error


async def start(sample: Sample, listener: socket.socket) -> Child:
    """Start the sample model server on its socket, which is the child's alone from then on."""
    with listener:
        return await Child.start(
            sample.name,
            [
                *(sys.executable, "-P", "-m", "xds_server.cli.sample_model"),
                *("--fd", str(listener.fileno())),
                *("--model", ",".join(sample.models)),
                *("--revision", ",".join(sample.revisions)),
                *("--region", sample.region),
            ],
            descriptors=[listener.fileno()],
        )
