"""The rollouts on the admin HTTP: how they stand, and what an operator on this machine may say."""

from __future__ import annotations

from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from xds_server.rollout import NotPossibleError, Order
from xds_server.server.rollouts import Rollouts, UnknownRolloutError
from xds_server.server.wake_hook import MARK


def rollout_routes(rollouts: Rollouts) -> list[BaseRoute]:
    """Return the pages: `GET /rollouts`, and `POST /rollouts/<path>/<environment>/<order>`.

    Orders are taken from this machine only, and from no browser: the admin HTTP asks nobody who they are.
    """

    async def show(_: Request) -> Response:
        return JSONResponse({"rollouts": rollouts.describe()})

    async def command(request: Request) -> Response:
        refusal = refuse_stranger(request)
        if refusal is not None:
            return refusal
        parts = request.path_params
        try:
            asked = Order(parts["order"])
        except ValueError:
            return _refuse(404, f"there is no order {parts['order']}; one of: {', '.join(Order)}")
        try:
            told = await rollouts.command((parts["path"], parts["environment"]), asked)
        except UnknownRolloutError:
            return _refuse(404, f"{parts['path']} has no rollout in {parts['environment']}")
        except NotPossibleError as error:
            return _refuse(409, str(error))
        return JSONResponse(told)

    return [
        Route("/rollouts", show),
        Route("/rollouts/{path:path}/{environment}/{order}", command, methods=["POST"]),
    ]


def refuse_stranger(request: Request) -> Response | None:
    """Return the refusal of whoever is not a program on this machine; None for one that is."""
    # A page in somebody's browser can post to a loopback address; it cannot hide that it does.
    if "origin" in request.headers or request.headers.get("sec-fetch-site", "none") != "none":
        return _refuse(403, "not from a browser")
    if MARK in request.headers:
        return _refuse(403, "this is no wake hook")
    if request.client is not None and not _is_loopback(request.client.host):
        return _refuse(403, "only from the machine that the control plane runs on")
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse(status: int, words: str) -> Response:
    return JSONResponse({"error": words}, status_code=status)
