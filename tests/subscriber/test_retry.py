"""What becomes of a delivery after an attempt."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.alerts import RiskEvent, Severity
from subscriber.deliveries import Decision, Delivery, DeliveryState, Done, GiveUp, Outcome, Reason, RetryAt
from subscriber.policy.retry import (
    LONGEST_WAIT_SECONDS,
    RetryPolicy,
    backoff_seconds,
    decide,
    hold_seconds,
    rate_limit_seconds,
    too_old,
)

PUBLISHED_US = 1_770_000_000_000_000
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
DAY_OLD_US = PUBLISHED_US + 24 * HOUR_US
POLICY = RetryPolicy(backoff_base_seconds=2.0, backoff_cap_seconds=60.0)


class HighestRandom(Random):
    """Draws the end of every range, so that a wait is known."""

    def uniform(self, a: float, b: float) -> float:
        return b


class LowestRandom(Random):
    """Draws the beginning of every range."""

    def uniform(self, a: float, b: float) -> float:
        return a


def held(
    *,
    state: DeliveryState = DeliveryState.PENDING,
    retries: int = 0,
    possible_repeat: bool = False,
    expires_at_us: int | None = None,
    digest: int | None = None,
) -> Delivery:
    return Delivery(
        id=1,
        alert=RiskEvent(event_type="DRAWDOWN_BREACH", severity=Severity.CRITICAL),
        channel="telegram",
        state=state,
        published_us=PUBLISHED_US,
        due_at_us=PUBLISHED_US,
        retries=retries,
        lease="lease",
        possible_repeat=possible_repeat,
        expires_at_us=expires_at_us,
        digest=digest,
    )


def decided(outcome: Outcome, delivery: Delivery | None = None, age_us: int = SECOND_US) -> Decision:
    return decide(outcome, delivery or held(), POLICY, PUBLISHED_US + age_us, HighestRandom())


def retry_after(seconds: float, *, counts: bool, in_doubt: bool) -> RetryAt:
    return RetryAt(PUBLISHED_US + SECOND_US + round(seconds * SECOND_US), counts, in_doubt)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(Reason.ACCEPTED), Done()),
        (Outcome(Reason.REJECTED), GiveUp(DeliveryState.DEAD, fallback=True)),
        (Outcome(Reason.RATE_LIMITED, retry_after_seconds=35), retry_after(35, counts=False, in_doubt=False)),
        (Outcome(Reason.RATE_LIMITED, retry_after_seconds=0), retry_after(1, counts=False, in_doubt=False)),
        (Outcome(Reason.RATE_LIMITED), retry_after(12.5, counts=False, in_doubt=False)),
        (Outcome(Reason.UNAVAILABLE), retry_after(2, counts=True, in_doubt=False)),
        (Outcome(Reason.UNAVAILABLE, in_doubt=True), retry_after(2, counts=True, in_doubt=True)),
        (Outcome(Reason.UNAVAILABLE, retry_after_seconds=7), retry_after(7, counts=True, in_doubt=False)),
        (Outcome(Reason.UNAVAILABLE, retry_after_seconds=0.5), retry_after(2, counts=True, in_doubt=False)),
        (Outcome(Reason.NETWORK), retry_after(2, counts=True, in_doubt=False)),
        (Outcome(Reason.TIMEOUT, in_doubt=True), retry_after(2, counts=True, in_doubt=True)),
        (Outcome(Reason.TIMEOUT), retry_after(2, counts=True, in_doubt=True)),
        (Outcome(Reason.UNAUTHORIZED), retry_after(0, counts=False, in_doubt=False)),
    ],
)
def test_decide_follows_the_closed_table(outcome: Outcome, expected: Decision) -> None:
    """One row of the design per case."""
    assert decided(outcome) == expected


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.ACCEPTED, Reason.REJECTED}))
@pytest.mark.parametrize(
    "delivery", [held(state=DeliveryState.IN_DOUBT), held(possible_repeat=True)], ids=["in_doubt", "possible_repeat"]
)
def test_decide_after_an_attempt_in_doubt_keeps_the_doubt(reason: Reason, delivery: Delivery) -> None:
    """A refused connection says nothing about the earlier attempt that may have arrived."""
    decision = decided(Outcome(reason), delivery)
    assert isinstance(decision, RetryAt)
    assert decision.in_doubt


@pytest.mark.parametrize(("retries", "seconds"), [(0, 2), (1, 4), (4, 32), (5, 60), (6, 60), (10**9, 60)])
def test_decide_after_more_retries_waits_longer_up_to_the_cap(retries: int, seconds: float) -> None:
    """The curve doubles, and a long outage neither overflows it nor passes the cap."""
    assert decided(Outcome(Reason.NETWORK), held(retries=retries)) == retry_after(seconds, counts=True, in_doubt=False)


@pytest.mark.parametrize("wait", [math.nan, -1.0])
def test_decide_with_a_wait_that_says_nothing_uses_its_own(wait: float) -> None:
    """A broken answer of the provider neither stops nor speeds up the retries."""
    outcome = Outcome(Reason.RATE_LIMITED, retry_after_seconds=wait)
    assert decided(outcome) == decided(Outcome(Reason.RATE_LIMITED))


@pytest.mark.parametrize("wait", [601, 3 * 86_400, math.inf, 1e300])
@pytest.mark.parametrize("reason", [Reason.UNAVAILABLE, Reason.RATE_LIMITED])
def test_decide_with_a_wait_of_days_tries_the_delivery_after_minutes(reason: Reason, wait: float) -> None:
    """One that fails may work again in a minute; one that wants to be left alone has its channel held instead."""
    decision = decided(Outcome(reason, retry_after_seconds=wait))
    assert decision == retry_after(600, counts=reason is Reason.UNAVAILABLE, in_doubt=False)


def test_decide_with_a_longer_cap_of_its_own_keeps_to_that() -> None:
    policy = RetryPolicy(backoff_base_seconds=1000.0, backoff_cap_seconds=1000.0)
    decision = decide(Outcome(Reason.NETWORK), held(), policy, PUBLISHED_US + SECOND_US, HighestRandom())
    assert decision == retry_after(1000, counts=True, in_doubt=False)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(Reason.RATE_LIMITED, retry_after_seconds=35), 35.0),
        (Outcome(Reason.RATE_LIMITED, retry_after_seconds=3 * 86_400), 3 * 86_400.0),
        (Outcome(Reason.RATE_LIMITED, retry_after_seconds=math.inf), LONGEST_WAIT_SECONDS),
        (Outcome(Reason.RATE_LIMITED), 12.5),
        (Outcome(Reason.UNAVAILABLE, retry_after_seconds=35), 0.0),
        (Outcome(Reason.UNAUTHORIZED), 0.0),
        (Outcome(Reason.ACCEPTED), 0.0),
    ],
)
def test_hold_seconds_is_all_of_the_providers_wait(outcome: Outcome, expected: float) -> None:
    """No sooner than the retry that it is for, whose jitter lengthens it; a broken answer is cut to a week."""
    now_us = PUBLISHED_US + SECOND_US
    assert hold_seconds(outcome, decided(outcome), now_us, 0) == expected


def test_hold_seconds_of_what_is_given_up_is_the_providers_wait_all_the_same() -> None:
    """The provider means everything for this target, not this message."""
    outcome = Outcome(Reason.RATE_LIMITED)
    assert hold_seconds(outcome, GiveUp(DeliveryState.EXPIRED), PUBLISHED_US, 2) == 160


@pytest.mark.parametrize(("unsaid", "least"), [(0, 10), (1, 40), (2, 160), (3, 600), (4, 600), (10**9, 600)])
def test_decide_rate_limited_again_and_again_without_a_wait_leaves_longer_alone(unsaid: int, least: float) -> None:
    """Meta's 131056 asks for 4^X seconds and names none; its jitter only lengthens a wait, up to the longest."""
    outcome = Outcome(Reason.RATE_LIMITED, status=400, code="131056")
    now_us = PUBLISHED_US + SECOND_US
    for rng, factor in ((LowestRandom(), 1.0), (HighestRandom(), 1.25)):
        decision = decide(outcome, held(), POLICY, now_us, rng, unsaid=unsaid)
        assert decision == retry_after(min(least * factor, 600), counts=False, in_doubt=False)
    assert rate_limit_seconds(outcome, unsaid) == least


