"""The first request: which one to try, as a ``curl`` to copy, and whether the gateway answers it yet."""

from __future__ import annotations

import asyncio
import json
import shlex
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from xds_server.cli import port

if TYPE_CHECKING:
    import httpx

    from xds_server.graph import Endpoint, Graph
    from xds_server.policy import Gateway

CHAT: Final = json.dumps({"messages": [{"role": "user", "content": "Hello"}]})
CHAT_PATH: Final = "/v1/chat/completions"
PAUSE_SECONDS: Final = 0.05
REQUEST_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Door:
    """Where a client on this machine reaches a gateway: a base address, and the host name it must ask for, if
    any.
    """

    base: str
    host: str | None


@dataclass(frozen=True, slots=True)
class Trial:
    """One request that should work: to ``door``, for the endpoint at ``path``, with ``token`` if one can be
    made.
    """

    door: Door
    path: str
    environment: str | None
    token: str | None

    @property
    def url(self) -> str:
        """The address to send it to."""
        query = f"?environment={self.environment}" if self.environment else ""
        return f"{self.door.base}/{self.path}{CHAT_PATH}{query}"

    def curl(self) -> str:
        """Return it as one line for a shell. Without a token of ours it takes the user's from ``$TOKEN``."""
        words = ["curl", "-sS"]
        if self.door.base.startswith("https:"):
            words.append("-k")
        if self.door.host:
            words += ["-H", f"Host: {self.door.host}"]
        words += ["-H", "Content-Type: application/json", "-d", CHAT, self.url]
        bearer = f'"Authorization: Bearer {self.token or "$TOKEN"}"'
        return f"{shlex.join(words)} -H {bearer}"


def find_door(gateway: Gateway) -> Door:
    """Choose the listener that is easiest to reach: plain before TLS, any host name before a certain one."""
    listener = min(gateway.spec.listeners, key=lambda each: (each.tls is not None, bool(each.hostnames)))
    name = listener.hostnames[0].replace("*", "run", 1) if listener.hostnames else None
    scheme = "http" if listener.tls is None else "https"
    return Door(f"{scheme}://{port.join(port.reachable(listener.address), listener.port)}", name)


def choose_endpoint(graph: Graph) -> tuple[Endpoint, str | None] | None:
    """Choose what to try: a model before an agent or function, and one that answers without an environment if
    any.

    Returns the endpoint, and the environment to ask for where its default one has no deployment; ``None`` if
    nothing at all is deployed.
    """
    deployed = [each for _, each in sorted(graph.endpoints.items()) if each.deployments]
    if not deployed:
        return None
    best = min(
        deployed,
        key=lambda each: (bool(each.rules), each.segment != "models", _detour(each) is not None),
    )
    return best, _detour(best)


def _detour(endpoint: Endpoint) -> str | None:
    if endpoint.deployment(endpoint.default_environment):
        return None
    return endpoint.deployments[0].environment


async def await_answer(trial: Trial, patience: float) -> str | None:
    """Ask until something behind the gateway answers; ``None`` once it does, else the last reason why not.

    What asks is a GET of the endpoint's own path: it costs a real model nothing.
    """
    import httpx

    query = f"?environment={trial.environment}" if trial.environment else ""
    url = f"{trial.door.base}/{trial.path}{query}"
    headers = {"authorization": f"Bearer {trial.token}"} if trial.token else {}
    if trial.door.host:
        headers["host"] = trial.door.host
    extensions = {"sni_hostname": trial.door.host} if trial.door.host else {}
    reason: str | None = "no answer"
    trust = _no_verification() if url.startswith("https:") else False
    try:
        async with (
            asyncio.timeout(patience),
            httpx.AsyncClient(trust_env=False, verify=trust, timeout=REQUEST_SECONDS) as client,
        ):
            while True:
                try:
                    answer = await client.get(url, headers=headers, extensions=extensions)
                    reason = _refused_by_gateway(answer, bool(trial.token))
                except httpx.HTTPError as error:
                    reason = str(error) or type(error).__name__
                if reason is None:
                    return None
                await asyncio.sleep(PAUSE_SECONDS)
    except TimeoutError:
        return reason


def _refused_by_gateway(answer: httpx.Response, with_token: bool) -> str | None:
    """Return the gateway's own error, ``None`` if the answer is the model's (or all that can be had
    tokenless).
    """
    try:
        error: Any = answer.json()["error"]
        if error["origin"] != "gateway":
            return None
        if not with_token and answer.status_code == 401:
            return None
        return f"{answer.status_code} {error['code']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        return None


def _no_verification() -> ssl.SSLContext:
    """Trust the gateway on this machine unseen: its certificate is for a name that leads elsewhere."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
