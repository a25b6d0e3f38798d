"""One message for many alerts: what a person reads on a lock screen at 3 a.m. after a storm. Pure.

First how many and why in one message, then a line for each CRITICAL, then the others counted by event and symbol, the
worst first, last how to see them all. Every alert is in exactly one line: the counts of a message add up to its
members, and what had no room is counted in a line of its own. A digest of a few alerts has a line for each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Final, Protocol

from bus.alerts import Severity
from subscriber.deliveries import Delivery, Dialect, DigestKind, LengthUnit, Message, MessageLimits
from subscriber.policy.dialects import body_of, length_of, unmarked_of
from subscriber.policy.digest_fitting import REPEAT, DigestText, Room
from subscriber.policy.digest_lines import TIMES, instant
from subscriber.policy.digest_summary import short_event, short_symbol
from subscriber.policy.rendering import fitted, fitted_parameters, message_of
from subscriber.policy.templating import NOTHING_MORE
from subscriber.policy.wording import REPEAT_TEXT, SEPARATOR, moment_text

#: Expired alerts up to which each is named.
_NAMED: Final = 20


class ExpiredAlert(Protocol):
    """What is known of an alert that was too old to be sent."""

    @property
    def event_type(self) -> str:
        """What happened."""

    @property
    def severity(self) -> str:
        """A word of Severity."""

    @property
    def symbol(self) -> str | None:
        """To what, where it says."""

    @property
    def published_us(self) -> int:
        """When it was published; microseconds of UTC."""

    @property
    def in_doubt(self) -> bool:
        """Whether a try of it may have reached the person."""

    @property
    def more(self) -> int:
        """How many alerts like it were counted, for it to tell of."""


def render_digest(
    deliveries: Sequence[Delivery],
    kind: DigestKind,
    limits: MessageLimits,
    zone: tzinfo,
    *,
    now_us: int,
    possible_repeat: bool = False,
    silent: bool = False,
) -> Message:
    """Tell many alerts in one message.

    Room is left for `with_repeat`, so the text stays the same when it is tried again.

    Args:
        deliveries: Its members, at least one, in the order in which CRITICALs are to stand. No more CRITICALs than
            `fits_lines` allows: beyond that they are counted like others, since no message holds them.
        kind: Why they come in one message.
        limits: The channel's dialect and length; a length below 1 counts as 1.
        zone: Where the reader's clock is.
        now_us: Microseconds of UTC; times of other days are told with their day.
        possible_repeat: An earlier attempt may have reached the person; the text says so.
        silent: Delivered without a sound.
    """
    text = DigestText(deliveries, (kind,), zone, now_us)
    lines = fitted(text.lines(Room(limits, 1)), limits)
    parameters: tuple[str, ...] = ()
    if limits.template is not None:
        parameters = fitted_parameters(text.lines(Room.of_parameters(limits.template)), limits.template)
    message = replace(message_of(lines, limits, parameters), silent=silent)
    return with_repeat(message, limits) if possible_repeat else message


def fits_lines(deliveries: Sequence[Delivery], limits: MessageLimits, zone: tzinfo) -> int:
    """Return how many of the deliveries, in their order, one message can tell with a line for each CRITICAL.

    At least 1 where there are any; a line has room for the numbers of its alert. The limits of an approved template
    count, too, since nobody knows before the request whether it is needed; there a line has room for what happened.
    """
    if not deliveries:
        return 0
    now_us = max(delivery.published_us for delivery in deliveries)
    text = DigestText(deliveries, tuple(DigestKind), zone, now_us)
    most = text.most(Room(limits, 1), figures=True)
    if limits.template is not None:
        most = min(most, text.most(Room.of_parameters(limits.template), figures=False))
    return max(1, most)


def with_repeat(message: Message, limits: MessageLimits) -> Message:
    """Return the message with the line in front that says that it may have come before.

    `render_digest` leaves room for it; a message that has none, because the limit is smaller now, stays as it is.
    """
    seen = message.text if message.dialect is Dialect.TELEGRAM_HTML else message.body
    if _units(seen, limits.unit) + length_of(REPEAT, limits) < limits.length:
        body = f"{body_of(REPEAT, message.dialect)}\n{message.body}"
        message = replace(message, body=body, text=f"{REPEAT_TEXT}\n{message.text}")
    template = limits.template
    if template is None or not message.parameters:
        return message
    place = min(1, len(message.parameters) - 1)
    kept = [] if message.parameters[place] == NOTHING_MORE else [message.parameters[place]]
    told = SEPARATOR.join([unmarked_of(REPEAT), *kept])
    parameters = (*message.parameters[:place], told, *message.parameters[place + 1 :])
    if _units("".join(parameters), template.unit) > template.length:
        return message
    return replace(message, parameters=parameters)


def expired_text(expired: Sequence[ExpiredAlert], zone: tzinfo) -> str:
    """Say which alerts were too old to be sent: each of a few, counts by event and symbol of many; they add up.

    So do those that had been counted, and that these would have told of.

    Args:
        expired: At least one.
        zone: Where the reader's clock is.

    Returns:
        Lines of at most 4000 characters together, a description's limit.
    """
    times = [each.published_us for each in expired]
    first, last = (moment_text(instant(us, zone)) for us in (min(times), max(times)))
    when = f"of {first}" if first == last else f"from {first} to {last}"
    count = f"{len(expired):,} {'alert' if len(expired) == 1 else 'alerts'}"
    counted = _counted(sum(each.more for each in expired))
    lines = [f"{count}{counted} {when} waited too long and will not be sent one by one."]
    doubtful = sum(each.in_doubt for each in expired)
    if doubtful:
        lines.append(f"{doubtful:,} of them may have arrived.")
    worst_first = sorted(expired, key=lambda each: (-_rank(each), each.published_us))
    few = len(expired) <= _NAMED
    told = [_expired_line(each, zone) for each in worst_first] if few else _expired_counts(worst_first)
    return "\n".join([*lines, *told])


def _expired_line(alert: ExpiredAlert, zone: tzinfo) -> str:
    doubt = ["may have arrived"] if alert.in_doubt else []
    what = f"{_what(alert)}{_counted(alert.more)}"
    return SEPARATOR.join([what, moment_text(instant(alert.published_us, zone)), *doubt])


def _expired_counts(expired: Sequence[ExpiredAlert]) -> Iterator[str]:
    """Count by severity, event and symbol, the worst first; what is left over counts in the last line."""
    counted = Counter(map(_what, expired)).most_common()
    ranks = {_what(each): _rank(each) for each in expired}
    counted.sort(key=lambda each: -ranks[each[0]])
    beside: Counter[str] = Counter()
    for each in expired:
        beside[_what(each)] += each.more
    for what, count in counted[:_NAMED]:
        yield f"{count:,} {TIMES} {what}{_counted(beside[what])}"
    left = counted[_NAMED:]
    if left:
        more = _counted(sum(beside[what] for what, _ in left))
        kinds = "kind" if len(left) == 1 else "kinds"
        yield f"and {sum(count for _, count in left):,} more of {len(left):,} {kinds}{more}"


def _counted(more: int) -> str:
    return f" (+{more:,} counted)" if more else ""


def _what(alert: ExpiredAlert) -> str:
    return " ".join(filter(None, (alert.severity, short_event(alert.event_type), short_symbol(alert.symbol))))


def _rank(alert: ExpiredAlert) -> int:
    return Severity(alert.severity).rank


def _units(text: str, unit: LengthUnit) -> int:
    return len(text.encode("utf-16-le")) // 2 if unit is LengthUnit.UTF16 else len(text)
