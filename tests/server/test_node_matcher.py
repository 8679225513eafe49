from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from xds_server.protocol import Node
from xds_server.server.node_matcher import UnsupportedMatcherError, match_nodes
from xds_server.wire import descriptor_pool, message_class

NODES = [
    Node("edge-eu-1", metadata={"rack": {"row": 3.0, "name": "r3"}, "tags": ["blue", "new"], "spare": False}),
    Node("edge-us-1", metadata={"rack": {"row": 4.0}, "nothing": None, "spare": True}),
    Node("core", metadata={}),
]


def matched(*matchers: dict[str, Any]) -> list[str]:
    pool = descriptor_pool()
    messages = [
        ParseDict(each, message_class("envoy.type.matcher.v3.NodeMatcher")(), descriptor_pool=pool)
        for each in matchers
    ]
    found = match_nodes(messages)
    return [node.id for node in NODES if found(node)]


EU, US, CORE = [node.id for node in NODES]


@pytest.mark.parametrize(
    ("matcher", "wanted"),
    [
        ({"exact": CORE}, [CORE]),
        ({"exact": "CORE"}, []),
        ({"exact": "CORE", "ignore_case": True}, [CORE]),
        ({"prefix": "edge-"}, [EU, US]),
        ({"suffix": "-1"}, [EU, US]),
        ({"contains": "-eu-"}, [EU]),
        ({"safe_regex": {"regex": r"edge-[a-z]{2}-\d+"}}, [EU, US]),
        ({"safe_regex": {"regex": "edge"}}, []),
        ({"safe_regex": {"regex": "(core|edge-eu-.*)"}}, [EU, CORE]),
        ({"safe_regex": {"regex": r"[)*+?{]*core"}}, [CORE]),
    ],
)
def test_P2_node_ids(matcher: dict[str, Any], wanted: list[str]) -> None:
    assert matched({"node_id": matcher}) == wanted


def path(*keys: str) -> list[dict[str, str]]:
    return [{"key": key} for key in keys]


@pytest.mark.parametrize(
    ("keys", "value", "wanted"),
    [
        (["rack", "name"], {"string_match": {"prefix": "r"}}, [EU]),
        (["rack", "row"], {"double_match": {"exact": 4}}, [US]),
        (["rack", "row"], {"double_match": {"range": {"start": 3, "end": 4}}}, [EU]),
        (["spare"], {"bool_match": True}, [US]),
        (["spare"], {"present_match": True}, [EU, US]),
        (["nothing"], {"null_match": {}}, [US]),
        (["tags"], {"list_match": {"one_of": {"string_match": {"exact": "new"}}}}, [EU]),
        (
            ["rack", "row"],
            {
                "or_match": {
                    "value_matchers": [{"double_match": {"exact": 3}}, {"double_match": {"exact": 4}}]
                }
            },
            [EU, US],
        ),
        (["tags", "blue"], {"present_match": True}, []),
    ],
)
def test_P2_node_metadata(keys: list[str], value: dict[str, Any], wanted: list[str]) -> None:
    assert matched({"node_metadatas": [{"path": path(*keys), "value": value}]}) == wanted


def test_P2_one_matcher_wants_all_of_its_parts_and_several_any() -> None:
    spare = {"path": path("spare"), "value": {"present_match": True}}
    assert matched({"node_id": {"suffix": "us-1"}, "node_metadatas": [spare]}) == [US]
    assert matched({"node_id": {"exact": EU}}, {"node_id": {"exact": CORE}}) == [EU, CORE]
    assert matched() == [EU, US, CORE]


@pytest.mark.parametrize("expression", ["(a+)+", "(?=a)", r"(a)\1", "a*a*a*a*a", "(a|aa){5}", "("])
def test_P2_an_expression_that_could_take_long_is_refused_in_words(expression: str) -> None:
    with pytest.raises(UnsupportedMatcherError, match="expression"):
        matched({"node_id": {"safe_regex": {"regex": expression}}})


@pytest.mark.parametrize(
    ("matcher", "words"),
    [
        ({"node_id": {}}, "of kind none is not supported; use exact"),
        ({"node_id": {"custom": {"name": "mine"}}}, "of kind custom is not supported"),
        ({"node_metadatas": [{"path": path("a")}]}, "must say what value"),
    ],
)
def test_P2_what_is_not_supported_is_said(matcher: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedMatcherError, match=words):
        matched(matcher)


@pytest.mark.parametrize("pattern", ["a{99999999999}", "(" * 5000])
def test_P2_an_expression_too_large_for_the_engine_is_refused_with_words(pattern: str) -> None:
    with pytest.raises(UnsupportedMatcherError, match="no regular expression"):
        matched({"node_id": {"safe_regex": {"regex": pattern}}})
