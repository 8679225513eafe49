"""Where a good token leads: into the workspaces that it lists and that trust its issuer, and no further."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.e2e.stack import Stack
from tests.e2e.wire import Answer, Headers, Wire, ask, bearer

pytestmark = pytest.mark.envoy


def _faceless(answer: Answer) -> tuple[int, str, tuple[tuple[str, str], ...], bytes]:
    """An answer without what differs each time: its id and date."""
    request_id = answer.header("x-request-id")
    assert request_id
    headers = tuple((name, value) for name, value in answer.headers if name not in ("x-request-id", "date"))
    return answer.status, answer.reason, headers, answer.body.replace(request_id.encode(), b"")


def _refused(stack: Stack, port: int, paths: list[str], headers: Headers) -> set[object]:
    with stack.upstreams.watch() as seen, Wire(port) as wire:
        answers = [wire.ask(path, headers=headers) for path in paths]
    assert seen == []
    for answer in answers:
        assert (answer.status, answer.code) == (403, "FORBIDDEN")
        assert answer.json()["error"]["request_id"] == answer.header("x-request-id")
    return {_faceless(answer) for answer in answers}


def test_foreign_and_unknown_workspaces_look_the_same(stack: Stack, port: int) -> None:
    """Whatever is in them, or is not."""
    paths = [
        "/beta/models/llama",
        "/beta/models/none",
        "/beta/models/llama?environment=staging",
        "/beta/models/llama/v1/chat",
        "/beta/agents/llama",
        "/beta/nonsense",
        "/beta",
        "/nobody/models/llama",
        "/nobody/models/none/v1",
        "/nobody",
        "/void/models/llama",
        "/void",
        "/",
        "/ACME/models/llama",
        "/acme./models/llama",
        "/acm/models/llama",
        "/acmee/models/llama",
        "/*/models/llama",
    ]
    assert len(_refused(stack, port, paths, bearer(stack.acme))) == 1


@pytest.mark.parametrize(
    "upgrade",
    ["websocket", "h2c", "foo", "connect-udp", "websocket, foo", "websocket,websocket", '"websocket"'],
)
@pytest.mark.parametrize("who", ["stranger", "forger", "other"])
def test_a_wish_to_upgrade_finds_out_nothing(stack: Stack, port: int, upgrade: str, who: str) -> None:
    """Envoy refuses upgrades of its own accord before any filter, but only where there is a route."""
    credentials = {"stranger": [], "forger": bearer("a.b.c"), "other": bearer(stack.beta)}[who]
    headers = [*credentials, ("Connection", "Upgrade"), ("Upgrade", upgrade)]
    paths = [
        "/acme/models/llama",
        "/acme/models/none",
        "/nobody/models/x",
        "/acme/models/llama?environment=no",
    ]
    with stack.upstreams.watch() as seen:
        answers = [ask(port, path, headers=headers) for path in paths]
    assert seen == []
    assert len({_faceless(answer) for answer in answers}) == 1
    assert answers[0].status == (403 if who == "other" else 401)


@pytest.mark.parametrize(
    "path",
    [
        "/acme/models/none",
        "/acme/models/",
        "/acme/models",
        "/acme/",
        "/acme",
        "/acme/models/llam",
        "/acme/models/llama2/v1",
        "/acme/models/Llama",
        "/acme/models/llama.",
        "/acme/models/llama%20",
        "/acme/MODELS/llama",
        "/acme/model/llama",
        "/acme/agents/resize",
        "/acme/functions/llama",
        "/acme/agents/none",
        "/acme/functions/none",
        "/acme/models/resize",
        "/acme/models/disabled",
        "/acme/models/disabled?environment=production",
        "/acme/models/none?environment=staging",
        "/acme/nonsense/llama",
    ],
)
def test_an_unknown_model_of_ones_own_workspace_is_not_found(stack: Stack, port: int, path: str) -> None:
    with stack.upstreams.watch() as seen:
        answer = ask(port, path, "POST", bearer(stack.acme))
    assert (answer.status, answer.code) == (404, "MODEL_NOT_FOUND")
    assert answer.json()["error"]["request_id"] == answer.header("x-request-id")
    assert seen == []


def test_a_token_for_several_workspaces_opens_each(stack: Stack, port: int) -> None:
    headers = bearer(stack.issuers.main.token("other", "acme", "beta"))
    assert ask(port, "/acme/models/llama", headers=headers).json()["upstream"] in ("paris", "virginia")
    assert ask(port, "/beta/models/llama", headers=headers).json()["upstream"] == "beta"


@pytest.mark.parametrize(
    "workspaces",
    [
        None,
        "acme",
        "acme,beta",
        True,
        1,
        {},
        [],
        [""],
        {"acme": True},
        {"acme": False},
        {"list": ["acme"]},
        [["acme"]],
        [{"acme": True}],
        ["*"],
        ["acme "],
        ["ACME"],
        ["acme/models"],
        [None],
        [True],
    ],
    ids=repr,
)
def test_only_a_list_that_holds_the_workspace_opens_it(stack: Stack, port: int, workspaces: Any) -> None:
    token = stack.issuers.main.token(workspaces=workspaces)
    _refused(stack, port, ["/acme/models/llama", "/acme/models/none", "/acme"], bearer(token))


def test_the_claim_stands_where_the_issuer_says(stack: Stack, port: int) -> None:
    partner = stack.issuers.partner
    good = partner.token(workspaces=None, realm={"workspaces": ["gamma"]})
    assert ask(port, "/gamma/models/llama", headers=bearer(good)).json()["upstream"] == "gamma"
    assert ask(port, "/gamma/models/none", headers=bearer(good)).code == "MODEL_NOT_FOUND"
    for claims in (
        {"workspaces": ["gamma"]},
        {"workspaces": ["gamma"], "realm": {}},
        {"realm": ["gamma"]},
        {"realm": "gamma"},
        {"realm": {"workspaces": "gamma"}},
        {"realm": {"workspaces": {"gamma": True}}},
        {"realm.workspaces": ["gamma"]},
    ):
        _refused(
            stack, port, ["/gamma/models/llama"], bearer(partner.token(**{"workspaces": None, **claims}))
        )


def test_an_issuer_opens_only_workspaces_that_trust_it(stack: Stack, port: int) -> None:
    """Whatever its tokens say, and whether or not the model exists."""
    paths = ["/acme/models/llama", "/acme/models/none", "/beta/models/llama", "/acme", "/nobody/models/x"]
    everywhere = ["acme", "beta", "gamma", "void", "afar"]
    partner = stack.issuers.partner.token(workspaces=everywhere, realm={"workspaces": everywhere})
    unwanted = _refused(stack, port, [*paths, "/void/models/llama", "/afar/models/llama"], bearer(partner))
    main = stack.issuers.main.token(*everywhere, realm={"workspaces": everywhere})
    unwanted |= _refused(
        stack, port, ["/gamma/models/llama", "/gamma/models/none", "/void/models/llama"], bearer(main)
    )
    remote = stack.issuers.remote.token(*everywhere)
    unwanted |= _refused(stack, port, paths, bearer(remote))
    assert len(unwanted) == 1
    assert ask(port, "/afar/models/llama", headers=bearer(main)).status == 200
    assert ask(port, "/afar/models/llama", headers=bearer(remote)).status == 200


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"role": "admin", "team": {"unit": "ml"}}, 200),
        ({"role": "owner", "team": {"unit": ["web", "ml"]}}, 200),
        ({"role": ["guest", "owner"], "team": {"unit": "ml"}}, 200),
        ({"role": "admin"}, 403),
        ({"team": {"unit": "ml"}}, 403),
        ({"role": "guest", "team": {"unit": "ml"}}, 403),
        ({"role": "Admin", "team": {"unit": "ml"}}, 403),
        ({"role": "admin ", "team": {"unit": "ml"}}, 403),
        ({"role": {"admin": True}, "team": {"unit": "ml"}}, 403),
        ({"role": [["admin"]], "team": {"unit": "ml"}}, 403),
        ({"role": True, "team": {"unit": "ml"}}, 403),
        ({"role": "admin", "team": "ml"}, 403),
        ({"role": "admin", "unit": "ml"}, 403),
        ({}, 403),
    ],
    ids=str,
)
def test_a_model_can_ask_for_more(stack: Stack, port: int, claims: dict[str, Any], status: int) -> None:
    """All of its rules must hold; any member may still call the models that ask for nothing."""
    headers = bearer(stack.issuers.main.token("acme", **claims))
    answer = ask(port, "/acme/models/guarded/v1", headers=headers)
    assert (answer.status, answer.code) == (status, None if status == 200 else "FORBIDDEN")
    assert ask(port, "/acme/models/llama", headers=headers).status == 200
    with stack.upstreams.watch() as seen:
        assert ask(port, "/acme/models/sealed", headers=headers).code == "FORBIDDEN"
    assert seen == []


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("acme", 200),
        ("beta", 400),
        ("", 400),
        ("ACME", 400),
        ("acme,acme", 400),
        ("acme beta", 400),
        ("nobody", 400),
    ],
)
def test_a_header_may_repeat_the_workspace_but_not_contradict_it(
    stack: Stack, port: int, value: str, status: int
) -> None:
    headers = [*bearer(stack.issuers.main.token("acme", "beta")), ("X-Fairlead-Workspace", value)]
    with stack.upstreams.watch() as seen:
        answer = ask(port, "/acme/models/llama", headers=headers)
    assert (answer.status, answer.code) == (status, None if status == 200 else "BAD_REQUEST")
    assert [each.header("x-fairlead-workspace") for each in seen] == (["acme"] if status == 200 else [])


def test_a_contradicting_header_opens_nothing(stack: Stack, port: int) -> None:
    """With one's own workspace in the path or in the header, sent once or twice."""
    with stack.upstreams.watch() as seen:
        for path in ("/acme/models/llama", "/beta/models/llama"):
            for values in (["beta"], ["acme", "beta"], ["beta", "acme"], ["beta", "beta"]):
                headers = [*bearer(stack.acme), *(("X-Fairlead-Workspace", value) for value in values)]
                answer = ask(port, path, headers=headers)
                assert answer.status in (400, 403)
                assert answer.code in ("BAD_REQUEST", "FORBIDDEN")
    assert seen == []


def test_ids_are_ids(stack: Stack, port: int) -> None:
    ids = {ask(port, "/beta/models/x", headers=bearer(stack.acme)).header("x-request-id") for _ in range(5)}
    assert len(ids) == 5
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(each)) for each in ids)
