"""Writes docs/scenarios.md from the table of scenarios: what comes in, and what arrives where and when.

`python -m tests.support.scenario_page` rewrites the page; a test fails while it is stale, and others play all of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from tests.scenarios.table import SCENARIOS
from tests.support.scenario import Publish, Scenario

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "scenarios.md"

_INTRODUCTION: Final = """\
# What the delivery policy does, scene by scene

Written by `python -m tests.support.scenario_page` from the table that `tests/scenarios` plays: the daemon's own parts
(routes, store, workers, duties, Apprise's plugins over real HTTP) on SQLite and on PostgreSQL, with a clock that the
test moves. Every message that arrives stands here, with its time, and no other may arrive; after each scenario the
audit has to balance. *In* is what happens, *out* what a person reads; "within 30 s" is the slack that a provider's pace
or a retry may take. Where a scenario says nothing else, repeats are not counted and nothing is told together.
"""
#: Where the webhooks of a test really are, nobody can say beforehand.
_PORT: Final = 9000
_HEAD: Final = "| Time | | |\n|---|---|---|"


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for title, scenarios in SCENARIOS.items():
        parts.append(f"## {title}\n")
        parts += [_section(scenario) for scenario in scenarios]
    return "\n".join(parts)


def _section(scenario: Scenario) -> str:
    start = scenario.moment("+0s")
    where = f"{start:%A, %d %B %Y}, {scenario.zone}; channels: {', '.join(scenario.channels)}"
    daemons = f"; {scenario.daemons} daemons" if scenario.daemons > 1 else ""
    names = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
    databases = f"; {names[scenario.databases[0]]} only" if len(scenario.databases) == 1 else ""
    settings = "".join(f"; `{name}={value}`" for name, value in scenario.environ.items())
    left = "; ".join(
        f"{channel}: {', '.join(f'{count} {state}' for state, count in sorted(states.items()))}"
        for channel, states in sorted(scenario.states.items())
    )
    lines = [
        f"### {scenario.name}",
        "",
        scenario.says,
        "",
        f"{where}{daemons}{databases}{settings}.",
        "",
        "```toml",
        scenario.file(scenario.toml, _PORT).strip(),
        "```",
        "",
        _HEAD,
        *_rows(scenario),
        "",
        f"What is left: {left}.",
        "",
    ]
    return "\n".join(lines)


def _rows(scenario: Scenario) -> Iterator[str]:
    found: list[tuple[int, int, str]] = []
    for each in scenario.inputs:
        last = ""
        if isinstance(each, Publish) and each.count > 1 and each.every:
            last = f" to {_clock(scenario.moment_us(each.at) + round((each.count - 1) * each.every * 1e6), scenario)}"
        at = scenario.moment(each.at)
        found.append((scenario.moment_us(each.at), 0, f"| {_shown(at)}{last} | in | {_cell(each.words)} |"))
    for told in scenario.told:
        slack = f", within {told.within:g} s" if told.within > 1 else ""
        at = scenario.moment(told.at)
        row = f"| {_shown(at)}{slack} | **{told.channel}** | {_cell(told.words)} |"
        found.append((scenario.moment_us(told.at), 1, row))
    return (row for _, _, row in sorted(found, key=lambda one: one[:2]))


def _clock(now_us: int, scenario: Scenario) -> str:
    return f"{scenario.local(now_us):%H:%M:%S}"


def _shown(moment: datetime) -> str:
    return f"{moment:%a %H:%M:%S %Z}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Rewrite the page."""
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
