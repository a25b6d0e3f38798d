"""An alert as the parameters of an approved WhatsApp template: a few texts without a line break. Pure.

The first parameter is what happened, the last one the id and the time; the lines between get a parameter each as long
as there are some left, and share the last of these, parted by a dot. What the template's own words say around them is
in docs/whatsapp-templates.md. WhatsApp refuses a parameter that is empty or has a line break, a tab or more than four
blanks in a row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from subscriber.deliveries import Dialect, MessageLimits, TemplateLimits
from subscriber.policy.dialects import unmarked_of
from subscriber.policy.wording import SEPARATOR, Line, Rank

#: Stands where an alert has fewer lines than the template has parameters.
NOTHING_MORE: Final = "-"


def emergency_parameters(text: str, limits: TemplateLimits | None) -> tuple[str, ...]:
    """Return one short line as the parameters of a template, where there is one: for an alert that can't be written."""
    return () if limits is None else (text, *([NOTHING_MORE] * (limits.parameters - 1)))


def flattened(lines: list[Line]) -> list[Line]:
    """Return the lines without line breaks."""
    return [replace(line, text=SEPARATOR.join(line.text.split("\n"))) for line in lines]


def lines_limit(limits: TemplateLimits, lines: int) -> MessageLimits:
    """Return what so many lines have to keep to, so that they fit into the parameters however they are joined."""
    joints = lines * len(SEPARATOR) + limits.parameters * len(NOTHING_MORE)
    return MessageLimits(Dialect.WHATSAPP, max(1, limits.length - joints), limits.unit)


def parameters_of(lines: list[Line], limits: TemplateLimits) -> tuple[str, ...]:
    """Spread flat lines over a template's parameters, in the order in which they are read."""
    texts = [(line.rank, unmarked_of(line)) for line in lines]
    head = [text for rank, text in texts if rank is Rank.HEAD]
    foot = [text for rank, text in texts if rank is Rank.FOOT]
    middle = [text for rank, text in texts if rank not in {Rank.HEAD, Rank.FOOT}]
    match limits.parameters:
        case 1:
            return (_joined(head + middle + foot),)
        case 2:
            return (_joined(head), _joined(middle + foot))
        case many:
            last = many - 3  # of the places between the first and the last one
            return (
                _joined(head),
                *(_joined(middle[place : place + 1]) for place in range(last)),
                _joined(middle[last:]),
                _joined(foot),
            )


def _joined(texts: list[str]) -> str:
    return SEPARATOR.join(filter(None, texts)) or NOTHING_MORE
