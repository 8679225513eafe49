"""``fairlead up``: the control plane, a real Envoy and sample models on one machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import typer

from xds_server.cli import port, sample
from xds_server.cli.child import Child, ending
from xds_server.cli.crew import Crew, failure
from xds_server.cli.interruption import Interruption
from xds_server.cli.live import LiveLog
from xds_server.cli.member import ADMIN_PORT, Member
from xds_server.cli.plan import Plan, Wish, make_plan
from xds_server.cli.plane import running
from xds_server.cli.policies import open_source
from xds_server.cli.serving import ADMIN, SHARE, XDS, Admin, Xds, address
from xds_server.cli.terminal import complain, put, say
from xds_server.cli.trial import await_answer
from xds_server.cli.validation import GatewayChoice, PolicyPath

EXAMPLES: Final = """Examples:

  fairlead up policies/quickstart

  fairlead up policies/quickstart --region us-east-1
"""
ANSWER_SECONDS: Final = 30.0
FAR_ANSWER_SECONDS: Final = 5.0
"""How long to wait where no backend is on this machine, so that there may well be none to answer."""
STOP_SECONDS: Final = 5.0
WORKERS: Final = 2
"""Envoy's worker threads: enough for one person, on however large a machine."""
FLUSH_MILLISECONDS: Final = 200
"""How long Envoy may hold back a line of its access log; its own 10 s would be no live log."""


def up(
    path: PolicyPath,
    *,
    region: Annotated[
        str | None,
        typer.Option("--region", "-r", help="Where Envoy stands; the first backend's region if left out."),
    ] = None,
    gateway: GatewayChoice = None,
    xds: Xds = XDS,
    admin: Admin = ADMIN,
    envoy_admin_port: Annotated[
        int, typer.Option("--envoy-admin-port", min=0, max=65535, help="The port of Envoy's admin page.")
    ] = ADMIN_PORT,
) -> None:
    """Run a policy set on this machine: the control plane, a real Envoy in one region, and sample models.

    A sample model stands in for each backend on a loopback address that nobody serves. Once the endpoint
    answers, its address, a token and a curl to copy are printed; then every request is logged. Edit the
    policies, and they take effect. Ctrl-C stops everything, a second one kills at once.
    """
    from xds_server.cli import logs

    plan = make_plan(
        Wish(path, region, gateway, address(xds, "--xds"), address(admin, "--admin"), envoy_admin_port)
    )
    logs.configure()
    asyncio.run(_run(plan))


async def _run(plan: Plan) -> None:
    """Run the plan until it is interrupted or fails; leave nothing running either way."""
    crew = Crew()
    interruption = Interruption(_stopping, crew.kill)
    interruption.listen()
    stop = asyncio.create_task(interruption.wait(), name="interruption")
    async with running(open_source(plan.wish.path), plan.wish.xds, plan.wish.admin, 0.0, guard=SHARE) as (
        plane,
        pipeline,
    ):
        work = asyncio.create_task(_work(plan, crew, plane.xds_port), name="up")
        try:
            await asyncio.wait({stop, work, pipeline}, return_when=asyncio.FIRST_COMPLETED)
            for task in (work, pipeline):
                if task.done():
                    task.result()
        finally:
            work.cancel()
            await asyncio.wait({work})
            await crew.stop(STOP_SECONDS)
    stop.cancel()
    say("everything is stopped", "faint")


def _stopping(name: str) -> None:
    say(f"{name}: stopping; once more, and all is killed", "faint")


async def _work(plan: Plan, crew: Crew, xds_port: int) -> None:
    """Start everything, say how to use it, and watch over it; raises ``CommandError`` when it can't go on."""
    if plan.warning:
        say(f"warning: {plan.warning}", "warning")
    log = LiveLog()
    await _start_samples(plan, crew)
    envoy = await _start_envoy(plan, xds_port, log)
    crew.add(envoy)
    end = asyncio.create_task(crew.next_end())
    try:
        answer = asyncio.create_task(_await_trial(plan))
        await asyncio.wait({answer, end}, return_when=asyncio.FIRST_COMPLETED)
        if end.done():
            answer.cancel()
            raise failure(*end.result())
        _announce(plan, answer.result())
        log.open()
        while True:
            child, code = await end
            if child is envoy:
                raise failure(child, code)
            say(f"{child.name} (pid {child.pid}) is gone: {ending(code)}; the rest goes on", "warning")
            end = asyncio.create_task(crew.next_end())
    finally:
        log.close()
        end.cancel()


async def _start_samples(plan: Plan, crew: Crew) -> None:
    for each, listener in plan.samples:
        child = await sample.start(each, listener)
        crew.add(child)
        say(f"{each.name}: {each.address}, pid {child.pid}, stands for {each.role}")
    for each in plan.served:
        say(f"{each.address} is served already: no sample for {each.role} in {each.region}")


async def _start_envoy(plan: Plan, xds_port: int, log: LiveLog) -> Child:
    member = Member(
        gateway=plan.gateway,
        region=plan.region,
        xds=(port.reachable(plan.wish.xds[0]), xds_port),
        admin_port=plan.wish.envoy_admin_port,
        load_reports=True,
    )
    further = [
        *("--log-level", "warning"),
        *("--concurrency", str(WORKERS)),
        *("--file-flush-interval-msec", str(FLUSH_MILLISECONDS)),
    ]
    name = f"Envoy of {plan.gateway} in {plan.region}"
    child = await Child.start(name, [str(plan.envoy), *member.arguments(), *further], on_line=log.tell)
    say(f"{name}: pid {child.pid}")
    return child


async def _await_trial(plan: Plan) -> str | None:
    if plan.trial is None:
        return None
    here = plan.samples or plan.served
    return await await_answer(plan.trial, ANSWER_SECONDS if here else FAR_ANSWER_SECONDS)


def _announce(plan: Plan, reason: str | None) -> None:
    """Print the endpoint, a token and a curl, or say why there is nothing to try."""
    trial = plan.trial
    if trial is None:
        say("up, and nothing is deployed yet")
        return
    if reason is not None:
        complain(
            f"{trial.door.base}/{trial.path} does not answer yet: {reason}", "the log below may tell why"
        )
    say("")
    put(f"endpoint  {trial.door.base}/{trial.path}")
    if trial.token is not None:
        put(f"token     {trial.token}")
    else:
        say(f"No token can be made here: {trial.path} trusts other issuers. Set TOKEN to one of theirs.")
    put("")
    put(trial.curl())
    say(f"\nEdit {plan.wish.path}, and it takes effect. Ctrl-C stops everything.", "faint")
