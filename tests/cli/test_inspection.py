"""`fairlead validate`, `compile` and `explain`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .conftest import Run

FLEET = """\
apiVersion: fairlead/v1
kind: Gateway
metadata: {name: edge}
spec:
  listeners:
    - {name: run, port: 10000}
---
apiVersion: fairlead/v1
kind: Issuer
metadata: {name: fairlead-dev}
spec:
  issuer: https://fairlead.local/dev
  audiences: [fairlead]
  jwks: {development: true}
"""
ACME = """\
apiVersion: fairlead/v1
kind: Workspace
metadata: {name: acme}
spec: {issuers: [fairlead-dev]}
---
apiVersion: fairlead/v1
kind: Policy
metadata: {name: eu-only, workspace: acme}
spec: {type: location, locations: [{type: continent, name: eu}]}
---
apiVersion: fairlead/v1
kind: Model
metadata: {name: llama, workspace: acme}
spec:
  deployments:
    - environment: production
      policies: [eu-only]
      revisions:
        - name: v1
          backends:
            - {location: eu-west-3, address: "10.0.0.1:8000"}
            - {location: eu-central-1, address: "10.0.0.2:8000"}
            - {location: us-east-1, address: "10.0.0.3:8000"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "fleet.yaml").write_text(FLEET)
    (folder / "acme.yaml").write_text(ACME)
    return folder


@pytest.fixture
def broken(folder: Path) -> Path:
    text = ACME.replace("issuers: [fairlead-dev]", "issuers: [fairlead-deb]").replace("name: v1", "nam: v1")
    (folder / "acme.yaml").write_text(text)
    return folder


def test_validate_says_nothing_on_stdout_when_all_is_well(inside: Run, folder: Path) -> None:
    done = inside("validate", folder)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "5 manifests" in done.stderr
    assert json.loads(inside("validate", folder, "--format", "json").stdout) == []


def test_validate_reports_every_mistake_with_its_place(inside: Run, broken: Path) -> None:
    done = inside("validate", broken)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) >= 2
    assert any("acme.yaml:4:" in line and "fairlead-dev" in line for line in lines)
    assert any("acme.yaml:19:" in line and "name" in line for line in lines)
    assert "error" in done.stderr
    assert "\x1b[" not in done.stdout + done.stderr


def test_validate_does_not_praise_what_holds_no_policies(inside: Run, tmp_path: Path) -> None:
    empty, other = tmp_path / "empty", tmp_path / "notes.txt"
    empty.mkdir()
    other.write_text("kind: Model\n")
    for path in (empty, other):
        done = inside("validate", path)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"there are no policies in {path}" in done.stderr


