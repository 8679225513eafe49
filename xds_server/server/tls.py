"""TLS on the xDS port: the server's certificate, and whose certificates clients must show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import grpc
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificate, load_pem_x509_certificates

log = structlog.get_logger("fairlead.tls")


class BadCertificateError(Exception):
    """A certificate, a key or an authority cannot be read, or key and certificate are no pair."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM. With `client_ca` a client must show a certificate that one of its authorities signed."""

    certificate: Path
    """The server's certificate, and those between it and its authority."""
    key: Path
    client_ca: Path | None = None


Stamp = tuple[tuple[int, int, int], ...]


class Certificates:
    """Reads the files, and reads them again when they have changed; a rotation needs no restart.

    Raises `BadCertificateError` if what is there at the start cannot be used. Later on, files that are no pair (a
    rotation half done) leave in use what was read before.
    """

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._lock = Lock()
        self._stamp = self._look()
        self._first = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that ask for the current files at each handshake."""
        return grpc.dynamic_ssl_server_credentials(
            self._first, self._fetch, require_client_authentication=self._tls.client_ca is not None
        )

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC from threads of its own. `None`: go on with what there is."""
        with self._lock:
            try:
                stamp = self._look()
                if stamp == self._stamp:
                    return None
                self._stamp = stamp
                fresh = self._read()
            except BadCertificateError as error:
                log.warning(
                    "changed certificates cannot be used; those before stay in use", problem=str(error)
                )
                return None
        log.info("certificates read again", certificate=str(self._tls.certificate))
        return fresh

    def _look(self) -> Stamp:
        """Identify the files' content without reading it."""
        files = [self._tls.certificate, self._tls.key]
        if self._tls.client_ca is not None:
            files.append(self._tls.client_ca)
        stamp = []
        for file in files:
            try:
                found = file.stat()
            except OSError as error:
                raise BadCertificateError(f"{file}: {error.strerror}") from error
            stamp.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return tuple(stamp)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        chain, key = _bytes(self._tls.certificate), _bytes(self._tls.key)
        certificate = _require_pair(self._tls, chain, key)
        if certificate.not_valid_after_utc < datetime.now(UTC):
            ended = certificate.not_valid_after_utc.isoformat()
            log.warning(
                "the certificate has expired: no client will trust it",
                certificate=str(self._tls.certificate),
                ended=ended,
            )
        authorities = None
        if self._tls.client_ca is not None:
            authorities = _bytes(self._tls.client_ca)
            _require_authorities(self._tls.client_ca, authorities)
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=authorities)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadCertificateError(f"{file}: {error.strerror}") from error


def _require_pair(tls: Tls, chain: bytes, key: bytes) -> Certificate:
    try:
        certificate = load_pem_x509_certificate(chain)
    except ValueError as error:
        raise BadCertificateError(f"{tls.certificate} is no certificate in PEM") from error
    try:
        public = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadCertificateError(f"{tls.key} is no private key in PEM without a passphrase") from error
    try:
        pair = _spki(certificate.public_key()) == _spki(public)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadCertificateError(f"{tls.certificate} has a key that cannot be used") from error
    if not pair:
        raise BadCertificateError(f"{tls.key} is not the key of {tls.certificate}")
    return certificate


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _require_authorities(file: Path, text: bytes) -> None:
    try:
        load_pem_x509_certificates(text)
    except ValueError as error:
        raise BadCertificateError(f"{file} holds no certificate in PEM") from error
