"""Attachments: the files that manifests refer to, found and looked into."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from xds_server.policy.credential import credential_problem
from xds_server.policy.draft import Draft, Pattern
from xds_server.policy.kinds import Manifest
from xds_server.policy.kinds.gateway import Gateway
from xds_server.policy.kinds.issuer import DEVELOPMENT_JWKS, Issuer
from xds_server.policy.kinds.names import FileName
from xds_server.policy.kinds.policy_source import PolicySource
from xds_server.policy.kinds.scaling import Wake
from xds_server.policy.kinds.workload import Agent, Backend, Function, Model, Workload
from xds_server.policy.pem import certificate_problem, key_problem, pair_problem
from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.jwks import jwks_file_problem
from xds_server.policy.suggestion import closest

Role = Literal["jwks", "certificate", "key", "ca", "credential", "publication"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A mention of a file: where it stands in the manifest, the file as written, what it is for.

    A `publication` is not in the policy folder: it is attached under its URL once it was fetched.
    """

    path: Path
    file: str
    role: Role

    def key(self, file: str) -> str:
        """Under which name the file is attached, for a manifest of `file`."""
        return self.file if self.role == "publication" else resolved(file, self.file)


_LISTENER = ("spec", "listeners", None, "tls")
_BACKEND = ("spec", "deployments", None, "revisions", None, "backends", None)
_WAKE = ("spec", "deployments", None, "scaleFromZero", "wake")
_WORKLOAD: tuple[tuple[Pattern, Role], ...] = (
    ((*_BACKEND, "tls", "ca"), "ca"),
    ((*_BACKEND, "tls", "certificate"), "certificate"),
    ((*_BACKEND, "tls", "key"), "key"),
    ((*_BACKEND, "credentials", "file"), "credential"),
    ((*_WAKE, "token"), "credential"),
    ((*_WAKE, "ca"), "ca"),
)
_PLACES: dict[str, tuple[tuple[Pattern, Role], ...]] = {
    "Gateway": (((*_LISTENER, "certificate"), "certificate"), ((*_LISTENER, "key"), "key")),
    "Issuer": ((("spec", "jwks", "file"), "jwks"),),
    "PolicySource": ((("spec", "ca"), "ca"), (("spec", "tokenFile"), "credential")),
    **{kind.kind: _WORKLOAD for kind in (Model, Agent, Function)},
}
"""Where each kind mentions files, for drafts: of a manifest, its types know."""

_FILE_NAME: TypeAdapter[str] = TypeAdapter(FileName)


def references(manifest: Manifest) -> tuple[Reference, ...]:
    """Every mention of a file in a manifest."""
    if manifest.brief is not None:
        return ()
    match manifest:
        case Gateway():
            return tuple(
                reference
                for index, listener in enumerate(manifest.spec.listeners)
                if listener.tls is not None
                for reference in (
                    Reference(
                        ("spec", "listeners", index, "tls", "certificate"),
                        listener.tls.certificate,
                        "certificate",
                    ),
                    Reference(("spec", "listeners", index, "tls", "key"), listener.tls.key, "key"),
                )
            )
        case Issuer(spec=spec) if spec.jwks.file is not None:
            return (Reference(("spec", "jwks", "file"), spec.jwks.file, "jwks"),)
        case Issuer(spec=spec) if spec.jwks.development:
            return (Reference(("spec", "jwks", "development"), DEVELOPMENT_JWKS, "jwks"),)
        case PolicySource():
            return _of_source(manifest)
        case Workload():
            return tuple(_of_workload(manifest))
    return ()


def _of_source(source: PolicySource) -> tuple[Reference, ...]:
    spec = source.spec
    files: tuple[tuple[str, Role, str | None], ...] = (
        ("url", "publication", spec.url),
        ("ca", "ca", spec.ca),
        ("tokenFile", "credential", spec.token_file),
    )
    return tuple(Reference(("spec", key), file, role) for key, role, file in files if file is not None)


def _of_workload(workload: Workload) -> Iterator[Reference]:
    for index, deployment in enumerate(workload.spec.deployments):
        way: Path = ("spec", "deployments", index)
        if deployment.scale_from_zero is not None:
            yield from _of_wake((*way, "scaleFromZero", "wake"), deployment.scale_from_zero.wake)
        for order, revision in enumerate(deployment.revisions):
            for place, backend in enumerate(revision.backends):
                if backend.tls is not None or backend.credentials is not None:
                    yield from _of_backend((*way, "revisions", order, "backends", place), backend)


def _of_wake(path: Path, wake: Wake) -> Iterator[Reference]:
    if wake.token is not None:
        yield Reference((*path, "token"), wake.token, "credential")
    if wake.ca is not None:
        yield Reference((*path, "ca"), wake.ca, "ca")


