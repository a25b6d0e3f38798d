"""Writes docs/verdicts.md: what alertbus made of every answer that a provider may give, and the tables behind it.

`python -m tests.support.verdict_table` rewrites the page; a test runs everything again and fails while it is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final

from subscriber.channels import meta, telegram, twilio_codes, verdicts
from subscriber.channels.verdicts import Row
from tests.support.verdict_runs import verdicts_of_all

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "verdicts.md"

_HEAD: Final = (
    "| The answer | HTTP | Code | Verdict | In doubt | The delivery is | Next try | The channel is | A person reads |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
_INTRODUCTION: Final = """\
# What alertbus makes of each answer

Written by `python -m tests.support.verdict_table`, which lets a provider on loopback give every answer below to the
daemon's own parts: a store on SQLite, a delivery worker with its desk, Apprise's plugins over real HTTP, and the
receipts keeper. Nothing here is written by hand; a test runs it again and fails when the page is stale.

*Verdict* is the reason under which the attempt is recorded and counted ([design.md](design.md) has the closed set).
*In doubt*: the message may have arrived although nobody said so; its next attempt says that it may be a repeat. *Next
try*: "as it says" is the provider's own wait, "within" and "at most" the longest that jitter may make of it; a rate
limit without a wait lasts longer each time. *The channel is*: `held`, nothing is sent to that chat for so long;
`paused`, it stands in Error until a person resumes it, and other channels tell it; `breaker open`, the provider is
probed before anything more is sent. *A person reads* it in the status, on the command line and in the history; words
of the operating system are left out here.
"""
_TABLES: Final = """\
## The tables behind it

What each code means and where that is written. A code that stands in none of them goes by its HTTP status.
"""


def page() -> str:
    """Run everything and return the page."""
    parts = [_INTRODUCTION]
    for service, found in groupby(verdicts_of_all(), key=lambda verdict: verdict.case.service):
        parts.append("\n".join((f"## {service}", "", _HEAD, *(verdict.row for verdict in found), "")))
    parts.append(_TABLES)
    described = {f"400, {words}": row for words, row in telegram.CHAT_REFUSED.items()}
    for title, table in (
        ("Telegram", {**{str(code): row for code, row in telegram.TABLE.items()}, **described}),
        ("Twilio", {str(code): row for code, row in twilio_codes.TABLE.items()}),
        ("Meta", {str(code): row for code, row in meta.TABLE.items()}),
        ("HTTP statuses of any service", {str(code): row for code, row in verdicts.GENERAL_STATUSES.items()}),
    ):
        parts.append("\n".join((f"### {title}", "", *_meanings(table), "")))
    return "\n".join(parts)


def _meanings(table: Mapping[str, Row]) -> Iterator[str]:
    yield "| Answer | Means | Verdict | Source |"
    yield "|---|---|---|---|"
    for answer, row in table.items():
        doubt = {None: "", True: ", in doubt", False: ", not in doubt"}[row.in_doubt]
        yield f"| {answer} | {row.meaning} | {row.reason}{doubt} | {row.source} |"


def main() -> int:
    """Rewrite the page."""
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
