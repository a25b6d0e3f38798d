"""When the market is open: windows on the wall clock, also through daylight saving, and what is no window."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest

from bus.clock import to_us
from subscriber.policy.market_hours import MarketHours, parse_window

NEW_YORK = ZoneInfo("America/New_York")
FORM = 'must be a window such as "Mon-Fri 09:30-16:00"'
WEEK_MINUTES = 7 * 24 * 60


def hours(*windows: str, zone: tzinfo = NEW_YORK, closed: tuple[date, ...] = ()) -> MarketHours:
    return MarketHours.of(zone, [span for window in windows for span in parse_window(window)], closed)


def at(text: str, zone: tzinfo = NEW_YORK, fold: int = 0) -> int:
    """Return the moment at which the clock there shows this; the second such moment with a fold of 1."""
    return to_us(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold))


# --- what the clock shows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ("Mon-Fri 09:30-16:00", "2026-01-05T09:30", "2026-01-05T09:29:59.999999"),
        ("Mon-Fri 09:30-16:00", "2026-01-09T15:59:59.999999", "2026-01-09T16:00"),
        ("Mon-Fri 09:30-16:00", "2026-01-06T12:00", "2026-01-10T12:00"),
        ("Mon,Wed 10:00-12:00", "2026-01-07T10:00", "2026-01-06T10:00"),
        ("Fri-Mon 10:00-12:00", "2026-01-11T10:00", "2026-01-06T10:00"),
        ("Mon-Tue,Sat 10:00-12:00", "2026-01-10T10:00", "2026-01-09T10:00"),
        ("Sun 18:00-Fri 17:00", "2026-01-04T18:00", "2026-01-04T17:59"),
        ("Sun 18:00-Fri 17:00", "2026-01-09T16:59", "2026-01-09T17:00"),
        ("Sun 18:00-Fri 17:00", "2026-01-07T03:00", "2026-01-10T03:00"),
        ("22:00-02:00", "2026-01-05T01:59", "2026-01-05T02:00"),
        ("22:00-02:00", "2026-01-05T22:00", "2026-01-05T21:59"),
        ("Mon 22:00-02:00", "2026-01-06T01:00", "2026-01-05T01:00"),
        ("Sun 22:00-02:00", "2026-01-05T01:00", "2026-01-06T01:00"),
        ("Mon 00:00-24:00", "2026-01-05T23:59", "2026-01-06T00:00"),
        ("Mon 22:00-00:00", "2026-01-05T23:59", "2026-01-06T00:00"),
        ("Sat 10:00-Sun 24:00", "2026-01-11T23:59", "2026-01-12T00:00"),
        ("Mon 10:00-Mon 09:00", "2026-01-12T08:59", "2026-01-12T09:00"),
    ],
)
def test_market_is_open_inside_of_a_window_only(window: str, inside: str, outside: str) -> None:
    assert hours(window).open_at(at(inside))
    assert not hours(window).open_at(at(outside))


@pytest.mark.parametrize("window", ["00:00-24:00", "Mon-Sun 00:00-24:00", "Mon 00:00-Sun 24:00"])
def test_market_around_the_clock_is_always_open(window: str) -> None:
    assert hours(window).spans == ((0, WEEK_MINUTES),)
    assert all(hours(window).open_at(at("2026-03-08T00:00") + hour * 3_600_000_000) for hour in range(24 * 8))


def test_market_is_closed_on_a_closed_day_from_midnight_to_midnight_there() -> None:
    christmas = hours("Sun 18:00-Fri 17:00", closed=(date(2026, 12, 24),))
    for text, is_open in (
        ("2026-12-23T23:59:59.999999", True),
        ("2026-12-24T00:00", False),
        ("2026-12-24T23:59:59.999999", False),
        ("2026-12-25T00:00", True),
    ):
        assert christmas.open_at(at(text)) is is_open, text


# --- daylight saving ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("day", "opens_utc"), [("2026-03-06", 14), ("2026-03-09", 13), ("2026-10-30", 13)])
def test_window_keeps_to_the_wall_clock_on_both_sides_of_daylight_saving(day: str, opens_utc: int) -> None:
    market = hours("Mon-Fri 09:30-16:00")
    opening = datetime.fromisoformat(day).replace(hour=opens_utc, minute=30, tzinfo=UTC)
    assert market.open_at(to_us(opening))
    assert not market.open_at(to_us(opening) - 1)


def test_hour_that_the_clock_skips_is_never_open() -> None:
    """On 2026-03-08 New York goes from 02:00 to 03:00."""
    sunday = at("2026-03-08T00:00")
    inside = hours("Sun 02:00-03:00")
    assert not any(inside.open_at(sunday + minute * 60_000_000) for minute in range(23 * 60))
    around = hours("Sun 01:30-03:30")
    assert sum(around.open_at(sunday + minute * 60_000_000) for minute in range(23 * 60)) == 60


def test_hour_that_the_clock_shows_twice_is_open_both_times() -> None:
    """On 2026-11-01 New York goes from 02:00 back to 01:00."""
    market = hours("Sun 01:00-01:30")
    for fold in (0, 1):
        assert not market.open_at(at("2026-11-01T01:00", fold=fold) - 1)
        assert market.open_at(at("2026-11-01T01:00", fold=fold))
        assert market.open_at(at("2026-11-01T01:29", fold=fold))
        assert not market.open_at(at("2026-11-01T01:30", fold=fold))
    sunday = at("2026-11-01T00:00")
    assert sum(hours("Sun 00:00-24:00").open_at(sunday + minute * 60_000_000) for minute in range(48 * 60)) == 25 * 60


# --- what it is shown as ------------------------------------------------------------------------------------------


def test_hours_as_text_are_short() -> None:
    market = hours("Mon-Tue 9:30-16:00", "Sun 18:00-24:00", closed=(date(2026, 12, 25), date(2026, 7, 3)))
    assert str(market) == (
        "Mon 09:30-16:00, Tue 09:30-16:00, Sun 18:00-24:00 (America/New_York), closed on 2026-07-03, 2026-12-25"
    )


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Mon",
        "Mon-Fri",
        "09:30",
        "09:30-",
        "-16:00",
        "Mon 09:30",
        "Mon 24:00-25:00",
        "24:00-02:00",
        "Mon 09:60-16:00",
        "Mon 0930-1600",
        "Mon 9-16",
        "Mon 09:30-16:00-17:00",
        "Mon 09:30-16:00,18:00-20:00",
        "Mon Fri 09:30-16:00",
        "Mon, 09:30-16:00",
        ",Mon 09:30-16:00",
        "Mon- 09:30-16:00",
        "Mon-Wed-Fri 09:30-16:00",
        "Mon 09:30-Fri",
        "Mon 09:30 Fri 16:00",
        "Mon 09:30-Fri 16:00 Sat",
        "09:30-Fri 16:00",
        "Mon 0:30:00-1:00",
        "Mon ٠٩:٣٠-16:00",
        "Mon 09:30-16:00\x00",
    ],
)
def test_window_of_another_form_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match="must be a window such as") as caught:
        parse_window(text)
    assert str(caught.value).startswith(FORM)


@pytest.mark.parametrize("text", ["09:30-09:30", "Mon 00:00-00:00", "Mon 09:00-Mon 09:00", "Tue 00:00-Mon 24:00"])
def test_window_that_ends_where_it_begins_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must not begin and end at the same time; write 00:00-24:00 for whole days"):
        parse_window(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Mnday 9:00-10:00", "; did you mean Monday?"),
        ("Mon-Frid 9:00-10:00", "; did you mean Fri?"),
        ("Tues 9:00-10:00", "; did you mean Tue?"),
        ("Mon,Wendesday 9:00-10:00", "; did you mean Wednesday?"),
        ("Sun 18:00-Fryday 17:00", "; did you mean Friday?"),
        ("Lundi 9:00-10:00", ""),
        ("canary 9:00-10:00", ""),
        ("Пн 9:00-10:00", ""),
    ],
)
def test_weekday_that_there_is_not_is_told_with_what_was_meant(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match="must name weekdays in English") as caught:
        parse_window(text)
    assert str(caught.value) == f"must name weekdays in English, such as Mon or Monday{meant}"


@pytest.mark.parametrize("moment_us", [-(10**18), 10**18])
def test_open_at_beyond_the_years_raises(moment_us: int) -> None:
    with pytest.raises(OverflowError):
        hours("00:00-24:00").open_at(moment_us)
