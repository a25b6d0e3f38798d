"""From an alert to one message that a provider takes: within its limit and in its markup, whatever the alert holds.

What is too long is cut at a word, never inside markup; the first line and the short id stay, so that a person knows
what it is and can look up the rest. Nothing is split, and nothing is refused for its length. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Final

from bus.alerts import Alert
from subscriber.deliveries import Button, Message, MessageLimits, TemplateLimits
from subscriber.policy.cleaning import ELLIPSIS, clean_line, cut
from subscriber.policy.dialects import body_of, length_of, text_of
from subscriber.policy.sandbox import TemplateFault
from subscriber.policy.templates import Template
from subscriber.policy.templating import flattened, lines_limit, parameters_of
from subscriber.policy.wording import SEPARATOR, Line, Rank, Repeats, foot_of, lines_of, repeat_lines, shortened

#: Lines that may be long themselves leave room for what comes after them.
_MOST_OF_LIMIT: Final = {Rank.TAKEN: 1 / 4, Rank.WHO: 1 / 4, Rank.FAULT: 1 / 4}
#: The first line's part of a limit that is too short for it and what has to stand below it.
_HEAD_SHARE: Final = 2 / 3
#: Lines that are kept whole before a long first line.
_KEPT: Final = frozenset({Rank.FOOT, Rank.REPEAT, Rank.MORE})
#: Characters below which a cut line says nothing.
_SHORTEST_REST: Final = 12
_FAULT_LIMIT: Final = 160


def render(  # noqa: PLR0913 - each is a thing that a message says or has
    alert: Alert,
    limits: MessageLimits,
    zone: tzinfo,
    *,
    possible_repeat: bool = False,
    silent: bool = False,
    more: int = 0,
    more_seconds: float = 0,
    reason: str = "",
    template: Template | None = None,
    buttons: Sequence[Button] = (),
    on_fault: Callable[[str], None] | None = None,
) -> Message:
    """Tell one alert in one message.

    Args:
        alert: Any kind, holding anything.
        limits: The channel's dialect and length; a length below 1 counts as 1.
        zone: Where the reader's clock is.
        possible_repeat: An earlier attempt may have reached the person; the text says so.
        silent: Delivered without a sound.
        more: Alerts like it that were counted instead of sent; the text says so.
        more_seconds: In which these came.
        reason: Why it is told now, or here, where that is not because it just happened.
        template: What to say in place of the built-in text; one that fails is told in a line of the built-in text.
        buttons: What a person may press below the message.
        on_fault: Is told why the template failed, in words that name no value of the alert.
    """
    repeats = Repeats(possible_repeat, more, more_seconds, reason)
    try:
        lines = lines_of(alert, zone, repeats) if template is None else _templated(template, alert, zone, repeats)
    except TemplateFault as fault:
        lines = _faulty(str(fault), template, lines_of(alert, zone, repeats))
        if on_fault is not None:
            on_fault(str(fault))
    parameters = fitted_parameters(lines, limits.template)
    message = message_of(fitted(lines, limits), limits, parameters)
    return replace(message, silent=silent, buttons=tuple(buttons))


def message_of(lines: Sequence[Line], limits: MessageLimits, parameters: tuple[str, ...] = ()) -> Message:
    """Write lines that fit."""
    return Message(
        body="\n".join(body_of(line, limits.dialect) for line in lines),
        text="\n".join(text_of(line) for line in lines),
        dialect=limits.dialect,
        parameters=parameters,
    )


def fitted(lines: list[Line], limits: MessageLimits) -> list[Line]:
    """Return the lines within a limit: as they are, or shortened, which the last one then says."""
    return lines if total_length(lines, limits) <= limits.length else _fitted(shortened(lines), limits)


def fitted_parameters(lines: list[Line], limits: TemplateLimits | None) -> tuple[str, ...]:
    """Return the lines as the parameters of an approved template, where the channel has one."""
    if limits is None:
        return ()
    flat = flattened(lines)
    return parameters_of(fitted(flat, lines_limit(limits, len(flat))), limits)


def total_length(lines: Sequence[Line], limits: MessageLimits) -> int:
    """Return how much of the provider's limit a message of these lines takes."""
    return sum(length_of(line, limits) for line in lines) + len(lines) - 1


def _templated(template: Template, alert: Alert, zone: tzinfo, repeats: Repeats) -> list[Line]:
    head, _, rest = template.filled(alert, zone, repeats).partition("\n")
    lines = [Line(Rank.HEAD, head), *repeat_lines(repeats), Line(Rank.TEXT, rest), foot_of(alert, zone)]
    return [line for line in lines if line.text]


def _faulty(fault: str, template: Template | None, lines: list[Line]) -> list[Line]:
    name = clean_line(template.name if template is not None else "", _FAULT_LIMIT)
    told = clean_line(f"template {name} failed: {fault}", _FAULT_LIMIT)
    return [*lines[:-1], Line(Rank.FAULT, told), lines[-1]]


def _fitted(lines: list[Line], limits: MessageLimits) -> list[Line]:
    """Give room by rank, and keep the order in which the lines are read."""
    left = limits.length
    others = sum(length_of(line, limits) + 1 for line in lines if line.rank in _KEPT)
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
