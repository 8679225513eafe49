"""What each Envoy release does with nothing at all, and with a bad resource of each type (`faults.py`)."""

from __future__ import annotations

import pytest

from tests.matrix.faults import SPOILT, Trials

pytestmark = pytest.mark.envoy


def test_F6_a_gateway_without_models_is_live_at_once(trials: Trials) -> None:
    assert trials.empty_stalls == {}
    assert trials.empty_statuses == [404, 404]


def test_D12_D7_a_bad_resource_of_each_type_is_the_only_one_held_back(trials: Trials) -> None:
    """All else in the same change is served before it is mended: `suffer` waits for that."""
    assert {kind: each.names for kind, each in trials.refused.items()} == {
        kind: [name] for kind, name in SPOILT.items()
    }
    assert [each.others for each in trials.refused.values()] == [[]] * len(SPOILT)


def test_D9_D5_a_refusal_has_the_manifest_and_envoys_words(trials: Trials) -> None:
    origins = {kind: each.origin.rpartition("/")[2] for kind, each in trials.refused.items()}
    llama, fleet = "llama.yaml:1", "fleet.yaml:1"
    assert origins == {
        "Cluster": llama,
        "ClusterLoadAssignment": llama,
        "Secret": fleet,
        "TypedExtensionConfig": "",  # made of all issuers and workspaces
        "Listener": fleet,
        "ScopedRouteConfiguration": llama,
        "RouteConfiguration": llama,
    }
    words = [each.words for each in trials.refused.values()]
    assert all(words)
    assert not [each for each in words if "goo.gle" in each]


def test_D4_a_mended_resource_is_no_longer_refused(trials: Trials) -> None:
    assert {kind: each.left for kind, each in trials.refused.items()} == dict.fromkeys(SPOILT, 0)


def test_D12_G14_no_request_fails_because_of_a_bad_resource(trials: Trials) -> None:
    assert trials.bad == []


def test_J6_I6_no_subscription_waits_in_vain_because_of_a_bad_resource(trials: Trials) -> None:
    assert trials.stalls == {}


def test_D3_every_invariant_holds_over_the_trace_of_refusals(trials: Trials) -> None:
    assert trials.faults == []
