"""The lines of a digest, before any markup: its first and its last, and what one alert or one tally says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Self

from bus.alerts import AgentAction, Severity
from subscriber.deliveries import Delivery, DigestKind, severity_of
from subscriber.policy.cleaning import clean_line
from subscriber.policy.digest_summary import Tally, event_text, symbol_of
from subscriber.policy.figures import span_text
from subscriber.policy.wording import (
    SEPARATOR,
    Line,
    Rank,
    description_of,
    figures_of,
    head_of,
    reader_time,
    short_id,
    sign_of,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
#: Between a count and what is counted; between two times.
TIMES: Final = "\u00d7"
_TO: Final = "\u2013"
_NAME_LIMIT: Final = 40
_TRADE_LIMIT: Final = 80
_TEXT_LIMIT: Final = 400
#: Of an ISO time: month, day, hours, minutes, seconds.
_DAY_AND_TIME: Final = slice(5, 19)
_TIME: Final = slice(11, 19)
_TO_THE_MINUTE: Final = -3


class DigestClock:
    """Tells the times of a digest by the reader's clock, with the day where it is not today for all of them."""

    def __init__(self, zone: tzinfo, now_us: int, deliveries: Sequence[Delivery]) -> None:
        """Look at all times that will be told."""
        self._zone = zone
        published = [delivery.published_us for delivery in deliveries]
        self.first_us, self.last_us = min(published), max(published)
        days = {self._moment(us).date() for us in (self.first_us, self.last_us, now_us)}
        self._part = _TIME if len(days) == 1 else _DAY_AND_TIME

    def at(self, us: int) -> str:
        """Say a time; microseconds of UTC."""
        return self._moment(us).isoformat(sep=" ", timespec="seconds")[self._part]

    def between(self, first_us: int, last_us: int) -> str:
        """Say a first and a last time, or the one that they are."""
        first, last = self.at(first_us), self.at(last_us)
        return first if first == last else f"{first}{_TO}{last}"

    def span(self) -> str:
        """Say how long it was from the first to the last."""
        return span_text((self.last_us - self.first_us) / 1_000_000)

    def zone_name(self) -> str:
        """Say the zone of the last time."""
        return self._moment(self.last_us).tzname() or ""

    def _moment(self, us: int) -> datetime:
        return instant(us, self._zone)


def instant(us: int, zone: tzinfo) -> datetime:
    """Return a time given in microseconds of UTC by the reader's clock; the nearest one that a calendar has."""
    try:
        return reader_time(_EPOCH + timedelta(microseconds=us), zone)
    except OverflowError:
        return _LAST if us > 0 else _FIRST


def head_line(deliveries: Sequence[Delivery], kind: DigestKind, clock: DigestClock) -> Line:
    """Say how many alerts there are, how bad the worst is, and why they come in one message."""
    worst = max(deliveries, key=lambda each: severity_of(each.alert).rank).alert
    noun = "alert" if len(deliveries) == 1 else "alerts"
    count = f"{len(deliveries):,} {'CRITICAL ' if kind is DigestKind.CRITICALS else ''}{noun}"
    first = deliveries[0]
    _, _, batch = (first.batch or "").partition(":")
    match kind:
        case DigestKind.GROUP:
            values = clean_line(batch.removeprefix(f"{first.handling.route}:"), _NAME_LIMIT)
            route = clean_line(first.handling.route, _NAME_LIMIT)
            grouped = f" ({values})" if values and values != route else ""
            why = f" in {clock.span()}, grouped by the route {route}{grouped}"
        case DigestKind.QUIET:
            until = clock.at(first.due_at_us)[:_TO_THE_MINUTE]
            why = f", held in the quiet hours {clean_line(batch, _NAME_LIMIT)} until {until}"
        case DigestKind.SILENCE:
            until = clock.at(first.due_at_us)[:_TO_THE_MINUTE]
            why = f" of the silence {clean_line(batch, _NAME_LIMIT)}, which ended at {until}"
        case DigestKind.CRITICALS:
            why = f" in {clock.span()}, a line for each"
        case DigestKind.STORM:
            why = f" in {clock.span()}, too many to tell one by one"
    return Line(Rank.HEAD, f"{sign_of(worst)} {count}{why}")


