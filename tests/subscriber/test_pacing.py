"""How fast a channel may send."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subscriber.deliveries import Limit
from subscriber.policy.pacing import MOST_MESSAGES, Pacing, Scopes, parse_pace

START = 1000.0


def send_as_fast_as_allowed(pacing: Pacing, count: int, start: float = START) -> list[float]:
    """Return when messages go if each leaves the moment it may."""
    now, sent = start, []
    for _ in range(count):
        while (wait := pacing.wait_needed(now)) > 0:
            now += wait
        pacing.take(now)
        sent.append(now)
    return sent


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((), [0, 0, 0, 0]),
        ((Limit(1, 6),), [0, 6, 12, 18]),
        ((Limit(20, 60),), [0, 3, 6, 9]),
        ((Limit(20, 60, burst=3),), [0, 0, 0, 3]),
        ((Limit(2, 60, burst=2),), [0, 0, 60, 60]),
        ((Limit(2, 60, burst=100),), [0, 0, 60, 60]),
        ((Limit(0.5, 1),), [0, 2, 4, 6]),
        ((Limit(2.5, 1, burst=2),), [0, 0, 1, 1]),
        ((Limit(1, 1), Limit(3, 60, burst=3)), [0, 1, 2, 60]),
    ],
)
def test_pacing_lets_messages_go_as_its_limits_say(limits: tuple[Limit, ...], expected: list[float]) -> None:
    """A burst goes at once, the rest is spread, and of several limits the slowest decides."""
    sent = send_as_fast_as_allowed(Pacing(limits), len(expected))
    assert [moment - START for moment in sent] == pytest.approx(expected)


def test_pacing_after_a_pause_allows_no_more_than_its_burst() -> None:
    """Tokens do not pile up beyond the burst."""
    pacing = Pacing((Limit(20, 60, burst=2),))
    send_as_fast_as_allowed(pacing, 2)
    later = START + 3600
    assert [moment - later for moment in send_as_fast_as_allowed(pacing, 4, later)] == pytest.approx([0, 0, 3, 6])


def test_wait_needed_is_a_question_that_changes_nothing() -> None:
    """Asking twice gives the same answer."""
    pacing = Pacing((Limit(1, 6),))
    pacing.take(START)
    assert pacing.wait_needed(START + 1) == pacing.wait_needed(START + 1) == 5


@pytest.mark.parametrize("limits", [(), (Limit(1, 6),)])
def test_hold_until_stops_everything_until_then(limits: tuple[Limit, ...]) -> None:
    """The provider's own wait holds, and a shorter one that comes later does not end it."""
    pacing = Pacing(limits)
    pacing.hold_until(START + 30)
    pacing.hold_until(START + 10)
    assert pacing.wait_needed(START) == 30
    assert pacing.wait_needed(START + 30) == 0


def test_take_without_waiting_is_paid_back() -> None:
    """A send that went out in spite of the limits is counted, and the next ones wait for it."""
    pacing = Pacing((Limit(2, 60, burst=2),))
    for _ in range(4):
        pacing.take(START)
    assert pacing.wait_needed(START) == pytest.approx(90)


def test_take_of_earlier_sends_restores_the_limits_after_a_restart() -> None:
    """A daemon that starts again does not send a second burst into the same window."""
    pacing = Pacing((Limit(2, 60, burst=2),))
    pacing.take(START - 50)
    pacing.take(START - 40)
    assert pacing.wait_needed(START) == pytest.approx(10)


def test_ended_lets_a_slow_message_count_when_it_was_answered() -> None:
    """The first needs a new connection and arrives late, the third is quick: the provider still sees two a minute."""
    pacing = Pacing((Limit(2, 60, burst=2),))
    pacing.take(START)
    pacing.ended(START, START + 5)
    pacing.take(START + 6)
    pacing.ended(START + 6, START + 6.1)
    assert pacing.wait_needed(START + 60) == pytest.approx(5)


def test_ended_out_of_order_counts_each_message_once() -> None:
    """Several threads of one channel: the first hangs, the second is answered, and then the first."""
    pacing = Pacing((Limit(3, 60, burst=3),))
    for taken_at in (START, START + 1, START + 2):
        pacing.take(taken_at)
    for taken_at, ended_at in ((START + 1, START + 3), (START, START + 20), (START + 2, START + 4)):
        pacing.ended(taken_at, ended_at)
    assert pacing.wait_needed(START + 20) == pytest.approx(43)
    pacing.take(START + 63)
    assert pacing.wait_needed(START + 63) == pytest.approx(1)


