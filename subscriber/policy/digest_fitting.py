"""How a digest is made to fit: a line for each CRITICAL first, then as much as there is room for of the rest. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import accumulate
from typing import Final, Self

from bus.alerts import Severity
from subscriber.deliveries import Delivery, Dialect, DigestKind, MessageLimits, TemplateLimits, severity_of
from subscriber.policy.cleaning import balanced, cut
from subscriber.policy.dialects import length_of
from subscriber.policy.digest_lines import (
    DigestClock,
    SingleLine,
    foot_line,
    head_line,
    left_line,
    severities_line,
    tally_line,
)
from subscriber.policy.digest_summary import Tally, tallies_of
from subscriber.policy.templating import NOTHING_MORE
from subscriber.policy.wording import REPEAT_TEXT, SEPARATOR, Line, Rank

#: Alerts up to which each has a line of its own, whatever it is.
FEW: Final = 10
#: How many symbols of an event are named, from the most telling to the shortest.
_NAMED_SYMBOLS: Final = (40, 15, 6, 3, 0)
#: The part of the room that is kept for counts where CRITICALs want it for their own words.
_COUNTS_SHARE: Final = 0.6
#: Characters below which a cut text says nothing.
_SHORTEST_REST: Final = 12
#: Units by which a part's first and last lines may be longer than those of the whole: a day, another length of time.
_SLACK: Final = 40
#: Those of a RiskEvent and its time; no alert has more.
_MOST_FIGURES: Final = 8
REPEAT: Final = Line(Rank.REPEAT, REPEAT_TEXT)


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be written, and how what is written counts."""

    limits: MessageLimits
    joint: int  #: units that parting two lines takes

    @classmethod
    def of_parameters(cls, template: TemplateLimits) -> Self:
        """Return what the parameters of an approved template leave for lines."""
        length = template.length - template.parameters * len(NOTHING_MORE)
        return cls(MessageLimits(Dialect.WHATSAPP, length, template.unit), len(SEPARATOR) + 1)

    def cost(self, *lines: Line | None) -> int:
        """Return how much these lines take; those that are None take nothing."""
        return sum(length_of(line, self.limits) + self.joint for line in lines if line is not None)


