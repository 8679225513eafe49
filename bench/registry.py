"""All scenarios, in the order in which they are run and shown. Each is a module: its docstring says what is done,
`TITLE` names it, `LIMITS` says what it does not show, and `measure(setting)` returns its rows."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from bench.row import Row
from bench.setting import Setting

NAMES = (
    "freshness",
    "churn",
    "lookup",
    "access",
    "idle_models",
    "footprint",
    "restart",
    "gateway_peer",
    "streams",
)


class Scenario(NamedTuple):
    """A scenario as the command and the page see it."""

    name: str
    title: str
    about: str
    limits: str
    measure: Callable[[Setting], list[Row]]


def scenario(name: str) -> Scenario:
    """Look one up by the name of its module."""
    module = import_module(f"bench.{name}")
    return Scenario(name, module.TITLE, module.__doc__ or "", module.LIMITS, module.measure)


def scenarios() -> list[Scenario]:
    """All of them."""
    return [scenario(name) for name in NAMES]
