"""A small fleet whose resources refer to each other by a naming rule, for the model of a client.

`l1` and `p1` refer to route `r1`, a route to the clusters in its body, `c1` to its endpoints and `c2` to a
secret besides; `c3` has no endpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.xds.machine.conversation import C, E, L, P, R, S, X
from xds_server.protocol.types import REFERRERS
from xds_server.snapshot import Resource, View, layer

TYPES: Final = (C, E, S, X, L, P, R)
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    C: ("c1", "c2", "c3"),
    E: ("c1", "c2"),
    S: ("s1", "s2"),
    X: ("x1", "x2"),
    L: ("l1", "l2"),
    P: ("p1", "p2"),
    R: ("r1", "r2"),
}
REFERENCES: Final[Mapping[tuple[str, str], tuple[tuple[str, str], ...]]] = {
    (C, "c1"): ((E, "c1"),),
    (C, "c2"): ((E, "c2"), (S, "s1")),
    (L, "l1"): ((R, "r1"), (X, "x1")),
    (L, "l2"): ((R, "r2"), (S, "s2"), (X, "x2")),
    (P, "p1"): ((R, "r1"),),
    (P, "p2"): ((R, "r2"),),
}
"""What a resource of this type and name makes a client ask for, whatever is in it."""

BAD: Final = "bad"
"""How contents begin that every client refuses."""

Contents = dict[tuple[str, str], tuple[str, frozenset[str]]]
"""By type and name: a body, and the clusters that it would refer to."""


def refuses(resource: Resource) -> bool:
    return resource.body.startswith(BAD.encode())


def resources(contents: Contents) -> list[Resource]:
    """Make a consistent set: what refers to clusters refers to those that are there."""
    clusters = {name for type_url, name in contents if type_url == C}
    found = []
    for (type_url, name), (body, wished) in contents.items():
        needs = tuple(sorted(wished & clusters)) if type_url in REFERRERS else ()
        content = f"{body} {','.join(needs)}".encode()
        found.append(Resource.of(type_url, name, content, origin=f"{name}.yaml:1", needs=needs))
    return found


def view(contents: Contents, generation: int) -> View:
    return View(generation, (layer(resources(contents)),))


def repaired(contents: Contents) -> Contents:
    """The same names with contents that nobody refuses."""
    return {key: (body.removeprefix(BAD) or "0", needs) for key, (body, needs) in contents.items()}
