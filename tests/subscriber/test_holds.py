"""For how long a provider wants to be left alone, what a person is told of it, and how it is lifted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bus.clock import MICROSECONDS
from subscriber.channels.memory import ChannelMemory
from subscriber.deliveries import Limit, Outcome, Reason, Remembered
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.meters import Meters
from subscriber.receipts import ReceiptMode
from tests.support.clock import FakeClock
from tests.support.notebook import Notebook
from tests.support.worker_bench import ACCEPTED, HighestJitter, ScriptedChannel

ONE_A_SECOND = (Limit(messages=1, seconds=1),)
DAY_US = 86_400 * MICROSECONDS
UNSAID = Outcome(Reason.RATE_LIMITED, status=400, code="131056")
UNAUTHORIZED = Outcome(Reason.UNAUTHORIZED, "Unauthorized", status=401, code="401")


@pytest.fixture
def desk(clock: FakeClock) -> ChannelDesk:
    return ChannelDesk(ScriptedChannel(pace=ONE_A_SECOND), clock, rng=HighestJitter())


def test_hold_makes_everyone_wait_whatever_the_pace(desk: ChannelDesk, clock: FakeClock) -> None:
    desk.hold(30)
    assert desk.turn() == 30
    desk.hold(5)  # never shortens what was asked for before
    assert desk.wait_needed() == 30
    clock.advance(30)
    assert desk.turn() == 0


def test_hold_lasts_over_a_step_of_the_wall_clock(desk: ChannelDesk, clock: FakeClock) -> None:
    desk.hold(30)
    clock.step(3600)
    assert desk.wait_needed() == 30


def test_hold_is_kept_and_goes_on_after_a_restart(clock: FakeClock) -> None:
    """Whatever the monotonic clock of the next run says, which begins anywhere."""
    notebook = Notebook()
    ChannelDesk(ScriptedChannel(memory=ChannelMemory(keep=notebook)), clock).hold(35)
    (changes,) = notebook.kept
    until_us = changes["held_until_us"]
    assert isinstance(until_us, int)
    next_run = FakeClock(clock.now_us() + 10 * MICROSECONDS)
    next_run._monotonic = 3.0
    desk = ChannelDesk(ScriptedChannel(memory=ChannelMemory(Remembered(held_until_us=until_us))), next_run)
    assert desk.wait_needed() == 25
    assert desk.view.held_until_us == until_us
    next_run.advance(25)
    assert desk.turn() == 0
    assert desk.view.held_until_us is None


def test_hold_that_is_shorter_than_one_that_lasts_is_not_kept(clock: FakeClock) -> None:
    channel = ScriptedChannel()
    desk = ChannelDesk(channel, clock)
    desk.hold(30)
    desk.hold(5)
    assert channel.memory.values.held_until_us == clock.now_us() + 30 * MICROSECONDS


@pytest.mark.parametrize(("ahead_us", "wait"), [(7 * DAY_US, 7 * 86_400.0), (7 * DAY_US + 1, 0.0), (-DAY_US, 0.0)])
def test_hold_remembered_beyond_any_providers_wait_is_forgotten(clock: FakeClock, ahead_us: int, wait: float) -> None:
    """A wall clock that was set back must not keep a channel silent for years; the provider's next answer tells."""
    channel = ScriptedChannel(memory=ChannelMemory(Remembered(held_until_us=clock.now_us() + ahead_us)))
    desk = ChannelDesk(channel, clock)
    assert desk.wait_needed() == wait
    if wait == 0:
        desk.hold(35)
        assert channel.memory.values.held_until_us == clock.now_us() + 35 * MICROSECONDS


def test_hold_of_a_shared_chat_holds_all_its_channels_over_a_restart(clock: FakeClock) -> None:
    """Two channels that write to one chat by one bot: the provider asked for both, and for no other chat."""
    bot = Limit(30, 1, burst=30, scope="bot")
    chat, other = Limit(3, 3, burst=3, scope="bot:1"), Limit(3, 3, burst=3, scope="bot:2")
    channels = [
        ScriptedChannel("first", pace=(chat, bot)),
        ScriptedChannel("second", pace=(chat, bot)),
        ScriptedChannel("elsewhere", pace=(other, bot)),
    ]
    for run in range(2):
        meters = Meters()
        desks = [ChannelDesk(channel, clock, meters=meters) for channel in channels]
        if run == 0:
            desks[0].hold(35)
        assert [desk.turn() for desk in desks] == [35, 35, 0]


