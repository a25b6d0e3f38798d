"""A steady flow to one daemon: whether all of it is stored, and whether anything is asked for that is only on its way.

The alerts are of a kind that no route wants, so that the way from `publish()` to the store is what is measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.rig import Rig
from tests.support.kept import count_in, kept_in, watching
from tests.support.memory import peak_mebibytes
from tests.support.trader import Trader, ids_in
from tests.support.waiting import wait_until

pytestmark = pytest.mark.benchmark

_SECONDS: Final = 5
_RATES: Final = (5_000, 10_000, 20_000, 30_000, 40_000)
_LIMIT_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Flow:
    """What became of one flow."""

    asked_rate: int  #: alerts a second that were asked for
    published_rate: float  #: and those that the trading process managed
    stored_rate: float  #: alerts a second from the first publish to the last one's commit
    stored_meanwhile: float  #: the share that was stored when the last one was published
    refused: int
    replays_asked: int
    sent_again: int
    lost: float
    daemon_mebibytes: float | None


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A machine without credentials: nothing is sent, nothing is shown."""
    with Rig(tmp_path, {}) as machine:
        yield machine


def flow(rig: Rig, rate: int) -> Flow:
    """Publish at one rate to a new daemon, and see all of it stored."""
    database = rig.folder / "alertbus.db"
    count = rate * _SECONDS
    with rig.daemon() as daemon, Trader(rig.environ, rig.folder, rig.folder / "ids") as trader:
        assert trader.order("critical", text="Connected", wait=_LIMIT_SECONDS)["taken"]
        before = count_in(database)
        replayed_before, asked_before = trader.stats()["replayed"], daemon.output.count("asked for a replay")
        told = trader.order("publish", count=count, rate=rate)
        end = time.monotonic()
        meanwhile = (count_in(database) - before) / count
        with watching(database) as watch:
            wait_until(lambda: watch.newest() >= before + count - told["refused"], _LIMIT_SECONDS)
        stored = time.monotonic() - end
        wait_until(lambda: count_in(database) == before + count - told["refused"], _LIMIT_SECONDS)
        stats = trader.stats()
        trader.leave()
        return Flow(
            asked_rate=rate,
            published_rate=count / told["seconds"],
            stored_rate=count / (told["seconds"] + stored),
            stored_meanwhile=meanwhile,
            refused=told["refused"],
            replays_asked=daemon.output.count("asked for a replay") - asked_before,
            sent_again=stats["replayed"] - replayed_before,
            lost=rig.metric("alertbus_alerts_lost_total"),
            daemon_mebibytes=peak_mebibytes(daemon.process.pid),
        )


def test_flow_is_stored_whole_and_asks_for_nothing_that_is_only_on_its_way(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that the queue took is stored once, nothing is lost, and not one replay is asked for."""
    flows = [flow(rig, rate) for rate in _RATES]
    with capsys.disabled():
        print(
            f"\n{f'{_SECONDS} s each; alerts/s':>24}      published    stored  by the end  refused"
            "  replays  sent again  daemon MiB"
        )
        for one in flows:
            print(
                f"{one.asked_rate:>24,}{one.published_rate:>15,.0f}{one.stored_rate:>10,.0f}{one.stored_meanwhile:>12.0%}"
                f"{one.refused:>9,}{one.replays_asked:>9,}{one.sent_again:>12,}{one.daemon_mebibytes or 0:>12,.0f}"
            )
    assert [(one.replays_asked, one.sent_again, one.lost) for one in flows] == [(0, 0, 0)] * len(flows)
    kept, published = kept_in(rig.folder / "alertbus.db"), ids_in(rig.folder / "ids")
    taken = [identity for identity in published if identity in kept.ids]
    assert len(published) - len(taken) == sum(one.refused for one in flows), "what the queue took is stored"
    kept.check(taken)
