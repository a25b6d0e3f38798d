"""From an alert to one message that a provider takes: within its limit and in its markup, whatever the alert holds.

What is too long is cut at a word, never inside markup; the first line and the short id stay, so that a person knows
what it is and can look up the rest. Nothing is split, and nothing is refused for its length. Pure.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo
from typing import Final

from bus.alerts import Alert
from subscriber.deliveries import Message, MessageLimits, TemplateLimits
from subscriber.policy.cleaning import ELLIPSIS, cut
from subscriber.policy.dialects import body_of, length_of, text_of
from subscriber.policy.templating import flattened, lines_limit, parameters_of
from subscriber.policy.wording import SEPARATOR, Line, Rank, lines_of

#: Lines that may be long themselves leave room for what comes after them.
_MOST_OF_LIMIT: Final = {Rank.TAKEN: 1 / 4, Rank.WHO: 1 / 4}
#: The first line's part of a limit that is too short for it and what has to stand below it.
_HEAD_SHARE: Final = 2 / 3
#: Characters below which a cut line says nothing.
_SHORTEST_REST: Final = 12


def render(
    alert: Alert, limits: MessageLimits, zone: tzinfo, *, possible_repeat: bool = False, silent: bool = False
) -> Message:
    """Tell one alert in one message.

    Args:
        alert: Any kind, holding anything.
        limits: The channel's dialect and length; a length below 1 counts as 1.
        zone: Where the reader's clock is.
        possible_repeat: An earlier attempt may have reached the person; the text says so.
        silent: Delivered without a sound.
    """
    lines = lines_of(alert, zone, possible_repeat=possible_repeat)
    if _total_length(lines, limits) > limits.length:
        lines = _fitted(lines_of(alert, zone, possible_repeat=possible_repeat, shortened=True), limits)
    return Message(
        body="\n".join(body_of(line, limits.dialect) for line in lines),
        text="\n".join(text_of(line) for line in lines),
        dialect=limits.dialect,
        silent=silent,
        parameters=_parameters(alert, limits.template, zone, possible_repeat=possible_repeat),
    )


def _parameters(alert: Alert, limits: TemplateLimits | None, zone: tzinfo, *, possible_repeat: bool) -> tuple[str, ...]:
    if limits is None:
        return ()
    lines = flattened(lines_of(alert, zone, possible_repeat=possible_repeat))
    room = lines_limit(limits, len(lines))
    if _total_length(lines, room) > room.length:
        lines = flattened(lines_of(alert, zone, possible_repeat=possible_repeat, shortened=True))
        lines = _fitted(lines, lines_limit(limits, len(lines)))
    return parameters_of(lines, limits)


def _total_length(lines: list[Line], limits: MessageLimits) -> int:
    return sum(length_of(line, limits) for line in lines) + len(lines) - 1


def _fitted(lines: list[Line], limits: MessageLimits) -> list[Line]:
    """Give room by rank, and keep the order in which the lines are read."""
    left = limits.length
    others = sum(length_of(line, limits) + 1 for line in lines if line.rank in {Rank.FOOT, Rank.REPEAT})
    head_room = max(left - others, int(left * _HEAD_SHARE))
    kept: dict[int, Line] = {}
    for index in sorted(range(len(lines)), key=lambda each: lines[each].rank):
        rank = lines[index].rank
        room = head_room if rank is Rank.HEAD else min(left - 1, int(limits.length * _MOST_OF_LIMIT.get(rank, 1)))
        line = _cut_line(lines[index], room, limits)
        if line is not None:
            left -= length_of(line, limits) + (rank is not Rank.HEAD)
            kept[index] = line
    return [kept[index] for index in sorted(kept)] or [Line(Rank.TEXT, ELLIPSIS)]


def _cut_line(line: Line, room: int, limits: MessageLimits) -> Line | None:
    """Return the longest beginning of a line that fits into the room, or None where that would say nothing."""
    if length_of(line, limits) <= room:
        return line
    best: Line | None = None
    low, high = 2, room
    while low <= high:
        middle = (low + high) // 2
        shorter = replace(line, text=_shorter(line, middle))
        if length_of(shorter, limits) <= room:
            best, low = shorter, middle + 1
        else:
            high = middle - 1
    if best is None or (len(best.text) < _SHORTEST_REST and line.rank not in {Rank.HEAD, Rank.FOOT}):
        return None
    return best


def _shorter(line: Line, limit: int) -> str:
    if line.rank is not Rank.FIGURES:
        return cut(line.text, limit)
    # Half a number is a wrong number: figures are left out whole.
    text = line.text
    while len(text) > limit:
        text = text.rpartition(SEPARATOR)[0]
    return text
