"""Values: a tree of nodes turned into dicts, tuples and scalars, with every fault on the way collected."""

from __future__ import annotations

from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode

from xds_server.policy.reading.document import DEPTH
from xds_server.policy.reading.fault import Fault, Mark, MarkedFault, Path
from xds_server.policy.reading.scalar import plain

_NUMBERS_OF_A_KEY = frozenset({"n", "y"})
"""Members of a JSON Web Key (RFC 7518) that YAML 1.1 once took for no and yes, and no reader does in keys."""


def read(node: Node, faults: list[MarkedFault], path: Path = ()) -> Any:
    """The value of a node; faults are added to the list.

    Mappings become dicts, lists become tuples. A key given twice keeps its first value.
    """
    if node.tag:
        _report(
            faults, node, "tag", path, f"tags such as `{_shown(node.tag)}` are not part of the language", None
        )
    if isinstance(node, ScalarNode):
        if node.style:
            return node.value
        value, surprise = plain(node.value)
        if surprise is not None:
            _report(faults, node, surprise.code, path, surprise.message, surprise.hint)
        return value
    if len(path) >= DEPTH:
        _report(faults, node, "too-deep", path, f"this is nested more than {DEPTH} deep", None)
        return None
    if isinstance(node, MappingNode):
        return _mapping(node, faults, path)
    return tuple([read(item, faults, (*path, index)) for index, item in enumerate(node.value)])


def _mapping(node: MappingNode, faults: list[MarkedFault], path: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _key(key_node, faults, path)
        if key is None:
            continue
        if key in values:
            hint = None if path else "does a `---` line miss between two documents?"
            _report(faults, key_node, "duplicate-key", (*path, key), f"`{key}` is given twice", hint)
            continue
        values[key] = read(value_node, faults, (*path, key))
    return values


def _key(node: Node, faults: list[MarkedFault], path: Path) -> str | None:
    if not isinstance(node, ScalarNode):
        _report(
            faults, node, "bad-key", path, "a key must be one word", "is a `{{ template }}` not filled in?"
        )
        return None
    if node.tag:
        _report(
            faults, node, "tag", path, f"tags such as `{_shown(node.tag)}` are not part of the language", None
        )
    text: str = node.value
    if node.style:
        return text
    if text == "<<":
        message = "merge keys (`<<`) are not part of the language"
        _report(faults, node, "alias", path, message, "write the keys out")
        return None
    value, surprise = plain(text)
    if (surprise is None and isinstance(value, str)) or text in _NUMBERS_OF_A_KEY:
        return text
    hint = f'write "{text}" in quotes' if text else "write a word in front of the colon"
    _report(faults, node, "bad-key", path, f"the key `{text}` is not text to every YAML reader", hint)
    return text


def _report(
    faults: list[MarkedFault], node: Node, code: str, path: Path, message: str, hint: str | None
) -> None:
    mark = Mark(node.start_mark.line, node.start_mark.column)
    faults.append(MarkedFault(mark, Fault(code, path, message, hint)))


def _shown(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")
