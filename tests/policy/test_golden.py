"""What a policy's author is told, word for word.

`pytest tests/policy --update-goldens` writes the diagnostics anew; read the difference before you commit it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from xds_server.policy import EVERYTHING, Diagnostic, load
from xds_server.policy.codes import CODES

_CASES = Path(__file__).parent / "golden"
_POLICIES = {".yaml", ".json"}


def _read(folder: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    files = {name: path.read_text() for name, path in paths.items() if path.suffix in _POLICIES}
    return files, {name: path.read_bytes() for name, path in paths.items() if name not in files}


def _told(diagnostic: Diagnostic) -> str:
    return f"{diagnostic}\n    breaks: {_broken(diagnostic)}\n"


def _broken(diagnostic: Diagnostic) -> str:
    if not diagnostic.is_error:
        return "nobody"
    if diagnostic.workspaces == EVERYTHING:
        return "everything"
    return (
        "the fleet" if diagnostic.workspaces is None else ", ".join(sorted(diagnostic.workspaces)) or "nobody"
    )


@pytest.mark.parametrize("case", sorted(path.name for path in _CASES.iterdir()))
def test_diagnostics_of(case: str, update_goldens: bool) -> None:
    golden = _CASES / case / "diagnostics.txt"
    told = "".join(map(_told, load(*_read(_CASES / case / "in")).diagnostics))
    if update_goldens:
        golden.write_text(told)
    assert told == golden.read_text()


def test_every_code_is_explained_and_met() -> None:
    met = {
        line.partition("[")[2].partition("]")[0]
        for golden in _CASES.glob("*/diagnostics.txt")
        for line in golden.read_text().splitlines()
        if not line.startswith(" ")
    }
    # see test_text.py, test_published.py
    elsewhere = {"bad-character", "not-a-policy", "not-utf8", "too-deep", "unreadable"}
    assert met | elsewhere == CODES.keys()
    assert met.isdisjoint(elsewhere)
