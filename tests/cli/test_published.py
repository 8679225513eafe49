"""`--source`: what a policy source publishes, for commands that fetch nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.server.publishing import policy

from .conftest import Run

_EXAMPLE = Path(__file__).parents[2] / "policies" / "remote"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return Path(shutil.copytree(_EXAMPLE, tmp_path / "site"))


@pytest.fixture
def given(site: Path) -> str:
    return f"governance={site / 'governance.published'}"


def test_what_is_published_must_be_said_or_what_attaches_it_is_an_error(
    inside: Run, site: Path, given: str
) -> None:
    done = inside("validate", site)
    assert done.returncode == 1
    assert f"{site / 'acme.yaml'}:36:36: error[unfetched-source] Environment acme/production: " in done.stdout
    assert "`--source governance=FILE`" in done.stdout
    done = inside("validate", site, "--source", given)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_explain_names_a_published_policy_with_its_source_and_place(
    inside: Run, site: Path, given: str
) -> None:
    done = inside("explain", site, "/acme/models/llama", "-r", "eu-west-3", "--source", given)
    assert done.returncode == 0, done.stderr
    out = " ".join(done.stdout.split())
    assert "governance/europe (https://governance.example.com/policies.yaml:2)" in out
    assert "in-france-or-america" in out


def test_compile_leaves_out_what_is_not_allowed(inside: Run, site: Path, given: str) -> None:
    done = inside("compile", site, "-r", "eu-west-3", "-t", "eds", "-o", "json", "--source", given)
    assert done.returncode == 0, done.stderr
    assert "9001" in done.stdout
    assert "9002" not in done.stdout
    assert "9003" not in done.stdout
    assert json.loads(done.stdout)


def test_mistakes_in_the_document_are_told_at_their_places_in_the_file(
    inside: Run, site: Path, given: str
) -> None:
    file = site / "governance.published"
    file.write_text(policy("europe", ("continent", "europe")))
    done = inside("validate", site, "--source", given, "--format", "json")
    assert done.returncode == 1
    found = {each["code"]: each for each in json.loads(done.stdout)}
    assert set(found) == {"unknown-continent", "unfetched-source"}
    assert f"{file} has mistakes" in found["unfetched-source"]["message"]
    assert (found["unknown-continent"]["file"], found["unknown-continent"]["line"]) == (str(file), 4)


@pytest.mark.parametrize(
    ("option", "code", "said"),
    [
        ("governance", 64, "'governance' is not of the form NAME=FILE"),
        ("=x", 64, "is not of the form NAME=FILE"),
        ("goverance=x", 1, "the policies declare no PolicySource goverance"),
        ("governance=nowhere", 1, "cannot read nowhere: No such file or directory"),
    ],
)
def test_wrong_usage_is_told_of(inside: Run, site: Path, option: str, code: int, said: str) -> None:
    done = inside("validate", site, "--source", option)
    assert done.returncode == code
    assert said in done.stderr


def test_what_would_not_be_fetched_is_not_read(inside: Run, site: Path, given: str) -> None:
    (site / "governance.published").write_bytes(b"#" * (2**20 + 1))
    done = inside("validate", site, "--source", given)
    assert done.returncode == 1
    assert "larger than 1 MiB" in done.stderr
