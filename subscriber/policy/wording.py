"""What a message says, line by line, before any markup: what a trader wants on a lock screen at 3 a.m. Pure.

First how bad and what (severity, event, symbol; for a trade its side, quantity and price), then what happened, the
numbers, what was done about it, who, and last the short id by which a person finds the whole story. BUY is green
and SELL blue: red is CRITICAL's alone. An agent's `state` is never told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from enum import IntEnum
from typing import Final

from bus.alerts import Action, AgentAction, Alert, OpaqueAlert, RiskEvent, Severity, SystemEvent
from subscriber.deliveries import Step, event_of, severity_of
from subscriber.policy.cleaning import clean_line, clean_lines
from subscriber.policy.figures import compared_text, gain_text, money_text, number_text, span_text

REPEAT_TEXT: Final = "Possible repeat: this may have reached you before."
SHORT_ID_DIGITS: Final = 8
#: Between the parts of a line.
SEPARATOR: Final = " · "
_SEVERITY_SIGNS: Final = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.INFO: "⚪"}
_ACTION_SIGNS: Final = {Action.BUY: "🟢", Action.SELL: "🔵", Action.HOLD: "⚪"}
_RESOLVED_SIGN: Final = "✅"
_NUMBER_FIELDS: Final = frozenset(RiskEvent.numbers) | frozenset(AgentAction.numbers)
#: Never told, or told elsewhere in the message.
_NOT_EXTRA: Final = frozenset(
    {"state", "id", "kind", "severity", "event_type", "symbol", "agent_name", "source", "description", "altered"}
)
_MOST_EXTRAS: Final = 6
_EXTRA_NAME_LIMIT: Final = 32
_EXTRA_VALUE_LIMIT: Final = 80
_EXTRA_DEPTH: Final = 3
_ALTERED_LIMIT: Final = 24


class Rank(IntEnum):
    """What a line is for; a message that is too long gives room in this order."""

    HEAD = 0
    FOOT = 1
    REPEAT = 2
    MORE = 3  #: how many others it stands for
    FAULT = 4  #: what is wrong with the text itself
    FIGURES = 5
    TAKEN = 6  #: what was done about it
    WHO = 7
    TEXT = 8  #: what happened, or why
    EXTRA = 9


@dataclass(frozen=True, slots=True)
class Line:
    """One paragraph of a message, cleaned but without markup; only a TEXT has line breaks in it."""

    rank: Rank
    text: str
    copyable: str = ""  #: the part that a person may want to copy


@dataclass(frozen=True, slots=True)
class Repeats:
    """What a message says of other messages."""

    possible: bool = False  #: an earlier attempt may have reached the person, who is told so
    more: int = 0  #: alerts like it that were counted instead of sent
    more_seconds: float = 0  #: in which these came
    reason: str = ""  #: why it is told now, or here, where that is not because it just happened


#: There are none.
ALONE: Final = Repeats()


def lines_of(alert: Alert, zone: tzinfo, repeats: Repeats = ALONE) -> list[Line]:
    """Say an alert, in the order in which it is read.

    Args:
        alert: Any kind, holding anything.
        zone: Where the reader's clock is.
        repeats: What else the message stands for.
    """
    lines = [
        Line(Rank.HEAD, head_of(alert)),
        *repeat_lines(repeats),
        Line(Rank.TEXT, clean_lines(description_of(alert))),
        Line(Rank.FIGURES, SEPARATOR.join(figures_of(alert))),
        Line(Rank.TAKEN, _action_taken(alert)),
        Line(Rank.WHO, SEPARATOR.join(_who(alert))),
        *(Line(Rank.EXTRA, text) for text in _extras(alert)),
        Line(Rank.EXTRA, _alterations(alert)),
        foot_of(alert, zone),
    ]
    return [line for line in lines if line.text]


def reason_text(step: str, batch: str | None) -> str:
    """Say why a delivery is told now, or here; nothing where it is told because it just happened.

    Args:
        step: Which turn of its alert planned it.
        batch: What it was held by, where it was.
    """
    kind, _, name = (batch or "").partition(":")
    match step, kind:
        case Step.FALLBACK.value, _:
            return "told here because another channel could not"
        case Step.FIRST.value, "quiet":
            return f"held in the quiet hours {clean_line(name)}"
        case Step.FIRST.value, "silence":
            return f"told at the end of silence {clean_line(name)}"
        case Step.FIRST.value, _:
            return ""
    return f"nobody acknowledged it so far: {step}"


def head_of(alert: Alert) -> str:
    """Say how bad, and what."""
    return _trade_head(alert) if isinstance(alert, AgentAction) else _event_head(alert)


def repeat_lines(repeats: Repeats) -> list[Line]:
    """Say what else a message stands for, where it does."""
    span = f" in {span_text(repeats.more_seconds)}" if repeats.more_seconds else ""
    lines = [Line(Rank.MORE, repeats.reason)] if repeats.reason else []
    if repeats.more:
        lines.append(Line(Rank.MORE, f"and {repeats.more:,} more{span}"))
    return [*lines, Line(Rank.REPEAT, REPEAT_TEXT)] if repeats.possible else lines


def foot_of(alert: Alert, zone: tzinfo) -> Line:
    """Return the last line, by which a person finds the whole story."""
    identity = short_id(alert)
    text = SEPARATOR.join((f"id {identity}", moment_text(reader_time(alert.occurred_at, zone))))
    return Line(Rank.FOOT, text, copyable=identity)


def shortened(lines: Sequence[Line]) -> list[Line]:
    """Say in the last line that something had to be cut."""
    return [
        replace(line, text=f"{line.text}{SEPARATOR}shortened") if line.rank is Rank.FOOT else line for line in lines
    ]


def short_id(alert: Alert) -> str:
    """Return the end of an alert's id, which is random, and enough to look it up."""
    return alert.id.hex[-SHORT_ID_DIGITS:]


