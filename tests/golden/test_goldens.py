"""What the compiler makes of each case, word for word, and whether the real Envoy takes it.

`pytest tests/golden --update-goldens` writes the files anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.compiler.static import make_static
from tests.golden.files import CASES, DIAGNOSTICS, list_cases, write_case
from tests.golden.folder import build, list_views
from xds_server.cli.binary import find

_POLICIES = Path(__file__).parents[2] / "policies"
_EXAMPLES = sorted(path for path in _POLICIES.iterdir() if path.is_dir())


@pytest.mark.parametrize("case", list_cases())
def test_case_gives_its_golden(case: str, update_goldens: bool) -> None:
    out = CASES / case / "out"
    files = write_case(case)
    if update_goldens:
        _rewrite(out, files)
    assert {path.name for path in out.iterdir()} == files.keys()
    for name, text in files.items():
        assert (out / name).read_text() == text, f"{case}/out/{name}: see --update-goldens"


def test_no_golden_is_without_its_case(update_goldens: bool) -> None:
    orphans = [path for path in CASES.glob("*/out") if not (path.parent / "in").is_dir()]
    if update_goldens:
        for orphan in orphans:
            _rewrite(orphan, {})
            orphan.rmdir()
            orphan.parent.rmdir()
        return
    assert orphans == []


def test_every_kind_of_mistake_between_manifests_has_a_case() -> None:
    told = {
        line.partition("[")[2].partition("]")[0]
        for path in CASES.glob(f"*/out/{DIAGNOSTICS}")
        for line in path.read_text().splitlines()
    }
    assert told >= {
        "duplicate-region",
        "no-allowed-place",
        "no-backend-there",
        "nobody-trusted",
        "place-not-allowed",
        "unfetched-source",
        "unknown-environment",
        "unknown-flavor",
        "unknown-issuer",
        "unknown-location",
        "unknown-policy",
        "unknown-source",
        "unknown-workspace",
        "unpublished-policy",
    }


@pytest.mark.envoy
@pytest.mark.parametrize("case", [each for each in list_cases() if not build(CASES / each / "in").errors])
def test_O2_M17_envoy_takes_what_a_case_gives(case: str, tmp_path: Path) -> None:
    _validate(CASES / case / "in", tmp_path)


@pytest.mark.envoy
@pytest.mark.parametrize("folder", _EXAMPLES, ids=lambda folder: folder.name)
def test_O2_M17_envoy_takes_what_an_example_gives(folder: Path, tmp_path: Path) -> None:
    assert build(folder).errors == ()
    _validate(folder, tmp_path)


def _validate(folder: Path, directory: Path) -> None:
    for audience, view in list_views(folder).items():
        bootstrap = directory / f"{audience.gateway}.{audience.region}.{audience.dialect.incremental}.json"
        bootstrap.write_text(json.dumps(make_static(view)))
        command = (find(), "--mode", "validate", "--log-level", "error", "-c", bootstrap)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{audience}: {done.stdout}{done.stderr}"


def _rewrite(out: Path, files: dict[str, str]) -> None:
    out.mkdir(exist_ok=True)
    for path in out.iterdir():
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (out / name).write_text(text)