def severities_line(deliveries: Sequence[Delivery]) -> Line | None:
    """Say how many there are of each severity, where there are several, and how many alerts were counted beside."""
    severities = [severity_of(delivery.alert) for delivery in deliveries]
    counts = [(severities.count(severity), severity.value) for severity in reversed(Severity)]
    parts = [f"{count:,} {name}" for count, name in counts if count]
    more = sum(delivery.more for delivery in deliveries)
    told = [*(parts if len(parts) > 1 else []), *([f"{counted_text(more)} instead of sent"] if more else [])]
    return Line(Rank.MORE, SEPARATOR.join(told)) if told else None


def foot_line(deliveries: Sequence[Delivery], clock: DigestClock) -> Line:
    """Say how to see all of them, and from when to when they came."""
    identity = short_id(deliveries[0].alert)
    between = f"{clock.between(clock.first_us, clock.last_us)} {clock.zone_name()}".rstrip()
    return Line(Rank.FOOT, f"all: alertbus-subscriber digest {identity}{SEPARATOR}{between}", copyable=identity)


def counted_text(more: int) -> str:
    """Say how many alerts were counted instead of sent."""
    return f"+{more:,} counted"


@dataclass(frozen=True, slots=True)
class SingleLine:
    """What the line of one alert says, by what may be left out."""

    must: str
    figures: tuple[str, ...]  #: whole or not at all: half a number is a wrong number
    text: str  #: what happened; may be cut
    end: str
    identity: str

    @classmethod
    def of(cls, delivery: Delivery, clock: DigestClock) -> Self:
        """Say a delivery's alert."""
        alert = delivery.alert
        if isinstance(alert, AgentAction):
            must = clean_line(head_of(alert), _TRADE_LIMIT)
        else:
            must = " ".join(filter(None, (sign_of(alert), event_text(alert), symbol_of(alert))))
        identity = short_id(alert)
        end = [counted_text(delivery.more)] if delivery.more else []
        return cls(
            must,
            (clock.at(delivery.published_us), *figures_of(alert)),
            clean_line(description_of(alert), _TEXT_LIMIT),
            SEPARATOR.join([*end, f"id {identity}"]),
            identity,
        )

    def line(self, figures: int, text: str) -> Line:
        """Return the line with so many of the figures and this much of the text."""
        parts = (self.must, *self.figures[:figures], text, self.end)
        return Line(Rank.EXTRA, SEPARATOR.join(filter(None, parts)), copyable=self.identity)


def tally_line(tally: Tally, clock: DigestClock, symbols: int | None, *, brief: bool = False) -> Line:
    """Say one tally: how many, of what, the worst of them, from when to when.

    Args:
        tally: What to say.
        clock: For its times.
        symbols: How many symbols of it to name, where it is counted by event alone; None where it is not.
        brief: Say how many and of what, and leave out the rest.
    """
    head = " ".join(filter(None, (tally.sign, f"{len(tally.deliveries):,} {TIMES}", tally.event, tally.symbol)))
    if symbols is not None:
        named = tally.symbols(symbols)
        head = f"{head}: {named}" if named else head
    more = [counted_text(tally.more)] if tally.more else []
    published = [delivery.published_us for delivery in tally.deliveries]
    details = [] if brief else [*tally.figures(), clock.between(min(published), max(published))]
    return Line(Rank.EXTRA, SEPARATOR.join([head, *more, *details]))


def left_line(tallies: Sequence[Tally]) -> Line:
    """Count what had no room."""
    alerts = sum(len(tally.deliveries) for tally in tallies)
    more = sum(tally.more for tally in tallies)
    kinds = f"{len(tallies):,} {'kind' if len(tallies) == 1 else 'kinds'}"
    told = [f"and {alerts:,} more of {kinds}", *([counted_text(more)] if more else [])]
    return Line(Rank.EXTRA, SEPARATOR.join(told))
