"""A report as text: what was done, what was found, and the two numbers that count on the last lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tests.torture.run import Report
from tests.torture.steps import STEPS

#: Kills of each step that a run of ten minutes is to reach.
ENOUGH_KILLS: Final = 20
_MOST_SHOWN: Final = 10
_COLUMNS: Final = (
    "channel",
    "attempted",
    "journaled",
    "accepted",
    "lost",
    "marked",
    "unmarked",
    "recovered",
    "unexpected",
    "inversions",
)


def told(report: Report) -> list[str]:
    """Return the lines to print."""
    plan, verdict = report.plan, report.verdict
    lines = [
        "",
        *_table(("nemesis", "times"), report.strikes.items()),
        "",
        *_table(("killed at", "of the", "times"), _kills(report)),
        "",
        *_table(_COLUMNS, _channels(report)),
        "",
        f"seed {plan.seed}, {plan.seconds:g} s, disks: {report.disks}, audit: exit {report.audit}"
        + (f", broken on purpose: {plan.broken}" if plan.broken else ""),
        f"alerts that no provider took {verdict.missing}, declared lost to people {verdict.declared}",
    ]
    least = min(report.kills.values(), default=0)
    if report.kills and least < ENOUGH_KILLS:
        lines.append(f"the fewest kills at one step are {least}; ten minutes reach {ENOUGH_KILLS}")
    lines += [f"NEVER REACHED: {name}: is that function still called?" for name in report.unreached]
    lines += [f"NOT AT REST: {what}" for what in report.unsettled]
    lines += [f"FALSE LOSS: {' / '.join(text.splitlines())}" for text in verdict.false_losses[:_MOST_SHOWN]]
    for name, channel in verdict.channels.items():
        for what in ("lost", "unmarked", "unexpected"):
            tokens: Sequence[str] = getattr(channel, what)
            if tokens:
                lines.append(f"{what.upper()} ({name}): {', '.join(tokens[:_MOST_SHOWN])}{_more(tokens)}")
    return [*lines, f"lost {verdict.lost}", f"duplicated (unmarked) {verdict.unmarked}"]


def _more(items: Sequence[str]) -> str:
    return f" and {len(items) - _MOST_SHOWN} more" if len(items) > _MOST_SHOWN else ""


def _kills(report: Report) -> Iterator[tuple[object, ...]]:
    roles = {step.name: step.role for step in STEPS}
    for name, times in report.kills.items():
        yield name, roles[name], times
    for slot, times in report.at_random.items():
        yield "a random moment", slot, times
    for slot, times in report.by_itself.items():
        if times:
            yield "(ended by itself)", slot, times


def _channels(report: Report) -> Iterator[tuple[object, ...]]:
    for name, channel in report.verdict.channels.items():
        yield (
            name,
            channel.attempted,
            channel.journaled,
            channel.accepted,
            len(channel.lost),
            channel.marked,
            len(channel.unmarked),
            channel.recovered,
            len(channel.unexpected),
            channel.inversions,
        )


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Lay out a table: text to the left, numbers to the right."""
    cells = [tuple(columns), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        yield "  ".join(
            cell.rjust(width) if cells[-1][index].isdigit() and index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