def test_ended_of_a_message_that_counts_no_more_changes_nothing() -> None:
    pacing = Pacing((Limit(1, 6),))
    pacing.take(START)
    pacing.take(START + 6)
    pacing.ended(START, START + 7)
    assert pacing.wait_needed(START + 7) == 5


def test_seed_of_two_channels_counts_all_in_their_order() -> None:
    """Each channel of a chat tells its own attempts, one after the other."""
    scopes = Scopes()
    limit = Limit(4, 60, burst=4, scope="chat")
    first, second = Pacing((limit,), scopes), Pacing((limit,), scopes)
    first.seed([START - 50, START - 10], START)
    second.seed([START - 40, START - 30], START)
    assert first.wait_needed(START) == second.wait_needed(START) == pytest.approx(10)


def test_seed_with_more_than_a_limit_allows_waits_for_them() -> None:
    """A restart after a burst does not begin with another one."""
    pacing = Pacing((Limit(20, 60, burst=5),))
    pacing.seed([START - 1 + number / 20 for number in range(20)], START)
    sent = send_as_fast_as_allowed(pacing, 3)
    assert sent[0] >= START + 59


@pytest.mark.parametrize("moments", [[], [START - 7200]])
def test_seed_with_nothing_of_late_lets_messages_go(moments: list[float]) -> None:
    pacing = Pacing((Limit(20, 60, burst=5),))
    pacing.seed(moments, START)
    assert pacing.wait_needed(START) == 0


@pytest.mark.parametrize(("limit", "longest"), [(Limit(1, 1, burst=3), 3.0), (Limit(20, 60, burst=20), 60.0)])
@pytest.mark.parametrize("ahead", [0.0, 1.0, 59.0])
def test_seed_with_very_many_a_little_ahead_waits_as_after_one_burst(
    limit: Limit, longest: float, ahead: float
) -> None:
    """A clock that was set back makes them all seem sent now: they must not add up to hours of silence."""
    pacing = Pacing((limit,))
    pacing.seed([START + ahead] * 1200, START)
    assert 0 < pacing.wait_needed(START) <= longest


def test_seed_with_times_far_ahead_does_not_count_them() -> None:
    """The clock was set back by an hour while no daemon ran: nobody knows when they were sent."""
    pacing = Pacing((Limit(1, 3),))
    pacing.seed([START + 61, START + 3600], START)
    assert pacing.wait_needed(START) == 0


def test_seed_never_shortens_what_this_run_has_sent() -> None:
    pacing = Pacing((Limit(100, 60, burst=10),))
    for _ in range(20):
        pacing.take(START)
    waited = pacing.wait_needed(START)
    pacing.seed([START - 1], START)
    assert pacing.wait_needed(START) == waited > 0


def test_lift_hold_lets_all_who_share_it_send() -> None:
    scopes = Scopes()
    first, second = (Pacing((Limit(1, 1, scope="chat"),), scopes) for _ in range(2))
    first.hold_until(START + 3600)
    second.lift_hold()
    assert first.wait_needed(START) == second.wait_needed(START) == 0


def test_memory_seconds_is_the_longest_of_the_limits() -> None:
    """How far back a restart has to look."""
    assert Pacing(()).memory_seconds == 0
    assert Pacing((Limit(1, 1), Limit(20, 60))).memory_seconds == 60
    assert Pacing((Limit(0.5, 1),)).memory_seconds == 2
    assert Pacing((Limit(2, 60, burst=100),)).memory_seconds == 3000


def test_scope_that_two_channels_name_is_one_limit() -> None:
    """A bot's thirty a second are not thirty for each of its chats."""
    scopes = Scopes()
    bot = Limit(2, 60, burst=2, scope="bot")
    first, second = Pacing((bot, Limit(1, 1, scope="bot:1")), scopes), Pacing((bot, Limit(1, 1, scope="bot:2")), scopes)
    first.take(START)
    assert second.wait_needed(START) == 0
    second.take(START)
    assert first.wait_needed(START + 1) == second.wait_needed(START + 1) == 59


def test_scope_with_two_different_limits_keeps_both_for_all() -> None:
    """Also one that is told later holds for the channel that was there before."""
    scopes = Scopes()
    first = Pacing((Limit(10, 1, burst=10, scope="number"),), scopes)
    second = Pacing((Limit(1, 6, scope="number"),), scopes)
    first.take(START)
    assert (first.wait_needed(START), second.wait_needed(START)) == (6, 6)


