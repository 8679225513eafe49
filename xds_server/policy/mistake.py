"""Mistakes: what pydantic finds wrong in a document, in the words of a policy's author."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydantic_core import ErrorDetails

from xds_server.policy.kinds.base import Manifest
from xds_server.policy.kinds.names import MEANINGS, NAME, POLICY_NAME
from xds_server.policy.kinds.shape import keys, part_at
from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.suggestion import closest, did_you_mean

_CHOICE = re.compile(r"'([^']*)'")
_TYPE_ERRORS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dataclass_type": "a mapping",
    "dict_type": "a mapping",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}

Source = Callable[[Path], str | None]
"""The text that stands at a path, when it is one plain word."""


def mistake(
    kind: type[Manifest], error: ErrorDetails, values: dict[str, Any], source: Source
) -> Fault | None:
    """One error of pydantic's as a fault. `values` is the document, `source` gives the text at a path.

    None for a list that pydantic finds too short only because it does not count its bad entries.
    """
    path = _path(kind, error["loc"])
    name = next((step for step in reversed(path) if isinstance(step, str)), kind.kind)
    word = f"an entry of `{name}`" if path and isinstance(path[-1], int) else f"`{name}`"
    found, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "missing":
            return Fault("missing-key", path, f"{word} is missing")
        case "unexpected_keyword_argument":
            part = part_at(kind, path[:-1], values)
            hint = did_you_mean(name, keys(part)) if part is not None else None
            return Fault("unknown-key", path, f"unknown key {word}", hint, key=True)
        case "literal_error":
            return _choice(path, word, found, _CHOICE.findall(str(context["expected"])))
        case "union_tag_invalid":
            choices = _CHOICE.findall(str(context["expected_tags"]))
            return _choice((*path, "type"), "`type`", context["tag"], choices)
        case "union_tag_not_found":
            if not isinstance(found, dict):
                return _type(path, word, "a mapping", found, source)
            return Fault("missing-key", (*path, "type"), "`type` is missing", "one of: flavor, location")
        case "string_pattern_mismatch":
            return _pattern(path, word, str(found), str(context["pattern"]), error["loc"][-1:] == ("[key]",))
        case "too_short" if found:
            return None
        case "string_too_long" | "string_too_short" | "too_short" | "too_long":
            return _length(path, word, error["type"], context)
        case name if name in _TYPE_ERRORS:
            return _type(path, word, _TYPE_ERRORS[name], found, source)
        case name if name in _BOUNDS:
            key, words = _BOUNDS[name]
            return Fault("bad-value", path, f"{word} must be {words} {_number(context[key])}, not {found}")
        case name if "message" in context:
            return Fault(name, path, f"{word} {context['message']}", context.get("hint") or None)
    return Fault("bad-value", path, f"{word}: {error['msg']}")


def _path(kind: type[Manifest], location: Path) -> Path:
    """pydantic's location without what is not in the document: the tag of a union, and `[key]`."""
    if kind.kind == "Policy" and len(location) > 1 and location[0] == "spec":
        location = location[:1] + location[2:]
    return tuple(step for step in location if step != "[key]")


def _number(bound: float) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _choice(path: Path, word: str, found: object, choices: list[str]) -> Fault:
    if not choices:
        return Fault("bad-value", path, f"{word} must be true", "or leave it out")
    if not isinstance(found, str):
        return Fault("wrong-type", path, f"{word} must be one word", "one of: " + ", ".join(choices))
    return Fault("bad-value", path, f"`{found}` cannot be {word}", did_you_mean(found, choices))


def _pattern(path: Path, word: str, found: str, pattern: str, is_key: bool) -> Fault:
    if not found:
        return Fault("bad-value", path, f"{word} must not be empty", key=is_key)
    meaning = MEANINGS.get(pattern, f"of the form {pattern}")
    word = "a key here" if is_key else word
    plain = re.sub("[^a-z0-9/]+" if pattern == POLICY_NAME else "[^a-z0-9]+", "-", found.casefold()).strip(
        "-"
    )
    meant = pattern in (NAME, POLICY_NAME) and re.match(pattern, plain)
    hint = f"did you mean `{plain}`?" if meant else None
    return Fault("bad-value", path, f"`{found}` cannot be {word}: {meaning}", hint, key=is_key)


def _length(path: Path, word: str, error: str, context: dict[str, Any]) -> Fault:
    match error:
        case "string_too_long":
            return Fault(
                "bad-value", path, f"{word} must not be longer than {context['max_length']} characters"
            )
        case "string_too_short":
            return Fault("bad-value", path, f"{word} must not be empty", "leave the key out")
    return Fault("empty-list", path, f"{word} must have at least one entry")


def _type(path: Path, word: str, expected: str, found: object, source: Source) -> Fault:
    text = source(path)
    message = f"{word} must be {expected}, not {_described(found, text)}"
    return Fault("wrong-type", path, message, _type_hint(expected, found, text))


def _type_hint(expected: str, found: object, text: str | None) -> str | None:
    shown = text if text is not None else found
    if expected == "text" and isinstance(found, int | float):
        return f'write "{shown}" in quotes'
    if isinstance(found, str):
        if expected in ("a whole number", "a number") and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", found):
            return f"write {found} without quotes"
        if expected == "true or false":
            near = closest(found, ("true", "false", "yes", "no", "on", "off", "enabled", "disabled"))
            return (
                f"write {'true' if near in ('true', 'yes', 'on', 'enabled') else 'false'}" if near else None
            )
    if expected == "a list" and not isinstance(found, dict):
        return f"write [{shown}]"
    if expected == "a list":
        return "begin each entry with `- `"
    if expected == "a mapping" and isinstance(found, tuple):
        return "leave the `- ` out"
    return None


def _described(found: object, text: str | None) -> str:
    match found:
        case bool():
            return "true" if found else "false"
        case int() | float():
            return f"the number {found}"
        case str():
            return f'the text "{found}"' if len(found) <= 40 else "text"
        case tuple():
            return "a list"
        case dict():
            return "a mapping"
    return text or "nothing"
