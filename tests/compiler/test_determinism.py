"""The same policies give the same bytes: twice, in other processes, and in whatever order they are written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.compiler.digest import digest_folder, digest_loaded
from tests.golden.files import CASES
from tests.golden.folder import read
from xds_server.policy import DEVELOPMENT_JWKS

_ROOT = Path(__file__).parents[2]
# Between them they have several of everything: issuers, headers, rules, CAs, gateways, policies, revisions, places.
CASES_WITH_MANY = ["access", "gateway-settings", "https", "issuers", "residency", "two-gateways"]


@pytest.mark.parametrize("case", CASES_WITH_MANY)
def test_F10_compiling_twice_gives_the_same(case: str) -> None:
    folder = CASES / case / "in"
    assert digest_folder(folder) == digest_folder(folder)


def test_F10_other_processes_give_the_same() -> None:
    folders = [str(CASES / case / "in") for case in CASES_WITH_MANY]
    here = {folder: digest_folder(Path(folder)) for folder in folders}
    for seed in ("0", "4711"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.compiler.digest", *folders],
            cwd=_ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert json.loads(done.stdout) == here


@pytest.mark.parametrize("case", CASES_WITH_MANY)
def test_the_order_of_documents_and_files_does_not_matter(case: str) -> None:
    files, attachments = read(CASES / case / "in")
    documents = [each for text in files.values() for each in yaml.safe_load_all(text)]
    apart = {f"{9 - at}-{each['kind']}.yaml": yaml.safe_dump(each) for at, each in enumerate(documents)}
    backwards = {"all.yaml": yaml.safe_dump_all(documents[::-1])}
    expected = digest_loaded(files, attachments)
    assert digest_loaded(apart, attachments) == expected
    assert digest_loaded(backwards, attachments) == expected


@pytest.mark.parametrize("case", CASES_WITH_MANY)
def test_F10_H12_it_does_not_matter_where_the_policy_folder_is(case: str) -> None:
    """Two replicas need not have it at the same place."""
    files, attachments = read(CASES / case / "in")
    away = {
        (name if name == DEVELOPMENT_JWKS else f"/srv/other/{name}"): text
        for name, text in attachments.items()
    }
    moved = digest_loaded({f"/srv/other/{name}": text for name, text in files.items()}, away)
    assert moved == digest_loaded(files, attachments)
