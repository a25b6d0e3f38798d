"""When quiet hours end: on the wall clock, through daylight saving, and after each other."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from bus.clock import to_us
from subscriber.policy.market_hours import MarketHours, parse_window
from subscriber.policy.quiet_hours import LONGEST_US, QuietHours, quiet_now, quiet_until

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # sets its clocks by half an hour
NIGHT = "22:00-07:00"


def hours(*windows: str, zone: tzinfo = UTC, closed: tuple[date, ...] = ()) -> MarketHours:
    return MarketHours.of(zone, [span for window in windows for span in parse_window(window)], closed)


def at(text: str, zone: tzinfo = UTC, fold: int = 0) -> int:
    """Return the moment at which the clock there shows this; the second such moment with a fold of 1."""
    return to_us(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold))


@pytest.mark.parametrize(
    ("window", "moment", "end"),
    [
        (NIGHT, "2026-01-05T22:00", "2026-01-06T07:00"),
        (NIGHT, "2026-01-06T06:59:59.999999", "2026-01-06T07:00"),
        (NIGHT, "2026-01-06T07:00", None),
        (NIGHT, "2026-01-11T23:00", "2026-01-12T07:00"),  # from Sunday into Monday
        ("Sat 00:00-Mon 08:00", "2026-01-10T12:00", "2026-01-12T08:00"),
        ("Fri 20:00-Thu 19:00", "2026-01-09T20:00", "2026-01-15T19:00"),
        ("Mon 10:00-Mon 09:00", "2026-01-05T10:00", "2026-01-12T09:00"),
        ("Mon 00:00-24:00", "2026-01-05T00:00", "2026-01-06T00:00"),
    ],
)
def test_end_is_the_first_moment_that_is_not_open(window: str, moment: str, end: str | None) -> None:
    assert hours(window).end_us(at(moment)) == (None if end is None else at(end))


def test_end_of_windows_that_touch_or_overlap_is_the_last_one() -> None:
    found = hours("22:00-24:00", "00:00-07:00", "Sat 06:30-12:00", "Sat 12:00-13:00")
    assert found.end_us(at("2026-01-09T23:00")) == at("2026-01-10T13:00")


def test_end_of_hours_that_never_close_is_eight_days_later() -> None:
    moment = at("2026-01-05T12:34")
    assert moment + LONGEST_US <= (hours("00:00-24:00").end_us(moment) or 0) <= moment + LONGEST_US * 9 // 8


def test_end_on_the_eve_of_a_closed_day_is_midnight() -> None:
    christmas = hours("Sun 18:00-Fri 17:00", zone=NEW_YORK, closed=(date(2026, 12, 25),))
    assert christmas.end_us(at("2026-12-24T12:00", NEW_YORK)) == at("2026-12-25T00:00", NEW_YORK)


@pytest.mark.parametrize(
    ("zone", "window", "moment", "end"),
    [
        (BERLIN, NIGHT, ("2026-03-28T23:00", 0), ("2026-03-29T07:00", 0)),  # a night of eight hours
        (BERLIN, NIGHT, ("2026-10-24T23:00", 0), ("2026-10-25T07:00", 0)),  # one of ten
        (NEW_YORK, NIGHT, ("2026-03-07T22:00", 0), ("2026-03-08T07:00", 0)),
        (NEW_YORK, NIGHT, ("2026-10-31T22:00", 0), ("2026-11-01T07:00", 0)),
        (LORD_HOWE, NIGHT, ("2026-04-04T22:00", 0), ("2026-04-05T07:00", 0)),
        (NEW_YORK, "Sat 22:00-Mon 07:00", ("2026-03-07T22:00", 0), ("2026-03-09T07:00", 0)),
        # The clock jumps from 02:00 to 03:00: an end in between is the jump.
        (NEW_YORK, "22:00-02:30", ("2026-03-07T22:00", 0), ("2026-03-08T03:00", 0)),
        # 01:00 to 02:00 comes twice: an end in between is told at the first, and the second half hour is quiet again.
        (NEW_YORK, "22:00-01:30", ("2026-10-31T22:00", 0), ("2026-11-01T01:30", 0)),
        (NEW_YORK, "22:00-01:30", ("2026-11-01T01:10", 1), ("2026-11-01T01:30", 1)),
        # The clock is set back out of a window that began at 01:30.
        (NEW_YORK, "01:30-06:00", ("2026-11-01T01:45", 0), ("2026-11-01T01:00", 1)),
        (NEW_YORK, "01:30-06:00", ("2026-11-01T01:45", 1), ("2026-11-01T06:00", 0)),
    ],
)
def test_end_through_daylight_saving_is_what_the_clock_on_the_wall_shows(
    zone: tzinfo, window: str, moment: tuple[str, int], end: tuple[str, int]
) -> None:
    found = hours(window, zone=zone)
    asked = at(moment[0], zone, moment[1])
    assert found.end_us(asked) == at(end[0], zone, end[1])


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE])
@pytest.mark.parametrize("window", [NIGHT, "01:30-02:30", "Sat 23:00-Sun 02:15", "Sat 10:00-Sun 09:00"])
def test_end_is_where_open_at_says_so_at_each_step_of_a_week_with_a_clock_change(zone: tzinfo, window: str) -> None:
    found = hours(window, zone=zone)
    for day in ("2026-03-06", "2026-03-27", "2026-04-03", "2026-10-02", "2026-10-23", "2026-10-30"):
        begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
        moments = [to_us(begin + timedelta(minutes=15 * step)) for step in range(4 * 24 * 3)]
        for moment, end in ((moment, found.end_us(moment)) for moment in moments):
            assert (end is not None) is found.open_at(moment)
            if end is not None:
                assert found.open_at(end - 1)
                assert not found.open_at(end)
                assert all(found.open_at(each) for each in moments if moment <= each < end)


# --- several of them ---------------------------------------------------------------------------------------------


def quiet(name: str, *windows: str, critical: bool = False, drops: bool = False) -> QuietHours:
    return QuietHours(name, hours(*windows), holds_critical=critical, drops_others=drops)


NIGHTS = quiet("night", NIGHT)
WEEKEND = quiet("weekend", "Sat 00:00-Mon 00:00")


def test_quiet_until_follows_hours_that_begin_before_the_others_end() -> None:
    """Friday evening: the night leads into the weekend, and that into the next night."""
    friday = at("2026-01-09T23:00")
    assert quiet_until([NIGHTS, WEEKEND], friday, critical=False) == at("2026-01-12T07:00")
    assert quiet_until([NIGHTS], friday, critical=False) == at("2026-01-10T07:00")
    assert quiet_until([], friday, critical=False) == friday


def test_quiet_until_of_hours_that_take_turns_ends_all_the_same() -> None:
    day = quiet("day", "07:00-22:00")
    now = at("2026-01-09T23:00")
    assert quiet_until([NIGHTS, day], now, critical=False) == now + LONGEST_US


def test_quiet_now_is_the_one_that_ends_last() -> None:
    found = quiet_now([NIGHTS, WEEKEND], at("2026-01-10T06:00"), critical=False)
    assert found is WEEKEND
    assert quiet_now([NIGHTS, WEEKEND], at("2026-01-09T12:00"), critical=False) is None


def test_critical_passes_unless_told_otherwise_and_is_never_dropped() -> None:
    now = at("2026-01-09T23:00")
    strict = quiet("strict", NIGHT, critical=True, drops=True)
    assert quiet_now([NIGHTS], now, critical=True) is None
    assert quiet_until([NIGHTS], now, critical=True) == now
    assert quiet_now([NIGHTS, strict], now, critical=True) is strict
    assert strict.drops(critical=False)
    assert not strict.drops(critical=True)


def test_end_is_the_same_when_it_is_asked_for_again() -> None:
    """What was found out is kept by the minute, and only so much of it."""
    begin = at("2026-01-09T21:59:00")
    moments = [begin + step * 20_000_000 for step in range(3 * 60 * 10)]
    for _ in range(2):
        assert [NIGHTS.end_us(each) for each in moments] == [NIGHTS.hours.end_us(each) for each in moments]


def test_fields_are_what_people_wrote() -> None:
    assert quiet("night", "Mon 22:00-24:00", drops=True).fields() == {
        "name": "night",
        "windows": "Mon 22:00-24:00 (UTC)",
        "channels": [],
        "critical": "through",
        "others": "dropped",
    }
