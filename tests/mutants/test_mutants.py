"""The list of mutants cannot rot: what they replace is in the code, what must notice them is among the tests."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants import mutant as listing
from tests.mutants.mutant import PACKAGE, ROOT, Edit, Mutant, NotFoundOnceError

_ALL = listing.mutants()


@pytest.fixture(params=_ALL)
def mutant(request: pytest.FixtureRequest) -> Mutant:
    return _ALL[request.param]


def test_what_a_mutant_replaces_is_in_the_code_exactly_once(mutant: Mutant) -> None:
    for edit in mutant.edits:
        assert (PACKAGE / edit.file).read_text(encoding="utf-8").count(edit.find) == 1, edit


def test_a_mutant_is_still_python(mutant: Mutant, tmp_path: Path) -> None:
    files = {edit.file for edit in mutant.edits}
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes((PACKAGE / file).read_bytes())
    for edit in mutant.edits:
        edit.apply(tmp_path)
    for file in files:
        text = (tmp_path / file).read_text(encoding="utf-8")
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse((PACKAGE / file).read_text(encoding="utf-8")))


def test_the_tests_that_must_notice_a_mutant_are_there(mutant: Mutant) -> None:
    assert mutant.killers
    for killer in mutant.killers:
        file, _, test = killer.partition("::")
        tree = ast.parse((ROOT / listing.TESTS / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_names_are_different() -> None:
    assert len(_ALL) == sum(len(row.mutants) for row in listing.rows()) > 25


@pytest.mark.parametrize("text", ["nothing of it", "twice twice"])
def test_a_text_that_is_not_there_once_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "code.py").write_text(text)
    with pytest.raises(NotFoundOnceError, match=r"code\.py"):
        Edit("code.py", "twice", "once").apply(tmp_path)
    assert (tmp_path / "code.py").read_text() == text
