"""``fairlead validate``: everything that is wrong with a policy set."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from xds_server.cli.outcome import FAILED
from xds_server.cli.published import Published
from xds_server.cli.terminal import put, say

EXAMPLES: Final = """Examples:

  fairlead validate policies/quickstart

  fairlead validate policies/access --format json | jq -r '.[].message'

  fairlead validate policies/remote --source governance=policies/remote/governance.published
"""
PolicyPath = Annotated[
    Path,
    typer.Argument(
        metavar="PATH", exists=True, help="The folder that holds the policies.", show_default=False
    ),
]
GatewayChoice = Annotated[
    str | None, typer.Option("--gateway", "-g", help="The gateway; may be left out if there is one only.")
]


class Format(StrEnum):
    """How diagnostics are written."""

    TEXT = "text"
    JSON = "json"


def validate(
    path: PolicyPath,
    form: Annotated[Format, typer.Option("--format", "-o", help="How to write what is wrong.")] = Format.TEXT,
    source: Published = None,
) -> None:
    """Report every mistake in every file, each with its place and what to do about it.

    Nothing is fetched: what a policy source publishes is said with --source, or what attaches it is an error.
    Exits with 1 if there is an error; warnings alone do not fail. As JSON it is a list of objects, empty if
    all is well.
    """
    from xds_server.cli import diagnostics
    from xds_server.cli.policies import check

    checked = check(path, source or ())
    if form is Format.JSON:
        put(json.dumps([diagnostics.as_data(each) for each in checked.diagnostics], indent=2))
    else:
        for each in checked.diagnostics:
            put(diagnostics.coloured(each, sys.stdout.isatty()))
        say(f"{diagnostics.number(checked.manifests, 'manifest')}: {diagnostics.count(checked.diagnostics)}")
    if checked.errors:
        raise typer.Exit(FAILED)
