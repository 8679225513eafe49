"""One backend resolved: its place, its hardware, and how to reach it."""

from __future__ import annotations

import posixpath

from xds_server.policy import Backend as BackendSpec
from xds_server.policy import BackendTls, Diagnostic, Workload, credential_text, pem_text
from xds_server.policy import HealthCheck as HealthCheckSpec

from .context import Context
from .endpoint import Backend, ClientCertificate, Credentials, HealthCheck, UpstreamTls
from .place import Flavor
from .reference import unknown_flavor, unknown_location


def build_backend(
    workload: Workload,
    spec: BackendSpec,
    path: tuple[str | int, ...],
    context: Context,
) -> tuple[Backend | None, list[Diagnostic]]:
    """Resolve a backend; ``None`` and diagnostics if its place does not exist or does not offer its hardware."""
    place = context.places.get(spec.location)
    if place is None:
        known = (context.wider or context).places
        return None, [unknown_location(workload, (*path, "location"), spec.location, known)]
    flavor: Flavor | None = None
    if spec.flavor is not None:
        flavor = place.flavor(spec.flavor)
        if flavor is None:
            return None, [unknown_flavor(workload, (*path, "flavor"), spec.flavor, place)]
    backend = Backend(
        place=place,
        flavor=flavor,
        address=spec.address,
        weight=spec.weight,
        standby=spec.standby,
        tls=_build_tls(spec, context),
        path_prefix=(spec.path_prefix or "").rstrip("/"),
        health_port=spec.health_check.port,
        health_checked=spec.health_check.enabled,
        credentials=_build_credentials(spec, context),
    )
    return backend, []


def build_health_check(spec: HealthCheckSpec | None) -> HealthCheck | None:
    """A revision's health check with its statuses as ranges."""
    if spec is None:
        return None
    return HealthCheck(
        type=spec.type,
        path=spec.path,
        service=spec.service or "",
        interval=spec.interval,
        timeout=spec.timeout,
        unhealthy_threshold=spec.unhealthy_threshold,
        healthy_threshold=spec.healthy_threshold,
        statuses=tuple(_split_statuses(each) for each in spec.expected_statuses),
    )


def _split_statuses(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    return int(low), int(high or low)


def _build_credentials(spec: BackendSpec, context: Context) -> Credentials | None:
    if spec.credentials is None:
        return None
    header, file, prefix = spec.credentials.header, spec.credentials.file, spec.credentials.prefix
    return Credentials(header.lower(), posixpath.normpath(file), prefix, credential_text(context.files[file]))


def _build_tls(spec: BackendSpec, context: Context) -> UpstreamTls | None:
    if not spec.address.tls:
        return None
    name = (spec.tls.sni if spec.tls is not None else None) or spec.address.host
    is_ip = spec.address.is_ip and name == spec.address.host
    client = None if spec.tls is None else _build_client(spec.tls, context)
    ca = spec.tls.ca if spec.tls is not None else None
    if ca is None:
        return UpstreamTls(name, is_ip, None, None, client)
    return UpstreamTls(name, is_ip, posixpath.normpath(ca), pem_text(context.files[ca]), client)


def _build_client(spec: BackendTls, context: Context) -> ClientCertificate | None:
    if spec.certificate is None or spec.key is None:
        return None
    chain, key = (pem_text(context.files[file]) for file in (spec.certificate, spec.key))
    return ClientCertificate(posixpath.normpath(spec.certificate), chain, key)
