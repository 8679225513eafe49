"""What makes no manifest: what it may have been, as far as the text tells."""

from __future__ import annotations

import pytest

from xds_server.policy import Draft, load

_HEAD = "apiVersion: fairlead/v1\n"


def _draft(text: str) -> Draft:
    (draft,) = load({"a.yaml": text}, {}).broken
    return draft


@pytest.mark.parametrize(
    ("text", "key", "may"),
    [
        ("kind: Policy\nmetadata: {name: eu, workspace: acme}\nspec: 1\n", ("Policy", "acme", "eu"), True),
        ("kind: Policy\nmetadata: {name: eu, workspace: acme}\nspec: 1\n", ("Policy", "acme", "us"), False),
        ("kind: Policy\nmetadata: {name: eu, workspace: acme}\nspec: 1\n", ("Policy", "globex", "eu"), False),
        (
            "kind: Policy\nmetadata: {name: eu, workspace: acme}\nspec: 1\n",
            ("Environment", "acme", "eu"),
            False,
        ),
        ("kind: polcy\nmetadata: {name: eu, workspace: acme}\n", ("Policy", "acme", "eu"), True),
        ("kind: Zebra\nmetadata: {name: eu, workspace: acme}\n", ("Policy", "acme", "eu"), True),
        ("kind: Zebra\nmetadata: {name: eu, workspace: acme}\n", ("Issuer", None, "eu"), False),
        ("kind: Policy\nmetadata: {name: eu}\n", ("Policy", "acme", "eu"), True),
        ("kind: Policy\nmetadata: {workspace: acme}\n", ("Policy", "acme", "eu"), False),
        ("kind: Issuer\nmetadata: {name: dev}\n", ("Issuer", None, "dev"), True),
        ("kind: Issuer\nmetadata: {name: dev}\n", ("Location", None, "dev"), False),
        ("kind: Workspace\nmetadata: {name: acme}\n", ("Workspace", None, "acme"), True),
        ("kind: Workspace\nmetadata: {name: acme}\n", ("Workspace", None, "globex"), False),
        ("kind: Issuer\nmetadata: {name: dev\n", ("Issuer", None, "dev"), True),
        ("kind: Issuer\nmetadata: {name: dev\n", ("Policy", "acme", "dev"), False),
        ("kind: Policy\nmetadata: {name: eu, workspace: acme\n", ("Policy", "acme", "eu"), True),
        ("kind: Policy\nmetadata: {name: eu, workspace: acme\n", ("Policy", "globex", "eu"), False),
        (
            "kind: Policy\nmetadata: {name: eu, workspace: acme}\nmetadata: {name: us, workspace: acme}\n",
            ("Policy", "acme", "us"),
            True,
        ),
        (
            "kind: Policy\nmetadata: {name: eu, workspace: acme}\nkind: Environment\n"
            "metadata: {name: test, workspace: acme}\n",
            ("Environment", "acme", "test"),
            True,
        ),
    ],
)
def test_may_declare(text: str, key: tuple[str, str | None, str], may: bool) -> None:
    assert _draft(_HEAD + text).may_declare(*key) is may


def test_a_good_manifest_is_no_draft_and_a_warning_makes_none() -> None:
    assert load({"a.yaml": "# nothing\n"}, {}).broken == ()


def test_a_file_that_cannot_be_read_may_declare_anything_unless_its_name_says_otherwise() -> None:
    (draft,) = load({}, {}, unreadable={"a.yaml": "denied", "a.crt": "denied"}).broken
    assert draft.may_declare("Policy", "acme", "eu")
    assert draft.may_declare("Issuer", None, "dev")
