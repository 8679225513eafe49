"""A client's half of a conversation with a stream's state machine."""

from __future__ import annotations

from typing import Any

from xds_server.protocol import DeltaStream, Event, Request, Response, SotwStream, Timing
from xds_server.protocol import types as t
from xds_server.snapshot import Resource, View, layer

_, C, E, S, X, L, P, R = t.ORDER
"""Clusters, endpoints, secrets, extensions, listeners, scopes (places of models), routes."""


def res(type_url: str, name: str, body: str = "1", needs: tuple[str, ...] = ()) -> Resource:
    return Resource.of(type_url, name, body.encode(), origin=f"{name}.yaml:1", needs=needs)


def view(*resources: Resource, generation: int = 1) -> View:
    return View(generation, (layer(resources),))


class Conversation:
    """Speaks to a stream and remembers the last nonce per type. Each step returns what the server sent."""

    def __init__(self, stream: DeltaStream | SotwStream, now: float = 100.0) -> None:
        self.stream = stream
        self.now = now
        self.nonces: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.events: list[Event] = []

    def see(self, *resources: Resource) -> list[Response]:
        """Publish a view."""
        generation = self.stream.view.generation + 1 if self.stream.view else 1
        self.stream.on_view(view(*resources, generation=generation))
        return self.poll()

    def poll(self, after: float = 0.0) -> list[Response]:
        self.now += after
        responses = self.stream.poll(self.now)
        for response in responses:
            self.nonces[response.type_url] = response.nonce
        return responses

    def request(self, type_url: str, **fields: Any) -> list[Response]:
        event = self.stream.on_request(Request(type_url, **fields), self.now)
        if event is not None:
            self.events.append(event)
        return self.poll()


class Delta(Conversation):
    def __init__(self, **options: Any) -> None:
        super().__init__(DeltaStream(timing=Timing(**options)))

    def sub(self, type_url: str, *names: str, **fields: Any) -> list[Response]:
        return self.request(type_url, subscribe=names, **fields)

    def unsub(self, type_url: str, *names: str) -> list[Response]:
        return self.request(type_url, unsubscribe=names)

    def ack(self, type_url: str, **fields: Any) -> list[Response]:
        return self.request(type_url, nonce=self.nonces[type_url], **fields)

    def nack(self, type_url: str, error: str = "bad", **fields: Any) -> list[Response]:
        return self.ack(type_url, error=error, **fields)


class Sotw(Conversation):
    def __init__(self, **options: Any) -> None:
        super().__init__(SotwStream(timing=Timing(**options)))
        self.accepted: dict[str, str] = {}

    def poll(self, after: float = 0.0) -> list[Response]:
        responses = super().poll(after)
        for response in responses:
            self.versions[response.type_url] = response.version
        return responses

    def ask(self, type_url: str, *names: str, **fields: Any) -> list[Response]:
        return self.request(type_url, names=names, **fields)

    def ack(self, type_url: str, *names: str, **fields: Any) -> list[Response]:
        self.accepted[type_url] = self.versions[type_url]
        return self.ask(
            type_url, *names, nonce=self.nonces[type_url], version=self.versions[type_url], **fields
        )

    def nack(self, type_url: str, *names: str, error: str = "bad") -> list[Response]:
        return self.ask(
            type_url,
            *names,
            nonce=self.nonces[type_url],
            version=self.accepted.get(type_url, ""),
            error=error,
        )


def said(responses: list[Response]) -> list[tuple[str, list[str], list[str]]]:
    """Responses as (short type, names sent, names removed)."""
    return [(t.short(r.type_url), [x.name for x in r.resources], list(r.removed)) for r in responses]
