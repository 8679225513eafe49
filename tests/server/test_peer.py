from __future__ import annotations

from typing import Any

import pytest

from xds_server.server.peer import Peer, peer_of


def peer(*names: str) -> Peer:
    uris = frozenset(name for name in names if "://" in name)
    return Peer(frozenset(names) - uris, uris)


@pytest.mark.parametrize(
    ("names", "identities", "admitted"),
    [
        (["edge"], [], True),
        (["edge.example"], [], False),
        (["spiffe://fleet/gateway/edge"], [], True),
        (["spiffe://fleet/gateway/edge2"], [], False),
        (["spiffe://fleet/gateway/edge/other"], [], False),
        (["spiffe://fleet/other-gateway/edge"], [], False),
        ([], [], False),
        (["edge"], ["envoy.edge.example"], False),
        (["x", "envoy.edge.example"], ["envoy.edge.example"], True),
        (["spiffe://fleet/ns/a"], ["spiffe://fleet/ns/a", "b"], True),
        (["spiffe://fleet/gateway/edge"], ["b"], False),
    ],
)
def test_B10_M14_who_may_join_a_gateway(names: list[str], identities: list[str], admitted: bool) -> None:
    assert peer(*names).may_join("edge", frozenset(identities)) is admitted


class Call:
    def __init__(self, **properties: list[bytes]) -> None:
        self._properties = properties

    def auth_context(self) -> dict[str, Any]:
        return self._properties


def test_B10_a_name_counts_as_what_the_certificate_says_it_is() -> None:
    """The list of all names does not say which is a URI: a DNS name may look like one."""
    call = Call(
        x509_subject_alternative_name=[b"a/gateway/edge", b"spiffe://x/y"],
        peer_dns=[b"a/gateway/edge"],
        peer_uri=[b"spiffe://x/y"],
        x509_common_name=[b"edge"],
    )
    found = peer_of(call)
    assert found == peer("a/gateway/edge", "spiffe://x/y")
    assert not found.may_join("edge", frozenset())
    assert str(found) == "a/gateway/edge, spiffe://x/y"
    assert str(peer_of(Call())) == "a certificate without names"