def test_unsaid_rate_limits_counts_those_in_a_row(desk: ChannelDesk, clock: FakeClock) -> None:
    """Each comes after the hold of the one before; an acceptance ends the row, a wait that is said does not."""
    counts = []
    for _ in range(3):
        counts.append(desk.holds.unsaid)
        desk.note(UNSAID, hold_seconds=10)
        clock.advance(10)
    desk.note(Outcome(Reason.RATE_LIMITED, retry_after_seconds=1))
    counts.append(desk.holds.unsaid)
    desk.note(ACCEPTED)
    counts.append(desk.holds.unsaid)
    assert counts == [0, 1, 2, 3, 0]


def test_unsaid_rate_limits_told_to_several_threads_at_once_count_once(desk: ChannelDesk, clock: FakeClock) -> None:
    """They were all sending when the provider had enough; the hold of the first is in effect for the others."""
    for _ in range(4):
        assert desk.holds.unsaid == 0
        desk.note(UNSAID, hold_seconds=10)
    clock.advance(10)
    assert desk.holds.unsaid == 1


def test_unsaid_rate_limits_by_receipt_outlast_the_acceptances_before_them(clock: FakeClock) -> None:
    """Such a message is accepted first and refused later: until twice the longest hold passed, each may be."""
    desk = ChannelDesk(ScriptedChannel(receipts=ReceiptMode.WEBHOOK), clock)
    opened_us = clock.now_us()
    for number in range(3):
        desk.note(ACCEPTED)
        assert desk.holds.unsaid == number
        desk.note_failed(UNSAID, 600, opened_us)
        clock.advance(600)
    clock.advance(600)
    desk.note(ACCEPTED)
    assert desk.holds.unsaid == 3
    clock.advance(1)
    desk.note(ACCEPTED)
    assert desk.holds.unsaid == 0


def test_hold_above_ten_minutes_is_an_error_until_they_are_left(desk: ChannelDesk, clock: FakeClock) -> None:
    desk.hold(600)
    assert (desk.up, desk.holds.take_untold()) == (True, None)
    desk.hold(601)
    assert (desk.up, desk.view.up, desk.holds.take_untold()) == (False, False, clock.monotonic() + 601)
    clock.advance(1)
    assert desk.up


def test_hold_above_ten_minutes_is_told_once(desk: ChannelDesk, clock: FakeClock) -> None:
    """Several threads meet the same refusal; one that lasts much longer than was told is news."""
    tells = []
    for seconds in (3600, 3600, 4200, 4201, 3600):
        desk.hold(seconds)
        tells.append(desk.holds.take_untold())
    now = clock.monotonic()
    assert tells == [now + 3600, None, None, now + 4201, None]


def test_hold_of_an_earlier_run_is_an_error_and_not_told_again(clock: FakeClock) -> None:
    memory = ChannelMemory(Remembered(held_until_us=clock.now_us() + 3600 * MICROSECONDS))
    desk = ChannelDesk(ScriptedChannel(memory=memory), clock)
    assert (desk.up, desk.holds.take_untold()) == (False, None)


@pytest.mark.parametrize("lift", [ChannelDesk.resume, ChannelDesk.try_now])
@pytest.mark.parametrize("paused", [False, True])
def test_person_lifts_a_long_hold_for_this_run_and_the_next(
    clock: FakeClock, lift: Callable[[ChannelDesk], bool], *, paused: bool
) -> None:
    notebook = Notebook()
    desk = ChannelDesk(ScriptedChannel(memory=ChannelMemory(keep=notebook)), clock)
    if paused:
        desk.note(UNAUTHORIZED)
    desk.hold(3600)
    assert desk.holds.take_untold() is not None
    rings = desk.wake.rings
    assert lift(desk) is paused
    assert (desk.wait_needed(), desk.up, desk.view.held_until_us, desk.wake.rings) == (0, True, None, rings + 1)
    assert notebook.kept[-1] == {"held_until_us": None}
    desk.hold(3600)  # the provider asks for it again, and that is news
    assert desk.holds.take_untold() is not None


def test_resume_lifts_a_short_hold_as_well(desk: ChannelDesk) -> None:
    desk.hold(35)
    desk.resume()
    assert (desk.wait_needed(), desk.channel.memory.values.held_until_us) == (0, None)


def test_note_with_a_hold_is_kept_over_a_restart(desk: ChannelDesk, clock: FakeClock) -> None:
    desk.note(Outcome(Reason.RATE_LIMITED, retry_after_seconds=35), hold_seconds=35)
    assert desk.wait_needed() == 35
    assert desk.channel.memory.values.held_until_us == clock.now_us() + 35 * MICROSECONDS


def test_try_now_ends_no_short_hold(desk: ChannelDesk) -> None:
    """A person's test is no reason to be refused again."""
    desk.note(UNAUTHORIZED)
    desk.hold(30)
    desk.try_now()
    assert desk.wait_needed() == 30
