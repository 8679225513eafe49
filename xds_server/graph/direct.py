"""Direct address: how a tester's request names a revision. The compiler writes it as routes, ``explain`` tells it."""

from __future__ import annotations

import re
from typing import Final

PARAMETER: Final = "revision"
"""The query parameter; it goes on to the model, as `environment` does."""
HEADER: Final = "x-fairlead-use-revision"
"""The header, where a query can't be changed."""

_NAMED = re.compile(rf"(?:^|&){PARAMETER}(?:=([^&]*))?(?=&|$)")
_ENCODED = re.compile(rf"(?:^|&)(?=[^=&]*%)(?:[{PARAMETER}]|%[67][0-9a-fA-F])+(?=[=&]|$)")


class AmbiguousRevisionError(ValueError):
    """A request names its revision in two ways, or in one that can be read in two."""


def find_choice(query: str, header: str | None) -> tuple[str, str] | None:
    """The revision that a request names, and where; ``None``: it names none. The value stands as it was written.

    Raises ``AmbiguousRevisionError``, as the gateways answer 400.
    """
    named = _NAMED.findall(query)
    if len(named) > 1:
        raise AmbiguousRevisionError(f"the query names `{PARAMETER}` more than once")
    if _ENCODED.search(query):
        raise AmbiguousRevisionError(f"the query holds a percent-encoded name of `{PARAMETER}`")
    if named and header is not None:
        raise AmbiguousRevisionError(f"the query and the header `{HEADER}` both name a revision")
    if named:
        return named[0], "the query"
    return None if header is None else (header, f"the header {HEADER}")
