"""References that lead nowhere: what is said of each, whoever refers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from xds_server.policy import Diagnostic, Draft, Manifest, Severity

from .fault import fault, list_some, suggest
from .place import Place
from .publisher import Publisher, Publishers, split_reference

Path = tuple[str | int, ...]
Key = tuple[str, str | None, str]


@dataclass(frozen=True, slots=True)
class Dangling(Diagnostic):
    """A reference that cannot be followed. ``target`` is the manifest it needs: its kind, workspace and name."""

    target: Key = field(kw_only=True)


class Declared:
    """What is declared without being in effect: to refer to it is no mistake, though it cannot be followed."""

    def __init__(self, manifests: Iterable[Manifest], drafts: Iterable[Draft]) -> None:
        self._keys = {manifest.key for manifest in manifests}
        self._named: dict[str, list[Draft]] = defaultdict(list)
        self._nameless: list[Draft] = []
        for draft in drafts:
            if draft.names is None:
                self._nameless.append(draft)
            for name in draft.names or ():
                self._named[name].append(draft)

    def holds(self, target: Key) -> bool:
        """Whether the target is, or may well be, among them."""
        candidates = (*self._named.get(target[2], ()), *self._nameless)
        return target in self._keys or any(draft.may_declare(*target) for draft in candidates)


def unknown_workspace(subject: Manifest | Draft, name: str) -> Dangling:
    """A manifest of a workspace that is not there."""
    hint = f"declare it: `kind: Workspace`, `metadata: {{name: {name}}}`, and the issuers it trusts"
    path = ("metadata", "workspace")
    message = f"there is no workspace `{name}`"
    return _aim(fault(subject, "unknown-workspace", path, message, hint), ("Workspace", None, name))


def unknown_callee(subject: Manifest, path: Path, name: str, known: Iterable[str]) -> Dangling:
    """A workspace that a gateway's clients may call, and that is not there: a warning, it takes nothing away."""
    hint = suggest(name, known, "declare it as a Workspace")
    message = f"there is no workspace `{name}`"
    found = fault(subject, "unknown-workspace", path, message, hint, severity=Severity.WARNING)
    return _aim(found, ("Workspace", None, name))


def unknown_issuer(subject: Manifest | Draft, path: Path, name: str, known: Iterable[str]) -> Dangling:
    """An issuer that is not there."""
    hint = suggest(name, known, "declare it as an Issuer")
    message = f"there is no issuer `{name}`"
    return _aim(fault(subject, "unknown-issuer", path, message, hint), ("Issuer", None, name))


def unknown_environment(
    subject: Manifest | Draft, path: Path, name: str, workspace: str, known: Iterable[str]
) -> Dangling:
    """An environment that is neither built in nor declared in the workspace."""
    remedy = "declare it as an Environment of this workspace, or use `production` or `development`"
    message = f"there is no environment `{name}` in workspace `{workspace}`"
    target = ("Environment", workspace, name)
    return _aim(fault(subject, "unknown-environment", path, message, suggest(name, known, remedy)), target)


def unknown_policy(
    subject: Manifest | Draft, path: Path, name: str, workspace: str, known: Iterable[str]
) -> Dangling:
    """A policy that the workspace does not have."""
    hint = suggest(name, known, "declare it as a Policy of this workspace")
    message = f"there is no policy `{name}` in workspace `{workspace}`"
    return _aim(fault(subject, "unknown-policy", path, message, hint), ("Policy", workspace, name))


def unfollowed_policy(
    subject: Manifest | Draft,
    path: Path,
    reference: str,
    workspace: str,
    *,
    own: Mapping[str, object],
    publishers: Publishers,
) -> Dangling | None:
    """What keeps a reference to a policy, of the workspace or of a source, from being followed; None if it can be."""
    source, name = split_reference(reference)
    if source is None:
        return None if name in own else unknown_policy(subject, path, name, workspace, own)
    publisher = publishers.get(source)
    if publisher is None:
        return _unknown_source(subject, path, source, publishers)
    if publisher.publication is None:
        return _unfetched_source(subject, path, reference, publisher)
    return None if name in publisher.policies else _unpublished_policy(subject, path, reference, publisher)


def _unknown_source(subject: Manifest | Draft, path: Path, name: str, known: Iterable[str]) -> Dangling:
    hint = suggest(name, known, "declare it as a PolicySource")
    message = f"there is no policy source `{name}`"
    return _aim(fault(subject, "unknown-source", path, message, hint), ("PolicySource", None, name))


def _unfetched_source(
    subject: Manifest | Draft, path: Path, reference: str, publisher: Publisher
) -> Dangling:
    source = publisher.source
    message = f"nothing that `{source.name}` publishes at {source.spec.url} is known: {publisher.missing}"
    hint = f"the control plane goes on asking; offline, say it with `--source {source.name}=FILE`"
    return _aim(fault(subject, "unfetched-source", path, message, hint), ("Policy", None, reference))


def _unpublished_policy(
    subject: Manifest | Draft, path: Path, reference: str, publisher: Publisher
) -> Dangling:
    source, name = publisher.source, split_reference(reference)[1]
    near = [f"{source.name}/{each}" for each in publisher.policies]
    hint = suggest(reference, near, "it publishes " + list_some(publisher.policies))
    message = f"`{source.name}` publishes no policy `{name}`"
    found = fault(subject, "unpublished-policy", path, message, hint)
    return _aim(found, ("Policy", None, reference))


def unknown_location(subject: Manifest | Draft, path: Path, name: str, known: Iterable[str]) -> Dangling:
    """A location that is neither built in nor declared."""
    hint = suggest(name, known, "use a built-in cloud region, or declare it as a Location")
    message = f"there is no location `{name}`"
    return _aim(fault(subject, "unknown-location", path, message, hint), ("Location", None, name))


def unknown_flavor(subject: Manifest | Draft, path: Path, name: str, place: Place) -> Dangling:
    """A flavor that the location does not offer."""
    hint = "it offers " + ", ".join(f"`{each.name}`" for each in place.flavors)
    message = f"location `{place.name}` does not offer the flavor `{name}`"
    return _aim(fault(subject, "unknown-flavor", path, message, hint), ("Location", None, place.name))


def _aim(found: Diagnostic, target: Key) -> Dangling:
    return Dangling(
        found.code,
        found.severity,
        found.position,
        found.object,
        found.message,
        found.hint,
        found.workspaces,
        target=target,
    )
