"""Rollouts: how traffic moves from one revision to the next, or spills to the next place, by itself: pure functions.

In: a plan, the state so far, what was observed since the last look, and the time. Out: the next state, which says the
new revision's share, and a typed reason. It must not read a clock, do I/O, or know where observations come from:
``server`` observes and keeps the state, ``graph`` lays the share over the split.
"""

from .form import FormError, read_state, write_state
from .gates import ErrorRate, Gates, Latency, Query
from .machine import NotPossibleError, Order, advance, order, start
from .observation import NO_REQUESTS, Baseline, Observation, Tally
from .overflow import AT_HOME, Overflow, Pressure, Spill, decide
from .plan import Breach, Plan, Step, Wish
from .state import Phase, Reason, State

__all__ = [
    "AT_HOME",
    "NO_REQUESTS",
    "Baseline",
    "Breach",
    "ErrorRate",
    "FormError",
    "Gates",
    "Latency",
    "NotPossibleError",
    "Observation",
    "Order",
    "Overflow",
    "Phase",
    "Plan",
    "Pressure",
    "Query",
    "Reason",
    "Spill",
    "State",
    "Step",
    "Tally",
    "Wish",
    "advance",
    "decide",
    "order",
    "read_state",
    "start",
    "write_state",
]
