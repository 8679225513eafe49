"""Attempts: one document made into a manifest, or into everything that stands in the way."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from xds_server.policy.kinds import Manifest
from xds_server.policy.kinds.shape import keys, part_at
from xds_server.policy.mistake import mistake
from xds_server.policy.reading.fault import Fault, Path, as_written
from xds_server.policy.rules import rules
from xds_server.policy.suggestion import closest

_ROUNDS = 8
"""How often misspelt keys are mended before giving up: parts are not nested deeper."""

_HEADER = ("apiVersion", "kind")


class Attempt:
    """A document of a known kind, tried.

    `manifest` is what it makes, or None; `faults` are its mistakes, with paths as they stand in the document;
    `values` is the document with each unknown key under the name that was most likely meant, or left out, and
    `written` holds the key in the document by the path that it has in `values`. So a misspelt key is one
    mistake, and what stands below it is looked at too.
    """

    def __init__(self, kind: type[Manifest], values: dict[str, Any], node: Node) -> None:
        self._kind = kind
        self._node = node
        self.written: dict[Path, str] = {}
        self.faults: list[Fault] = []
        self._body = {key: value for key, value in values.items() if key not in _HEADER}
        self.manifest, found = self._validate()
        for _ in range(_ROUNDS):
            unknown = [fault for fault in found if fault.code == "unknown-key"]
            if not unknown:
                break
            self.faults += [self._as_written(fault) for fault in unknown]
            for fault in unknown:
                self._mend(fault.path)
            _, found = self._validate()
        found += rules(kind.kind, self._body)
        self.faults += [self._as_written(fault) for fault in found if fault.code != "unknown-key"]
        self.values = {**{key: values[key] for key in _HEADER if key in values}, **self._body}

    def _validate(self) -> tuple[Manifest | None, list[Fault]]:
        try:
            return self._kind.read(self._body), []
        except ValidationError as error:
            found = (
                mistake(self._kind, each, self._body, self._word) for each in error.errors(include_url=False)
            )
            return None, [fault for fault in found if fault is not None]

    def _mend(self, path: Path) -> None:
        way, key = path[:-1], str(path[-1])
        part = part_at(self._kind, way, self._body)
        meant = closest(key, keys(part)) if part is not None else None
        self._body, renamed = _renamed(self._body, way, key, meant)
        if renamed and meant is not None:
            self.written[(*way, meant)] = self.written.pop(path, key)

    def _as_written(self, fault: Fault) -> Fault:
        return fault._replace(path=as_written(fault.path, self.written))

    def _word(self, path: Path) -> str | None:
        """The text at a path, when it is one word without quotes."""
        node: Node | None = self._node
        for step in as_written(path, self.written):
            if isinstance(node, MappingNode):
                node = next((value for key, value in node.value if key.value == step), None)
            elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
            else:
                node = None
        return node.value if isinstance(node, ScalarNode) and not node.style else None


def _renamed(value: Any, way: Path, key: str, meant: str | None) -> tuple[Any, bool]:
    """A copy of a value in which the key at the end of the way has the name that was meant, or is left out."""
    if not way:
        kept = {name: each for name, each in value.items() if name != key}
        if meant is None or meant in value:
            return kept, False
        return {**kept, meant: value[key]}, True
    step, rest = way[0], way[1:]
    below, renamed = _renamed(value[step], rest, key, meant)
    if isinstance(value, dict):
        return {**value, step: below}, renamed
    return tuple(below if index == step else each for index, each in enumerate(value)), renamed
