"""The day of the picture is the same by its seed, and has the demo's troubles between two calm times."""

from __future__ import annotations

from itertools import islice

from tests.demo.play import ROUND_SECONDS, TICK_SECONDS, Fault, Person, Trade, Trader
from tests.grafana_render.day import CALM_SECONDS, day

_CALM = int(CALM_SECONDS / TICK_SECONDS)
_ROUND = int(ROUND_SECONDS / TICK_SECONDS)


def test_day_the_same_seed_is_the_same_day() -> None:
    assert list(islice(day(3), _CALM)) == list(islice(day(3), _CALM))
    assert list(islice(day(3), _CALM)) != list(islice(day(4), _CALM))


def test_day_troubles_come_once_between_calm_times_with_trades() -> None:
    ticks = list(islice(day(1), 2 * _CALM + _ROUND))
    troubled = [at for at, steps in enumerate(ticks) if any(isinstance(step, Fault | Person) for step in steps)]
    assert troubled
    assert _CALM < troubled[0] < troubled[-1] <= _CALM + _ROUND
    for calm in (ticks[:_CALM], ticks[-_CALM + 1 :]):
        assert any(isinstance(step, Trade) for steps in calm for step in steps)


def test_day_a_trader_that_died_decides_nothing_until_it_is_back() -> None:
    trading = False
    for steps in islice(day(1), _CALM + _ROUND):
        for step in steps:
            if isinstance(step, Trader):
                trading = step.does == "starts"
            assert trading or not isinstance(step, Trade)
    assert trading
