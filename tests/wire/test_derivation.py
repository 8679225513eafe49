"""The definitions that are kept are those of the envoy-data-plane that is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from xds_server.wire import derivation


def test_what_is_kept_is_what_is_derived() -> None:
    assert derivation.place().is_file(), "`make docs` writes it"
    assert derivation.place().read_bytes() == derivation.derive()
    assert derivation.load() == derivation.derive()


def test_with_another_version_installed_they_are_derived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derivation, "place", lambda: tmp_path / "envoy-data-plane-2.9.0.binpb")
    monkeypatch.setattr(derivation, "derive", lambda: b"derived")
    assert derivation.load() == b"derived"


def test_the_name_says_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derivation, "version", {"envoy-data-plane": "2.9.0"}.__getitem__)
    assert derivation.place().name == "envoy-data-plane-2.9.0.binpb"


def test_messages_are_made_without_envoy_data_plane() -> None:
    code = (
        "import sys; from xds_server.wire import message_class;"
        "message_class('envoy.config.cluster.v3.Cluster')(name='a');"
        "print(*sorted(name for name in sys.modules if name.startswith(('envoy_data', 'betterproto'))))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
