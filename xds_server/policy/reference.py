"""The reference of the policy language, made of the manifest models.

Run `python -m xds_server.policy.reference > docs/policy-reference.md` to write it anew.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from typing import Any, get_args

from xds_server.policy.catalogue import BUILT_IN_LOCATIONS
from xds_server.policy.codes import CODES
from xds_server.policy.kinds import KINDS, Manifest
from xds_server.policy.kinds.base import Part
from xds_server.policy.kinds.place import CONTINENTS
from xds_server.policy.kinds.shape import parts
from xds_server.policy.regions import REGIONS
from xds_server.policy.schema import shown

_INTRODUCTION = """\
# Policy reference

<!-- Made by `python -m xds_server.policy.reference`; edit the models in `xds_server/policy/kinds/` instead. -->

A policy set is a folder of YAML (or JSON) files. Each file holds one or more manifests, with a line `---`
between two. Every manifest begins the same way:

```yaml
apiVersion: fairlead/v1
kind: Model
metadata:
  name: llama
  workspace: acme
spec:
  ...
```

Names are lower-case letters, digits and `-`, at most 63 characters; those of models, agents, functions and
revisions may also hold `.` and `_` inside. Durations are whole numbers with a unit: `500ms`, `5s`, `15m`,
`1h`. Files are named relative to the manifest, and lie in the policy folder.

The language is YAML 1.2 without anchors, aliases, merge keys and tags. A key given twice, a key unknown, a key
without a value and a word that YAML readers disagree about (`no`, `010`, `1:30`, `2026-01-01`) are errors.
A workspace with an error in any of its manifests keeps its last good state whole, and so do the fleet's own
manifests (Gateway, Issuer, Location).
"""

_CODES = """\
## Diagnostics

A mistake is reported as `file:line:column: error[code] object: message (hint)`. The codes that reading a
policy set gives:
"""


def reference() -> str:
    """The reference as Markdown."""
    lines = [_INTRODUCTION]
    lines += ["| kind | what it declares |", "|---|---|"]
    lines += [f"| [{name}](#{name.lower()}) | {_first(kind)} |" for name, kind in KINDS.items()]
    described: dict[type[Part], str] = {}
    for kind in KINDS.values():
        lines += ["", *_kind(kind, described)]
    lines += ["", "## Built-in locations", "", *_locations()]
    lines += ["", _CODES, "| code | meaning |", "|---|---|"]
    lines += [f"| `{code}` | {meaning} |" for code, meaning in CODES.items()]
    return "\n".join(lines) + "\n"


def _kind(kind: type[Manifest], described: dict[type[Part], str]) -> Iterator[str]:
    schema = shown(kind)
    yield from (f"## {kind.kind}", "", inspect.getdoc(kind) or "")
    queue: list[tuple[str, type[Part]]] = [(kind.kind, kind)]
    while queue:
        path, part = queue.pop(0)
        if part in described:
            yield from ("", f"### `{path}`", "", f"As [`{described[part]}`](#{_anchor(described[part])}).")
            continue
        if part is not kind:
            described[part] = path
            yield from ("", f"### `{path}`", "", inspect.getdoc(part) or "")
        found = schema if part is kind else schema["$defs"][part.__name__]
        yield from ("", "| key | type | default | meaning | example |", "|---|---|---|---|---|")
        for key, held in found["properties"].items():
            yield _row(part, key, held, schema, key in found.get("required", []))
        for field in part.fields().values():
            below = parts(field.annotation)
            for each in below:
                name = f"{path}.{field.alias}" + ("[]" if _is_list(found, field.alias) else "")
                tags = get_args(each.fields()["type"].annotation) if len(below) > 1 else ()
                queue.append((f"{name} (type {tags[0]})" if tags else name, each))


def _row(part: type[Part], key: str, held: dict[str, Any], schema: dict[str, Any], needed: bool) -> str:
    field = next((each for each in part.fields().values() if each.alias == key), None)
    meaning = (field.description if field is not None else held.get("description")) or ""
    if needed:
        default = "required"
    elif "default" in held:
        default = f"`{json.dumps(held['default'])}`"
    else:
        default = "see below" if _points(held) and field is not None and field.default_factory else "none"
    examples = held.get("examples") or (field.examples if field is not None else None) or []
    example = " or ".join(f"`{json.dumps(each, ensure_ascii=False)}`" for each in examples)
    if "const" in held:
        example = f"`{held['const']}`"
    cells = (f"`{key}`", _type(held, schema), default, meaning, example)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _type(held: dict[str, Any], schema: dict[str, Any]) -> str:
    if "x-type" in held:
        return str(held["x-type"])
    if "const" in held:
        return (
            f"`{json.dumps(held['const'])}`" if not isinstance(held["const"], str) else f"`{held['const']}`"
        )
    if "enum" in held:
        return " or ".join(f"`{each}`" for each in held["enum"])
    if _points(held):
        return "mapping, see below"
    match held.get("type"):
        case "array":
            items = held["items"]
            inner = "mappings, see below" if _points(items) else _type(items, schema)
            return f"list of {inner}"
        case "integer":
            return f"whole number, {held.get('minimum', 0)} to {held.get('maximum', 'any')}"
        case "number":
            return f"number, {held['minimum']:g} to {held['maximum']:g}"
        case "boolean":
            return "`true` or `false`"
        case "object":
            return "mapping of text to text"
    return "text"


def _points(held: dict[str, Any]) -> bool:
    return "$ref" in held or "oneOf" in held or "discriminator" in held


def _is_list(found: dict[str, Any], key: str | None) -> bool:
    return bool(found["properties"].get(key, {}).get("type") == "array")


def _first(kind: type[Manifest]) -> str:
    return (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")


def _anchor(path: str) -> str:
    """The anchor that GitHub gives a heading."""
    return "".join(each for each in path.lower().replace(" ", "-") if each.isalnum() or each in "-_")


def _locations() -> Iterator[str]:
    yield "Each offers the flavors `cpu` and `gpu`. A Location declared under one of these names replaces it."
    for cloud, rows in REGIONS.items():
        yield from ("", f"### {_CLOUDS[cloud]}", "", "| location | country | continent |", "|---|---|---|")
        for row in rows.strip().splitlines():
            spec = BUILT_IN_LOCATIONS[row.split()[0]].spec
            yield f"| `{row.split()[0]}` | `{spec.country}` | `{spec.continent}` {CONTINENTS[spec.continent]} |"


_CLOUDS = {"aws": "AWS", "gcp": "Google Cloud", "azure": "Azure"}


def main() -> None:
    """Print the reference."""
    sys.stdout.write(reference())


if __name__ == "__main__":
    main()
