"""Values: a tree of nodes turned into dicts, tuples and scalars, with every fault on the way collected."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode

from xds_server.policy.reading.document import DEPTH, marked
from xds_server.policy.reading.fault import Fault, MarkedFault, Path
from xds_server.policy.reading.scalar import plain

_WORDS_OF_A_KEY = frozenset({"n", "y"})
"""Members of a JSON Web Key (RFC 7518) that YAML 1.1 once took for no and yes, and no reader does in keys."""


def read(node: Node, faults: list[MarkedFault], path: Path = ()) -> Any:
    """The value of a node; faults are added to the list.

    Mappings become dicts, lists become tuples. A key given twice keeps its first value.
    """
    if node.tag:
        faults.append(marked(node, _tag(node.tag, path)))
    if isinstance(node, ScalarNode):
        if node.style:
            return node.value
        value, surprise = plain(node.value)
        if surprise is not None:
            faults.append(marked(node, Fault(surprise.code, path, surprise.message, surprise.hint)))
        return value
    if len(path) >= DEPTH:
        faults.append(marked(node, Fault("too-deep", path, f"this is nested more than {DEPTH} deep")))
        return None
    if isinstance(node, MappingNode):
        return _mapping(node, faults, path)
    return tuple([read(item, faults, (*path, index)) for index, item in enumerate(node.value)])


def _mapping(node: MappingNode, faults: list[MarkedFault], path: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if key_node.__class__ is ScalarNode and not key_node.tag and _is_word(key_node.value):
            key = key_node.value
        else:
            key = _key(key_node, faults, path)
        if key is None:
            continue
        if key in values:
            hint = None if path else "does a `---` line miss between two documents?"
            faults.append(
                marked(key_node, Fault("duplicate-key", (*path, key), f"`{key}` is given twice", hint))
            )
            continue
        values[key] = read(value_node, faults, (*path, key))
    return values


def _key(node: Node, faults: list[MarkedFault], path: Path) -> str | None:
    if not isinstance(node, ScalarNode):
        hint = "is a `{{ template }}` not filled in?"
        faults.append(marked(node, Fault("bad-key", path, "a key must be one word", hint)))
        return None
    if node.tag:
        faults.append(marked(node, _tag(node.tag, path)))
    text: str = node.value
    if node.style:
        return text
    if text == "<<":
        message = "merge keys (`<<`) are not part of the language"
        faults.append(marked(node, Fault("alias", path, message, "write the keys out")))
        return None
    if _is_word(text):
        return text
    hint = f'write "{text}" in quotes' if text else "write a word in front of the colon"
    message = f"the key `{text}` is not text to every YAML reader"
    faults.append(marked(node, Fault("bad-key", path, message, hint)))
    return text


@lru_cache(maxsize=4096)
def _is_word(text: str) -> bool:
    """Whether a key without quotes is text to every reader."""
    value, surprise = plain(text)
    return (surprise is None and isinstance(value, str)) or text in _WORDS_OF_A_KEY


def _tag(tag: str, path: Path) -> Fault:
    shown = tag.replace("tag:yaml.org,2002:", "!!")
    return Fault("tag", path, f"tags such as `{shown}` are not part of the language", "leave it out")
