"""Places: locations that contradict themselves, and policies that name no place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xds_server.policy.kinds.place import CONTINENTS, CONTINENTS_OF, COUNTRIES, country_hint
from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.value import entries, repeated, text
from xds_server.policy.suggestion import closest


def location_rules(spec: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a Location."""
    country, continent = text(spec, "country"), text(spec, "continent")
    on = CONTINENTS_OF.get(country or "")
    if on is not None and continent in CONTINENTS and continent not in on:
        names = " and ".join(f"`{code}` ({CONTINENTS[code]})" for code in sorted(on))
        message = f"`{country}` does not lie on `{continent}` ({CONTINENTS[continent]})"
        yield Fault("bad-value", ("spec", "continent"), message, f"it lies on {names}")
    flavors = (
        (("spec", "flavors", index, "name"), text(each, "name")) for index, each in entries(spec, "flavors")
    )
    yield from repeated(flavors, lambda name: f"there is a flavor `{name}` already")


def policy_rules(spec: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a Policy."""
    for index, place in entries(spec, "locations"):
        name = text(place, "name")
        if name is not None:
            yield from _place(("spec", "locations", index, "name"), text(place, "type"), name)
    for key in ("locations", "flavors"):
        claims = (
            (("spec", key, index), (text(each, "type"), text(each, "name")))
            for index, each in entries(spec, key)
        )
        yield from repeated(claims, lambda _: "this is listed already")
    types = spec.get("resourceTypes")
    if isinstance(types, tuple):
        named = (
            (("spec", "resourceTypes", index), each)
            for index, each in enumerate(types)
            if isinstance(each, str)
        )
        yield from repeated(named, lambda name: f"`{name}` is listed already")


def _place(path: Path, kind: str | None, name: str) -> Iterator[Fault]:
    if kind == "continent" and name not in CONTINENTS:
        by_name = {title.casefold().replace(" ", "-"): code for code, title in CONTINENTS.items()}
        near = by_name.get(closest(name, by_name) or "")
        hint = f"did you mean `{near}`?" if near else "one of: " + ", ".join(CONTINENTS)
        if name in COUNTRIES and not near:
            hint = "for a country, write `type: country`"
        yield Fault("unknown-continent", path, f"`{name}` is not a continent", hint)
    elif kind == "country" and name not in COUNTRIES:
        hint_for = "for a continent, write `type: continent`" if name in CONTINENTS else country_hint(name)
        yield Fault("bad-country", path, f"`{name}` is not a country code", hint_for)
