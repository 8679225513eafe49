"""The registration API: what a backend says of itself, over HTTP, with a token.

    PUT /v1/endpoints/{workspace}/{segment}/{model}/{environment}/{revision}
    {"location": "eu-west-3", "address": "10.1.0.7:8000", "flavor": "gpu", "weight": 1, "ttl": "30s"}

The same again renews the lease; `DELETE` with the same body ends it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from xds_server.graph import Registered
from xds_server.policy import AddressError, parse_duration
from xds_server.registration import MOST_WEIGHT, FullError, Slot
from xds_server.server.registrations import ForbiddenError, MisplacedError, Registrations, UnknownSlotError

_LARGEST: Final = 16 * 1024
_KEYS: Final = ("location", "address", "flavor", "weight", "ttl")
_SHORTEST: Final = 1.0


class _BadBodyError(Exception):
    """A body that says no backend: why."""


def registration_application(registrations: Registrations, token: Callable[[], bytes]) -> Starlette:
    """Make the application. ``token`` is read with each request, so that it may be changed; empty lets nobody in."""

    async def register(request: Request) -> Response:
        refusal = _refuse_stranger(request, token())
        if refusal is not None:
            return refusal
        if not registrations.ready:
            answer = _refuse(503, "NOT_READY", "no policies have been loaded yet")
            answer.headers["retry-after"] = "1"
            return answer
        try:
            asked, ttl = _read(await _body(request), registrations.read_address)
            if request.method == "DELETE":
                removed = registrations.remove(_slot(request), asked.location, asked.authority)
                return JSONResponse({"removed": removed})
            lease = registrations.register(_slot(request), asked, ttl)
        except _BadBodyError as error:
            return _refuse(400, "BAD_REQUEST", str(error))
        except UnknownSlotError as error:
            return _refuse(404, "REVISION_NOT_FOUND", str(error))
        except MisplacedError as error:
            return _refuse(422, "UNKNOWN_PLACE", str(error))
        except ForbiddenError as error:
            policies = sorted({each.policy for removal in error.removals for each in removal.policies})
            return _refuse(403, "PLACE_NOT_ALLOWED", str(error), policies=policies)
        except FullError as error:
            return _refuse(409, "TOO_MANY", str(error))
        return JSONResponse({"address": lease.authority, "weight": lease.weight, "ttl": lease.ttl})

    path = "/v1/endpoints/{workspace}/{segment}/{model}/{environment}/{revision}"
    return Starlette(routes=[Route(path, register, methods=["PUT", "DELETE"])])


def _slot(request: Request) -> Slot:
    parts = request.path_params
    path = f"{parts['workspace']}/{parts['segment']}/{parts['model']}"
    return Slot(path, parts["environment"], parts["revision"])


def _refuse_stranger(request: Request, token: bytes) -> Response | None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if token and scheme.casefold() == "bearer" and hmac.compare_digest(given.strip().encode(), token):
        return None
    answer = _refuse(401, "AUTHENTICATION_FAILED", "a bearer token is needed, and this is not the one")
    answer.headers["www-authenticate"] = "Bearer"
    return answer


async def _body(request: Request) -> Any:
    content = b""
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > _LARGEST:
                raise _BadBodyError(f"the body is larger than {_LARGEST} bytes")
        return json.loads(content)
    except ClientDisconnect as error:
        raise _BadBodyError("the body is not complete") from error
    except (ValueError, RecursionError) as error:
        raise _BadBodyError("the body is not JSON") from error


def _read(body: Any, read_address: Callable[[str], str]) -> tuple[Registered, float | None]:
    if not isinstance(body, dict):
        raise _BadBodyError("the body is not a JSON object")
    unknown = [key for key in body if key not in _KEYS]
    if unknown:
        raise _BadBodyError(f"unknown key {unknown[0]!r}; there are {', '.join(_KEYS)}")
    weight = body.get("weight", 1)
    if not isinstance(weight, int) or isinstance(weight, bool) or not 0 <= weight <= MOST_WEIGHT:
        raise _BadBodyError(f"weight must be a whole number from 0 to {MOST_WEIGHT}")
    flavor = body.get("flavor")
    if flavor is not None:
        flavor = _text(body, "flavor")
    ttl = _duration(_text(body, "ttl")) if "ttl" in body else None
    address = _address(_text(body, "address"), read_address)
    return Registered(_text(body, "location"), flavor, address, weight), ttl


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not 0 < len(value) <= 1024:
        raise _BadBodyError(f"{key} must be text")
    return value


def _address(text: str, read_address: Callable[[str], str]) -> str:
    try:
        return read_address(text)
    except AddressError as error:
        raise _BadBodyError(f"address {text!r} {error} ({error.hint})") from error


def _duration(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise _BadBodyError(f"ttl {error}") from error
    if seconds < _SHORTEST:
        raise _BadBodyError("ttl must be 1s at least")
    return seconds


def _refuse(status: int, code: str, words: str, **more: Any) -> Response:
    return JSONResponse({"error": {"code": code, "message": words, **more}}, status_code=status)
