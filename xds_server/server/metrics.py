"""What is counted, in Prometheus' format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from xds_server.protocol.types import ORDER, short
from xds_server.rollout import Phase, State

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30)
_KNOWN: Final = {type_url: short(type_url) for type_url in ORDER}


def label(type_url: str) -> str:
    """Return a type's label. Types that are not served share one: a client cannot make new time series."""
    return _KNOWN.get(type_url, "other")


class Metrics:
    """The time series of one control plane, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.streams = self._gauge("xds_streams", "Open streams", "variant")
        self.streams_refused = Counter(
            "fairlead_xds_streams_refused",
            "Streams refused because there were as many as may be",
            registry=self.registry,
        )
        self.admitted = Gauge(
            "fairlead_xds_first_exchanges", "Streams in their first exchange", registry=self.registry
        )
        self.queued = Gauge(
            "fairlead_xds_first_exchanges_waiting",
            "Streams that wait for their first exchange",
            registry=self.registry,
        )
        self.requests = self._counter("xds_requests", "Requests received", "type")
        self.responses = self._counter("xds_responses", "Responses sent", "type")
        self.bytes_sent = self._counter("xds_response_bytes", "Bytes of the responses sent", "type")
        self.resources_sent = self._counter("xds_resources_sent", "Resources in the responses sent", "type")
        self.accepted = self._counter("xds_accepted", "Responses acknowledged (ACK)", "type")
        self.refused = self._counter("xds_refused", "Responses refused (NACK)", "type")
        self.coalesced = self._counter(
            "xds_coalesced", "Changes that joined others not yet sent to a stream", "type"
        )
        self.loads = self._counter(
            "load_requests", "Requests to backends, as nodes report them", "cluster", "outcome"
        )
        self.answer_seconds = Histogram(
            "fairlead_xds_answer_seconds",
            "From a response to its acknowledgement or refusal",
            ["type"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.refused_resources = Gauge(
            "fairlead_xds_refused_resources",
            "Resources that a connected node refuses now, summed over nodes",
            registry=self.registry,
        )
        self.nodes = Gauge("fairlead_xds_nodes", "Nodes connected", registry=self.registry)
        self.views_failed = Counter(
            "fairlead_views_failed", "Views that could not be made", registry=self.registry
        )
        self.generation = Gauge(
            "fairlead_catalogue_generation",
            "Generation of the catalogue being served",
            registry=self.registry,
        )
        self.resources = self._gauge("catalogue_resources", "Resources in the catalogue", "type")
        self.publish_seconds = self._histogram(
            "publish_seconds", "From a catalogue to all streams told of it"
        )
        self.held = self._gauge(
            "held", "What would vanish, and is held by the guard until it is released", "kind"
        )
        self.registered = self._gauge("registered_backends", "Backends that registered themselves")
        self.spilling = self._gauge(
            "overflows", "Deployments that spill to the next place now, counted for each region by itself"
        )
        self.asleep = self._gauge(
            "revisions_asleep", "Revisions without a backend for which requests may wait"
        )
        self.waited_for = self._gauge("revisions_waited_for", "Of these, those for which requests wait")
        self.wakes = self._counter("wakes", "Calls of wake hooks, by outcome", "outcome")
        self.rollout_percent = self._gauge(
            "rollout_percent", "The new revision's share in a rollout", "model", "environment"
        )
        self.rollout_phase = self._gauge(
            "rollout_phase", "1 for the phase that a rollout is in", "model", "environment", "phase"
        )
        self.rollout_events = self._counter(
            "rollout_events", "What happened in rollouts, by reason", "reason"
        )
        self.source_age = self._gauge(
            "policy_source_age_seconds", "Since a policy source last said what it publishes", "source"
        )
        self.source_fetches = self._counter(
            "policy_source_fetches", "Questions to policy sources", "source", "outcome"
        )
        self.load_seconds = self._histogram("load_seconds", "Reading and checking the policies")
        self.compile_seconds = self._histogram("compile_seconds", "From policies to a catalogue")
        self.diagnostics = self._gauge("diagnostics", "Findings in the policies as they are", "severity")

    def published(self, generation: int, counts: Mapping[str, int], seconds: float) -> None:
        """Take note of a catalogue that all streams were told of."""
        self.generation.set(generation)
        self.publish_seconds.observe(seconds)
        for type_url in ORDER:
            self.resources.labels(label(type_url)).set(counts.get(type_url, 0))

    def tell_rollout(self, model: str, environment: str, state: State) -> None:
        """Take note of where a rollout stands."""
        self.rollout_percent.labels(model, environment).set(state.percent)
        for phase in Phase:
            self.rollout_phase.labels(model, environment, str(phase)).set(phase is state.phase)

    def forget_rollout(self, model: str, environment: str) -> None:
        """Take note of a rollout that was told of, and is declared no more."""
        self.rollout_percent.remove(model, environment)
        for phase in Phase:
            self.rollout_phase.remove(model, environment, str(phase))

    def render(self) -> bytes:
        """Return everything in the text format that Prometheus reads."""
        return generate_latest(self.registry)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"fairlead_{name}", words, labels, registry=self.registry)

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(f"fairlead_{name}", words, labels, registry=self.registry)

    def _histogram(self, name: str, words: str) -> Histogram:
        return Histogram(f"fairlead_{name}", words, buckets=_SECONDS, registry=self.registry)