def test_validate_gives_a_list_of_objects_as_json(inside: Run, broken: Path) -> None:
    done = inside("validate", broken, "--format", "json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert len(found) >= 2
    for each in found:
        assert set(each) == {
            *("code", "severity", "file", "line", "column", "object", "message", "hint", "workspaces"),
        }
    assert {each["line"] for each in found} >= {4, 19}


def test_a_folder_that_is_not_there_is_wrong_usage(inside: Run, tmp_path: Path) -> None:
    for command in (("validate",), ("compile", "--region", "eu-west-3"), ("serve",), ("up",)):
        done = inside(command[0], tmp_path / "nowhere", *command[1:])
        assert done.returncode == 64
        assert done.stdout == ""


def test_compile_prints_what_a_region_is_sent(inside: Run, folder: Path) -> None:
    done = inside("compile", folder, "--region", "eu-west-3", "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    resources = json.loads(done.stdout)
    types = {each["type"].rpartition(".")[2] for each in resources}
    assert {"Listener", "ScopedRouteConfiguration", "RouteConfiguration", "Cluster", "Runtime"} <= types
    assert all(len(each["version"]) == 16 for each in resources)
    assert yaml.safe_load(inside("compile", folder, "--region", "eu-west-3").stdout) == resources
    assert inside("compile", folder, "--region", "eu-west-3", "-o", "json").stdout == done.stdout


@pytest.mark.parametrize("wanted", ["eds", "envoy.config.endpoint.v3.ClusterLoadAssignment"])
def test_compile_can_be_narrowed_to_a_type(inside: Run, folder: Path, wanted: str) -> None:
    near, far = (
        json.loads(inside("compile", folder, "-r", region, "-t", wanted, "-o", "json").stdout)
        for region in ("eu-west-3", "eu-central-1")
    )
    [near_set], [far_set] = near, far
    assert near_set["name"] == far_set["name"]
    assert near_set["version"] != far_set["version"]
    assert "10.0.0.3" not in json.dumps(near)


def test_compile_hides_private_keys(inside: Run, folder: Path) -> None:
    certificate, key = make_certificate()
    (folder / "run.crt").write_bytes(certificate)
    (folder / "run.key").write_bytes(key)
    text = FLEET.replace("port: 10000}", "port: 10443, tls: {certificate: run.crt, key: run.key}}")
    (folder / "fleet.yaml").write_text(text)
    done = inside("compile", folder, "-r", "eu-west-3", "-t", "sds", "-o", "json")
    assert done.returncode == 0, done.stderr
    [secret] = [each for each in json.loads(done.stdout) if "tls_certificate" in each["resource"]]
    assert secret["resource"]["tls_certificate"]["private_key"] == "(hidden)"
    assert "PRIVATE" not in done.stdout
    assert "BEGIN CERTIFICATE" in done.stdout


def make_certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "run.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return certificate.public_bytes(pem), private


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("-r", "eu-west-33"), 1, "did you mean eu-west-3?"),
        (("-r", "eu-west-3", "-g", "edgy"), 1, "did you mean edge?"),
        (("-r", "eu-west-3", "-t", "xyz"), 64, "'xyz' is none of"),
        ((), 64, "--region"),
    ],
)
def test_compile_says_what_is_wrong(
    inside: Run, folder: Path, arguments: tuple[str], code: int, words: str
) -> None:
    done = inside("compile", folder, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


def test_compile_refuses_policies_with_errors(inside: Run, broken: Path) -> None:
    done = inside("compile", broken, "--region", "eu-west-3")
    assert (done.returncode, done.stdout) == (1, "")
    assert "acme.yaml:4:" in done.stderr


def test_explain_names_the_policy_and_line_that_keeps_a_place_out(inside: Run, folder: Path) -> None:
    done = inside("explain", folder, "/acme/models/llama/v1/x?a=b", "--region", "eu-central-1")
    assert (done.returncode, done.stderr) == (0, "")
    near, far = done.stdout.index("1. eu-central-1"), done.stdout.index("2. eu-west-3")
    assert near < far < done.stdout.index("-  us-east-1")
    assert "eu-only" in done.stdout
    assert "acme.yaml:" in done.stdout.partition("us-east-1")[2]
    assert "production (from the workspace's default)" in done.stdout
    assert "/v1/x?a=b" in done.stdout.partition("forwarded")[2]


def test_explain_gives_the_decision_as_json(inside: Run, folder: Path) -> None:
    claims = {"iss": "https://fairlead.local/dev", "aud": "fairlead", "workspaces": ["acme"]}
    command = ("explain", folder, "/acme/models/llama", "-r", "eu-west-3", "-o", "json", "--claims")
    decision = json.loads(inside(*command, json.dumps(claims)).stdout)
    assert (decision["workspace"], decision["kind"], decision["name"]) == ("acme", "models", "llama")
    assert decision["access"] == "allowed"
    [share] = decision["shares"]
    assert [hop["place"] for hop in share["hops"]] == ["eu-west-3", "eu-central-1"]
    [excluded] = share["excluded"]
    assert excluded["removals"][0]["policies"][0]["policy"] == "eu-only"
    stranger = json.loads(inside(*command, json.dumps({**claims, "workspaces": []})).stdout)
    assert stranger["access"] == "denied"
    assert stranger["refusal"]["status"] == 403


@pytest.mark.parametrize("claims", ["{", "[]", "3"])
def test_explain_refuses_claims_that_are_none(inside: Run, folder: Path, claims: str) -> None:
    done = inside("explain", folder, "/acme/models/llama", "-r", "eu-west-3", "--claims", claims)
    assert (done.returncode, done.stdout) == (64, "")


def test_a_refusal_is_an_answer_too(inside: Run, folder: Path) -> None:
    done = inside("explain", folder, "/acme/models/llama?environment=staging", "-r", "eu-west-3")
    assert done.returncode == 0
    assert "404 DEPLOYMENT_NOT_FOUND" in done.stdout


@pytest.mark.parametrize("header", ["x-fairlead-use-revision", ": v1"])
def test_explain_refuses_a_header_that_is_none(inside: Run, folder: Path, header: str) -> None:
    done = inside("explain", folder, "/acme/models/llama", "-r", "eu-west-3", "--header", header)
    assert done.returncode == 64
    assert "name: value" in done.stderr


def test_explain_looks_at_headers(inside: Run) -> None:
    traffic = Path(__file__).parents[2] / "policies/traffic"
    header = "X-Fairlead-Use-Revision: v3"
    done = inside("explain", traffic, "/acme/models/llama", "-r", "eu-west-3", "-H", header)
    assert "revision     v3 (from the header x-fairlead-use-revision)" in done.stdout
    done = inside("explain", traffic, "/acme/models/llama", "-r", "eu-west-3")
    assert "sticky       header x-user-id | claim sub | cookie fairlead-session, given for 12h" in done.stdout