def test_decide_rate_limited_with_a_wait_takes_that_however_often_none_was_said() -> None:
    """The provider knows better than our curve."""
    outcome = Outcome(Reason.RATE_LIMITED, retry_after_seconds=35)
    decision = decide(outcome, held(), POLICY, PUBLISHED_US + SECOND_US, HighestRandom(), unsaid=5)
    assert decision == retry_after(35, counts=False, in_doubt=False)


def test_decide_refused_as_text_only_tries_at_once_by_template() -> None:
    """WhatsApp's 24-hour window is shut for a text, and open for an approved template."""
    outcome = Outcome(Reason.REJECTED, status=400, code="63016", template_instead=True)
    assert decided(outcome) == retry_after(0, counts=True, in_doubt=False)
    assert decided(outcome, held(possible_repeat=True)) == retry_after(0, counts=True, in_doubt=True)


def test_decide_template_refused_as_text_gives_up() -> None:
    """What went by template already would go round for ever."""
    outcome = Outcome(Reason.REJECTED, code="63016", template_instead=True, by_template=True)
    assert decided(outcome) == GiveUp(DeliveryState.DEAD, fallback=True)


def test_decide_refused_as_text_past_the_age_expires() -> None:
    """A receipt may say so hours later; retrying ends by age."""
    outcome = Outcome(Reason.REJECTED, code="63016", template_instead=True)
    assert decided(outcome, held(expires_at_us=DAY_OLD_US), 25 * HOUR_US) == GiveUp(DeliveryState.EXPIRED)


