"""When further messages could go, and what of a window is kept for later."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriber.deliveries import Limit
from subscriber.policy.pacing import Pacing

TWILIO = Limit(messages=30, seconds=180, burst=30)
META = Limit(messages=10, seconds=60, burst=5)
TELEGRAM_GROUP = (Limit(messages=3, seconds=3, burst=3), Limit(messages=20, seconds=60, burst=5))
ONE_IN_SIX = Limit(messages=1, seconds=6)


def send_all(pacing: Pacing, seconds: float, gap: float | None, now: float = 1000.0) -> list[float]:
    """Send whatever may go for so long; return when."""
    sent: list[float] = []
    end = now + seconds
    while True:
        now += pacing.wait_needed(now, gap)
        if now >= end:
            return sent
        pacing.take(now)
        sent.append(now)


@pytest.mark.parametrize(
    ("limits", "interval"),
    [((), 0.0), ((ONE_IN_SIX,), 6.0), ((TWILIO,), 6.0), (TELEGRAM_GROUP, 3.0), ((Limit(20, 1),), 0.05)],
)
def test_interval_is_that_of_the_slowest_limit(limits: tuple[Limit, ...], interval: float) -> None:
    assert Pacing(limits).interval_seconds == interval


def test_burst_that_takes_all_leaves_minutes_without_a_message() -> None:
    """Why something is kept: thirty at once, and the next one after three minutes."""
    sent = send_all(Pacing([TWILIO]), 200, None)
    assert [each - sent[0] for each in sent[:31]] == pytest.approx([0.0] * 30 + [180.0])


@pytest.mark.parametrize("limits", [(TWILIO,), (META,), TELEGRAM_GROUP, (ONE_IN_SIX,), (TWILIO, META)])
def test_wait_with_a_gap_keeps_every_gap_short(limits: tuple[Limit, ...]) -> None:
    """However long one sends on, a message that comes now leaves within the gap, or at the pace in the long run."""
    gap = 15.0
    sent = send_all(Pacing(limits), 900, gap)
    longest = max(later - earlier for earlier, later in pairwise(sent))
    assert longest <= gap + 1e-5
    per_minute = 60 / Pacing(limits).interval_seconds
    assert len(sent) >= 15 * per_minute * 0.9  # what is kept is used as well


def test_wait_with_a_gap_lets_a_short_burst_go_at_once() -> None:
    """Ten alerts within a second are no reason to keep anybody waiting."""
    sent = send_all(Pacing([TWILIO]), 10, 15.0)
    assert len(sent) == 19
    assert sent[0] == sent[-1]


def test_wait_with_a_gap_is_never_slower_than_the_limit_in_the_long_run() -> None:
    """A hundred an hour is one in thirty-six seconds, whatever gap is wished for."""
    sent = send_all(Pacing([Limit(messages=100, seconds=3600)]), 7200, 15.0)
    assert [later - earlier for earlier, later in pairwise(sent)] == pytest.approx([36.0] * 199)


def test_slots_are_when_messages_would_go_and_change_nothing() -> None:
    pacing = Pacing(TELEGRAM_GROUP)
    expected = send_all(Pacing(TELEGRAM_GROUP), 120, None)
    slots = pacing.slots(1000.0, 1000, 119.0)
    assert slots == pytest.approx([each - 1000.0 for each in expected[1:]])
    assert pacing.wait_needed(1000.0) == 0
    assert pacing.slots(1000.0, 2, 119.0) == slots[:2]


def test_slots_without_limits_are_all_now() -> None:
    assert Pacing([]).slots(5.0, 3, 30.0) == [0.0, 0.0, 0.0]


@given(
    gap=st.none() | st.floats(min_value=0.5, max_value=60),
    before=st.integers(min_value=0, max_value=40),
    within=st.floats(min_value=0, max_value=300),
)
def test_slots_are_what_sending_on_finds(gap: float | None, before: int, within: float) -> None:
    """The decision on what is told together is taken by them, so they must be true."""
    pacing, same = Pacing([TWILIO, META]), Pacing([TWILIO, META])
    now = 1000.0
    for _ in range(before):
        now += pacing.wait_needed(now)
        pacing.take(now)
        same.take(now)
    now += pacing.wait_needed(now, gap)
    slots = pacing.slots(now, 50, within, gap)
    sent = send_all(same, within + 1, gap, now)
    assert slots == pytest.approx([each - now for each in sent[1:] if each - now <= within][:50])
