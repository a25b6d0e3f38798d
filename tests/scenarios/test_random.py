"""Stories of chance: alerts, outages, refusals, silences, switches, retries, restarts: nothing is left untold."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.support.scenario import AddSilence, Behave, Input, Publish, Restart, Retry, Scenario, Switch
from tests.support.scenario_run import play

_ALERTS: Final = 20
_SECONDS: Final = 900.0
_FILE: Final = """
[[routes]]
name = "criticals"
match = { severity = "CRITICAL" }
channels = ["telegram", "whatsapp"]
escalate = { ack_within = "3min", to = ["desk"], rounds = 2 }
[[routes]]
name = "grouped"
match = { severity = "WARNING", symbol = "A*" }
channels = ["telegram"]
group = { by = ["symbol"], wait = "20s", interval = "2min" }
max_age = "5min"
fallback = ["desk"]
[[routes]]
name = "tea"
match = { severity = "WARNING", symbol = "B*" }
channels = { telegram = "silent", whatsapp = "on" }
quiet_hours = ["tea"]
dedup = { window = "2min" }
[[routes]]
name = "rest"
match = { severity = "WARNING" }
channels = ["telegram", "whatsapp"]
max_age = "10min"
[quiet_hours.tea]
windows = ["Mon-Sun 09:05-09:10"]
"""


def _story(seed: int) -> Scenario:
    """Return a quarter of an hour of trouble, after which all is well again."""
    rng = Random(seed)

    def some_time(first: float = 0.0) -> str:
        return f"+{rng.uniform(first, _SECONDS):.3f}s"

    inputs: list[Input] = [
        Publish(
            at=some_time(),
            severity=rng.choice(("CRITICAL", "WARNING", "WARNING", "WARNING", "WARNING")),
            event=rng.choice(("E1", "E2", "E3")),
            symbol=rng.choice(("A1", "A2", "B1", "B2", "C1")),
            text=f"alert {number}",
            count=rng.choice((1, 1, 5, 20)),
            every=rng.choice((0.0, 0.5)),
        )
        for number in range(_ALERTS)
    ]
    for provider in ("telegram", "meta", "hook"):
        inputs += [
            Behave(at=some_time(), provider=provider, how=rng.choice(("down", "limits 60", "refuses", "drops")), most=3)
            for _ in range(rng.randrange(4))
        ]
    inputs += [Restart(at=some_time(), killed=rng.random() < 0.7) for _ in range(rng.randrange(5))]
    inputs += [
        AddSilence(
            at=some_time(),
            name=f"{number}",
            match=rng.choice(({"symbol": "C1"}, {"event_type": "E1"}, {})),
            seconds=rng.choice((60.0, 300.0)),
            drops=rng.random() < 0.4,
            lets_critical=rng.random() < 0.8,
        )
        for number in range(rng.randrange(3))
    ]
    for channel in ("telegram", "whatsapp", "desk"):
        inputs += [
            Switch(at=some_time(), channels=(channel,), enabled=rng.random() < 0.4) for _ in range(rng.randrange(4))
        ]
        inputs.append(Switch(at=f"+{_SECONDS + 1}s", channels=(channel,), enabled=True))
    inputs += [Retry(at=some_time()) for _ in range(rng.randrange(6))]
    return Scenario(
        name=f"chance {seed}",
        says="Whatever comes.",
        until="+1h",
        toml=_FILE,
        channels=("telegram", "whatsapp", "desk"),
        environ={
            "ALERTBUS_MAX_DELAY": "30",
            "ALERTBUS_DEDUP_WINDOW": "60",
            "ALERTBUS_DEDUP_WINDOW_CRITICAL": "10",
            "ALERTBUS_FALLBACK_AFTER": "60",
        },
        inputs=tuple(inputs),
    )


@pytest.mark.parametrize("seed", range(3))
def test_story_of_chance_leaves_nothing_untold(seed: int, store_url: str, tmp_path: Path) -> None:
    """Nothing waits at the end, the audit balances, no limit was met, and no bug was outlived."""
    played = play(_story(seed), tmp_path, store_url)
    waiting = {channel: states.keys() & {"pending", "in_doubt"} for channel, states in played.states.items()}
    assert not any(waiting.values()), played.states
    assert (played.faults, played.failures, played.refused) == ((), (), 0)
    assert played.arrived
