"""What Envoy releases can't take of what the newest is sent, and since when they can.

Measured with the real Envoys 1.36 to 1.40. Everything else that is compiled, they all take in the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Feature(Enum):
    """Something of Envoy that not all releases have."""

    CEL_STRINGS = "cel-strings"
    """`split` in a CEL condition: `cel_config` of an RBAC policy. An older Envoy does not know the field, and refuses
    the filter: "No overload found in reference resolve step for split".
    https://www.envoyproxy.io/docs/envoy/latest/version_history/v1.37/v1.37.0"""


SINCE: Final[Mapping[Feature, tuple[int, int]]] = {Feature.CEL_STRINGS: (1, 37)}
"""The first release that has it."""


def find_lacking(release: tuple[int, int] | None) -> frozenset[Feature]:
    """What a release lacks; `None` (no Envoy, or one that does not say) is taken for the newest."""
    return frozenset(feature for feature, since in SINCE.items() if release is not None and release < since)


_FETCHES_SINCE: Final = (1, 40)


def can_fetch(release: tuple[int, int] | None) -> bool:
    """Whether a release can fetch models with their first request; `None` as for ``find_lacking``.

    Up to 1.39 a request that waited for its route begins anew when it is there, and goes through all filters once more:
    the token, which the first time was checked and taken out, is missing then, and the answer is 401.
    """
    return release is None or release >= _FETCHES_SINCE
