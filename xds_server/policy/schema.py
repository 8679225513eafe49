"""The JSON Schema of the policy language, made of the manifest models; editors complete and check with it.

Run `python -m xds_server.policy.schema > policies/schema.json` to write it anew.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import TypeAdapter

from xds_server.policy.kinds import API_VERSION, KINDS, Manifest
from xds_server.policy.kinds.duration import format_duration

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The newest draft that the YAML language server knows in full."""


def schema() -> dict[str, Any]:
    """The schema of one document: any kind of manifest."""
    definitions: dict[str, Any] = {}
    for kind in KINDS.values():
        whole = shown(kind)
        definitions |= whole.pop("$defs")
        definitions[kind.kind] = whole
    whole_language: dict[str, Any] = _published(
        {
            "$schema": DRAFT,
            "title": "Fairlead policies",
            "description": "One document of a Fairlead policy set.",
            "type": "object",
            "required": ["apiVersion", "kind"],
            "properties": {"apiVersion": {"const": API_VERSION}, "kind": {"enum": list(KINDS)}},
            "allOf": [
                {
                    "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                    "then": {"$ref": f"#/$defs/{kind}"},
                }
                for kind in KINDS
            ],
            "$defs": {name: definitions[name] for name in sorted(definitions)},
        }
    )
    return whole_language


def shown(kind: type[Manifest]) -> dict[str, Any]:
    """The schema of one kind, as its authors see it: with `apiVersion` and `kind`, without null."""
    whole = _clean(TypeAdapter(kind).json_schema(ref_template="#/$defs/{model}"))
    header = {
        "apiVersion": {"const": API_VERSION, "description": "The version of the policy language."},
        "kind": {"const": kind.kind, "description": "What the manifest declares."},
    }
    whole["properties"] = header | whole["properties"]
    whole["required"] = [*header, *whole["required"]]
    return whole


def _clean(node: dict[str, Any]) -> dict[str, Any]:
    """pydantic's schema without its made-up titles, and without null, which no manifest may hold."""
    node = {key: value for key, value in node.items() if key != "title"}
    if "default" in node and node["default"] is None:
        del node["default"]
    choices = node.pop("anyOf", [])
    held = [_clean(each) for each in choices if each != {"type": "null"}]
    if held:
        node |= held[0] if len(held) == 1 else {"anyOf": held}
    if node.get("x-type") == "duration" and "default" in node:
        node["default"] = format_duration(node["default"])
    for key in ("properties", "$defs"):
        if key in node:
            node[key] = {name: _clean(each) for name, each in node[key].items()}
    if "items" in node:
        node["items"] = _clean(node["items"])
    return node


def _published(node: Any) -> Any:
    """The schema without what only the reference reads."""
    if isinstance(node, list):
        return [_published(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {key: _published(value) for key, value in node.items() if key != "x-type"}


def main() -> None:
    """Print the schema."""
    sys.stdout.write(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
