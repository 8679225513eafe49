"""Where a deployment may run: union within an attachment point, intersection across points and aspects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_server.graph import Allowance, Attachment, Flavor, Place, Placement

PARIS = Place("eu-west-3", "eu-west-3", "fr", "eu", 48.9, 2.4, ())
DUBLIN = Place("eu-west-1", "eu-west-1", "ie", "eu", 53.4, -6.3, ())
VIRGINIA = Place("us-east-1", "us-east-1", "us", "na", 39.0, -77.5, ())
TOKYO = Place("ap-northeast-1", "ap-northeast-1", "jp", "as", 35.7, 139.7, ())
PLACES = (PARIS, DUBLIN, VIRGINIA, TOKYO)

CPU, A100, H100 = Flavor("cpu", "cpu"), Flavor("a100", "gpu"), Flavor("h100", "gpu")

Choice = tuple[str, str | None]


def where(*choices: Choice, name: str = "p") -> Allowance:
    return Allowance(name, "location", frozenset(choices), "acme.yaml:1")


def hardware(*choices: Choice, name: str = "f") -> Allowance:
    return Allowance(name, "flavor", frozenset(choices), "acme.yaml:1")


def placement(*points: tuple[Allowance, ...]) -> Placement:
    names = ("environment production", "the deployment")
    return Placement(tuple(Attachment(name, each) for name, each in zip(names, points, strict=False) if each))


EU, FR, US = ("continent", "eu"), ("country", "fr"), ("country", "us")
DUBLIN_ITSELF = ("location", "eu-west-1")


@pytest.mark.parametrize(
    ("points", "allowed"),
    [
        pytest.param((), "PDVT", id="no policy allows everything"),
        pytest.param(((where(EU),),), "PD", id="continent"),
        pytest.param(((where(FR),),), "P", id="country"),
        pytest.param(((where(DUBLIN_ITSELF),),), "D", id="location"),
        pytest.param(((where(FR, US),),), "PV", id="entries of a policy add up"),
        pytest.param(((where(FR), where(US)),), "PV", id="policies of a point add up"),
        pytest.param(((where(EU),), (where(FR, US),)), "P", id="points must both allow"),
        pytest.param(((where(EU),), ()), "PD", id="a point without policies allows everything"),
        pytest.param(((), (where(US),)), "V", id="the deployment alone may narrow"),
        pytest.param(((where(EU),), (where(US),)), "", id="nothing in common is nothing"),
        pytest.param(((where(("location", "eu")),),), "", id="a name of another type is another name"),
    ],
)
def test_places(points: tuple[tuple[Allowance, ...], ...], allowed: str) -> None:
    bound = placement(*points)
    letters = dict(zip("PDVT", PLACES, strict=True))
    assert {letter for letter, place in letters.items() if bound.admits(place, None)} == set(allowed)


@pytest.mark.parametrize(
    ("points", "allowed"),
    [
        pytest.param((), {None, CPU, A100, H100}, id="no policy allows everything"),
        pytest.param(((hardware(("gpu", None)),),), {A100, H100}, id="a type"),
        pytest.param(((hardware(("gpu", "a100")),),), {A100}, id="one flavor of a type"),
        pytest.param(((hardware(("cpu", "a100")),),), set(), id="the type is part of it"),
        pytest.param(
            ((hardware(("gpu", "a100")), hardware(("cpu", None))),), {A100, CPU}, id="policies add up"
        ),
        pytest.param(
            ((hardware(("gpu", None)),), (hardware(("gpu", "h100"), ("cpu", None)),)),
            {H100},
            id="points must both allow",
        ),
    ],
)
def test_hardware(points: tuple[tuple[Allowance, ...], ...], allowed: set[Flavor | None]) -> None:
    bound = placement(*points)
    assert {each for each in (None, CPU, A100, H100) if bound.admits(PARIS, each)} == allowed


def test_aspects_must_all_allow_and_do_not_add_up() -> None:
    bound = placement((where(EU), hardware(("gpu", None))))
    assert bound.admits(PARIS, A100)
    assert not bound.admits(VIRGINIA, A100)
    assert not bound.admits(PARIS, CPU)
    assert {removal.aspect for removal in bound.find_removals(VIRGINIA, CPU)} == {"location", "flavor"}


def test_each_removal_names_its_point_and_all_policies_that_could_have_allowed() -> None:
    bound = placement((where(EU, name="eu-only"),), (where(FR, name="paris"), where(US, name="us")))
    [removal] = bound.find_removals(DUBLIN, None)
    assert (removal.point, [each.policy for each in removal.policies]) == ("the deployment", ["paris", "us"])
    assert str(removal) == (
        "not allowed by the location policies of the deployment: paris (acme.yaml:1), us (acme.yaml:1)"
    )
    assert [each.point for each in bound.find_removals(TOKYO, None)] == [
        "environment production",
        "the deployment",
    ]


choices = st.one_of(
    st.tuples(st.just("continent"), st.sampled_from(["eu", "na", "as"])),
    st.tuples(st.just("country"), st.sampled_from(["fr", "ie", "us", "jp"])),
    st.tuples(st.just("location"), st.sampled_from([place.name for place in PLACES])),
)
kinds = st.tuples(st.sampled_from(["cpu", "gpu"]), st.sampled_from([None, "cpu", "a100", "h100"]))
policies = st.one_of(
    st.frozensets(choices, min_size=1).map(lambda each: Allowance("p", "location", each, "")),
    st.frozensets(kinds, min_size=1).map(lambda each: Allowance("f", "flavor", each, "")),
)
points = st.lists(policies, max_size=4).map(tuple)
place = st.sampled_from(PLACES)
flavor = st.sampled_from([None, CPU, A100, H100])


@given(points, points, place, flavor)
def test_a_deployment_never_widens_its_environment(
    outer: tuple[Allowance, ...], inner: tuple[Allowance, ...], place: Place, flavor: Flavor | None
) -> None:
    both = placement(outer, inner)
    assert both.admits(place, flavor) == (
        Placement((Attachment("e", outer),)).admits(place, flavor)
        and Placement((Attachment("d", inner),)).admits(place, flavor)
    )


@given(points, policies, place, flavor)
def test_a_further_policy_of_the_same_aspect_and_point_never_takes_away(
    those: tuple[Allowance, ...], further: Allowance, place: Place, flavor: Flavor | None
) -> None:
    there_was_one = any(each.aspect == further.aspect for each in those)
    if there_was_one and placement(those).admits(place, flavor):
        assert placement((*those, further)).admits(place, flavor)


@given(points, place, flavor)
def test_admitted_is_exactly_without_a_reason_against(
    those: tuple[Allowance, ...], place: Place, flavor: Flavor | None
) -> None:
    expected = all(
        not (mine := [each for each in those if each.aspect == aspect])
        or any(each.admits(place, flavor) for each in mine)
        for aspect in ("location", "flavor")
    )
    assert placement(those).admits(place, flavor) is expected
    assert bool(placement(those).find_removals(place, flavor)) is not expected