def sign_of(alert: Alert) -> str:
    """Return the colour that tells how bad an alert is, or which side a trade."""
    if isinstance(alert, AgentAction):
        return _ACTION_SIGNS[alert.action if alert.executed else Action.HOLD]
    resolves = isinstance(alert, SystemEvent) and alert.resolves is not None
    return _RESOLVED_SIGN if resolves else _SEVERITY_SIGNS[alert.severity]


def _event_head(alert: RiskEvent | SystemEvent | OpaqueAlert) -> str:
    event = clean_line(event_of(alert)) or "UNNAMED"
    return f"{sign_of(alert)} {severity_of(alert)} {event} {clean_line(alert.symbol or '')}".rstrip()


def _trade_head(alert: AgentAction) -> str:
    words = [sign_of(alert), alert.action.value, clean_line(alert.symbol or "")]
    if alert.action is not Action.HOLD and not alert.executed:
        return " ".join(filter(None, words)) + ", nothing traded"
    quantity = _number(alert, "quantity", alert.quantity)
    price = alert.altered.get("price") if alert.price is None else money_text(alert.price)
    words += [quantity, f"@ {clean_line(price, _ALTERED_LIMIT)}" if price else ""]
    return " ".join(filter(None, words))


def description_of(alert: Alert) -> str:
    """Return what happened, or why, as it came."""
    if isinstance(alert, AgentAction):
        return alert.rationale or ""
    if isinstance(alert, OpaqueAlert):
        description = alert.fields.get("description")
        return description if isinstance(description, str) else ""
    return alert.description


def figures_of(alert: Alert) -> Iterator[str]:
    """Say the numbers of an alert that its head does not."""
    if isinstance(alert, RiskEvent):
        if alert.value is not None and alert.threshold is not None:
            yield compared_text(alert.value, alert.threshold)
        else:
            yield from _named(alert, "value", alert.value)
            yield from _named(alert, "threshold", alert.threshold)
    if isinstance(alert, RiskEvent | AgentAction):
        if alert.pnl is not None:
            yield f"P&L {gain_text(alert.pnl)}"
        else:
            yield from _named(alert, "pnl", None, "P&L")
        yield from _named(alert, "position", alert.position)
    if isinstance(alert, AgentAction):
        yield from _named(alert, "confidence", alert.confidence)
        yield from _named(alert, "reward", alert.reward)


def _named(alert: Alert, field: str, number: float | None, name: str = "") -> Iterator[str]:
    text = _number(alert, field, number)
    if text:
        yield f"{name or field} {text}"


def _number(alert: Alert, field: str, number: float | None) -> str:
    """Say a number, or what it was where it could not be carried (nan), or nothing."""
    if number is None:
        return clean_line(alert.altered.get(field, ""), _ALTERED_LIMIT)
    return number_text(number)


def _action_taken(alert: Alert) -> str:
    taken = clean_line((alert.action_taken if isinstance(alert, RiskEvent) else None) or "")
    return f"action taken: {taken}" if taken else ""


def _who(alert: Alert) -> Iterator[str]:
    for name, value in (("agent", alert.agent_name), ("source", alert.source)):
        text = clean_line(value or "")
        if text:
            yield f"{name} {text}"
    if isinstance(alert, SystemEvent) and alert.resolves is not None:
        yield f"resolves {alert.resolves.hex[-SHORT_ID_DIGITS:]}"
    if isinstance(alert, OpaqueAlert):
        yield f"unknown kind {clean_line(alert.original_kind, _EXTRA_VALUE_LIMIT)}"


def _extras(alert: Alert) -> Iterator[str]:
    values = {**alert.extra, **(alert.fields if isinstance(alert, OpaqueAlert) else {})}
    told = [(name, value) for name, value in values.items() if name not in _NOT_EXTRA]
    for name, value in told[:_MOST_EXTRAS]:
        text = clean_line(plain_text(value), _EXTRA_VALUE_LIMIT)
        yield f"{clean_line(name, _EXTRA_NAME_LIMIT) or 'unnamed'}: {text or 'empty'}"
    if len(told) > _MOST_EXTRAS:
        yield f"and {len(told) - _MOST_EXTRAS} more"


def plain_text(value: object, depth: int = 0) -> str:
    """Say plain data without braces and quotes; an integer stays as it is, since it may be an order's number."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return number_text(value)
    if not isinstance(value, Mapping | list | tuple):
        return str(value)
    if depth == _EXTRA_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain_text(item, depth + 1)}" for name, item in value.items())
    return ", ".join(plain_text(item, depth + 1) for item in value)


def _alterations(alert: Alert) -> str:
    """Tell what the publisher could not carry as given; a number is told in its place already."""
    told = [
        f"{clean_line(name, _EXTRA_NAME_LIMIT)} {clean_line(was, _EXTRA_VALUE_LIMIT)}"
        for name, was in alert.altered.items()
        if name != "state" and name not in _NUMBER_FIELDS
    ]
    return "changed on the way: " + ", ".join(told) if told else ""


def reader_time(moment: datetime, zone: tzinfo) -> datetime:
    """Return a time by the reader's clock; at the edge of the years 1 to 9999 only UTC exists."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.astimezone(UTC)


def moment_text(moment: datetime) -> str:
    """Say a time, with the abbreviation of its zone, so that nobody has to guess."""
    return f"{moment.isoformat(sep=' ', timespec='seconds')[:19]} {moment.tzname()}"
