"""What ALERTS_EXPIRED says: a line for each of a few, and counts that add up of many."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

import pytest

from bus.alerts import DESCRIPTION_LIMIT, SystemEvent
from subscriber.policy.digest_text import expired_text
from tests.subscriber.test_digest_text import NOON_US, SECOND, readable
from tests.subscriber.test_rendering import ZONE


@dataclass(frozen=True, slots=True)
class Expired:
    """What the store tells of one."""

    event_type: str
    severity: str
    symbol: str | None
    published_us: int
    in_doubt: bool = False
    more: int = 0


def test_expired_text_names_a_few() -> None:
    """The worst first, and which of them may have arrived all the same."""
    expired = [Expired("BUY", "INFO", "TNA", NOON_US), Expired("E", "CRITICAL", None, NOON_US + SECOND, in_doubt=True)]
    first, *rest = expired_text(expired, ZONE).split("\n")
    when = "from 2026-02-03 10:15:42 EST to 2026-02-03 10:15:43 EST"
    assert first == f"2 alerts {when} waited too long and will not be sent one by one."
    assert rest == [
        "1 of them may have arrived.",
        "CRITICAL E · 2026-02-03 10:15:43 EST · may have arrived",
        "INFO BUY TNA · 2026-02-03 10:15:42 EST",
    ]
    assert expired_text(expired[:1], ZONE).startswith("1 alert of 2026-02-03 10:15:42 EST waited too long")


def test_expired_text_tells_what_was_counted() -> None:
    """Nobody else tells of it: its alert got too old at the end of its window."""
    expired = [Expired("E", "WARNING", "TNA", NOON_US, more=41), Expired("E", "INFO", None, NOON_US, more=1_000)]
    assert expired_text(expired, ZONE).split("\n") == [
        "2 alerts (+1,041 counted) of 2026-02-03 10:15:42 EST waited too long and will not be sent one by one.",
        "WARNING E TNA (+41 counted) · 2026-02-03 10:15:42 EST",
        "INFO E (+1,000 counted) · 2026-02-03 10:15:42 EST",
    ]


@pytest.mark.parametrize("symbols", [3, 60])
def test_expired_text_of_many_adds_up_within_a_descriptions_limit(symbols: int) -> None:
    """Counts by event and symbol, the worst and most frequent first, and the rest in one number."""
    rng = Random(5)
    expired = [
        Expired(
            "E" * 128,
            rng.choice(["INFO", "WARNING"]),
            f"S{rng.randrange(symbols)}" + "x" * 60,
            NOON_US + number,
            more=number % 3,
        )
        for number in range(999)
    ]
    text = readable(expired_text(expired, ZONE))
    assert len(text) <= DESCRIPTION_LIMIT
    counts = [int(found[1] or found[2]) for found in re.finditer(r"^(\d+) x |^and (\d+) more of", text, re.MULTILINE)]
    assert sum(counts) == 999
    said, *beside = (int(found[1].replace(",", "")) for found in re.finditer(r"\(\+([\d,]+) counted\)", text))
    assert said == sum(beside) == 999
    told = [line for line in text.split("\n") if " x " in line]
    assert told[0].split(" ")[2] == "WARNING"
    SystemEvent(event_type="ALERTS_EXPIRED", severity="WARNING", description=text)
