"""Pieces: the text between two `---` lines, read into manifests and faults.

What a piece holds depends on its text alone, not on its file or line, so it can be kept by its text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml
from yaml.nodes import Node, ScalarNode

from xds_server.policy import attribution
from xds_server.policy.attempt import Attempt
from xds_server.policy.draft import Draft
from xds_server.policy.kinds import API_VERSION, KINDS, Manifest
from xds_server.policy.kinds.base import WorkspaceMetadata, title
from xds_server.policy.kinds.names import NAME
from xds_server.policy.kinds.shape import part_at
from xds_server.policy.reading.document import compose, find, refused
from xds_server.policy.reading.fault import Fault, MarkedFault, Path, outside
from xds_server.policy.reading.syntax import character_fault, only_directives, syntax_fault
from xds_server.policy.reading.value import read
from xds_server.policy.suggestion import closest, did_you_mean

_NAME = re.compile(NAME)
_HEADER = ("apiVersion", "kind", "metadata", "spec")
Kinds = Mapping[str, type[Manifest]]
"""The kinds that may stand in a text, by name."""

_BREAKS_STRUCTURE = frozenset({"duplicate-key", "alias", "tag", "bad-key", "too-deep"})


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its manifest if it makes one, or else a draft; its faults, how to call it, whom they concern."""

    index: int
    line: int
    manifest: Manifest | None
    faults: tuple[MarkedFault, ...]
    title: str
    concerned: frozenset[str] | None
    draft: Draft | None = None


def read_piece(text: str, kinds: Kinds = KINDS) -> tuple[Document, ...]:
    """The documents of a piece, of these kinds; empty ones are left out. Never raises for what the text holds."""
    try:
        bad = character_fault(text)
        found = [bad] if bad is not None else refused(text)
        nodes = [] if found else compose(text)
    except yaml.YAMLError as error:
        found, nodes = [syntax_fault(error, text)], []
    if found:
        concerned = frozenset[str]() if only_directives(text) else attribution.mentioned(text)
        draft = Draft("document", names=attribution.names(text), concerned=concerned)
        return (Document(0, found[0].mark.line, None, tuple(found), draft.title, concerned, draft),)
    documents = []
    for index, node in enumerate(nodes):
        if not (isinstance(node, ScalarNode) and not node.value and not node.style):
            documents.append(_document(index, node, text, kinds))
    return tuple(documents)


def _document(index: int, node: Node, text: str, kinds: Kinds) -> Document:
    marked: list[MarkedFault] = []
    values = read(node, marked)
    faults: list[Fault] = []
    kind = _kind(values, faults, kinds) or _meant(values, kinds)
    line = node.start_mark.line
    manifest, written = None, {}
    if kind is not None:
        attempt = Attempt(kind, values, node)
        manifest, written = attempt.manifest, attempt.written
        if manifest is not None and not (marked or faults or attempt.faults):
            return Document(index, line, manifest, (), "", None)
        values = attempt.values
        faults += attempt.faults
    paths = [fault.path for _, fault in marked if fault.path]
    marked += [_mark(node, fault) for fault in faults if outside(fault.path, paths)]
    broken = any(fault.severity == "error" for _, fault in marked)
    structure = any(fault.code in _BREAKS_STRUCTURE for _, fault in marked)
    concerned = attribution.mentioned(text) if structure else attribution.concerned(values)
    draft = _draft(values, written, concerned, kinds) if broken else None
    if draft is not None and structure:  # a second manifest may have gone under in this one
        twice = any(fault.path == ("kind",) for _, fault in marked)
        others = attribution.names(text)
        draft = replace(
            draft, kind=None if twice else draft.kind, names=(draft.names or frozenset()) | others
        )
    return Document(
        index,
        line,
        None if broken else manifest,
        tuple(sorted(marked)),
        _title(values, kinds),
        concerned,
        draft,
    )


def _kind(values: Any, faults: list[Fault], kinds: Kinds) -> type[Manifest] | None:
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
        hint = f"is it `{near}`?" if near else "one of: " + ", ".join(kinds)
        faults.append(Fault("missing-key", (), "`kind` is missing", hint))
        return None
    if not isinstance(name, str):
        faults.append(
            Fault("wrong-type", ("kind",), "`kind` must be one word", "one of: " + ", ".join(kinds))
        )
        return None
    if name in KINDS and name not in kinds:
        message = f"`{name}` is not taken from a publication, which holds policies only"
        faults.append(Fault("not-a-policy", ("kind",), message, "leave it out"))
        return None
    if name not in kinds:
        faults.append(Fault("unknown-kind", ("kind",), f"`{name}` is not a kind", did_you_mean(name, kinds)))
        return None
    return kinds[name]


def _meant(values: Any, kinds: Kinds) -> type[Manifest] | None:
    """The kind that a misspelt one stands for, in a document that is certainly ours."""
    if not isinstance(values, dict) or values.get("apiVersion") != API_VERSION:
        return None
    name = values.get("kind")
    near = closest(name, kinds) if isinstance(name, str) and name not in KINDS else None
    return kinds[near] if near is not None else None


def _draft(values: Any, written: Mapping[Path, str], concerned: frozenset[str] | None, kinds: Kinds) -> Draft:
    if not isinstance(values, dict):
        return Draft("document", concerned=concerned)
    key = "kind" if "kind" in values else next((each for each in values if closest(each, ["kind"])), "kind")
    kind = values.get(key)
    metadata = values.get("metadata")
    names = metadata if isinstance(metadata, dict) else {}
    name, workspace = (
        each if isinstance(each, str) and _NAME.fullmatch(each) else None
        for each in (names.get("name"), names.get("workspace"))
    )
    return Draft(
        title=_title(values, kinds),
        kind=closest(kind, KINDS) if isinstance(kind, str) else None,
        names=frozenset({name}) if name is not None else frozenset(),
        workspace=workspace,
        concerned=concerned,
        values=values,
        written=written,
    )


def _mark(node: Node, fault: Fault) -> MarkedFault:
    return MarkedFault(find(node, fault.path, fault.key), fault)


def _title(values: Any, kinds: Kinds) -> str:
    if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        return "document"
    kind = values["kind"]
    metadata = values.get("metadata")
    names = metadata if isinstance(metadata, dict) else {}
    name, workspace = (
        str(names[key]) if isinstance(names.get(key), str | int | float) else "?"
        for key in ("name", "workspace")
    )
    model = kinds.get(kind) or KINDS.get(kind)
    return title(kind, workspace if model is not None and _has_workspace(model) else None, name)


def _has_workspace(model: type[Manifest]) -> bool:
    part = part_at(model, ("metadata",), None)
    return part is not None and issubclass(part, WorkspaceMetadata)
