"""Residency is an invariant: whatever is written, no Envoy in any region is given a backend in a place not allowed.

The oracle below reads the manifests by itself, so it cannot share a mistake with the graph.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.graph import world as w
from xds_server.compiler.cluster import compile_dns_cluster, needs_dns
from xds_server.compiler.load_assignment import compile_assignment
from xds_server.compiler.target import NEWEST
from xds_server.graph import Graph
from xds_server.wire import message_class

# Name, country, continent; each offers cpu, a100 and h100.
PLACES = {"paris": ("fr", "eu"), "dublin": ("ie", "eu"), "virginia": ("us", "na"), "tokyo": ("jp", "as")}
HARDWARE = {"cpu": "cpu", "a100": "gpu", "h100": "gpu"}
OFFERED = [{"name": name, "type": kind} for name, kind in HARDWARE.items()]

where = st.one_of(
    st.sampled_from(sorted(PLACES)).map(lambda name: ("location", name)),
    st.sampled_from(["fr", "ie", "us", "jp"]).map(lambda code: ("country", code)),
    st.sampled_from(["eu", "na", "as"]).map(lambda code: ("continent", code)),
)
hardware = st.one_of(
    st.sampled_from(["cpu", "gpu"]).map(lambda kind: {"type": kind}),
    st.sampled_from(sorted(HARDWARE)).map(lambda name: {"type": HARDWARE[name], "name": name}),
)
bound = st.sampled_from([{}, {"resourceTypes": ["model"]}, {"resourceTypes": ["agent", "function"]}])


@st.composite
def policies(draw: st.DrawFn) -> list[w.Manifest]:
    made = []
    for at in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            made.append(w.places(f"p{at}", *draw(st.sets(where, min_size=1, max_size=2)), **draw(bound)))
        else:
            chosen = draw(st.lists(hardware, min_size=1, max_size=2, unique_by=str))
            made.append(w.flavors(f"p{at}", *chosen, **draw(bound)))
    return made


backends = st.builds(
    lambda place, flavor, weight, standby: {
        "location": place,
        **({"flavor": flavor} if flavor else {}),
        "weight": weight,
        "standby": standby,
    },
    st.sampled_from(sorted(PLACES)),
    st.sampled_from([None, *HARDWARE]),
    st.sampled_from([0, 1, 1, 2]),
    st.booleans(),
)


@st.composite
def sets(draw: st.DrawFn) -> list[w.Manifest]:
    """A whole policy set with one model in two environments."""
    rules = draw(policies())
    names = [each["metadata"]["name"] for each in rules]
    some = st.lists(st.sampled_from(names), unique=True, max_size=3) if names else st.just([])
    deployments = []
    for to in ("production", "development"):
        chosen = draw(st.lists(backends, min_size=1, max_size=5))
        for at, each in enumerate(chosen):
            each["address"] = draw(st.sampled_from([f"10.0.0.{at + 1}:80", f"host-{at}.example:80"]))
        chosen[0]["weight"] = 1
        # Without a share of the requests it may have no place at all, which is no mistake then.
        idle = w.revision("idle", *chosen, weight=0)
        anywhere = w.revision("main", *chosen, weight=1)
        deployments.append(w.deployment(anywhere, idle, to=to, policies=tuple(draw(some))))
    return [
        *(w.location(name, country=at[0], continent=at[1], flavors=OFFERED) for name, at in PLACES.items()),
        *w.FLEET,
        w.workspace(),
        *rules,
        w.environment("production", *draw(some)),
        w.environment("development", *draw(some)),
        w.model("llama", *deployments, kind=draw(st.sampled_from(["Model", "Agent"]))),
    ]


def allowed(manifests: list[w.Manifest], to: str, backend: dict[str, Any], kind: str) -> bool:
    named = {each["metadata"]["name"]: each["spec"] for each in manifests if each["kind"] == "Policy"}
    [environment] = [
        each for each in manifests if each["kind"] == "Environment" and each["metadata"]["name"] == to
    ]
    [workload] = [each for each in manifests if each["kind"] in ("Model", "Agent")]
    [own] = [each for each in workload["spec"]["deployments"] if each["environment"] == to]
    country, continent = PLACES[backend["location"]]
    for names in (environment["spec"]["policies"], own["policies"]):
        specs = [
            named[name] for name in names if kind.lower() in named[name].get("resourceTypes", [kind.lower()])
        ]
        locations = [each for spec in specs if spec["type"] == "location" for each in spec["locations"]]
        if locations and not any(
            each["name"]
            == {"location": backend["location"], "country": country, "continent": continent}[each["type"]]
            for each in locations
        ):
            return False
        flavors = [each for spec in specs if spec["type"] == "flavor" for each in spec["flavors"]]
        mine = backend.get("flavor")
        if flavors and not any(
            mine and each["type"] == HARDWARE[mine] and each.get("name") in (None, mine) for each in flavors
        ):
            return False
    return True


def compiled(graph: Graph, region: str) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Region and host of every endpoint that an Envoy in the region is given, by environment and revision."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for tenant in graph.tenants.values():
        for endpoint in tenant.endpoints.values():
            for deployment in endpoint.deployments:
                for revision in deployment.revisions:
                    origin = graph.regions.get(region)
                    what = (endpoint, deployment.environment, revision, origin)
                    by_name = needs_dns(revision)
                    resource = compile_dns_cluster(*what, NEWEST) if by_name else compile_assignment(*what)
                    message: Any = message_class(resource.type_url.rpartition("/")[2])()
                    message.ParseFromString(resource.body)
                    assignment = message.load_assignment if needs_dns(revision) else message
                    found[deployment.environment, revision.name] = [
                        (each.locality.region, one.endpoint.address.socket_address.address)
                        for each in assignment.endpoints
                        for one in each.lb_endpoints
                    ]
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(sets())
def test_endpoints_are_exactly_the_allowed_backends_in_use(manifests: list[w.Manifest]) -> None:
    built = w.build(*manifests)
    workload = manifests[-1]
    kind = workload["kind"]
    expected = {}
    for deployment in workload["spec"]["deployments"]:
        to = deployment["environment"]
        for revision in deployment["revisions"]:
            expected[to, revision["name"]] = {
                (each["location"], each["address"].partition(":")[0])
                for each in revision["backends"]
                if each["weight"] > 0 and allowed(manifests, to, each, kind)
            }
    homeless = {to for (to, name), places in expected.items() if name == "main" and not places}
    assert {each.code for each in built.errors} == ({"no-allowed-place"} if homeless else set())
    if homeless:
        assert built.graph.tenants == {}
        return
    for region in (*PLACES, "nowhere"):
        given_out = compiled(built.graph, region)
        assert {key: set(places) for key, places in given_out.items()} == expected
        assert all(len(places) == len(set(places)) for places in given_out.values())
