"""Verdicts: whether the tests noticed a mutant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.mutants.mutant import Mutant
from tests.mutants.trial import Outcome, TrialError, copied, run


@dataclass(frozen=True, slots=True)
class Verdict:
    """A mutant, and what came of the tests that ran against it."""

    mutant: Mutant
    outcome: Outcome

    @property
    def survived(self) -> tuple[str, ...]:
        """The tests that should have failed and did not; none means that the mutant was noticed.

        An error is no failure: where the fleet did not come up, no test has seen what the mutant does.
        """
        return tuple(killer for killer in self.mutant.killers if killer not in self.outcome.failed)


def check_unbroken(mutants: Iterable[Mutant]) -> None:
    """Run all that the mutants need against a copy without edits. Raises `TrialError` unless everything passes."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with copied() as copy:
        outcome = run(copy, tests)
    if outcome.failed or outcome.errors or not outcome.passed:
        raise TrialError(f"nothing is broken, yet these fail: {outcome.failed or outcome.errors}")


def judge(mutants: Iterable[Mutant]) -> Iterator[Verdict]:
    """Break one thing after the other. Raises `NotFoundOnceError` and `TrialError`."""
    for mutant in mutants:
        with copied(mutant.edits) as copy:
            yield Verdict(mutant, run(copy, mutant.tests))
