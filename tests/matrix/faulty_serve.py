"""`fairlead serve`, but that some resources are spoilt on their way out, each in a way that Envoy refuses.

    python faulty_serve.py FAULTS POLICIES [OPTION...]

FAULTS is a JSON file, `{"Cluster": "acme/models/llama/production/v1"}`: of which type to spoil the resource of which
name. It is read whenever the policies are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from xds_server.cli import main
from xds_server.protocol import types as t
from xds_server.server import pipeline
from xds_server.snapshot import Audience, Catalogue, Layer, Resource, View
from xds_server.wire import message_class

_NOBODY = "type.googleapis.com/google.protobuf.Empty"


def _listener(message: Any) -> None:
    message.address.socket_address.address = "not an address"


def _cluster(message: Any) -> None:
    message.connect_timeout.seconds = -1


def _endpoints(message: Any) -> None:
    message.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address = "not an address"


def _routes(message: Any) -> None:
    message.virtual_hosts.add().CopyFrom(message.virtual_hosts[0])


def _scope(message: Any) -> None:
    message.ClearField("key")


def _extension(message: Any) -> None:
    message.typed_config.type_url = _NOBODY
    message.typed_config.value = b""


def _secret(message: Any) -> None:
    message.tls_certificate.certificate_chain.inline_string = "not a certificate"


SPOIL: dict[str, Callable[[Any], None]] = {
    t.CLUSTER: _cluster,
    t.ENDPOINT: _endpoints,
    t.SECRET: _secret,
    t.EXTENSION: _extension,
    t.LISTENER: _listener,
    t.SCOPE: _scope,
    t.ROUTE: _routes,
}


def spoil(resource: Resource) -> Resource:
    """The resource as Envoy will not have it."""
    message: Any = message_class(resource.type_url.rpartition("/")[2])()
    message.ParseFromString(resource.body)
    SPOIL[resource.type_url](message)
    body = message.SerializeToString(deterministic=True)
    return Resource.of(resource.type_url, resource.name, body, resource.origin, resource.needs)


def spoil_view(catalogue: Catalogue, faults: dict[str, str]) -> Catalogue:
    """The catalogue, in whose views these resources are spoilt."""
    views: dict[Audience, View] = {}
    made = catalogue.view

    def spoilt(layer: Layer) -> Layer:
        found = dict(layer)
        for url, names in layer.items():
            name = faults.get(t.short(url))
            if name is not None and name in names:
                found[url] = {**names, name: spoil(names[name])}
        return found

    def view(audience: Audience, before: View | None = None) -> View | None:
        found = made(audience, before)
        if found is None or not faults:
            return found
        if audience not in views:
            views[audience] = View(found.generation, [spoilt(layer) for layer in found.layers])
        return views[audience]

    catalogue.view = view  # type: ignore[method-assign]
    return catalogue


def serve() -> None:
    """Run the command."""
    path = Path(sys.argv.pop(1))
    refresh = pipeline.Pipeline.refresh

    def refresh_and_spoil(self: pipeline.Pipeline, *arguments: Any) -> pipeline.Update:
        update = refresh(self, *arguments)
        return replace(update, catalogue=spoil_view(update.catalogue, json.loads(path.read_text())))

    pipeline.Pipeline.refresh = refresh_and_spoil  # type: ignore[method-assign]
    sys.argv.insert(1, "serve")
    main()


if __name__ == "__main__":
    serve()
