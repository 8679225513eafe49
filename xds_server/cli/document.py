"""Structured data on stdout, in the format that ``-o`` asks for."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

from xds_server.cli.terminal import put


class Format(StrEnum):
    """How structured data is written."""

    YAML = "yaml"
    JSON = "json"


def put_document(data: Any, form: Format) -> None:
    """Write JSON-like data to stdout, in the order it is in."""
    if form is Format.JSON:
        put(json.dumps(data, indent=2, ensure_ascii=False))
        return
    import yaml

    plain = json.loads(json.dumps(data))  # protobuf hands out dictionaries of its own, which YAML won't write
    put(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120).rstrip("\n"))
