"""Policies that a source publishes: how they combine with the workspace's own, and what becomes of them over time."""

from __future__ import annotations

import pytest

from tests.graph import world as w
from xds_server.graph import NOTHING, Builder, Built, Endpoint, Hold
from xds_server.policy import DEVELOPMENT_JWKS, LoadCache, load

URL = "https://governance.example.com/policies.yaml"
OTHER = "https://law.example.com/policies.yaml"
SOURCE = w.manifest("PolicySource", "governance", {"url": URL})
EU, NA, FR = ("continent", "eu"), ("continent", "na"), ("country", "fr")
PLACES = ("eu-west-3", "eu-central-1", "us-east-1")


def published(*policies: w.Manifest) -> bytes:
    for each in policies:
        each["metadata"].pop("workspace")
    return w.write(*policies).encode()


def model(
    name: str = "llama", *policies: str, places: tuple[str, ...] = PLACES, within: str = "acme"
) -> w.Manifest:
    backends = [w.backend(each) for each in places]
    return w.model(name, w.deployment(w.revision("v1", *backends), policies=policies), within=within)


class Site:
    """A site that follows its own files and what is published."""

    def __init__(self) -> None:
        self._cache, self._builder = LoadCache(), Builder()

    def build(
        self,
        *manifests: w.Manifest,
        unfetched: str | None = None,
        hold: Hold = NOTHING,
        **documents: bytes | None,
    ) -> Built:
        urls = {"governance": URL, "law": OTHER}
        attached = {urls[name]: each for name, each in documents.items() if each is not None}
        text = w.write(*w.FLEET, *manifests)
        why = {} if unfetched is None else {URL: unfetched}
        loaded = load({"all.yaml": text}, {DEVELOPMENT_JWKS: w.JWKS, **attached}, self._cache, unfetched=why)
        return self._builder.build(loaded, hold)


def used(built: Built, path: str = "acme/models/llama") -> list[str]:
    return w.used(built.graph, path)


def codes(built: Built) -> list[str]:
    return [each.code for each in built.errors]


def found(built: Built, name: str) -> Endpoint:
    return w.endpoint(built.graph, f"acme/models/{name}")


@pytest.mark.parametrize("point", ["environment", "deployment"])
def test_policies_of_the_site_cannot_widen_what_is_published(point: str) -> None:
    names = ("anywhere", "governance/europe")
    site = (SOURCE, w.workspace(), w.places("anywhere", EU, NA))
    attached = (
        [w.environment("production", *names), model()] if point == "environment" else [model("llama", *names)]
    )
    built = Site().build(*site, *attached, governance=published(w.places("europe", EU)))
    assert built.diagnostics == ()
    assert used(built) == ["eu-west-3", "eu-central-1"]


def test_policies_of_one_source_add_up_and_those_of_two_must_both_allow() -> None:
    law = w.manifest("PolicySource", "law", {"url": OTHER})
    site = (SOURCE, law, w.workspace())
    documents = {
        "governance": published(w.places("france", FR), w.places("america", NA)),
        "law": published(w.places("europe", EU)),
    }
    one = Site().build(*site, model("llama", "governance/france", "governance/america"), **documents)
    assert used(one) == ["eu-west-3", "us-east-1"]
    both = ("governance/france", "law/europe", "governance/america")
    assert used(Site().build(*site, model("llama", *both), **documents)) == ["eu-west-3"]


def test_a_policy_of_the_same_name_is_another() -> None:
    site = (SOURCE, w.workspace(), w.places("europe", NA))
    document = published(w.places("europe", EU))
    assert used(Site().build(*site, model("llama", "europe"), governance=document)) == ["us-east-1"]
    assert (
        used(Site().build(*site, model("llama", "governance/europe"), governance=document))[0] == "eu-west-3"
    )


def test_what_it_says_nothing_of_is_not_bound() -> None:
    document = published(w.places("europe", EU, resourceTypes=["agent"]))
    built = Site().build(SOURCE, w.workspace(), model("llama", "governance/europe"), governance=document)
    assert used(built) == list(PLACES)


