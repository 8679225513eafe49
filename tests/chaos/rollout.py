"""A rollout over the fleet: what is said to it, where it stands, and what each Envoy makes of it."""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from typing import Any, Self

from tests.chaos.fleet import DUBLIN, FORBIDDEN, FRANKFURT, GATEWAYS, PARIS, TOKYO, VIRGINIA, Fleet
from tests.chaos.traffic import Traffic
from tests.e2e.held import hold_split
from tests.e2e.manifest import Manifest, manifest, write
from tests.envoy_process import wait_until

OLD_PLACES = (FRANKFURT, DUBLIN, FORBIDDEN)
NEW_PLACES = (PARIS, VIRGINIA, TOKYO)
"""Next to each Envoy one, which no other Envoy asks while it is well."""


class Watched:
    """Where the rollout of a model stands, which is declared elsewhere."""

    def __init__(self, fleet: Fleet, model: str) -> None:
        self.fleet, self.model = fleet, model
        self.path = f"acme/models/{model}"

    def stand(self) -> dict[str, Any]:
        """How it stands; nothing while none is declared."""
        found = [
            each for each in self.fleet.serving.ask("/rollouts")["rollouts"] if each["path"] == self.path
        ]
        return dict(found[0]) if found else {}

    def wait(self, **expected: object) -> dict[str, Any]:
        """Wait until it stands as expected."""
        last: dict[str, Any] = {}

        def reached() -> bool:
            nonlocal last
            last = self.stand()
            return last.items() >= expected.items()

        try:
            wait_until(reached, f"the rollout of {self.model} is at {expected}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}\n{self.fleet.serving.log[-3000:]}") from error
        return last

    def split(self, gateway: str) -> float | None:
        """The new revision's percent at an Envoy; `None` while that has no routes."""
        split = hold_split(self.fleet.envoys[gateway], self.path)
        return split.get("v2", 0.0) if split else None

    def arrive(self, percent: int) -> None:
        """Wait until every Envoy gives the new revision that share."""
        for gateway in GATEWAYS:
            wait_until(
                lambda gateway=gateway: self.split(gateway) == percent,
                f"{gateway} gives {percent} % to the new revision of {self.model}",
            )

    def events(self) -> list[tuple[int, str]]:
        """What the log tells of it, share and reason, but for what was waited for."""
        lines = self.fleet.serving.events()
        told = [each for each in lines if each["event"] == "rollout" and each["model"] == self.path]
        waits = ("NO_DATA", "UNHEALTHY")
        return [(each["percent"], each["reason"]) for each in told if each["reason"] not in waits]


class Rollout(Watched):
    """One from `v1`, which has all traffic before, to `v2`. When the block is over it is declared no more.

    `new` is what else its revision says, and `deployed` the deployment. A context manager.
    """

    def __init__(self, fleet: Fleet, model: str, new: Manifest | None = None, **deployed: Any) -> None:
        super().__init__(fleet, model)
        self._new, self._deployed = new or {}, deployed

    def __enter__(self) -> Self:
        self._rest()
        for gateway in GATEWAYS:  # one that comes to its models on demand has this one from now on
            assert self.fleet.ask(gateway, self.model).status == 200
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._rest()

    def _rest(self) -> None:
        self.fleet.put(self.model, self._deployment((1, 0)))
        wait_until(lambda: not self.stand(), f"no rollout of {self.model} is declared")

    def declare(self, **rollout: Any) -> None:
        """Declare it, or declare it otherwise, and wait until the control plane goes by that.

        Nothing else may be about to be published: what has just moved is to have arrived.
        """
        plan = {"from": "v1", "to": "v2", **rollout}
        declared = manifest("Model", self.model, "acme", deployments=[self._deployment(rollout=plan)])
        before = self.fleet.serving.generation() or 0
        write(self.fleet.folder, f"acme/{self.model}.yaml", [declared])
        wait_until(lambda: (self.fleet.serving.generation() or 0) > before, f"{self.model} is as declared")
        self.wait(policy=rollout.get("state", "running"))

    def _deployment(self, weights: tuple[int, int] | None = None, **said: Any) -> Manifest:
        old, new = weights or (None, None)
        return self.fleet.deployment(
            self.fleet.revision("v1", *OLD_PLACES, weight=old),
            self.fleet.revision("v2", *NEW_PLACES, weight=new, **self._new),
            **self._deployed,
            **said,
        )

    def order(self, name: str) -> str:
        """Say it on the command line; what that answers of phase and share, as `paused at 20 %`."""
        code, told = self.fleet.serving.command("rollout", name, self.path)
        assert code == 0, told
        return told.splitlines()[1].strip().partition(",")[0]

    def count(self, traffic: Traffic, rounds: int = 40) -> dict[str, Counter[str]]:
        """How often each Envoy asked which revision, while each client went around so many times."""
        traffic.advance(2)  # what was on its way before is through
        before = self.fleet.mark()
        traffic.advance(rounds)
        counted: dict[str, Counter[str]] = {gateway: Counter() for gateway in GATEWAYS}
        for client, met in traffic.revisions(before).items():
            counted[client.partition("-")[0]].update(met)
        return counted
