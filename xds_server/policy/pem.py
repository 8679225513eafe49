"""PEM: certificates and private keys, as far as Envoy would refuse them."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


def pem_text(content: bytes) -> str:
    """A good file as text. What is in PEM is ASCII; notes beside it are in any encoding, and need not come along."""
    return content.decode("ascii", "ignore")


def certificate_problem(content: bytes) -> str | None:
    """Why a file is not a chain of certificates, or None if it is one."""
    try:
        certificates = x509.load_pem_x509_certificates(content)
    except ValueError:
        return "holds no certificate in PEM"
    return None if certificates else "holds no certificate in PEM"


def key_problem(content: bytes) -> str | None:
    """Why a file is not a private key that can be used, or None if it is one."""
    try:
        load_pem_private_key(content, password=None)
    except TypeError:
        return "is a private key with a password; Envoys cannot ask for it"
    except ValueError:
        return "holds no private key in PEM"
    return None


def pair_problem(certificate: bytes, key: bytes) -> str | None:
    """Why two files, each good in itself, do not belong together, or None if they do."""
    chain = x509.load_pem_x509_certificates(certificate)
    private = load_pem_private_key(key, password=None)
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) == chain[0].public_key().public_bytes(*form):
        return None
    return "this key is not the key of the certificate"
