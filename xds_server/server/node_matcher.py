"""Which nodes a question is about: Envoy's node matchers as predicates.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/type/matcher/v3/node.proto
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from xds_server.protocol import Node

_REPEATS: Final = 3
_LONGEST: Final = 256

Predicate = Callable[[Any], bool]


class UnsupportedMatcherError(Exception):
    """A matcher says something that is not understood here; in words for who asked."""


def match_nodes(matchers: Iterable[Any]) -> Callable[[Node], bool]:
    """Make a predicate of `NodeMatcher` messages: one of them must match, or there is none.

    Raises `UnsupportedMatcherError`.
    """
    choices = [_node(matcher) for matcher in matchers]
    return lambda node: not choices or any(choice(node) for choice in choices)


def _node(matcher: Any) -> Callable[[Node], bool]:
    identifier = _text(matcher.node_id) if matcher.HasField("node_id") else None
    metadata = [_struct(each) for each in matcher.node_metadatas]

    def match(node: Node) -> bool:
        return (identifier is None or identifier(node.id)) and all(each(node.metadata) for each in metadata)

    return match


def _text(matcher: Any) -> Predicate:
    kind = matcher.WhichOneof("match_pattern")
    if kind == "safe_regex":
        return _expression(matcher.safe_regex.regex)
    if kind not in ("exact", "prefix", "suffix", "contains"):
        raise UnsupportedMatcherError(
            f"a string matcher of kind {kind or 'none'} is not supported; "
            "use exact, prefix, suffix, contains or safe_regex"
        )
    fold: Callable[[str], str] = str.lower if matcher.ignore_case else str
    wanted = fold(getattr(matcher, kind))
    compare: dict[str, Callable[[str], bool]] = {
        "exact": lambda text: text == wanted,
        "prefix": lambda text: text.startswith(wanted),
        "suffix": lambda text: text.endswith(wanted),
        "contains": lambda text: wanted in text,
    }
    found = compare[kind]
    return lambda value: isinstance(value, str) and found(fold(value))


def _expression(pattern: str) -> Predicate:
    # RE2 takes linear time and Python's engine may not: what could make it slow is refused.
    escaped = "".join(re.findall(r"\\(.)", pattern))
    bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", pattern)
    repeats = len(re.findall(r"[*+?{]", bare))
    if re.search(r"\d", escaped) or re.search(r"\(\?|\)[*+?{]", bare) or repeats > _REPEATS:
        raise UnsupportedMatcherError(
            f"the expression {pattern!r} is not supported: at most {_REPEATS} repeats, none of a group, "
            "no references back and no (?"
        )
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UnsupportedMatcherError(f"{pattern!r} is no regular expression: {error}") from error
    return lambda value: (
        isinstance(value, str) and len(value) <= _LONGEST and compiled.fullmatch(value) is not None
    )


def _struct(matcher: Any) -> Predicate:
    path = [segment.key for segment in matcher.path]
    check = _value(matcher.value)

    def match(value: Any) -> bool:
        for key in path:
            if not isinstance(value, Mapping) or key not in value:
                return False
            value = value[key]
        return check(value)

    return match


def _value(matcher: Any) -> Predicate:
    kind = matcher.WhichOneof("match_pattern")
    if kind is None:
        raise UnsupportedMatcherError("a metadata matcher must say what value it wants")
    if kind == "string_match":
        return _text(matcher.string_match)
    if kind == "double_match":
        return _number(matcher.double_match)
    if kind == "list_match":
        one = _value(matcher.list_match.one_of)
        return lambda value: isinstance(value, list) and any(one(each) for each in value)
    if kind == "or_match":
        choices = [_value(each) for each in matcher.or_match.value_matchers]
        return lambda value: any(choice(value) for choice in choices)
    wanted = getattr(matcher, kind)
    simple: dict[str, Predicate] = {
        "null_match": lambda value: value is None,
        "bool_match": lambda value: value is wanted,
        # A value that is absent ends the walk down the path before.
        "present_match": lambda _: wanted,
    }
    return simple[kind]


def _number(matcher: Any) -> Predicate:
    def is_number(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    if matcher.WhichOneof("match_pattern") == "range":
        start, end = matcher.range.start, matcher.range.end
        return lambda value: is_number(value) and start <= value < end
    wanted = matcher.exact
    return lambda value: is_number(value) and value == wanted
