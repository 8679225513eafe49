from __future__ import annotations

from pathlib import Path

from xds_server.cli.reference import write_reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_current() -> None:
    """Made anew with `python -m xds_server.cli.reference > docs/cli.md`."""
    assert PAGE.read_text() == write_reference().rstrip("\n") + "\n"


def test_the_page_knows_every_command() -> None:
    text = write_reference()
    for command in (
        *("up", "serve", "validate", "compile", "explain", "token create", "run model", "run agent"),
        *("run function", "envoy bootstrap", "envoy run"),
    ):
        section = text.partition(f"\n## fairlead {command}\n")[2].partition("\n## ")[0]
        assert "```sh" in section, f"{command} has no example"