def _of_backend(path: Path, backend: Backend) -> Iterator[Reference]:
    if backend.tls is not None:
        files: tuple[tuple[Role, str | None], ...] = (
            ("ca", backend.tls.ca),
            ("certificate", backend.tls.certificate),
            ("key", backend.tls.key),
        )
        yield from (Reference((*path, "tls", role), file, role) for role, file in files if file is not None)
    if backend.credentials is not None:
        yield Reference((*path, "credentials", "file"), backend.credentials.file, "credential")


def draft_references(draft: Draft) -> tuple[Reference, ...]:
    """Every mention of a file in a draft, as far as it can be read."""
    found = [
        Reference(path, file, role)
        for pattern, role in _PLACES.get(draft.kind or "", ())
        for path, file in draft.find(pattern)
        if _is_file_name(file)
    ]
    if draft.kind == "Issuer":
        path = ("spec", "jwks", "development")
        found += [Reference(path, DEVELOPMENT_JWKS, "jwks") for _, on in draft.find(path) if on is True]
    return tuple(found)


def resolved(file: str, written: str) -> str:
    """The key among the attachments of a file that is written in the manifest of `file`."""
    if written == DEVELOPMENT_JWKS:
        return written
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), written))


def attached(manifests: Iterable[Manifest], attachments: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files that these manifests refer to, as far as they are there."""
    names = (found.key(each.origin.file) for each in manifests for found in references(each))
    return {name: attachments[name] for name in sorted(set(names)) if name in attachments}


def attachment_faults(
    file: str, found: tuple[Reference, ...], attachments: Mapping[str, bytes]
) -> list[Fault]:
    """What is wrong with the files that a manifest of `file` refers to."""
    faults = []
    contents: dict[Path, bytes] = {}
    for reference in found:
        if reference.role == "publication":  # what lacks one is told where a policy of it is attached
            continue
        content = attachments.get(resolved(file, reference.file))
        if content is None or reference.file.startswith("/"):
            faults.append(_missing(file, reference, attachments))
            continue
        problem = _problem(reference.role, content)
        if problem is not None:
            faults.append(Fault("bad-file", reference.path, f"`{reference.file}` {problem}"))
            continue
        contents[reference.path] = content
    for path, key in contents.items():
        certificate = contents.get((*path[:-1], "certificate")) if path[-1] == "key" else None
        mismatch = pair_problem(certificate, key) if certificate is not None else None
        if mismatch is not None:
            faults.append(Fault("bad-file", path, mismatch))
    return faults


def jwks_text(issuer: Issuer, attachments: Mapping[str, bytes]) -> str | None:
    """An issuer's key set as JSON text; None where it is fetched. Raises KeyError for a missing file."""
    jwks = issuer.spec.jwks
    if jwks.inline is not None:
        return jwks.inline.text
    if jwks.file is not None:
        return attachments[resolved(issuer.origin.file, jwks.file)].decode()
    return attachments[DEVELOPMENT_JWKS].decode() if jwks.development else None


def _is_file_name(value: Any) -> bool:
    try:
        _FILE_NAME.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def _missing(file: str, reference: Reference, attachments: Mapping[str, bytes]) -> Fault:
    if reference.file == DEVELOPMENT_JWKS:
        return Fault(
            "missing-file",
            reference.path,
            "the development issuer has no key here",
            "`fairlead up` makes one; in production use `file`, `uri` or `inline`",
        )
    if reference.file.startswith("/"):
        message = f"`{reference.file}` is not a path inside the policy folder"
        return Fault("missing-file", reference.path, message, "write it relative to this file")
    folder = posixpath.dirname(file)
    ending = posixpath.splitext(reference.file)[1]
    alike = [each for each in attachments if each.endswith(ending) and not _is_foreign(each)]
    near = closest(reference.file, [posixpath.relpath(each, folder or ".") for each in alike])
    hint = (
        f"did you mean `{near}`?"
        if near
        else "files end in .json, .jwks, .pem, .crt or .key, and lie in the folder"
    )
    if reference.role == "credential" and not near:
        hint = "a credential lies in a folder called `secrets`, or ends in .key"
    return Fault(
        "missing-file", reference.path, f"there is no file `{reference.file}` in the policy folder", hint
    )


def _is_foreign(name: str) -> bool:
    """Whether an attachment is no file of the policy folder."""
    return name == DEVELOPMENT_JWKS or "://" in name


@lru_cache(maxsize=1024)
def _problem(role: Role, content: bytes) -> str | None:
    match role:
        case "jwks":
            return jwks_file_problem(content)
        case "key":
            return key_problem(content)
        case "credential":
            return credential_problem(content)
    return certificate_problem(content)
