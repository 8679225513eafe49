"""``fairlead release``: let through what the control plane's guard holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from xds_server.cli import port
from xds_server.cli.outcome import CommandError
from xds_server.cli.serving import ADMIN, Admin, address
from xds_server.cli.terminal import put, say

if TYPE_CHECKING:
    import httpx

EXAMPLES: Final = """Examples:

  fairlead release

  fairlead release 1f0c9e2a7d3b4c58 --admin 127.0.0.1:18001
"""
_PATIENCE_SECONDS: Final = 10.0


def release(
    digest: Annotated[
        str | None,
        typer.Argument(
            metavar="DIGEST", help="What to let through, as the list names it.", show_default=False
        ),
    ] = None,
    *,
    admin: Admin = ADMIN,
) -> None:
    """Show what is held because too much would vanish at once, or let it through.

    The digest stands for the policies as they are now: if they change before the release, it does not apply.
    """
    import httpx

    host, number = address(admin, "--admin")
    base = f"http://{port.join(port.reachable(host), number)}"
    with httpx.Client(base_url=base, timeout=_PATIENCE_SECONDS, trust_env=False) as client:
        try:
            if digest is None:
                _show(client.get("/held").raise_for_status().json()["held"], admin)
            else:
                _release(client, digest, admin)
        except httpx.HTTPError as error:
            hint = "is it running? --admin says where its admin HTTP is"
            raise CommandError(f"the control plane at {base} does not answer: {error}", hint) from error


def _show(held: dict[str, Any] | None, admin: str) -> None:
    if held is None:
        say("nothing is held")
        return
    put(f"{held['digest']} is held since {held['since']}; it would take away")
    for kind in ("clusters", "listeners"):
        number, names = held[kind]["vanishing"], held[kind]["first"]
        if number:
            put(f"  {number} of {held[kind]['of']} {kind}")
            for name in names:
                put(f"    {name}")
            if number > len(names):
                put(f"    and {number - len(names)} more")
    say(f"to let it through: fairlead release {held['digest']}{_where(admin)}")


def _where(admin: str) -> str:
    """The option that the next command needs to reach the same control plane."""
    return "" if admin == ADMIN else f" --admin {admin}"


def _release(client: httpx.Client, digest: str, admin: str) -> None:
    answer = client.post(f"/held/{digest}")
    if answer.status_code == 409:
        held = answer.json()["held"]
        raise CommandError(
            f"{digest} is not what is held",
            f"that is {held}; look at it with: fairlead release{_where(admin)}"
            if held
            else "nothing is held",
        )
    answer.raise_for_status()
    say(f"{digest} is released")
