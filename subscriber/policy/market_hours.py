"""When a market is open: weekly windows on the wall clock of one time zone, except on some days. Pure.

The market is open whenever that clock shows a time inside of a window, so no window moves when daylight saving begins
or ends: an hour that the clock skips is never open, and one that it shows twice is open both times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from difflib import get_close_matches
from typing import Final, Self

#: Minutes since Monday 00:00: the first that is open, and the first that is not. The second may lie in the next week.
Span = tuple[int, int]

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_ABBREVIATIONS: Final = tuple(name[:3] for name in WEEKDAYS)
_NUMBERS: Final = {name.lower(): number for names in (WEEKDAYS, _ABBREVIATIONS) for number, name in enumerate(names)}
_EVERY_DAY: Final = "Mon-Sun"
_DAY: Final = 24 * 60
_WEEK: Final = 7 * _DAY
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_US: Final = 1_000_000
_MINUTE_US: Final = 60 * _SECOND_US
#: No window is longer than a week, and a clock that is set moves its end by hours.
_LONGEST_US: Final = 8 * _DAY * _MINUTE_US
_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)
_END_OF_DAY: Final = "24:00"
#: How alike a word and a weekday are, from 0 to 1, for one to be a misspelling of the other.
_ALIKE: Final = 0.6
_FORM: Final = (
    'must be a window such as "Mon-Fri 09:30-16:00", "Mon,Wed 10:00-12:00", "Sun 18:00-Fri 17:00" or "22:00-02:00"'
)
_EMPTY: Final = "must not begin and end at the same time; write 00:00-24:00 for whole days"


@dataclass(frozen=True, slots=True)
class MarketHours:
    """The hours of one market."""

    zone: tzinfo
    spans: tuple[Span, ...]  #: within one week, in order, none touching another
    closed: frozenset[date] = frozenset()  #: days there, from midnight to midnight

    @classmethod
    def of(cls, zone: tzinfo, spans: Iterable[Span], closed: Iterable[date] = ()) -> Self:
        """Return the hours of windows that may overlap and reach into the next week."""
        return cls(zone, _merged(spans), frozenset(closed))

    def open_at(self, moment_us: int) -> bool:
        """Return whether the market is open.

        Args:
            moment_us: Microseconds since 1970, UTC.

        Raises:
            OverflowError: The moment lies outside the years 1 to 9999.
        """
        local = _local(moment_us, self.zone)
        if local.date() in self.closed:
            return False
        minute = local.weekday() * _DAY + local.hour * 60 + local.minute
        return any(begin <= minute < end for begin, end in self.spans)

    def end_us(self, moment_us: int) -> int | None:
        """Return the first moment from then on at which the market is not open; None where it is closed then.

        Where it never closes that is eight days later.

        Args:
            moment_us: Microseconds since 1970, UTC.

        Raises:
            OverflowError: The moment lies outside the years 1 to 9999.
        """
        if not self.open_at(moment_us):
            return None
        at_us = moment_us
        while at_us < moment_us + _LONGEST_US and self.open_at(at_us):
            planned = at_us + self._left_us(at_us)
            change = self._clock_change_us(at_us, planned)
            at_us = planned if change is None else change
        return at_us

    def _left_us(self, moment_us: int) -> int:
        """Return how long a window that is open now lasts if nobody touches the clock there; a day at most."""
        local = _local(moment_us, self.zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        today_us = _microseconds(local.replace(tzinfo=None) - midnight.replace(tzinfo=None))
        now_us = local.weekday() * _DAY * _MINUTE_US + today_us
        end_us = next(end for begin, end in self.spans if begin * _MINUTE_US <= now_us < end * _MINUTE_US) * _MINUTE_US
        return min(end_us - now_us, _DAY * _MINUTE_US - today_us)

    def _clock_change_us(self, first_us: int, last_us: int) -> int | None:
        """Return when the clock there is set within a day or so, to the second; None where it is not."""
        offset = _local(first_us, self.zone).utcoffset()
        if _local(last_us, self.zone).utcoffset() == offset:
            return None
        before, after = first_us // _SECOND_US, -(-last_us // _SECOND_US)
        while after - before > 1:
            middle = (before + after) // 2
            if _local(middle * _SECOND_US, self.zone).utcoffset() == offset:
                before = middle
            else:
                after = middle
        return after * _SECOND_US

    def __str__(self) -> str:
        """Return them as `parse_window` reads them, with the time zone and the closed days."""
        closed = ", ".join(day.isoformat() for day in sorted(self.closed))
        return f"{', '.join(map(_written, self.spans))} ({self.zone}){f', closed on {closed}' if closed else ''}"


def parse_window(text: str) -> tuple[Span, ...]:
    """Read one window: `Mon-Fri 09:30-16:00`, `Mon,Wed 10:00-12:00`, `Sun 18:00-Fri 17:00`, or `22:00-02:00`.

    Weekdays are English, by three letters or in full, in any case; without any, all are meant. What ends at an earlier
    time than it begins ends on the next day; 24:00 is the end of a day.

    Raises:
        ValueError: The text has another form; the message says which forms there are and never shows the text.
    """
    match re.sub(r"\s*([-,])\s*", r"\1", text.strip()).split():
        case [times]:
            return _daily(_EVERY_DAY, times)
        case [days, times]:
            return _daily(days, times)
        case [first, middle, end]:
            begin, _, last = middle.partition("-")
            return (_long(_weekday(first), begin, _weekday(last), end),)
    raise ValueError(_FORM)


def _local(moment_us: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=moment_us)).astimezone(zone)


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _daily(days: str, times: str) -> tuple[Span, ...]:
    numbers = _weekdays(days)
    first, _, last = times.partition("-")
    begin, end = _minutes(first), _minutes(last, is_end=True)
    if begin == end:
        raise ValueError(_EMPTY)
    if end < begin:
        end += _DAY
    return tuple((number * _DAY + begin, number * _DAY + end) for number in numbers)


def _long(first: int, begin: str, last: int, end: str) -> Span:
    opens = first * _DAY + _minutes(begin)
    closes = last * _DAY + _minutes(end, is_end=True)
    if opens == closes:
        raise ValueError(_EMPTY)
    return opens, closes if closes > opens else closes + _WEEK


def _minutes(text: str, *, is_end: bool = False) -> int:
    if is_end and text == _END_OF_DAY:
        return _DAY
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(_FORM)
    return int(found[1]) * 60 + int(found[2])


def _weekdays(text: str) -> list[int]:
    numbers = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin = _weekday(first)
        length = (_weekday(last) - begin) % 7 if dash else 0
        numbers += [(begin + day) % 7 for day in range(length + 1)]
    return numbers


def _weekday(name: str) -> int:
    if not name.isalpha():
        raise ValueError(_FORM)
    number = _NUMBERS.get(name.lower())
    if number is None:
        near = get_close_matches(name.lower(), _NUMBERS, n=1, cutoff=_ALIKE)
        meant = f"; did you mean {near[0].capitalize()}?" if near else ""
        raise ValueError(f"must name weekdays in English, such as Mon or Monday{meant}")
    return number


def _merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    pieces: list[Span] = []
    for begin, end in spans:
        pieces.append((begin, min(end, _WEEK)))
        if end > _WEEK:
            pieces.append((0, end - _WEEK))
    merged: list[Span] = []
    for begin, end in sorted(pieces):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return tuple(merged)


def _written(span: Span) -> str:
    begin, end = span
    first, last = begin // _DAY, (end - 1) // _DAY  # midnight is 24:00 of the day that ends
    day = "" if first == last else f"{_ABBREVIATIONS[last]} "
    return f"{_ABBREVIATIONS[first]} {_clock(begin - first * _DAY)}-{day}{_clock(end - last * _DAY)}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
