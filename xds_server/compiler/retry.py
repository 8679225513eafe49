"""Retries: what is sent again, and where to.

What holds for every model is here and in ``headers``: Envoy adds up the reasons in a route and those in the request's
``x-envoy-retry-on``, which clients can't send and which ``idempotent_retries`` sets by method. So a route need not tell
methods apart, and a model that says nothing pays nothing.
https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple, Self

from xds_server.graph import Deployment
from xds_server.wire import message_class, pack

# Only what cannot have been run: Envoy knows that the request was not sent in full, or was refused unread.
_ALWAYS = ("connect-failure", "refused-stream", "reset-before-request")
IF_REPEATABLE = ("reset", "retriable-status-codes")
"""What is added where a request may be run twice. The one status is ``UNAVAILABLE``."""
UNAVAILABLE = 503
_TOO_MANY = 429
_PREVIOUS_HOSTS = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
_PREVIOUS_PRIORITIES = "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
_FEW, _MANY = 3, 100
_PAUSE, _LONG_PAUSE = timedelta(milliseconds=10), timedelta(milliseconds=100)
"""At most before the second attempt, twice that before the third and so on, ten times that before any."""


class RetryRule(NamedTuple):
    """All that the retry policy of a route depends on."""

    attempts: int = 3
    non_idempotent: bool = False
    on_429: bool = False
    per_try_timeout: float | None = None
    weighted: bool = False
    per_try_idle: float | None = None
    hinted: bool = False

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        """The rule of a deployment."""
        retries = deployment.handling.retries
        return cls(
            deployment.attempts,
            retries.non_idempotent,
            retries.on_429,
            retries.per_try_timeout,
            any(revision.routing.shares for revision in deployment.revisions),
            hinted=any(revision.routing.caller_choice for revision in deployment.revisions),
        )


USUAL_RETRIES = RetryRule()
"""Of deployments that say nothing."""


@lru_cache(maxsize=256)
def describe_retries(rule: RetryRule) -> dict[str, Any]:
    """The RetryPolicy of a rule. Not to be changed."""
    reasons = (*_ALWAYS, *(IF_REPEATABLE if rule.non_idempotent else ()))
    statuses = (*((UNAVAILABLE,) if rule.non_idempotent else ()), *((_TOO_MANY,) if rule.on_429 else ()))
    if statuses and IF_REPEATABLE[-1] not in reasons:
        reasons = (*reasons, IF_REPEATABLE[-1])
    policy: dict[str, Any] = {
        "retry_on": ",".join(reasons),
        "num_retries": {"value": rule.attempts},
        **_elsewhere(rule),
        "retry_back_off": _pause(rule),
    }
    if statuses:
        policy["retriable_status_codes"] = list(statuses)
    if rule.per_try_timeout is not None:
        policy["per_try_timeout"] = timedelta(seconds=rule.per_try_timeout)
    if rule.per_try_idle is not None:
        policy["per_try_idle_timeout"] = timedelta(seconds=rule.per_try_idle)
    return policy


def _pause(rule: RetryRule) -> dict[str, Any]:
    # Envoy could wait as long as `Retry-After` says. Elsewhere there is no reason to wait, unless that is where a hint
    # leads away from: each attempt goes to the hinted place until the main thread has told the worker that it is down.
    base = _LONG_PAUSE if rule.hinted else _PAUSE
    return {"base_interval": base, "max_interval": 10 * base}


def _elsewhere(rule: RetryRule) -> dict[str, Any]:
    """Where a request is not sent again, as long as there are other backends."""
    hosts = message_class(_PREVIOUS_HOSTS)()
    # Each retry leaves the places already tried, so a dead region costs one attempt. Places that share by weight are
    # one priority: the first retry is for those that share, the next for those behind.
    priorities = message_class(_PREVIOUS_PRIORITIES)(update_frequency=2 if rule.weighted else 1)
    # A place with a small weight comes up rarely, and a backend among several once in a round: it must be looked for.
    picks = _MANY if rule.weighted or rule.on_429 else _FEW
    return {
        "retry_host_predicate": [
            {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": pack(hosts)}
        ],
        "host_selection_retry_max_attempts": picks,
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": pack(priorities),
        },
    }
