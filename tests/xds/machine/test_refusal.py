from __future__ import annotations

import pytest

from xds_server.protocol.refusal import clean, culprits


def test_D5_debug_markers_and_blanks_are_taken_out() -> None:
    one = 'Proto constraint validation failed: goo.gle/debugonly  name: "a"   ports {\n  goo.gle/debugproto }'
    two = 'Proto constraint validation failed:  goo.gle/debugproto name:  "a" ports { }'
    assert clean(one) == clean(two) == 'Proto constraint validation failed: name: "a" ports { }'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Error adding/updating cluster(s) acme/llama/v1: no such thing", {"acme/llama/v1"}),
        ("cluster 'acme/llama/v10' is bad", {"acme/llama/v10"}),
        ("listener: edge.", {"edge"}),
        ("edge.internal is bad", set()),
        ("a bad thing", set()),
        ("", set()),
    ],
)
def test_D12_culprits_are_whole_names(text: str, expected: set[str]) -> None:
    assert culprits(text, ["acme/llama/v1", "acme/llama/v10", "edge", ""]) == expected
