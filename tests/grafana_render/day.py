"""The day that the picture shows: calm trade, one round of the demo's troubles, and calm trade again.

The stand-ins of the providers answer in a millisecond, which no network does: here each answer is held back for a
time drawn by chance, about as long as the real one takes. What the picture tells is measured all the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain, islice, repeat
from random import Random
from typing import Final

from tests.demo.play import ROUND_SECONDS, TICK_SECONDS, Fault, Market, Progress, Risk, Step, Trader, play
from tests.demo.stage import Stage
from tests.support.provider_desk import ProviderDesk
from tests.support.provider_faults import for_posts, hang
from tests.support.provider_rules import ProviderRules

#: Seconds of calm before the troubles.
CALM_SECONDS: Final = 75.0
#: Of the daemon, beside the demo's: repeats and digests wait less long, or their wait would be most of what is seen.
SETTINGS: Final = {"ALERTBUS_DEDUP_WINDOW": "2", "ALERTBUS_MAX_DELAY": "2"}
#: Seconds that an answer takes in the middle, by provider, and how far it spreads (of the logarithm).
_ANSWER_SECONDS: Final = {"telegram": 0.18, "twilio": 0.6, "hook": 0.04}
_SPREAD: Final = 0.5
#: How often an agent decides beside what the demo lets it do, a share of the ticks.
_DECIDES: Final = 0.7
#: How often a small warning comes, a share of the ticks.
_WARNS: Final = 0.06
_WARNINGS: Final = (
    ("EXPOSURE_HIGH", "Net exposure is above its limit."),
    ("SLIPPAGE", "Filled away from the price that was decided on."),
    ("VOLATILITY_HIGH", "Realised volatility is above its limit."),
)


def day(seed: int) -> Iterator[list[Step]]:
    """Yield what happens in each tick, without end."""
    chance, market = Random(seed), Market(seed + 1)
    calm, troubled = int(CALM_SECONDS / TICK_SECONDS), int(ROUND_SECONDS / TICK_SECONDS)
    pause: list[Step] = [Progress()]
    trading = True
    yield [Trader("starts")]
    for number, steps in enumerate(chain(repeat(pause, calm), islice(play(seed), troubled), repeat(pause))):
        for step in steps:
            if isinstance(step, Trader):
                trading = step.does == "starts"
        market.move(0.0)
        more: list[Step] = []
        if trading and chance.random() < _DECIDES:
            more.append(market.decide())
        if trading and chance.random() < _WARNS:
            event, text = chance.choice(_WARNINGS)
            symbol = chance.choice(["TNA", "UPRO", "SPXL"])
            fields = {"severity": "WARNING", "event_type": event, "symbol": symbol, "value": number}
            more.append(Risk({**fields, "description": text, "agent_name": "ppo-1"}))
        yield [*steps, *more]


def perform_day(stage: Stage, seconds: float, seed: int) -> None:
    """Carry out a day's first seconds, as time goes by.

    Raises:
        DemoFailedError: The daemon has ended.
    """
    chance = Random(seed)
    desks: dict[str, ProviderDesk[ProviderRules]] = {
        "telegram": stage.providers.telegram,
        "twilio": stage.providers.twilio,
        "hook": stage.providers.hook,
    }
    failing: set[str] = set()
    begin = time.monotonic()
    for number, steps in enumerate(day(seed)):
        at = number * TICK_SECONDS
        if at >= seconds:
            return
        time.sleep(max(0.0, begin + at - time.monotonic()))  # the day's own pace is what is asked for
        for step in steps:
            if isinstance(step, Fault) and step.kind in {"failing", "well"}:
                (failing.add if step.kind == "failing" else failing.discard)(step.provider)
            stage.perform(step)
        for name, desk in desks.items():
            if name not in failing:
                desk.always(for_posts(hang(_ANSWER_SECONDS[name] * chance.lognormvariate(0.0, _SPREAD))))
