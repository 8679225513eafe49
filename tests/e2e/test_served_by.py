"""Which place served a request: said where the deployment wants it, never by anybody else, never an address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.crossing import GATEWAYS, Crossing, run_crossing
from tests.e2e.manifest import backend, revision
from tests.e2e.wire import bearer
from tests.e2e.world import FRANKFURT, PARIS, VIRGINIA

pytestmark = pytest.mark.envoy

_HEADER = "x-fairlead-served-by"
_TESTERS = {"claims": [{"claim": "role", "anyOf": ["tester"]}]}


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossing]:
    with run_crossing(tmp_path_factory.mktemp("served-by")) as running:
        deploy, made, of = running.deploy, running.revision, running.upstreams
        running.put(
            "split", deploy(made("v1", 1), made("v2", 1), made("v3", 0), servedBy=True, testers=_TESTERS)
        )
        far = revision("v1", backend(PARIS, of.dead()), backend(FRANKFURT, of["v2"].address))
        running.put("failing-over", deploy(far, servedBy=True))
        prefixed = made("2.v-1", 1, "v1", pathPrefix="/status")
        running.put("prefixed", deploy(prefixed, servedBy=True))
        running.put("dead", deploy(revision("v1", backend(VIRGINIA, of.dead())), servedBy=True))
        running.put("silent", deploy(made("v1", 1)))
        running.put("silent-prefixed", deploy(prefixed))
        yield running


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_answer_says_who_served_it(crossing: Crossing, gateway: str) -> None:
    for _ in range(8):
        answer = crossing.ask("split", gateway=gateway)
        met = answer.json()["upstream"]
        assert answer.header(_HEADER) == f'"{met}";region="eu-west-3";attempts=1'
    tester = bearer(crossing.issuer.token("acme", role="tester"))
    answer = crossing.ask("split?revision=v3", tester, gateway)
    assert answer.header(_HEADER) == '"v3";region="eu-west-3";attempts=1'


def test_attempts_and_the_place_that_served_in_the_end_are_told(crossing: Crossing) -> None:
    answers = [crossing.ask("failing-over").header(_HEADER) for _ in range(2)]
    assert answers[0] == '"v1";region="eu-central-1";attempts=2'


@pytest.mark.parametrize("path", ["split/status/500", "prefixed/500", "split/status/204"])
def test_a_backends_own_word_is_overwritten(crossing: Crossing, path: str) -> None:
    answer = crossing.ask(path)
    assert answer.status == int(path[-3:])
    told = answer.header(_HEADER)
    assert told is not None
    assert told.endswith('";region="eu-west-3";attempts=1')
    assert told.startswith('"2.v-1"' if path.startswith("prefixed") else '"v')


@pytest.mark.parametrize("path", ["silent/status/500", "silent-prefixed/500", "silent/status/204", "silent"])
def test_by_default_nothing_is_told(crossing: Crossing, path: str) -> None:
    answer = crossing.ask(path)
    assert answer.code is None
    assert answer.all(_HEADER) == []


def test_the_gateways_own_errors_were_served_by_nobody(crossing: Crossing) -> None:
    for target in ("dead", "split?revision=v3", "split?environment=none"):
        answer = crossing.ask(target)
        assert answer.code is not None
        assert answer.all(_HEADER) == []
