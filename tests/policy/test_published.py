"""What is read of a publication, and what its author is told, word for word (`--update-goldens` writes it anew)."""

from __future__ import annotations

from pathlib import Path

import pytest

from xds_server.policy import AllowedFlavor, FlavorPolicy, LocationPolicy, load, read_publication

URL = "https://governance.example.com/policies.yaml"
_CASES = Path(__file__).parent / "publications"


def document(name: str, continent: str = "eu") -> bytes:
    return (
        f"apiVersion: fairlead/v1\nkind: Policy\nmetadata: {{name: {name}}}\n"
        f"spec: {{type: location, locations: [{{type: continent, name: {continent}}}]}}\n"
    ).encode()


@pytest.mark.parametrize("case", sorted(path.name for path in _CASES.iterdir()))
def test_diagnostics_of(case: str, update_goldens: bool) -> None:
    golden = _CASES / case / "diagnostics.txt"
    publication = read_publication(URL, (_CASES / case / "published.yaml").read_bytes())
    told = "".join(f"{each}\n" for each in publication.diagnostics)
    if update_goldens:
        golden.write_text(told)
    assert told == golden.read_text()
    assert (publication.error is None) is (case == "good")


def test_a_mistake_in_a_publication_breaks_nobody() -> None:
    for case in _CASES.iterdir():
        for each in read_publication(URL, (case / "published.yaml").read_bytes()).diagnostics:
            assert not each.breaks_fleet
            assert not each.breaks("acme")


def test_policies_are_read_with_their_places() -> None:
    publication = read_publication(URL, (_CASES / "good" / "published.yaml").read_bytes())
    assert list(publication.policies) == ["europe", "gpus"]
    europe, gpus = publication.policies.values()
    assert isinstance(europe.spec, LocationPolicy)
    assert isinstance(gpus.spec, FlavorPolicy)
    assert gpus.spec.flavors == (AllowedFlavor(type="gpu"),)
    assert europe.metadata.labels == {"owner": "governance"}
    assert str(europe.locate(("spec", "locations", 0, "name"))) == f"{URL}:4:60"
    assert str(gpus.origin) == f"{URL}:7"
    assert europe.title == "Policy europe"


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [(b"", b"", 2), (b"\xef\xbb\xbf", b"", 2), (b"", b"\r\n", 2)],
    ids=["plain", "byte order mark", "line ends of another system"],
)
def test_any_text_is_read_as_a_file_would_be(before: bytes, after: bytes, line: int) -> None:
    text = before + document("europe").replace(b"kind: Policy", b"kind: Policies") + after
    if after:
        text = text.replace(b"\n", b"\r\n")
    [found] = read_publication(URL, text).diagnostics
    assert (found.code, found.position.line) == ("unknown-kind", line)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"\x00", b"a: \xc3(", b"[" * 5000, b"&a [*a]", b"\n\n---\n---\n"]
)
def test_no_content_makes_it_raise(content: bytes) -> None:
    publication = read_publication(URL, content)
    assert publication.error is not None
    assert publication.policies == {}


def test_publications_are_told_apart_by_their_bytes() -> None:
    one, same, other = (read_publication(URL, document("europe", each)) for each in ("eu", "eu", "na"))
    assert one == same
    assert one != other


def test_what_is_published_is_no_file_of_the_folder() -> None:
    source = f"apiVersion: fairlead/v1\nkind: PolicySource\nmetadata: {{name: governance}}\nspec: {{url: '{URL}'}}\n"
    published = document("europe")
    loaded = load({"a.yaml": source}, {URL: published, "b.json": b"{}"})
    assert loaded.diagnostics == ()
    [manifest] = loaded.manifests
    assert loaded.files == {"b.json": b"{}"}
    found = loaded.publication(manifest)  # type: ignore[arg-type]
    assert found is read_publication(URL, published)
    assert load({"a.yaml": source}, {}).publication(manifest) is None  # type: ignore[arg-type]


def test_a_file_name_that_looks_like_a_url_leads_to_no_publication() -> None:
    text = (
        "apiVersion: fairlead/v1\nkind: Issuer\nmetadata: {name: a}\n"
        f"spec: {{issuer: a, audiences: [b], jwks: {{file: '{URL}'}}}}\n"
    )
    [found] = load({"a.yaml": text}, {URL: b'{"keys": []}'}).diagnostics
    assert found.code == "missing-file"


def test_the_last_two_documents_of_a_url_are_read_once_each() -> None:
    texts = [document("europe", each) for each in ("eu", "na", "as")]
    url = "https://often.test"
    first, second = (read_publication(url, each) for each in texts[:2])
    assert read_publication(url, texts[0]) is first
    assert read_publication(url, texts[1]) is second
    read_publication(url, texts[2])
    assert read_publication(url, texts[1]) is second
    again = read_publication(url, texts[0])
    assert again == first
    assert again is not first
