"""Issuers for the tests: keys, key sets, and tokens good and bad."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import RSAAlgorithm

AUDIENCE = "fairlead"


@dataclass(frozen=True)
class TestIssuer:
    """Who signs tokens: what its tokens call it, and its key."""

    __test__ = False

    issuer: str
    key_id: str
    key: RSAPrivateKey

    @classmethod
    def make(cls, issuer: str, key_id: str = "one") -> TestIssuer:
        return cls(issuer, key_id, rsa.generate_private_key(public_exponent=65537, key_size=2048))

    def jwk(self) -> dict[str, Any]:
        public = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        return {
            "kty": "RSA",
            "n": public["n"],
            "e": public["e"],
            "use": "sig",
            "alg": "RS256",
            "kid": self.key_id,
        }

    def jwks(self) -> str:
        return json.dumps({"keys": [self.jwk()]})

    def claims(self, *workspaces: str, **claims: Any) -> dict[str, Any]:
        """The claims of a good token; a further claim of `None` is left out."""
        now = int(time.time())
        plain = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "tester",
            "iat": now,
            "exp": now + 86_400,
            "workspaces": list(workspaces),
        }
        return {name: value for name, value in {**plain, **claims}.items() if value is not None}

    def token(self, *workspaces: str, **claims: Any) -> str:
        """A token for workspaces, with further claims, or others instead."""
        return self.sign(self.claims(*workspaces, **claims))

    def sign(self, claims: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> str:
        return jwt.encode(
            dict(claims), self.key, algorithm="RS256", headers={"kid": self.key_id, **(headers or {})}
        )
