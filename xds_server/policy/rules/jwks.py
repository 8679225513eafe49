"""Key sets: JSON Web Keys that an issuer may publish. Spec: https://www.rfc-editor.org/rfc/rfc7517"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth")
_NEEDED = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


def jwks_problems(value: Any) -> Iterator[tuple[int | None, str]]:
    """What is wrong with a key set: the index of the key, or None for the whole, and the words for it."""
    if not isinstance(value, dict) or not isinstance(value.get("keys"), list | tuple):
        yield None, 'is not a key set: a mapping with a list of "keys"'
        return
    if not value["keys"]:
        yield None, "holds no key"
    seen = set()
    for index, key in enumerate(value["keys"]):
        for problem in _key_problems(key):
            yield index, problem
        identity = key.get("kid") if isinstance(key, dict) else None
        if isinstance(identity, str):
            if identity in seen:
                yield index, f'has two keys with the "kid" {identity}'
            seen.add(identity)


def jwks_file_problem(content: bytes) -> str | None:
    """The first thing wrong with a file that should hold a key set, or None."""
    try:
        value = json.loads(content.decode())  # Envoy reads UTF-8 only, and no byte order mark
    except (ValueError, RecursionError):
        return "is not JSON"
    for index, problem in jwks_problems(value):
        return problem if index is None else f"{problem} (key {index + 1})"
    return None


def _key_problems(key: Any) -> Iterator[str]:
    if not isinstance(key, dict):
        yield "holds a key that is not a mapping"
        return
    kind = key.get("kty")
    if kind == "oct":
        yield "holds a shared secret (kty oct); every Envoy could sign with it"
    elif any(member in key for member in _PRIVATE):
        yield "holds a private key; publish the public part only"
    elif not isinstance(kind, str) or kind not in _NEEDED:
        yield f'holds a key whose "kty" is not one of {", ".join(sorted(_NEEDED))}'
    else:
        for member in _NEEDED[kind]:
            if not isinstance(key.get(member), str):
                yield f'holds a key of kty {kind} without "{member}"'
