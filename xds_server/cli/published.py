"""What policy sources publish, for commands that work offline: from files that the command line names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xds_server.cli.outcome import CommandError

if TYPE_CHECKING:
    from xds_server.policy import Diagnostic, Loaded

Published = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="NAME=FILE",
        help="What a PolicySource publishes, since nothing is fetched here. May be given several times.",
        show_default=False,
    ),
]


@dataclass(slots=True)
class Documents:
    """Published documents by URL, why others cannot be used, and all that is wrong with them."""

    attachments: dict[str, bytes] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)


def read(loaded: Loaded, options: Iterable[str]) -> Documents:
    """Read the files of `--source` options, each for a source that the policies declare.

    Raises `BadParameter` for an option of another form, and `CommandError` for a source or a file that is not there.
    """
    from xds_server.policy import PolicySource, read_publication

    urls = {each.name: each.spec.url for each in loaded.fleet.list(PolicySource)}
    documents = Documents()
    for option in options:
        name, equals, file = option.partition("=")
        if not equals or not name or not file:
            raise typer.BadParameter(f"{option!r} is not of the form NAME=FILE", param_hint="--source")
        if name not in urls:
            near = get_close_matches(name, list(urls), 1)
            hint = f"did you mean {near[0]}?" if near else None
            raise CommandError(f"the policies declare no PolicySource {name}", hint)
        content = _read_file(Path(file))
        publication = read_publication(file, content)
        documents.diagnostics += publication.diagnostics
        if publication.error is None:
            documents.attachments[urls[name]] = content
        else:
            documents.unusable[urls[name]] = f"{file} has mistakes"
    return documents


def _read_file(file: Path) -> bytes:
    from xds_server.policy import LARGEST_PUBLICATION

    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_PUBLICATION + 1)
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror or error}") from error
    if len(content) > LARGEST_PUBLICATION:
        raise CommandError(
            f"{file} is larger than {LARGEST_PUBLICATION // 2**20} MiB, and would not be fetched"
        )
    return content
