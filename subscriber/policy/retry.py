"""What becomes of a delivery after an attempt, by design.md's closed table. Pure: nothing here sleeps or sends.

Retrying ends by age, never by count: a provider that is down for a night must not cost an alert, and a stale
WARNING must not ring a phone two days later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Final

from subscriber.deliveries import (
    Decision,
    Delivery,
    DeliveryState,
    Done,
    GiveUp,
    Outcome,
    Reason,
    RetryAt,
)

_MICROSECONDS: Final = 1_000_000
_HOUR_SECONDS: Final = 3600.0
#: The wait when a provider says "too fast" without saying how long, and by how much it grows each time that it says so
#: again: such refusals do not count, so the exponential curve would stay at its beginning and hammer. Meta's 131056
#: asks for 4^X seconds.
UNSAID_WAIT_SECONDS: Final = 10.0
UNSAID_GROWTH: Final = 4.0
LONGEST_UNSAID_WAIT_SECONDS: Final = 600.0
#: Its jitter, which only lengthens it.
_UNSAID_JITTER: Final = 0.25
#: "Too fast, try again in 0 seconds" would be a loop without a pause, for such refusals do not count.
_LEAST_SAID_WAIT_SECONDS: Final = 1.0
#: What a provider's own wait is cut to: anything above is an error in its answer.
LONGEST_WAIT_SECONDS: Final = 7 * 24 * _HOUR_SECONDS
#: What the wait of a delivery itself is cut to, whatever the provider says. One that fails and asks for days may work
#: again in a minute; one that is told too much has its whole channel held, and when a person lifts that hold the
#: delivery must not wait on.
LONGEST_DUE_WAIT_SECONDS: Final = 600.0
#: Doublings after which any base is above any cap; 2.0**1100 would overflow.
_MOST_DOUBLINGS: Final = 60


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait between attempts.

    Raises:
        ValueError: The base is not above 0, or the cap is below the base.
    """

    #: Seconds before the second attempt, at most; a person is to know within seconds.
    backoff_base_seconds: float = 1.0
    #: Seconds between attempts, at most: after an outage the first alert leaves within this time.
    backoff_cap_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what would retry without a pause."""
        if not 0 < self.backoff_base_seconds <= self.backoff_cap_seconds < math.inf:
            raise ValueError("backoff_base_seconds must be above 0 and at most backoff_cap_seconds")


def decide(
    outcome: Outcome, delivery: Delivery, policy: RetryPolicy, now_us: int, rng: Random, *, unsaid: int = 0
) -> Decision:
    """Say what happens to a delivery after an attempt; `now_us` is when the attempt ended.

    The retry of an `unauthorized` is due at once, because its channel pauses and nothing is sent until it is resumed.
    That of a `rate_limited` may be due before the provider's own wait is over: `hold_seconds` keeps the channel silent.

    Args:
        outcome: How the attempt ended.
        delivery: As it was before the attempt.
        policy: How long to wait.
        now_us: When the attempt ended.
        rng: For the jitter.
        unsaid: How often in a row, before this time, the provider said "too fast" without saying how long.
    """
    if outcome.accepted:
        return Done()
    by_template_now = outcome.template_instead and not outcome.by_template
    if outcome.reason is Reason.REJECTED and not by_template_now:
        return GiveUp(DeliveryState.DEAD, fallback=True)
    if too_old(delivery, now_us):
        return GiveUp(DeliveryState.EXPIRED)
    wait_seconds = 0.0 if by_template_now else _wait_seconds(outcome, delivery, policy, rng, unsaid)
    wait_seconds = min(wait_seconds, max(LONGEST_DUE_WAIT_SECONDS, policy.backoff_cap_seconds))
    return RetryAt(
        due_at_us=now_us + math.ceil(wait_seconds * _MICROSECONDS),
        counts=outcome.reason not in {Reason.RATE_LIMITED, Reason.UNAUTHORIZED},
        in_doubt=_in_doubt(outcome, delivery),
    )


def too_old(delivery: Delivery, now_us: int) -> bool:
    """Say whether a delivery is past the age that its route allows; a digest, once it is fixed, never is."""
    return delivery.digest is None and delivery.expires_at_us is not None and now_us >= delivery.expires_at_us


def backoff_seconds(attempt: int, policy: RetryPolicy, rng: Random) -> float:
    """Return the wait after the `attempt`-th try (the first is 1): anything up to base·2^(attempt-1) or the cap.

    The full range, not a band below the curve: after an outage the channels of several daemons do not retry in step.
    """
    doublings = min(max(attempt - 1, 0), _MOST_DOUBLINGS)
    return rng.uniform(0.0, min(policy.backoff_cap_seconds, policy.backoff_base_seconds * 2.0**doublings))


def rate_limit_seconds(outcome: Outcome, unsaid: int) -> float:
    """Return for how long a provider that said "too fast" is to be left alone, at least.

    Args:
        outcome: What it said.
        unsaid: How often in a row, before this time, it said so without saying how long.
    """
    said = _said_wait_seconds(outcome)
    if said is not None:
        return max(said, _LEAST_SAID_WAIT_SECONDS)
    return min(UNSAID_WAIT_SECONDS * UNSAID_GROWTH ** min(unsaid, _MOST_DOUBLINGS), LONGEST_UNSAID_WAIT_SECONDS)


def hold_seconds(outcome: Outcome, decision: Decision, now_us: int, unsaid: int) -> float:
    """Return for how long an outcome keeps its whole channel silent; 0 where the provider did not say "too fast".

    Args:
        outcome: How an attempt ended.
        decision: What `decide` made of it.
        now_us: When it ended.
        unsaid: As `decide` was told.
    """
    if outcome.reason is not Reason.RATE_LIMITED:
        return 0.0
    due_seconds = (decision.due_at_us - now_us) / _MICROSECONDS if isinstance(decision, RetryAt) else 0.0
    return max(due_seconds, rate_limit_seconds(outcome, unsaid))


def says_wait(outcome: Outcome) -> bool:
    """Whether a provider said how long to leave it alone."""
    return _said_wait_seconds(outcome) is not None


def _wait_seconds(outcome: Outcome, delivery: Delivery, policy: RetryPolicy, rng: Random, unsaid: int) -> float:
    said = _said_wait_seconds(outcome)
    match outcome.reason:
        case Reason.UNAUTHORIZED:
            return 0.0
        case Reason.RATE_LIMITED:
            least = rate_limit_seconds(outcome, unsaid)
            if said is not None:
                return least
            return min(least + rng.uniform(0.0, least * _UNSAID_JITTER), LONGEST_UNSAID_WAIT_SECONDS)
        case _:
            # A 503 may carry a wait as well, and the provider knows better than our curve.
            return max(said or 0.0, backoff_seconds(delivery.retries + 1, policy, rng))


def _said_wait_seconds(outcome: Outcome) -> float | None:
    wait = outcome.retry_after_seconds
    if wait is None or math.isnan(wait) or wait < 0:
        return None
    return min(wait, LONGEST_WAIT_SECONDS)


def _in_doubt(outcome: Outcome, delivery: Delivery) -> bool:
    """A later attempt that surely failed does not settle an earlier one that may have arrived."""
    return (
        outcome.in_doubt
        or outcome.reason is Reason.TIMEOUT
        or delivery.possible_repeat
        or delivery.state is DeliveryState.IN_DOUBT
    )
