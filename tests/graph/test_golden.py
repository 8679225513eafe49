"""What is said of a policy set as a whole, word for word: every mistake at once, and none that is not one.

`pytest tests/graph --update-goldens` writes the diagnostics anew; read the difference before you commit it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.graph import world as w

_CASES = Path(__file__).parent / "golden"


@pytest.mark.parametrize("case", sorted(path.name for path in _CASES.iterdir()))
def test_diagnostics_of(case: str, update_goldens: bool) -> None:
    golden = _CASES / case / "diagnostics.txt"
    files = {path.name: path.read_text() for path in (_CASES / case / "in").iterdir()}
    told = "".join(f"{each}\n" for each in w.World().build(files).diagnostics)
    if update_goldens:
        golden.write_text(told)
    assert told == golden.read_text()
