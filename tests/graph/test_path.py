"""Paths as the gateways read them; `test_path_in_envoy` asks the real Envoy the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_server.graph import PathRefusedError, RunPath, normalise_path, split_run_path


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/", "/"),
        ("//", "//"),
        ("/acme/../", "/"),
        ("/acme/models/x", "/acme/models/x"),
        ("/acme/models/x/", "/acme/models/x/"),
        ("//acme//models///x", "/acme/models/x"),
        ("/y/../acme/models/x", "/acme/models/x"),
        ("/acme/../gamma/models/x", "/gamma/models/x"),
        ("/../../acme", "/acme"),
        ("/acme/./models/.", "/acme/models/"),
        ("/acme/models/..", "/acme/"),
        ("/acme/models/x/...", "/acme/models/x/..."),
        ("/acme/models/x/.hidden", "/acme/models/x/.hidden"),
        ("/%61cme/models/x", "/acme/models/x"),
        ("/acme/%2e%2e/gamma", "/gamma"),
        ("/acme/%2E/models", "/acme/models"),
        ("/acme/models/x/a%20b", "/acme/models/x/a%20b"),
        ("/acme/models/x/%7e%2d%5F", "/acme/models/x/~-_"),
        ("/acme/models/x/%25", "/acme/models/x/%25"),
        ("/acme/models/x/%zz", "/acme/models/x/%zz"),
        ("/acme/models/x/%3f", "/acme/models/x/%3f"),
        ("/acme\\models\\x", "/acme/models/x"),
        ("/acme\\..\\gamma", "/gamma"),
        ("/acme;/models/x", "/acme;/models/x"),
        ("/acme/..;/gamma", "/gamma"),
        ("/acme/..;x=1/gamma", "/gamma"),
        ("/acme/%2e%2e;/gamma", "/acme/..;/gamma"),
        ("/ACME/models/x", "/ACME/models/x"),
    ],
)
def test_normal_form(path: str, normal: str) -> None:
    assert normalise_path(path) == normal


@pytest.mark.parametrize(
    "path", ["", "acme/models/x", "*", "/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb", "/a%00", "/a\0b"]
)
def test_refused(path: str) -> None:
    with pytest.raises(PathRefusedError):
        normalise_path(path)


def test_escaped_slashes_may_be_kept() -> None:
    assert normalise_path("/a%2fb/%5C", keep_escaped_slashes=True) == "/a%2fb/%5C"
    with pytest.raises(PathRefusedError):
        normalise_path("/a%00", keep_escaped_slashes=True)


pieces = st.sampled_from([".", "..", "a", "b", "", "%61", "%2e", "%2E", "\\", "..;", "%20", "~"])


@given(st.lists(pieces, max_size=8).map(lambda parts: "/" + "/".join(parts)))
def test_normalising_twice_is_normalising_once_and_leaves_nothing_to_resolve(path: str) -> None:
    normal = normalise_path(path)
    assert normalise_path(normal) == normal
    assert normal.startswith("/")
    assert "//" not in normal.removeprefix("//")
    assert "\\" not in normal
    assert not {".", ".."} & set(normal.split("/"))


@pytest.mark.parametrize(
    ("path", "run"),
    [
        ("/acme/models/x", RunPath("acme", "models", "x", "/")),
        ("/acme/models/x/", RunPath("acme", "models", "x", "/")),
        ("/acme/models/x/v1/y", RunPath("acme", "models", "x", "/v1/y")),
        ("/acme/models/", RunPath("acme", "models", "", "/")),
        ("/acme/models", None),
        ("/", None),
    ],
)
def test_run_path(path: str, run: RunPath | None) -> None:
    assert split_run_path(path) == run
