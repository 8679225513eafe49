"""The real Envoy reads paths as `normalise_path` does."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.envoy_process import EnvoyProcess, free_port, wait_until
from xds_server.graph import PathRefusedError, normalise_path

pytestmark = pytest.mark.envoy

Ask = Callable[[str], str | None]
"""A raw path in; the path as Envoy sees it out, or None where it answers 400."""

_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def listener(port: int, slashes: str) -> dict[str, Any]:
    echo = {"header": {"key": "x-path", "value": "%REQ(:PATH)%"}}
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}, "response_headers_to_add": [echo]}
    manager = {
        "@type": _MANAGER,
        "stat_prefix": slashes,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": slashes,
        "route_config": {"virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": _ROUTER}}],
    }
    return {
        "name": slashes,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    reject, keep = free_port(), free_port()
    listeners = [listener(reject, "REJECT_REQUEST"), listener(keep, "KEEP_UNCHANGED")]
    folder: Path = tmp_path_factory.mktemp("envoy")
    with EnvoyProcess({"static_resources": {"listeners": listeners}}, folder) as envoy:
        envoy.wait_ready()
        for port in (reject, keep):
            wait_until(lambda port=port: ask(port, "/") == "/", "the listener answers")
        yield reject, keep


def ask(port: int, path: str) -> str | None:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
            answer = ""
            while "\r\n\r\n" not in answer:
                more = connection.recv(65536).decode()
                assert more, answer
                answer += more
    except ConnectionRefusedError:
        return "refused"
    status, *headers = answer.partition("\r\n\r\n")[0].split("\r\n")
    found = [line.removeprefix("x-path: ") for line in headers if line.startswith("x-path: ")]
    assert found or " 400 " in status, answer
    return found[0] if found else None


def expect(path: str, *, keep: bool) -> str | None:
    try:
        return normalise_path(path, keep_escaped_slashes=keep)
    except PathRefusedError:
        return None


PATHS = [
    "/",
    "//",
    "/acme/models/x/",
    "//acme//models///x",
    "/y/../acme/models/x",
    "/../../acme",
    "/acme/./models/.",
    "/acme/models/..",
    "/acme/models/x/...",
    "/a//../b",
    "/a/b//",
    "/%61cme/models/x",
    "/acme/%2e%2e/gamma",
    "/acme/%2e%2E",
    "/acme/%2E/models",
    "/acme/models/x/a%20b",
    "/acme/models/x/%7e%2d%5F",
    "/acme/models/x/%25",
    "/acme/models/x/%252e%252e/y",
    "/acme/models/x/%zz",
    "/acme/models/x/%",
    "/acme/models/x/%2",
    "/acme/models/x/%3f",
    "/acme/models/x/%c3%a9",
    "/acme\\models\\x",
    "/acme\\..\\gamma",
    "/acme;/models/x",
    "/acme/..;/gamma",
    "/acme/..;x=1/gamma",
    "/acme/x/.;y",
    "/acme/%2e%2e;/gamma",
    "/acme/..%3b/gamma",
    "/acme\\..;\\gamma",
    "/acme/models/x/a%2fb",
    "/acme/models/x/a%5Cb",
    "/acme/models/x/%00",
    "/ACME/Models/x",
]


@pytest.mark.parametrize("path", PATHS)
def test_table(ports: tuple[int, int], path: str) -> None:
    reject, keep = ports
    assert ask(reject, path) == expect(path, keep=False)
    assert ask(keep, path) == expect(path, keep=True)


pieces = st.sampled_from(
    [
        ".",
        "..",
        "a",
        "",
        "%61",
        "%2e",
        "%2E",
        "\\",
        "..;",
        ".;a",
        "..;\\b",
        ";",
        "%20",
        "%2f",
        "%5c",
        "~",
        "%",
        "%%2e",
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, max_size=6).map(lambda parts: "/" + "/".join(parts)))
def test_any_path(ports: tuple[int, int], path: str) -> None:
    reject, keep = ports
    assert ask(reject, path) == expect(path, keep=False)
    assert ask(keep, path) == expect(path, keep=True)
