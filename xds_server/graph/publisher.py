"""Publishers: policy sources with what they publish, and where a reference to a policy leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from xds_server.policy import (
    AnyPolicy,
    Loaded,
    PolicySource,
    Publication,
    PublishedPolicy,
    credential_text,
    pem_text,
)

NOT_FETCHED = "it has not been fetched yet"


@dataclass(frozen=True, slots=True)
class Publisher:
    """A policy source, what it publishes, and what is shown to it and trusted for that.

    ``missing`` says why there is no publication; ``ca`` is PEM.
    """

    source: PolicySource
    publication: Publication | None
    missing: str | None = None
    token: str | None = field(default=None, repr=False)
    ca: str | None = field(default=None, repr=False)

    @property
    def policies(self) -> Mapping[str, PublishedPolicy]:
        """By name; none while there is no publication."""
        return self.publication.policies if self.publication is not None else {}

    @property
    def digest(self) -> str | None:
        """Of what is published."""
        return self.publication.digest if self.publication is not None else None


Publishers = Mapping[str, Publisher]
"""By name of the source, in sorted order."""


def build_publishers(loaded: Loaded) -> Publishers:
    """The fleet's policy sources, with what is attached of them. Files that they refer to were checked by ``load``."""
    sources = sorted(loaded.fleet.list(PolicySource), key=lambda each: each.name)
    return {source.name: _build(loaded, source) for source in sources}


def _build(loaded: Loaded, source: PolicySource) -> Publisher:
    spec = source.spec
    found = loaded.publication(source)
    missing = None if found is not None else loaded.unfetched.get(spec.url, NOT_FETCHED)
    error = found.error if found is not None else None
    if error is not None:
        found, missing = None, str(error)
    return Publisher(
        source,
        found,
        missing,
        None if spec.token_file is None else credential_text(loaded.attachment(source, spec.token_file)),
        None if spec.ca is None else pem_text(loaded.attachment(source, spec.ca)),
    )


def split_reference(reference: str) -> tuple[str | None, str]:
    """The source and the name that ``governance/europe`` means; no source for a policy of the workspace."""
    source, slash, name = reference.rpartition("/")
    return (source, name) if slash else (None, name)


def find_policy(reference: str, own: Mapping[str, AnyPolicy], publishers: Publishers) -> AnyPolicy | None:
    """Where a reference leads: to one of the workspace's ``own`` policies, or to a published one."""
    source, name = split_reference(reference)
    if source is None:
        return own.get(name)
    publisher = publishers.get(source)
    return None if publisher is None else publisher.policies.get(name)


def list_differing(before: Publishers, now: Publishers) -> frozenset[str]:
    """The references that lead somewhere else now, or to a policy that says something else."""
    differing: set[str] = set()
    for source in before.keys() | now.keys():
        was, is_ = (each[source].publication if source in each else None for each in (before, now))
        if was != is_:
            differing |= {f"{source}/{name}" for name in _list_changed(was, is_)}
    return frozenset(differing)


@lru_cache(maxsize=8)
def _list_changed(was: Publication | None, is_: Publication | None) -> frozenset[str]:
    """The names of policies that differ: every workspace asks, and there may be thousands of both."""
    before, now = (each.policies if each is not None else {} for each in (was, is_))
    return frozenset(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def follow_publishers(previous: Publishers, today: Publishers, loaded: Loaded) -> Publishers:
    """Sources as they last were, with what is published there today, though their own manifests be broken or gone."""
    return {name: _follow(each, today.get(name), loaded) for name, each in previous.items()}


def _follow(last: Publisher, today: Publisher | None, loaded: Loaded) -> Publisher:
    if today is not None and today.source == last.source and today.publication is not None:
        return today
    found = loaded.publication(last.source)
    if found is None or found.error is not None:
        return last
    return replace(last, publication=found, missing=None)
