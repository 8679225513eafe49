"""Context: what a workload's meaning depends on beside itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from xds_server.policy import Environment, Policy, Workload, Workspace, references, resolved

from .endpoint import Trust
from .place import Place


@dataclass(frozen=True, slots=True)
class Context:
    """All that a workload's meaning depends on beside itself.

    ``environments`` maps each known environment to its manifest, or to ``None`` where it exists undeclared. ``files``
    holds the files that it may refer to: all attachments by name, or once narrowed, its own by path as written.
    ``wider`` is the context this one was narrowed from, for hints only.
    """

    workspace: Workspace
    trusts: tuple[Trust, ...]
    environments: Mapping[str, Environment | None]
    policies: Mapping[str, Policy]
    places: Mapping[str, Place]
    files: Mapping[str, bytes]
    wider: Context | None = field(default=None, compare=False, repr=False)

    def digest(self) -> str:
        """Name all that is in it but the files: equal for equal contexts in any process."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self.workspace, self.trusts, self.environments, self.policies, self.places):
            digest.update(repr(part).encode("utf-8", "surrogateescape"))
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
            {name: self.policies[name] for name in sorted(named) if name in self.policies},
            {name: self.places[name] for name in sorted(used) if name in self.places},
            {file: self.files[resolved(workload.origin.file, file)] for file in sorted(files)},
            wider=self,
        )
