"""Deferral: endpoints of workloads that nobody has read yet, built when somebody wants to know what is in them.

That is sound where a process before this one built the same workload in the same context, and nothing was wrong: then
to build it now or later gives the same.
"""

from __future__ import annotations

from xds_server.policy import Brief, Workload

from .context import Context
from .endpoint import Endpoint
from .workload import build_endpoint

_set = object.__setattr__  # endpoints are frozen


class Deferral:
    """A workload and the context in which it was good. `revisions` is as `Endpoint.revisions`."""

    __slots__ = ("_context", "_workload", "revisions")

    def __init__(
        self, workload: Workload, context: Context, revisions: tuple[tuple[str, str, bool], ...]
    ) -> None:
        self._workload = workload
        self._context = context
        self.revisions = revisions

    def build(self) -> Endpoint:
        """The endpoint. Raises ValueError if the workload makes none, or has a mistake after all."""
        endpoint, faults = build_endpoint(self._workload, self._context.narrow(self._workload))
        if endpoint is None or faults:
            raise ValueError(f"{self._workload.origin}: {self._workload.title} is not what it was")
        return endpoint


def defer_endpoint(workload: Workload, brief: Brief, context: Context) -> Endpoint:
    """The endpoint of a workload with a brief, which was good in this very context."""
    made, metadata, segment = object.__new__(Endpoint), workload.metadata, workload.segment
    _set(made, "workspace", metadata.workspace)
    _set(made, "segment", segment)
    _set(made, "name", metadata.name)
    _set(made, "default_environment", context.workspace.spec.default_environment)
    _set(made, "trusts", context.trusts)
    _set(made, "warm", brief.warm)
    _set(made, "path", f"{metadata.workspace}/{segment}/{metadata.name}")
    _set(made, "unbuilt", Deferral(workload, context, brief.revisions))
    return made
