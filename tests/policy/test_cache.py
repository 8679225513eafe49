"""What one load leaves for the next: nothing that has not changed is made again."""

from __future__ import annotations

from xds_server.policy import EVERYTHING, LoadCache, load


def _environment(name: str, workspace: str = "acme") -> str:
    return f"apiVersion: fairlead/v1\nkind: Environment\nmetadata: {{name: {name}, workspace: {workspace}}}\n"


_GATEWAY = """apiVersion: fairlead/v1
kind: Gateway
metadata: {name: edge}
spec: {listeners: [{name: run, port: 10000}]}
"""


def test_manifests_of_unchanged_files_are_the_same_objects() -> None:
    cache = LoadCache()
    before = load({"a.yaml": _environment("a"), "b.yaml": _environment("b")}, {}, cache).manifests
    after = load({"a.yaml": _environment("a"), "b.yaml": _environment("c")}, {}, cache).manifests
    assert after[0] is before[0]
    assert after[1].name == "c"


def test_documents_that_have_not_moved_are_the_same_objects() -> None:
    cache = LoadCache()
    text = "---\n".join(map(_environment, "abc"))
    before = load({"a.yaml": text}, {}, cache).manifests
    after = load({"a.yaml": text.replace("name: c", "name: d")}, {}, cache).manifests
    assert after[0] is before[0]
    assert after[1] is before[1]
    assert after[2].name == "d"


def test_documents_that_have_moved_know_where_they_are() -> None:
    cache = LoadCache()
    text = "---\n".join(map(_environment, "ab")) + "---\nkind: [\n"
    before = load({"a.yaml": text}, {}, cache)
    after = load({"a.yaml": "# one\n# two\n---\n" + text}, {}, cache)
    assert after.manifests == before.manifests
    assert [each.origin.line for each in before.manifests] == [1, 5]
    assert [each.origin.line for each in after.manifests] == [4, 8]
    assert str(after.manifests[1].origin.locate(("metadata", "name"))) == "a.yaml:10:18"
    (earlier,), (later,) = before.diagnostics, after.diagnostics
    assert later.position.line == earlier.position.line + 3


def test_a_file_that_is_gone_is_forgotten() -> None:
    cache = LoadCache()
    load({"a.yaml": _environment("a"), "b.yaml": _environment("a")}, {}, cache)
    loaded = load({"b.yaml": _environment("a")}, {}, cache)
    assert loaded.diagnostics == ()
    assert [each.origin.file for each in loaded.manifests] == ["b.yaml"]


def test_files_are_in_order_whatever_the_order_they_come_in() -> None:
    names = [f"{number}.yaml" for number in (3, 1, 2)]
    loaded = load({name: _environment(f"e{name[0]}") for name in names}, {})
    assert [each.name for each in loaded.manifests] == ["e1", "e2", "e3"]


def test_an_emptied_file_concerns_those_who_had_manifests_in_it() -> None:
    cache = LoadCache()
    load(
        {"a.yaml": _environment("x"), "b.yaml": _environment("x", "globex"), "edge.yaml": _GATEWAY}, {}, cache
    )
    for _ in range(2):
        loaded = load({"a.yaml": "", "b.yaml": _environment("x", "globex"), "edge.yaml": "\n \n"}, {}, cache)
        empty, fleet = loaded.diagnostics
        assert (empty.code, empty.workspaces) == ("empty-file", {"acme"})
        assert (fleet.code, fleet.workspaces) == ("empty-file", None)


def test_an_emptied_file_that_held_both_concerns_everyone() -> None:
    cache = LoadCache()
    load({"a.yaml": f"{_environment('x')}---\n{_GATEWAY}"}, {}, cache)
    (empty,) = load({"a.yaml": ""}, {}, cache).diagnostics
    assert empty.workspaces == EVERYTHING


def test_a_new_empty_file_concerns_nobody_once_the_others_are_known() -> None:
    cache = LoadCache()
    load({"a.yaml": _environment("x")}, {}, cache)
    (empty,) = load({"a.yaml": _environment("x"), "b.yaml": ""}, {}, cache).diagnostics
    assert empty.workspaces == frozenset()
    assert not empty.breaks("acme")
    assert not empty.breaks_fleet


def test_attachments_are_looked_at_again_when_nothing_else_changes() -> None:
    issuer = """apiVersion: fairlead/v1
kind: Issuer
metadata: {name: corporate}
spec: {issuer: a, audiences: [x], jwks: {file: keys/jwks.json}}
"""
    good = b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "x"}]}'
    cache = LoadCache()
    files = {"set/a.yaml": issuer}
    loaded = load(files, {"set/keys/jwks.json": good}, cache)
    (manifest,) = loaded.manifests
    assert loaded.attachment(manifest, "keys/jwks.json") == good
    (missing,) = load(files, {}, cache).diagnostics
    assert missing.code == "missing-file"
    (bad,) = load(files, {"set/keys/jwks.json": b"{"}, cache).diagnostics
    assert (bad.code, str(bad.position)) == ("bad-file", "set/a.yaml:4:48")
    assert load(files, {"set/keys/jwks.json": good}, cache).diagnostics == ()


def test_an_emptied_file_of_unreadable_documents_concerns_everyone_too() -> None:
    cache = LoadCache()
    load({"a.yaml": f"{_environment('x')}---\nfoo: [\n"}, {}, cache)
    (empty,) = load({"a.yaml": ""}, {}, cache).diagnostics
    assert empty.breaks("globex")
    assert empty.breaks_fleet


def test_a_draft_that_has_moved_knows_where_it_is_misspelt_keys_and_all() -> None:
    cache = LoadCache()
    misspelt = _environment("b") + "spec: {policys: [a, b]}\n"
    text = f"{_environment('a')}---\n{misspelt}"
    (before,) = load({"a.yaml": text}, {}, cache).broken
    (same,) = load({"a.yaml": text}, {}, cache).broken
    (after,) = load({"a.yaml": "# one\n# two\n---\n" + text}, {}, cache).broken
    assert same is before
    assert after.values is before.values
    assert str(before.locate(("spec", "policies", 1))) == "a.yaml:8:21"
    assert str(after.locate(("spec", "policies", 1))) == "a.yaml:11:21"
    assert load({"a.yaml": text.replace("policys", "policies")}, {}, cache).broken == ()


def test_comments_where_manifests_were_are_as_an_empty_file_however_often_saved() -> None:
    cache = LoadCache()
    load({"a.yaml": _environment("x"), "b.yaml": "# notes"}, {}, cache)
    for text in ("# nothing", "---\n# still nothing"):
        found = load({"a.yaml": text, "b.yaml": "# notes"}, {}, cache).diagnostics
        assert [(each.code, each.position.file, each.breaks("acme")) for each in found] == [
            ("empty-file", "a.yaml", True),
            ("no-manifest", "b.yaml", False),
        ]