@pytest.mark.parametrize(
    ("delivery", "age_us", "expected"),
    [
        (held(), 10_000 * HOUR_US, False),
        (held(expires_at_us=DAY_OLD_US), 24 * HOUR_US - 1, False),
        (held(expires_at_us=DAY_OLD_US), 24 * HOUR_US, True),
        (held(expires_at_us=DAY_OLD_US), -HOUR_US, False),
        (held(expires_at_us=DAY_OLD_US, digest=7), 25 * HOUR_US, False),
    ],
    ids=["no age", "in time", "at its age", "from the future", "in a digest"],
)
def test_too_old_asks_the_time_that_the_delivery_has(delivery: Delivery, age_us: int, expected: bool) -> None:
    """It was fixed when the delivery was planned; a digest has no age, or its members would never be told."""
    assert too_old(delivery, PUBLISHED_US + age_us) is expected


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (Reason.RATE_LIMITED, DeliveryState.EXPIRED),
        (Reason.UNAVAILABLE, DeliveryState.EXPIRED),
        (Reason.NETWORK, DeliveryState.EXPIRED),
        (Reason.TIMEOUT, DeliveryState.EXPIRED),
        (Reason.UNAUTHORIZED, DeliveryState.EXPIRED),
        (Reason.REJECTED, DeliveryState.DEAD),
    ],
)
def test_decide_past_the_age_gives_up(reason: Reason, state: DeliveryState) -> None:
    """Retrying ends by age; what was refused for good is dead at any age."""
    assert decided(Outcome(reason), held(expires_at_us=DAY_OLD_US), 25 * HOUR_US) == GiveUp(
        state, fallback=state is DeliveryState.DEAD
    )


def test_decide_past_the_age_with_acceptance_is_done() -> None:
    """What arrived late arrived."""
    assert decided(Outcome(Reason.ACCEPTED), held(expires_at_us=DAY_OLD_US), 25 * HOUR_US) == Done()


@pytest.mark.parametrize(("base", "cap"), [(0.0, 60.0), (-1.0, 60.0), (2.0, 1.0), (1.0, math.inf), (math.nan, 60.0)])
def test_policy_with_a_useless_backoff_is_refused(base: float, cap: float) -> None:
    """Retries need a pause that is above nothing and below for ever."""
    with pytest.raises(ValueError, match="backoff_base_seconds"):
        RetryPolicy(backoff_base_seconds=base, backoff_cap_seconds=cap)


@settings(deadline=None)
@given(
    attempt=st.integers(min_value=-1, max_value=10**12),
    base=st.floats(min_value=1e-6, max_value=1e6),
    factor=st.floats(min_value=1.0, max_value=1e6),
    seed=st.integers(),
)
def test_backoff_seconds_stays_between_nothing_and_the_cap(attempt: int, base: float, factor: float, seed: int) -> None:
    """Full jitter: anywhere below the curve, and never above the cap."""
    policy = RetryPolicy(backoff_base_seconds=base, backoff_cap_seconds=base * factor)
    curve = base * 2.0 ** min(max(attempt - 1, 0), 100)
    assert 0.0 <= backoff_seconds(attempt, policy, Random(seed)) <= min(curve, base * factor)


@settings(deadline=None)
@given(
    reason=st.sampled_from(sorted(set(Reason) - {Reason.ACCEPTED, Reason.REJECTED})),
    wait=st.none() | st.floats(),
    retries=st.integers(min_value=0, max_value=10**9),
    unsaid=st.integers(min_value=0, max_value=10**9),
    seed=st.integers(),
)
def test_decide_for_a_critical_always_retries_and_never_before_the_providers_wait(
    reason: Reason, wait: float | None, retries: int, unsaid: int, seed: int
) -> None:
    """Whatever a provider answers, a CRITICAL that it has not refused for good is tried again."""
    now_us = PUBLISHED_US + 1000 * HOUR_US
    outcome = Outcome(reason, retry_after_seconds=wait)
    decision = decide(outcome, held(retries=retries), POLICY, now_us, Random(seed), unsaid=unsaid)
    assert isinstance(decision, RetryAt)
    assert now_us <= decision.due_at_us <= now_us + 600 * SECOND_US
    if reason is Reason.RATE_LIMITED and wait is not None and 0 <= wait <= LONGEST_WAIT_SECONDS:
        assert hold_seconds(outcome, decision, now_us, unsaid) >= wait
