from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import time
from pathlib import Path

import jwt
import pytest

from xds_server.cli.issuer import open_issuer
from xds_server.cli.outcome import CommandError

from .conftest import FAIRLEAD, Run


def verified(token: str, state: Path) -> dict[str, object]:
    """Check the signature against the published JWKS, as Envoy does, and return the claims."""
    key = jwt.PyJWKSet.from_json(open_issuer(state).jwks().decode())[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, object] = jwt.decode(
        token, key, algorithms=["RS256"], audience="fairlead", issuer="https://fairlead.local/dev"
    )
    return claims


def test_prints_the_token_and_nothing_else(fairlead: Run, tmp_path: Path) -> None:
    done = fairlead("token", "create", "--workspace", "acme")
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    claims = verified(done.stdout.strip(), tmp_path / "state")
    assert claims["workspaces"] == ["acme"]
    assert claims["sub"] == "developer"
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 8 * 3600
    assert abs(int(str(claims["iat"])) - time.time()) < 60


def test_takes_more_workspaces_a_lifetime_and_claims(fairlead: Run, tmp_path: Path) -> None:
    done = fairlead(
        *("token", "create", "-w", "acme", "-w", "gamma", "--ttl", "15m", "--subject", "ada"),
        *("--claim", "role=admin", "--claim", "level=3", "--claim", 'realm={"a": ["b"]}'),
    )
    claims = verified(done.stdout.strip(), tmp_path / "state")
    assert claims["workspaces"] == ["acme", "gamma"]
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 900
    assert (claims["sub"], claims["role"], claims["level"], claims["realm"]) == (
        "ada",
        "admin",
        3,
        {"a": ["b"]},
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--workspace", "Acme"),
        ("--workspace", "acme", "--ttl", "0s"),
        ("--workspace", "acme", "--ttl", "soon"),
        ("--workspace", "acme", "--claim", "role"),
        ("--workspace", "acme", "--claim", "workspaces=gamma"),
        ("--workspace", "acme", "--claim", "exp=9999999999"),
    ],
)
def test_wrong_usage_exits_64_and_makes_no_key(fairlead: Run, tmp_path: Path, arguments: tuple[str]) -> None:
    done = fairlead("token", "create", *arguments)
    assert done.returncode == 64
    assert done.stdout == ""
    assert done.stderr
    assert not (tmp_path / "state").exists()


def test_the_key_is_closed_to_others_and_made_once(fairlead: Run, tmp_path: Path) -> None:
    fairlead("token", "create", "-w", "acme")
    state = tmp_path / "state"
    [key] = state.iterdir()
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert fairlead("token", "create", "-w", "acme").returncode == 0
    assert key.read_bytes() == before


def test_the_state_folder_is_in_the_current_folder_by_default(fairlead: Run, tmp_path: Path) -> None:
    fairlead("token", "create", "-w", "acme", env={"FAIRLEAD_STATE": ""})
    assert (tmp_path / ".fairlead" / "issuer.pem").is_file()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_refuses_a_key_that_others_may_use(fairlead: Run, tmp_path: Path, mode: int) -> None:
    fairlead("token", "create", "-w", "acme")
    key = tmp_path / "state" / "issuer.pem"
    key.chmod(mode)
    done = fairlead("token", "create", "-w", "acme")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"chmod 600 {key}" in done.stderr


def test_refuses_to_make_a_key_in_a_folder_that_others_may_write(fairlead: Run, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    done = fairlead("token", "create", "-w", "acme")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"chmod 700 {state}" in done.stderr
    assert list(state.iterdir()) == []


def test_says_what_to_do_where_the_folder_cannot_be_made(fairlead: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = fairlead("token", "create", "-w", "acme", env={"FAIRLEAD_STATE": str(tmp_path / "file" / "state")})
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot" in done.stderr
    assert "FAIRLEAD_STATE" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_key_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    key = tmp_path / "issuer.pem"
    key.touch(0o600)
    key.write_text("nonsense")
    with pytest.raises(CommandError, match="not a private key") as caught:
        open_issuer(tmp_path)
    assert caught.value.hint
    assert "delete" in caught.value.hint


def test_processes_that_start_at_once_agree_on_one_key(environment: dict[str, str], tmp_path: Path) -> None:
    command = [FAIRLEAD, "token", "create", "-w", "acme"]
    crowd = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        for _ in range(4)
    ]
    tokens = [process.communicate(timeout=60)[0].strip() for process in crowd]
    assert len({jwt.get_unverified_header(token)["kid"] for token in tokens}) == 1
    for token in tokens:
        verified(token, tmp_path / "state")
    assert os.listdir(tmp_path / "state") == ["issuer.pem"]


def test_the_jwks_holds_nothing_private_and_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = open_issuer(tmp_path / "state"), open_issuer(tmp_path / "state")
    assert first.jwks() == second.jwks()
    [key] = json.loads(first.jwks())["keys"]
    assert set(key) == {"kty", "n", "e", "use", "alg", "kid"}
    assert len(base64.urlsafe_b64decode(key["n"] + "==")) == 256
