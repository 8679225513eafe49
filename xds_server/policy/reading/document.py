"""Documents: a text cut at its `---` lines, and each piece composed into nodes with marks."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml
from yaml._yaml import CParser
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event, ScalarEvent
from yaml.nodes import MappingNode, Node, SequenceNode

from xds_server.policy.reading.fault import Fault, Mark, MarkedFault, Path

DEPTH = 64
"""How deep mappings and lists may be nested. No manifest comes near."""

_ENOUGH = 10
"""Anchors and aliases told of in one piece; whoever uses more knows by then."""

_SEPARATOR = re.compile(r"^---(?=[ \t\n]|\Z)", re.MULTILINE)
_LONG_LINE = re.compile(r"[^\n]{1000}")


class _Composer(CParser):
    """libyaml's composer with nothing resolved: a node's tag is empty unless its author wrote one."""

    # libyaml's binding calls these for every node; a method in C that takes anything and gives "" is cheapest.
    resolve = descend_resolver = ascend_resolver = staticmethod("".format)


def split(text: str) -> Iterator[tuple[int, str]]:
    """The pieces of a text, cut before every line that begins a document, each with its first line from 1.

    `---` at the beginning of a line always ends the document before it, whatever that is, so a piece that
    cannot be read says nothing about the others.
    """
    if "---" not in text:
        yield 1, text
        return
    starts = [match.start() for match in _SEPARATOR.finditer(text)]
    if not starts or starts[0] > 0:
        starts.insert(0, 0)
    line = 1
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        piece = text[start:end]
        yield line, piece
        line += piece.count("\n")


def normal(text: str) -> str:
    """The text without a byte order mark, and with one kind of line end."""
    text = text.removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def compose(text: str) -> list[Node]:
    """The documents of a text as trees of nodes. Raises yaml.YAMLError."""
    composer = _Composer(text)
    documents = []
    while composer.check_node():
        node = composer.get_node()
        if node is not None:
            documents.append(node)
    return documents


def refused(text: str) -> list[MarkedFault]:
    """Anchors, aliases, and nesting beyond `DEPTH`. Raises yaml.YAMLError.

    Composing follows aliases and recurses, so this looks first, at the flat stream of events; texts that
    cannot hold any of the three are not looked at.
    """
    if not ("&" in text or "*" in text or _may_be_deep(text)):
        return []
    faults: list[MarkedFault] = []
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > DEPTH:
                return [
                    *faults,
                    marked(event, Fault("too-deep", (), f"this is nested more than {DEPTH} deep")),
                ]
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        if isinstance(event, AliasEvent | ScalarEvent | CollectionStartEvent) and event.anchor is not None:
            faults.append(marked(event, _anchor(event)))
            if len(faults) == _ENOUGH:
                return faults
    return faults


def marked(at: Event | Node, fault: Fault) -> MarkedFault:
    """A fault with the place at which an event or a node begins."""
    start = at.start_mark
    return MarkedFault(Mark(start.line, start.column) if start is not None else Mark(0, 0), fault)


def _may_be_deep(text: str) -> bool:
    if len(text) < 1000:
        return False
    return text.count("[") + text.count("{") > 500 or _LONG_LINE.search(text) is not None


def _anchor(event: AliasEvent | ScalarEvent | CollectionStartEvent) -> Fault:
    if isinstance(event, AliasEvent):
        message = f"aliases such as `*{event.anchor}` are not part of the language"
        return Fault("alias", (), message, f'write the value out, or the text in quotes: "*{event.anchor}"')
    message = f"anchors such as `&{event.anchor}` are not part of the language"
    return Fault("alias", (), message, "leave it out, and write the value out where it is needed again")


def find(node: Node, path: Path, key: bool = False) -> Mark:
    """The place of the value at a path, or of its key; where the path leads nowhere, of what is nearest."""
    here, before = node, node
    for step in path:
        found = _step(here, step)
        if found is None:
            return Mark(here.start_mark.line, here.start_mark.column)
        before, here = found
    mark = (before if key else here).start_mark
    return Mark(mark.line, mark.column)


def _step(node: Node, step: str | int) -> tuple[Node, Node] | None:
    if isinstance(node, MappingNode):
        for key, value in reversed(node.value):
            if key.value == step:
                return key, value
    elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None