class DigestText:
    """What is to be told, and how it is shortened until it fits."""

    def __init__(self, deliveries: Sequence[Delivery], kinds: Sequence[DigestKind], zone: tzinfo, now_us: int) -> None:
        """Take the members, at least one, and the kinds that the digest may be of; `lines` tells the first."""
        self._all = deliveries
        self._clock = DigestClock(zone, now_us, deliveries)
        self._heads = [head_line(deliveries, kind, self._clock) for kind in kinds]
        self._severities = severities_line(deliveries)
        self._foot = foot_line(deliveries, self._clock)

    def most(self, room: Room, *, figures: bool) -> int:
        """Return how many of the deliveries have room, when each CRITICAL has a line and the others are counted.

        Args:
            room: Where they have to fit in.
            figures: Whether the lines are to have room for their numbers; else for what happened and to what.
        """
        left = self._left(room) - _SLACK
        if not all(map(_is_critical, self._all)):
            left -= self._least(self._all, room)
        most = _MOST_FIGURES if figures else 0
        costs = (room.cost(self._single(each).line(most, "")) if _is_critical(each) else 0 for each in self._all)
        return sum(1 for cost in accumulate(costs) if cost <= left)

    def lines(self, room: Room) -> list[Line]:
        """Return the lines that tell all within a room; more than fits where it is hardly any."""
        left = self._left(room)
        singles, others = self._parted(room, left)
        keep = max(self._least(others, room), int(left * _COUNTS_SHARE)) if others else 0
        told = _detailed([self._single(each) for each in singles], left - keep, room)
        counted = self._counted(others, left - room.cost(*told), room)
        middle = [*([self._severities] if self._severities is not None else []), *told, *counted]
        return [self._heads[0], *middle, self._foot]

    def _left(self, room: Room) -> int:
        head = max(map(room.cost, self._heads))
        return room.limits.length - head - room.cost(self._severities, self._foot, REPEAT)

    def _single(self, delivery: Delivery) -> SingleLine:
        return SingleLine.of(delivery, self._clock)

    def _least(self, others: Sequence[Delivery], room: Room) -> int:
        """Return what the shortest count of these takes."""
        return room.cost(left_line(tallies_of(others, by_symbol=False)))

    def _parted(self, room: Room, left: int) -> tuple[list[Delivery], list[Delivery]]:
        """Return who has a line of its own, the worst first, and who is counted."""
        ordered = sorted(self._all, key=lambda each: -severity_of(each.alert).rank)
        costs = list(accumulate(room.cost(self._single(each).line(0, "")) for each in ordered[: FEW + 1]))
        if len(ordered) <= FEW and costs[-1] <= left:
            return ordered, []
        criticals = list(filter(_is_critical, ordered))
        costs = list(accumulate(room.cost(self._single(each).line(0, "")) for each in criticals))
        if len(criticals) < len(ordered) or costs[-1] > left:
            left -= self._least(ordered, room)
        fitting = sum(1 for cost in costs if cost <= left)
        return ordered[:fitting], ordered[fitting:]

    def _counted(self, others: Sequence[Delivery], left: int, room: Room) -> list[Line]:
        """Count by event and symbol, where that is too long by event; in the end the worst events have more to say."""
        if not others:
            return []
        lines = [tally_line(tally, self._clock, None) for tally in tallies_of(others, by_symbol=True)]
        tallies = tallies_of(others, by_symbol=False)
        for symbols in _NAMED_SYMBOLS:
            if room.cost(*lines) <= left:
                return lines
            lines = [tally_line(tally, self._clock, symbols) for tally in tallies]
        brief = [tally_line(tally, self._clock, 0, brief=True) for tally in tallies]
        left -= room.cost(*brief)
        if left < 0:
            return self._worst(tallies, brief, left + room.cost(*brief), room)
        for index, line in enumerate(lines):
            left -= room.cost(line) - room.cost(brief[index])
            if left < 0:
                return [*lines[:index], *brief[index:]]
        return lines

    def _worst(self, tallies: Sequence[Tally], lines: Sequence[Line], left: int, room: Room) -> list[Line]:
        left -= room.cost(left_line(tallies))
        fitting = sum(1 for cost in accumulate(map(room.cost, lines)) if cost <= left)
        return [*lines[:fitting], left_line(tallies[fitting:])]


def _is_critical(delivery: Delivery) -> bool:
    return severity_of(delivery.alert) is Severity.CRITICAL


def _detailed(singles: Sequence[SingleLine], left: int, room: Room) -> list[Line]:
    """Give each line the same room for its details; what one does not need, the others get."""
    needed = [room.cost(single.line(len(single.figures), single.text)) for single in singles]
    least = [room.cost(single.line(0, "")) for single in singles]
    left -= sum(least)
    lines: dict[int, Line] = {}
    by_need = sorted(range(len(singles)), key=lambda each: needed[each] - least[each])
    for done, index in enumerate(by_need):
        share = max(0, left) // (len(singles) - done)
        lines[index] = _within(singles[index], least[index] + share, room)
        left -= room.cost(lines[index]) - least[index]
    return [lines[index] for index in range(len(singles))]


def _within(single: SingleLine, most: int, room: Room) -> Line:
    """Return the line with as much detail as fits."""
    figures = len(single.figures)
    while figures and room.cost(single.line(figures, "")) > most:
        figures -= 1
    line = single.line(figures, "")
    if figures < len(single.figures):
        return line
    whole = single.line(figures, single.text)
    if room.cost(whole) <= most:
        return whole
    low, high = _SHORTEST_REST, len(single.text)
    while low <= high:
        middle = (low + high) // 2
        longer = single.line(figures, balanced(cut(single.text, middle)))
        if room.cost(longer) <= most:
            line, low = longer, middle + 1
        else:
            high = middle - 1
    return line
