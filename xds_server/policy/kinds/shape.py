"""Shapes: which part of a manifest stands at a path, and which keys it may have."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from xds_server.policy.kinds.base import Part
from xds_server.policy.reading.fault import Path


def parts(annotation: Any) -> list[type[Part]]:
    """The parts that a type may hold: itself, or those in its Optional, Union, tuple or Annotated."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return parts(get_args(annotation)[0])
    if origin in (Union, UnionType, tuple):
        return [part for argument in get_args(annotation) for part in parts(argument)]
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return [annotation]
    return []


def part_at(model: type[Part], path: Path, value: Any) -> type[Part] | None:
    """The part at a path of a manifest; `value` is what the manifest holds, which tells unions apart."""
    here: type[Part] = model
    for step in path:
        value = _below(value, step)
        if isinstance(step, int):
            continue
        field = next((each for each in here.fields().values() if each.alias == step), None)
        found = parts(field.annotation) if field is not None else []
        if not found:
            return None
        here = _told_apart(found, value)
    return here


def keys(model: type[Part]) -> list[str]:
    """The keys that a part may have, as they are written."""
    return [field.alias or name for name, field in model.fields().items()]


def _below(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, tuple) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def _told_apart(found: list[type[Part]], value: Any) -> type[Part]:
    tag = value.get("type") if isinstance(value, dict) else None
    for part in found:
        field = part.fields().get("type")
        if len(found) > 1 and field is not None and tag in get_args(field.annotation):
            return part
    return found[0]