def test_limits_without_scope_are_each_channels_own() -> None:
    scopes = Scopes()
    first, second = Pacing((Limit(1, 6),), scopes), Pacing((Limit(1, 6),), scopes)
    first.take(START)
    first.hold_until(START + 10)
    assert second.wait_needed(START) == 0


def test_hold_is_of_the_narrowest_scope() -> None:
    """Whom one chat asked for patience, another chat of the same bot may still write to."""
    scopes = Scopes()
    bot = Limit(30, 1, burst=30, scope="bot")
    first = Pacing((Limit(3, 3, burst=3, scope="bot:1"), bot), scopes)
    same_chat = Pacing((bot, Limit(1, 1, scope="bot:1")), scopes)
    other_chat = Pacing((bot, Limit(3, 3, burst=3, scope="bot:2")), scopes)
    whole_bot = Pacing((bot,), scopes)
    first.hold_until(START + 35)
    waits = [pacing.wait_needed(START) for pacing in (first, same_chat, other_chat, whole_bot)]
    assert waits == [35, 35, 0, 0]


LIMITS = st.builds(
    Limit,
    messages=st.integers(min_value=1, max_value=30).map(float) | st.floats(min_value=0.05, max_value=30.0),
    seconds=st.floats(min_value=0.01, max_value=600.0),
    burst=st.integers(min_value=1, max_value=40),
)


@settings(deadline=None)
@given(limits=st.lists(LIMITS, min_size=1, max_size=3), start=st.floats(min_value=0, max_value=1e9))
def test_pacing_never_exceeds_any_limit_in_any_window(limits: list[Limit], start: float) -> None:
    """The strict reading: no window of `seconds` ever holds more than `messages`."""
    sent = send_as_fast_as_allowed(Pacing(limits), 80, start)
    for limit in limits:
        whole = max(1, math.floor(limit.messages))
        window_seconds = limit.seconds * max(1.0, 1 / limit.messages)
        assert all(later >= earlier + window_seconds for earlier, later in zip(sent, sent[whole:], strict=False))


@settings(deadline=None)
@given(limit=LIMITS, gaps=st.lists(st.floats(min_value=0.0, max_value=900.0), min_size=1, max_size=60))
def test_pacing_with_any_arrivals_keeps_the_limit_and_ends_every_wait(limit: Limit, gaps: list[float]) -> None:
    """Messages that come when they like wait as long as needed, and no longer than one window."""
    pacing = Pacing((limit,))
    window_seconds = limit.seconds * max(1.0, 1 / limit.messages)
    now, sent = START, []
    for gap in gaps:
        now += gap
        wait = pacing.wait_needed(now)
        assert 0 <= wait <= window_seconds * 1.001
        sent += send_as_fast_as_allowed(pacing, 1, now)
        now = sent[-1]
    whole = max(1, math.floor(limit.messages))
    assert all(later >= earlier + window_seconds for earlier, later in zip(sent, sent[whole:], strict=False))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20/s", Limit(20, 1)),
        ("1/6s", Limit(1, 6)),
        ("20/min", Limit(20, 60)),
        ("0.5/s", Limit(0.5, 1)),
        (" 100 / 2 h ", Limit(100, 7200)),
        ("1/0.25s", Limit(1, 0.25)),
    ],
)
def test_parse_pace_reads_messages_per_time(text: str, expected: Limit) -> None:
    """The forms of the design, with spaces and fractions."""
    assert parse_pace(text) == expected


@pytest.mark.parametrize(
    "text", ["", "20", "20/", "/s", "0/s", "1/0s", "-1/s", "1e3/s", "20/day", "nan/s", "200000/s", "٢/s"]
)
def test_parse_pace_with_another_form_says_which_is_meant(text: str) -> None:
    """The message tells the form, and nothing of the text."""
    with pytest.raises(ValueError, match='must be messages per time, such as "20/s", "1/6s" or "20/min"') as raised:
        parse_pace(text)
    assert not text or repr(text) not in str(raised.value)


@pytest.mark.parametrize(
    "limit",
    [
        Limit(0, 1),
        Limit(1, 0),
        Limit(1, math.inf),
        Limit(1, 1, burst=0),
        Limit(math.nan, 1),
        Limit(MOST_MESSAGES + 1, 1),
        Limit(math.inf, 1),
    ],
)
def test_pacing_with_a_limit_that_means_nothing_is_refused(limit: Limit) -> None:
    """A limit without messages, time or burst would stop the channel or let all pass."""
    with pytest.raises(ValueError, match="a limit"):
        Pacing((limit,))
