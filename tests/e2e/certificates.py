"""A certificate authority of the tests' own, and certificates signed by it."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificates:
    """One authority, and one key that all its certificates are for; PEM texts."""

    authority: str
    key: str
    _signer: ec.EllipticCurvePrivateKey
    _name: x509.Name

    @classmethod
    def make(cls) -> Certificates:
        signer, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        certificate = (
            _draft(name, name, signer.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(signer, hashes.SHA256())
        )
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(_pem(certificate), text.decode(), signer, name)

    def chain(self, *names: str, life: timedelta = timedelta(days=2)) -> str:
        """A certificate for names: of hosts, or URIs. A negative life is one that has ended."""
        key = serialization.load_pem_private_key(self.key.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0].removeprefix("*."))])
        alternatives = x509.SubjectAlternativeName(
            [x509.UniformResourceIdentifier(name) if "://" in name else x509.DNSName(name) for name in names]
        )
        certificate = (
            _draft(subject, self._name, key.public_key(), life)
            .add_extension(alternatives, critical=False)
            .sign(self._signer, hashes.SHA256())
        )
        return _pem(certificate)

    def server(self, *names: str, clients: Certificates | None = None) -> ssl.SSLContext:
        """What a server of those names needs, which takes only clients of an authority if one is given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            chain, key = Path(folder, "chain"), Path(folder, "key")
            chain.write_text(self.chain(*names))
            key.write_text(self.key)
            context.load_cert_chain(chain, key)
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=clients.authority)
        return context

    def client(self, protocols: list[str] | None = None) -> ssl.SSLContext:
        """What a client that trusts this authority alone needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.authority)
        if protocols:
            context.set_alpn_protocols(protocols)
        return context


def _draft(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    life: timedelta = timedelta(days=2),
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + life) - timedelta(hours=1))
        .not_valid_after(now + life)
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
