"""Pieces: the text between two `---` lines, read into manifests and faults.

What a piece holds depends on its text alone, not on its file or line, so it can be kept by its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from xds_server.policy import attribution
from xds_server.policy.kinds import API_VERSION, KINDS, Manifest
from xds_server.policy.kinds.base import WorkspaceMetadata, title
from xds_server.policy.kinds.shape import keys, part_at
from xds_server.policy.mistake import mistake
from xds_server.policy.reading.document import compose, find, refused
from xds_server.policy.reading.fault import Fault, MarkedFault, Path, outside
from xds_server.policy.reading.syntax import character_fault, syntax_fault
from xds_server.policy.reading.value import read
from xds_server.policy.rules import rules
from xds_server.policy.suggestion import closest, did_you_mean

_ROUNDS = 8
_HEADER = ("apiVersion", "kind", "metadata", "spec")
_BREAKS_STRUCTURE = frozenset({"duplicate-key", "alias", "tag", "bad-key", "too-deep"})


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its manifest if it makes one, its faults, how to call it, and whom the faults concern."""

    index: int
    line: int
    manifest: Manifest | None
    faults: tuple[MarkedFault, ...]
    title: str
    concerned: frozenset[str] | None


def read_piece(text: str) -> tuple[Document, ...]:
    """The documents of a piece; empty ones are left out. Never raises for what the text holds."""
    try:
        bad = character_fault(text)
        found = [bad] if bad is not None else refused(text)
        nodes = [] if found else compose(text)
    except yaml.YAMLError as error:
        found, nodes = [syntax_fault(error, text)], []
    if found:
        return (Document(0, found[0].mark.line, None, tuple(found), "document", attribution.mentioned(text)),)
    documents = []
    for index, node in enumerate(nodes):
        if not (isinstance(node, ScalarNode) and not node.value and not node.style):
            documents.append(_document(index, node, text))
    return tuple(documents)


def _document(index: int, node: Node, text: str) -> Document:
    marked: list[MarkedFault] = []
    values = read(node, marked)
    faults: list[Fault] = []
    kind = _kind(values, faults)
    manifest = None
    if kind is not None:
        manifest = _manifest(kind, values, node, faults)
    paths = [fault.path for _, fault in marked if fault.path]
    marked += [_mark(node, fault) for fault in faults if outside(fault.path, paths)]
    structure = any(fault.code in _BREAKS_STRUCTURE for _, fault in marked)
    if not marked:
        return Document(index, node.start_mark.line, manifest, (), "", None)
    return Document(
        index,
        node.start_mark.line,
        None if any(fault.severity == "error" for _, fault in marked) else manifest,
        tuple(sorted(marked)),
        _title(values),
        attribution.mentioned(text) if structure else attribution.concerned(values),
    )


def _kind(values: Any, faults: list[Fault]) -> type[Manifest] | None:
    """The kind of manifest that a document says it is; what stands in the way is added to the faults."""
    if not isinstance(values, dict):
        held = "a list" if isinstance(values, tuple) else "a single value"
        hint = "begin each manifest with a `---` line instead of `- `" if held == "a list" else None
        faults.append(Fault("not-a-manifest", (), f"a manifest is a mapping; this is {held}", hint))
        return None
    if values.get("kind") == "List" and "items" in values:
        hint = "make each item a document of its own, with a `---` line between them"
        faults.append(Fault("not-a-manifest", ("kind",), "lists of manifests are not read", hint))
        return None
    version = values.get("apiVersion")
    if "apiVersion" not in values:
        faults.append(
            Fault("missing-key", (), "`apiVersion` is missing", f"begin with `apiVersion: {API_VERSION}`")
        )
    elif version != API_VERSION:
        hint = f"did you mean `{API_VERSION}`?"
        faults.append(Fault("bad-value", ("apiVersion",), f"`{version}` is not a version known here", hint))
    name = values.get("kind")
    if "kind" not in values:
        near = next((key for key in values if closest(key, ["kind"])), None)
        hint = f"did you mean `kind` by `{near}`?" if near else "one of: " + ", ".join(KINDS)
        faults.append(Fault("missing-key", (), "`kind` is missing", hint))
        return None
    if not isinstance(name, str) or name not in KINDS:
        faults.append(
            Fault("unknown-kind", ("kind",), f"`{name}` is not a kind", did_you_mean(str(name), KINDS))
        )
        return None
    return KINDS[name]


def _manifest(
    kind: type[Manifest], values: dict[str, Any], node: Node, faults: list[Fault]
) -> Manifest | None:
    body = {key: value for key, value in values.items() if key not in ("apiVersion", "kind")}
    manifest, found = _validated(kind, body, node)
    if manifest is None:
        for _ in range(_ROUNDS):
            unknown = [fault for fault in found if fault.code == "unknown-key"]
            faults += unknown
            if not unknown:
                break
            body = _repaired(kind, body, unknown)
            _, found = _validated(kind, body, node)
        faults += [fault for fault in found if fault.code != "unknown-key"]
    faults += rules(kind.kind, body)
    return manifest


def _validated(kind: type[Manifest], body: dict[str, Any], node: Node) -> tuple[Manifest | None, list[Fault]]:
    try:
        return kind.model_validate(body), []
    except ValidationError as error:
        found = (
            mistake(kind, each, body, lambda path: _word(node, path))
            for each in error.errors(include_url=False)
        )
        return None, [fault for fault in found if fault is not None]


def _repaired(kind: type[Manifest], body: Any, unknown: list[Fault]) -> dict[str, Any]:
    """The document with each unknown key under the name that was most likely meant, or left out.

    So a misspelt key is one mistake, and those below it are found too.
    """
    for fault in unknown:
        *way, last = fault.path
        part = part_at(kind, tuple(way), body)
        meant = closest(str(last), keys(part)) if part is not None else None
        body = _renamed(body, tuple(way), str(last), meant)
    repaired: dict[str, Any] = body
    return repaired


def _renamed(value: Any, way: Path, key: str, meant: str | None) -> Any:
    if not way:
        kept = {name: each for name, each in value.items() if name != key}
        if meant is not None and meant not in value:
            kept[meant] = value[key]
        return kept
    if isinstance(value, dict):
        return {**value, way[0]: _renamed(value[str(way[0])], way[1:], key, meant)}
    return tuple(
        _renamed(each, way[1:], key, meant) if index == way[0] else each for index, each in enumerate(value)
    )


def _word(node: Node, path: Path) -> str | None:
    for step in path:
        if isinstance(node, MappingNode):
            below = next((value for key, value in node.value if key.value == step), None)
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
            below = node.value[step]
        else:
            below = None
        if below is None:
            return None
        node = below
    return node.value if isinstance(node, ScalarNode) and not node.style else None


def _mark(node: Node, fault: Fault) -> MarkedFault:
    return MarkedFault(find(node, fault.path, fault.key), fault)


def _title(values: Any) -> str:
    if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        return "document"
    kind = values["kind"]
    metadata = values.get("metadata")
    names = metadata if isinstance(metadata, dict) else {}
    name = str(names.get("name", "?"))
    model = KINDS.get(kind)
    fleet = model is not None and not _has_workspace(model)
    return title(kind, None if fleet or model is None else str(names.get("workspace", "?")), name)


def _has_workspace(model: type[Manifest]) -> bool:
    part = part_at(model, ("metadata",), None)
    return part is not None and issubclass(part, WorkspaceMetadata)
