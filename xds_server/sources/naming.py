"""Names: which files of a folder count, and as what."""

from __future__ import annotations

import json
import posixpath

POLICY_ENDINGS = (".yaml", ".yml", ".json")
ATTACHMENT_ENDINGS = (".json", ".jwks", ".pem", ".crt", ".key")
ENDINGS = (*POLICY_ENDINGS, *ATTACHMENT_ENDINGS)

SECRETS = "secrets"
"""The folder in which files of any name may be referred to."""

SCHEMA = "schema.json"
"""The editors' schema, which may lie among the policies."""

_SWAPPED = "..data"


def is_hidden(name: str) -> bool:
    """Whether a file or folder is not for us: hidden, or an editor's own."""
    return name.startswith((".", "#", "~")) or name.endswith(("~", "#"))


def is_swapped(name: str) -> bool:
    """Whether it is the link that Kubernetes points at new content. Hidden, but everything hangs on it."""
    return name == _SWAPPED


def may_count(path: str) -> bool:
    """Whether the file at a path is read at all."""
    name = posixpath.basename(path)
    return not is_hidden(name) and (name.endswith(ENDINGS) or _is_secret(path)) and name != SCHEMA


def is_attachment(path: str) -> bool:
    """Whether policies may refer to the file at a path."""
    return path.endswith(ATTACHMENT_ENDINGS) or (_is_secret(path) and not path.endswith(POLICY_ENDINGS))


def _is_secret(path: str) -> bool:
    """Whether a file lies in a folder for secrets: there names have no endings, as Kubernetes mounts them."""
    return posixpath.basename(posixpath.dirname(path)) == SECRETS


def is_policy(name: str, text: str) -> bool:
    """Whether a file that counts holds policies. JSON does, unless it is a key set."""
    if not name.endswith(".json"):
        return name.endswith(POLICY_ENDINGS)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return True
    return not (isinstance(value, dict) and "keys" in value and "kind" not in value)