def test_a_change_reaches_those_that_attach_it_and_no_others() -> None:
    site = Site()
    manifests = (
        SOURCE,
        w.workspace(),
        w.environment("staging", "governance/europe"),
        model("bound", "governance/europe"),
        model("other", "governance/gpus", places=("eu-west-3",)),
        model("free"),
        w.model("staged", w.deployment(w.revision("v1", w.backend("eu-west-3")), to="staging")),
    )
    on_any = w.flavors("gpus", {"type": "gpu"}, resourceTypes=["agent"])
    before = site.build(*manifests, governance=published(w.places("europe", EU), on_any))
    on_any = w.flavors("gpus", {"type": "gpu"}, resourceTypes=["agent"])
    after = site.build(*manifests, governance=published(w.places("europe", FR), on_any))
    assert before.errors == after.errors == ()
    assert used(after, "acme/models/bound") == ["eu-west-3"]
    same = {
        name for name in ("bound", "other", "free", "staged") if found(before, name) is found(after, name)
    }
    assert same == {"other", "free"}


def test_what_was_never_fetched_refuses_those_that_attach_it_and_says_why() -> None:
    site = Site()
    manifests = (
        SOURCE,
        w.workspace(),
        model("llama", "governance/europe"),
        w.workspace("beta"),
        model(within="beta"),
    )
    built = site.build(*manifests, unfetched="it answers 503")
    [error] = built.errors
    assert error.code == "unfetched-source"
    assert "`governance`" in error.message
    assert "it answers 503" in error.message
    assert URL in error.message
    assert built.kept == {"acme"}
    assert set(built.graph.endpoints) == {"beta/models/llama"}
    # The reason may become another one, and then the document comes.
    [error] = site.build(*manifests, unfetched="no route to host").errors
    assert "no route to host" in error.message
    assert used(site.build(*manifests, governance=published(w.places("europe", EU)))) == [
        "eu-west-3",
        "eu-central-1",
    ]


def test_a_source_that_is_declared_later_is_found() -> None:
    site, document = Site(), published(w.places("europe", EU))
    rest = (w.workspace(), model("llama", "governance/europe"))
    assert codes(site.build(*rest)) == ["unknown-source"]
    assert codes(site.build(SOURCE, *rest)) == ["unfetched-source"]
    assert codes(site.build(SOURCE, *rest, governance=document)) == []


def test_a_publication_with_a_mistake_is_none() -> None:
    [error] = (
        Site().build(SOURCE, w.workspace(), model("llama", "governance/europe"), governance=b"x: [").errors
    )
    assert error.code == "unfetched-source"
    assert f"{URL}:2:1: error[syntax]" in error.message


def test_a_place_taken_back_is_out_also_where_none_is_left() -> None:
    site = Site()
    only = model("only", "governance/europe", places=("eu-central-1",))
    manifests = (SOURCE, w.workspace(), model("llama", "governance/europe"), only)
    assert site.build(*manifests, governance=published(w.places("europe", EU))).errors == ()
    built = site.build(*manifests, governance=published(w.places("europe", FR)))
    [error] = built.errors
    assert error.code == "no-allowed-place"
    assert f"governance/europe at {URL}:1" in error.message
    assert used(built) == ["eu-west-3"]
    assert used(built, "acme/models/only") == []
    # A workspace that is kept gains nothing.
    later = site.build(*manifests, governance=published(w.places("europe", FR, NA)))
    assert codes(later) == ["no-allowed-place"]
    assert used(later) == ["eu-west-3"]
    mended = site.build(*manifests, governance=published(w.places("europe", EU)))
    assert mended.errors == ()
    assert used(mended, "acme/models/only") == ["eu-central-1"]


def test_a_policy_that_is_published_no_more_stays_as_it_was() -> None:
    site = Site()
    manifests = (SOURCE, w.workspace(), model("llama", "governance/europe"))
    site.build(*manifests, governance=published(w.places("europe", EU), w.places("more", NA)))
    built = site.build(*manifests, governance=published(w.places("europa", EU)))
    [error] = built.errors
    assert error.code == "unpublished-policy"
    assert error.hint == "did you mean `governance/europa`?"
    assert used(built) == ["eu-west-3", "eu-central-1"]
    gone = site.build(w.workspace(), model("llama", "governance/europe"))
    assert codes(gone) == ["unknown-source"]
    assert used(gone) == ["eu-west-3", "eu-central-1"]


