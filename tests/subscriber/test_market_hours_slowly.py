"""Market hours against a slow reading of the same: any windows, any zone, and moments around each change of a clock."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from bus.clock import from_us, to_us
from subscriber.policy.market_hours import WEEKDAYS, MarketHours, parse_window

#: Half an hour of daylight saving; a date that was skipped as a whole (2011-12-30); offsets that are no whole hours.
ZONES = [
    UTC,
    *map(ZoneInfo, ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia")),
    *map(ZoneInfo, ("Asia/Kathmandu", "America/St_Johns")),
]
WEEK_MINUTES = 7 * 24 * 60


def hours(windows: list[str], zone: tzinfo = UTC, closed: tuple[date, ...] = ()) -> MarketHours:
    return MarketHours.of(zone, [span for window in windows for span in parse_window(window)], closed)


@dataclass(frozen=True)
class Written:
    """A window as somebody writes it, and how long it is open from which weekdays' which minute."""

    text: str
    days: tuple[int, ...]
    begin: int
    length: int

    def has(self, shown: datetime) -> bool:
        """Try every day on which it may have begun."""
        for back in range(9):
            day = datetime.combine(shown.date() - timedelta(days=back), datetime.min.time())
            begin = day + timedelta(minutes=self.begin)
            if day.weekday() in self.days and begin <= shown < begin + timedelta(minutes=self.length):
                return True
        return False


minutes_of_day = st.integers(0, 24 * 60 - 1)
weekdays = st.integers(0, 6)


@st.composite
def names(draw: st.DrawFn, day: int) -> str:
    name = draw(st.sampled_from([WEEKDAYS[day], WEEKDAYS[day][:3]]))
    return draw(st.sampled_from([name, name.lower(), name.upper()]))


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def blanks(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(["", " "]))


@st.composite
def windows(draw: st.DrawFn) -> Written:
    begin, end = draw(minutes_of_day), draw(st.integers(0, 24 * 60))
    if draw(st.booleans()):
        first, last = draw(weekdays), draw(weekdays)
        length = ((last - first) * 24 * 60 + end - begin) % WEEK_MINUTES or WEEK_MINUTES
        if first * 24 * 60 + begin == last * 24 * 60 + end:
            end, length = (end - 1, length - 1) if end else (end + 1, 1)
        dash = f"{blanks(draw)}-{blanks(draw)}"
        text = f"{draw(names(first))} {clock(begin)}{dash}{draw(names(last))} {clock(end)}"
        return Written(text, (first,), begin, length)
    if begin == end:
        end += 1
    length = end - begin if end > begin else end - begin + 24 * 60
    times = f"{clock(begin)}{blanks(draw)}-{blanks(draw)}{clock(end)}"
    days: list[int] = []
    parts = []
    for first, count in draw(st.lists(st.tuples(weekdays, st.integers(0, 6)), max_size=3)):
        days += [(first + number) % 7 for number in range(count + 1)]
        until = f"-{draw(names(days[-1]))}" if count or draw(st.booleans()) else ""
        parts.append(draw(names(first)) + until)
    text = f"{f',{blanks(draw)}'.join(parts)} {times}" if parts else times
    return Written(text, tuple(days or range(7)), begin, length)


def moments() -> st.SearchStrategy[int]:
    """Moments of some decades, many of them near a change of some clock, which come on whole quarters of an hour."""
    around = [
        datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC),  # New York
        datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC),  # Berlin
        datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC),  # Lord Howe
        datetime(2011, 12, 30, 10, tzinfo=UTC),  # Apia
    ]  # fmt: skip
    near = st.builds(
        lambda change, minutes, rest: to_us(change) + minutes * 60_000_000 + rest,
        st.sampled_from(around),
        st.integers(-2 * 24 * 60, 2 * 24 * 60),
        st.sampled_from([-1, 0, 1]),
    )
    return near | st.integers(0, 4_000_000_000_000_000)


@given(
    st.lists(windows(), min_size=1, max_size=4),
    st.sampled_from(ZONES),
    st.lists(moments(), min_size=1, max_size=20),
    st.lists(st.dates(date(2026, 3, 1), date(2026, 11, 30)), max_size=3),
    st.booleans(),
)
@example([Written("Mon 00:00-Sun 24:00", (0,), 0, WEEK_MINUTES)], UTC, [0, 60_000_000], [], False)
def test_open_at_is_what_a_slow_reading_says(
    written: list[Written], zone: tzinfo, when: list[int], closed: list[date], close_the_first: bool
) -> None:
    shown = [from_us(moment).astimezone(zone) for moment in when]
    days = [*closed, shown[0].date()] if close_the_first else closed
    market = hours([window.text for window in written], zone, tuple(days))
    for moment, local in zip(when, shown, strict=True):
        slowly = local.date() not in days and any(window.has(local.replace(tzinfo=None)) for window in written)
        assert market.open_at(moment) is slowly


@given(st.lists(windows(), min_size=1, max_size=4))
def test_windows_that_overlap_or_touch_are_merged(written: list[Written]) -> None:
    """What comes out is in order, inside of one week, and with a gap between any two."""
    spans = hours([window.text for window in written]).spans
    edges = [edge for span in spans for edge in span]
    assert all(before < after for before, after in pairwise(edges))
    assert edges[0] >= 0
    assert edges[-1] <= WEEK_MINUTES


@given(st.lists(windows(), min_size=1, max_size=4), st.lists(st.dates(), max_size=2))
def test_hours_as_text_can_be_read_again(written: list[Written], closed: list[date]) -> None:
    market = hours([window.text for window in written], closed=tuple(closed))
    text, _, rest = str(market).partition(" (UTC)")
    assert hours(text.split(", "), closed=tuple(closed)) == market
    assert all(day.isoformat() in rest for day in closed)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_window(text)
