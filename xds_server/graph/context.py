"""Context: what a workload's meaning depends on beside itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from xds_server.policy import AnyPolicy, Environment, Workload, Workspace, references, resolved

from .endpoint import Trust
from .place import Place
from .publisher import Publishers, find_policy, list_differing


@dataclass(frozen=True, slots=True)
class Context:
    """All that a workload's meaning depends on beside itself.

    ``environments`` maps each known environment to its manifest, or to ``None`` where it exists undeclared. ``files``
    holds the files that it may refer to: all attachments by name, or once narrowed, its own by path as written.
    ``policies`` are the workspace's own by name, or once narrowed, all that bind the workload by reference, those of
    ``publishers`` included.
    ``wider`` is the context this one was narrowed from, for hints only.
    """

    workspace: Workspace
    trusts: tuple[Trust, ...]
    environments: Mapping[str, Environment | None]
    policies: Mapping[str, AnyPolicy]
    places: Mapping[str, Place]
    files: Mapping[str, bytes]
    publishers: Publishers = field(default_factory=dict)
    wider: Context | None = field(default=None, compare=False, repr=False)

    def digest(self) -> str:
        """Name all that is in it but the files: equal for equal contexts in any process."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.workspace, self.trusts, self.environments, self.policies, self.places):
            digest.update(repr(part).encode("utf-8", "surrogateescape"))
        digest.update(repr({name: each.digest for name, each in self.publishers.items()}).encode())
        return digest.hexdigest()

    def narrow(self, workload: Workload) -> Context:
        """Only what this workload refers to, so that a change elsewhere leaves it equal."""
        environments = {
            each.environment: self.environments[each.environment]
            for each in workload.spec.deployments
            if each.environment in self.environments
        }
        named = {name for each in workload.spec.deployments for name in each.policies}
        named |= {name for each in environments.values() if each is not None for name in each.spec.policies}
        backends = [
            backend
            for each in workload.spec.deployments
            for revision in each.revisions
            for backend in revision.backends
        ]
        used = {backend.location for backend in backends}
        files = {found.file for found in references(workload)}
        return Context(
            self.workspace,
            self.trusts,
            environments,
            {name: each for name in sorted(named) if (each := self._find(name)) is not None},
            {name: self.places[name] for name in sorted(used) if name in self.places},
            {file: self.files[resolved(workload.origin.file, file)] for file in sorted(files)},
            wider=self,
        )

    def _find(self, reference: str) -> AnyPolicy | None:
        return find_policy(reference, self.policies, self.publishers)


@dataclass(frozen=True, slots=True)
class Difference:
    """What two contexts differ in, as far as that tells of workloads whom it can't concern, without reading them.

    ``policies`` are the published policies that differ, by reference, and ``environments`` those that attach any.
    """

    policies: frozenset[str]
    environments: frozenset[str]
    files: bool
    more: bool

    @classmethod
    def between(cls, before: Context, now: Context) -> Difference:
        """The difference."""
        policies = list_differing(before.publishers, now.publishers)
        environments = frozenset(
            name
            for name, each in now.environments.items()
            if each is not None and not policies.isdisjoint(each.spec.policies)
        )
        more = replace(before, files={}, publishers={}) != replace(now, files={}, publishers={})
        return cls(policies, environments, before.files != now.files, more)

    def may_concern(self, workload: Workload) -> bool:
        """Whether the difference may mean something to a workload. What nobody has read yet refers to no file."""
        if self.more or (self.files and workload.brief is None):
            return True
        attached = not self.policies.isdisjoint(workload.published_policies)
        return attached or not self.environments.isdisjoint(workload.environments)