def test_what_is_kept_is_held_to_what_is_published_today() -> None:
    site = Site()
    manifests = (SOURCE, w.workspace(), model("llama", "governance/europe"))
    site.build(*manifests, governance=published(w.places("europe", EU)))
    broken = (*manifests, model("other", "nothing-like-it"))
    built = site.build(*broken, governance=published(w.places("europe", FR)))
    assert codes(built) == ["unknown-policy"]
    assert used(built) == ["eu-west-3"]
    again = site.build(*broken, governance=published(w.places("europe", FR)))
    assert found(again, "llama") is found(built, "llama")


def test_what_is_kept_is_held_to_a_policy_that_said_nothing_of_it_before() -> None:
    site = Site()
    manifests = (SOURCE, w.workspace(), model("llama", "governance/europe"))
    agents = published(w.places("europe", EU, resourceTypes=["agent"]))
    assert used(site.build(*manifests, governance=agents)) == list(PLACES)
    broken = (*manifests, model("other", "nothing-like-it"))
    built = site.build(*broken, governance=published(w.places("europe", EU)))
    assert built.kept == {"acme"}
    assert used(built) == ["eu-west-3", "eu-central-1"]
    # Nor is it forgotten while it says nothing of it.
    assert used(site.build(*broken, governance=agents)) == ["eu-west-3", "eu-central-1"]
    assert used(site.build(*broken, governance=published(w.places("europe", FR)))) == ["eu-west-3"]


def test_a_broken_fleet_is_held_to_what_is_published_today() -> None:
    site = Site()
    manifests = (SOURCE, w.workspace(), model("llama", "governance/europe"))
    site.build(*manifests, governance=published(w.places("europe", EU)))
    broken = w.manifest("Gateway", "second", {"listeners": []})
    built = site.build(*manifests, broken, governance=published(w.places("europe", FR)))
    assert built.fleet_kept
    assert used(built) == ["eu-west-3"]


@pytest.mark.parametrize(
    "source",
    [
        w.manifest("PolicySource", "governance", {"url": URL, "every": "0.1s"}),
        w.manifest("PolicySource", "governance", {"url": URL, "tokenFile": "secrets/gone"}),
        w.manifest("PolicySource", "governance", {"url": URL, "every": "30s", "colour": "red"}),
    ],
    ids=["duration", "no-token", "unknown-key"],
)
def test_a_mistake_in_the_source_itself_keeps_no_place_that_is_taken_back(source: w.Manifest) -> None:
    site = Site()
    rest = (w.workspace(), model("llama", "governance/europe"))
    site.build(SOURCE, *rest, governance=published(w.places("europe", EU)))
    built = site.build(source, *rest, governance=published(w.places("europe", FR)))
    assert built.fleet_kept
    assert used(built) == ["eu-west-3"]
    # What is published with a mistake is nothing to go by.
    assert used(site.build(source, *rest, governance=b"x: [")) == ["eu-west-3"]
    assert used(site.build(SOURCE, *rest, governance=published(w.places("europe", EU)))) == [
        "eu-west-3",
        "eu-central-1",
    ]


def test_a_hold_keeps_no_place_that_is_taken_back() -> None:
    site = Site()
    rest = (w.workspace(), model("llama", "governance/europe"))
    site.build(SOURCE, *rest, governance=published(w.places("europe", EU)))
    hold = Hold(frozenset({"acme"}))
    built = site.build(*rest, hold=hold, governance=published(w.places("europe", FR)))
    assert built.held
    assert used(built) == ["eu-west-3"]


def test_a_draft_is_told_of_references_too() -> None:
    broken = model("llama", "governance/nothing-like-it")
    broken["spec"]["colour"] = "red"
    built = Site().build(SOURCE, w.workspace(), broken, governance=published(w.places("europe", EU)))
    assert sorted(codes(built)) == ["unknown-key", "unpublished-policy"]
