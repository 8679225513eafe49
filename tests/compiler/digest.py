"""All resources of a policy folder as one digest per audience; run as a module it prints those of the folders named."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from tests.golden.folder import compile_graph, list_regions, read
from xds_server.graph import Builder
from xds_server.policy import load
from xds_server.snapshot import Audience

Digests = dict[str, str]


def digest_folder(folder: Path) -> Digests:
    return digest_loaded(*read(folder))


def digest_loaded(files: Mapping[str, str], attachments: Mapping[str, bytes]) -> Digests:
    """A digest of names, versions and bytes by `gateway/region`; everything is compiled anew."""
    built = Builder().build(load(files, attachments))
    assert not built.errors, "\n".join(map(str, built.errors))
    catalogue = compile_graph(built.graph)
    digests = {}
    for gateway in built.graph.edges:
        for region in list_regions(built.graph):
            view = catalogue.view(Audience(gateway, region))
            assert view is not None
            found = sha256()
            for type_url in sorted(view.types()):
                for each in sorted(view.resources(type_url), key=lambda resource: resource.name):
                    found.update(f"{type_url} {each.name} {each.version} {each.body.hex()}\n".encode())
            digests[f"{gateway}/{region}"] = found.hexdigest()
    return digests


if __name__ == "__main__":
    json.dump({folder: digest_folder(Path(folder)) for folder in sys.argv[1:]}, sys.stdout)
