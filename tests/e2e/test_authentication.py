"""Who is let in at all: one good token, from an issuer and for an audience that is accepted. All else is 401."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from tests.e2e.stack import Stack
from tests.e2e.tokens import TestIssuer
from tests.e2e.wire import Answer, Headers, Wire, ask, bearer

pytestmark = pytest.mark.envoy

# It does not matter to a stranger what exists.
_PATHS = [
    "/acme/models/llama",
    "/acme/models/none",
    "/nobody/models/llama",
    "/",
    "/acme/models/llama?environment=no",
]

_Make = Callable[[Stack], Headers]


def _encode(part: object) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def _none(stack: Stack) -> str:
    return f"{_encode({'alg': 'none', 'typ': 'JWT'})}.{_encode(stack.issuers.main.claims('acme'))}."


def _none_with_signature(stack: Stack) -> str:
    return _none(stack) + stack.acme.rpartition(".")[2]


def _symmetric(stack: Stack) -> str:
    """HS256 with what everybody knows, the public key, as the secret."""
    main = stack.issuers.main
    public = main.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signer = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signed = f"{_encode({'alg': 'HS256', 'typ': 'JWT', 'kid': main.key_id})}.{_encode(main.claims('acme'))}"
    return f"{signed}.{_encode(signer.sign(signed.encode(), public))}"


def _other_claims(stack: Stack) -> str:
    """Claims of another choice under a good signature."""
    head, _, signature = stack.beta.split(".")
    return f"{head}.{_encode(stack.issuers.main.claims('acme'))}.{signature}"


def _claims(**changes: object) -> _Make:
    return lambda stack: bearer(stack.issuers.main.token("acme", **changes))


def _token(make: Callable[[Stack], str]) -> _Make:
    return lambda stack: bearer(make(stack))


def _written(text: str) -> _Make:
    return lambda stack: [("Authorization", text.format(token=stack.acme))]


_NOW = int(time.time())
_BAD: dict[str, _Make] = {
    "word": _written("Bearer nonsense"),
    "empty": _written("Bearer "),
    "scheme alone": _written("Bearer"),
    "no scheme": _written("{token}"),
    "other scheme": _written("Basic {token}"),
    "lower-case scheme": _written("bearer {token}"),
    "other scheme before": _written("Basic eDp5 Bearer {token}"),
    "something before": _written("x Bearer {token}"),
    "something after": _written("Bearer {token} x"),
    "two in one header": _written("Bearer {token}, Bearer {token}"),
    "two in one value": _written("Bearer {token}Bearer {token}"),
    "four parts": _written("Bearer {token}.x"),
    "padding": _written("Bearer {token}="),
    "quoted": _written('Bearer "{token}"'),
    "cut off": _token(lambda stack: stack.acme[:-10]),
    "parts of words": _token(lambda _: "aaaa.bbbb.cccc"),
    "expired": _claims(exp=_NOW - 600),
    "without expiry": _claims(exp=None),
    "not yet": _claims(nbf=_NOW + 86_400),
    "unknown issuer": _token(lambda stack: stack.issuers.stranger.token("acme")),
    "no issuer": _claims(iss=None),
    "wrong audience": _claims(aud="elsewhere"),
    "wrong audiences": _claims(aud=["elsewhere", "nowhere"]),
    "no audience": _claims(aud=None),
    "wrong key": _token(
        lambda s: TestIssuer(s.issuers.main.issuer, "one", s.issuers.stranger.key).token("acme")
    ),
    "key of another issuer": _token(
        lambda s: TestIssuer(s.issuers.main.issuer, "one", s.issuers.partner.key).token("acme")
    ),
    "unknown key id": _token(lambda s: s.issuers.main.sign(s.issuers.main.claims("acme"), {"kid": "other"})),
    "alg none": _token(_none),
    "alg none, signed": _token(_none_with_signature),
    "alg HS256 with the public key": _token(_symmetric),
    "other claims": _token(_other_claims),
    "same header twice": lambda stack: [*bearer(stack.acme), *bearer(stack.acme)],
    "same header twice, second bad": lambda stack: [*bearer(stack.acme), ("Authorization", "Basic eDp5")],
    "same header twice, first bad": lambda stack: [("Authorization", "Basic eDp5"), *bearer(stack.acme)],
    "two headers": lambda stack: [*bearer(stack.acme), ("X-Blaxel-Authorization", f"Bearer {stack.acme}")],
    "two headers, one for another": lambda stack: [
        *bearer(stack.acme),
        ("X-Blaxel-Authorization", f"Bearer {stack.beta}"),
    ],
    "two headers, one bad": lambda stack: [*bearer(stack.acme), ("X-Blaxel-Authorization", "Bearer x")],
    "two headers, one empty": lambda stack: [*bearer(stack.acme), ("X-Blaxel-Authorization", "")],
    "header of no issuer": lambda stack: [("X-Forwarded-Authorization", f"Bearer {stack.acme}")],
    "header of another issuer": lambda stack: [
        ("X-Blaxel-Authorization", f"Bearer {stack.issuers.partner.token('acme')}")
    ],
}
# Without anything that could be taken for a token the client is told to bring one.
_MISSING = {"header of no issuer"}


def _check(answer: Answer, code: str) -> None:
    assert (answer.status, answer.code) == (401, code)
    assert answer.header("content-type") == "application/json; charset=utf-8"
    error = answer.json()["error"]
    assert (error["status"], error["retryable"], error["origin"]) == (401, False, "gateway")
    assert error["message"]
    assert error["request_id"] == answer.header("x-request-id")
    challenge = answer.header("www-authenticate")
    assert challenge is not None
    assert challenge.startswith("Bearer ")
    assert ("invalid_token" in challenge) == (code == "AUTHENTICATION_FAILED")


@pytest.mark.parametrize("name", _BAD)
def test_a_bad_credential_is_refused_wherever_it_leads(stack: Stack, port: int, name: str) -> None:
    headers = _BAD[name](stack)
    with stack.upstreams.watch() as seen:
        for path in _PATHS:
            code = "AUTHENTICATION_REQUIRED" if name in _MISSING else "AUTHENTICATION_FAILED"
            _check(ask(port, path, headers=headers), code)
    assert seen == []


def test_no_credential_is_refused_wherever_it_leads(stack: Stack, port: int) -> None:
    with stack.upstreams.watch() as seen:
        for path in _PATHS:
            for method in ("GET", "POST", "OPTIONS"):
                _check(ask(port, path, method), "AUTHENTICATION_REQUIRED")
    assert seen == []


@pytest.mark.parametrize("header", ["Authorization", "authorization", "X-Blaxel-Authorization"])
def test_a_good_token_opens(stack: Stack, port: int, header: str) -> None:
    headers = [(header, f"Bearer {stack.acme}")]
    assert ask(port, "/acme/models/llama", headers=headers).status == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["elsewhere", "fairlead"]},
        {"aud": "other-audience"},
        {"nbf": _NOW - 10},
        {"sub": None},
        {"iat": None},
    ],
    ids=str,
)
def test_good_claims_open(stack: Stack, port: int, claims: dict[str, object]) -> None:
    token = stack.issuers.main.token("acme", **claims)
    assert ask(port, "/acme/models/llama", headers=bearer(token)).status == 200


def test_a_token_is_judged_each_time_it_comes(stack: Stack, port: int) -> None:
    """What was found about one token says nothing about the next one on the same connection."""
    expired = stack.issuers.main.token("acme", exp=_NOW - 600)
    with Wire(port) as wire:
        for _ in range(3):
            assert wire.ask("/acme/models/llama", headers=bearer(stack.acme)).status == 200
            assert wire.ask("/acme/models/llama", headers=bearer(expired)).status == 401
            assert wire.ask("/acme/models/llama").status == 401
            assert wire.ask("/acme/models/llama", headers=bearer(stack.beta)).status == 403


def test_keys_published_at_a_uri_are_fetched(stack: Stack, port: int) -> None:
    good, bad = stack.issuers.remote.token("afar"), stack.issuers.stranger
    assert ask(port, "/afar/models/llama", headers=bearer(good)).status == 200
    forged = TestIssuer(stack.issuers.remote.issuer, "one", bad.key).token("afar")
    _check(ask(port, "/afar/models/llama", headers=bearer(forged)), "AUTHENTICATION_FAILED")


@pytest.mark.parametrize("header", ["Authorization", "X-Blaxel-Authorization"])
def test_the_model_does_not_get_the_token(stack: Stack, port: int, header: str) -> None:
    with stack.upstreams.watch() as seen:
        assert ask(port, "/acme/models/llama", headers=[(header, f"Bearer {stack.acme}")]).status == 200
    signature = stack.acme.rpartition(".")[2]
    assert [
        each for each in seen[0].headers if signature in each[1] or "authorization" in each[0].lower()
    ] == []


def test_the_model_gets_the_token_where_the_issuer_says_so(stack: Stack, port: int) -> None:
    token = stack.issuers.partner.token(workspaces=None, realm={"workspaces": ["gamma"]})
    with stack.upstreams.watch() as seen:
        assert ask(port, "/gamma/models/llama", headers=bearer(token)).status == 200
    assert seen[0].header("authorization") == f"Bearer {token}"
