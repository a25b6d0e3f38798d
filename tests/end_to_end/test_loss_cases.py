"""Where ZeroMQ loses messages without an error: each case arrives whole, each alert once, and nothing is called lost.

The publisher and the daemon are processes. What was published is known from the trader's own file, what arrived from
the daemon's database.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from bus.sockets import DATA_HIGH_WATER_MARK
from subscriber.intake.streams import REPLAY_WINDOW
from tests.end_to_end.rig import Daemon, Rig
from tests.support.kept import count_in, kept_in
from tests.support.trader import Trader, ids_in
from tests.support.waiting import wait_until

_PATIENCE_SECONDS: Final = 120.0
_LOST: Final = "alertbus_alerts_lost_total"
_REPLAYED: Final = "alertbus_alerts_replayed_total"
#: Alerts beyond what the pipe holds: more than the buffers of a loopback connection take.
_BEYOND: Final = 30_000


needs_pause = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system can't pause a process")


@contextmanager
def paused(daemon: Daemon) -> Iterator[None]:
    """Let a daemon do nothing for as long as the block lasts."""
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def trader_on(rig: Rig, *, start: bool = True) -> Trader:
    """Start a trading process; all of a rig write their ids into one file."""
    return Trader(rig.environ, rig.folder, rig.folder / "ids", start=start)


def wait_stored(rig: Rig, count: int) -> None:
    """Wait until so many alerts are stored."""
    wait_until(lambda: count_in(rig.folder / "alertbus.db") >= count, _PATIENCE_SECONDS)


def wait_settled(trader: Trader) -> None:
    """Wait until the publisher holds nothing any more: all of it is acknowledged."""
    wait_until(lambda: trader.stats()["journal_alerts"] == 0, _PATIENCE_SECONDS)


def check_whole(rig: Rig) -> None:
    """All that was published is stored once, and nothing is lost."""
    kept_in(rig.folder / "alertbus.db").check(ids_in(rig.folder / "ids"))
    assert rig.metric(_LOST) == 0


def check_no_storm(rig: Rig, trader: Trader) -> None:
    """Next to nothing was sent again that was not missing.

    A daemon that a busy machine holds up for longer than its patience asks for an open window once more.
    """
    assert trader.stats()["replayed"] - rig.metric(_REPLAYED) <= REPLAY_WINDOW


def test_alerts_published_at_once_after_connecting_arrive(bare_rig: Rig) -> None:
    """All 1,000 wait before there is a socket; how many a PUB that is just connecting drops is left to chance."""
    with bare_rig.daemon(), trader_on(bare_rig, start=False) as trader:
        trader.publish(1_000)
        wait_stored(bare_rig, 1_000)
        wait_settled(trader)
        check_whole(bare_rig)
        check_no_storm(bare_rig, trader)


@needs_pause
def test_alerts_published_before_the_daemon_subscribed_arrive(bare_rig: Rig) -> None:
    """The connection stands, but the subscription can't come yet: not one of 1,000 arrives over the PUB."""
    with bare_rig.daemon() as daemon, trader_on(bare_rig, start=False) as trader:
        with paused(daemon):
            trader.publish(1_000)
        wait_stored(bare_rig, 1_000)
        wait_settled(trader)
        assert bare_rig.metric(_REPLAYED) == 1_000
        check_whole(bare_rig)
        check_no_storm(bare_rig, trader)


@pytest.mark.parametrize("end", [Daemon.stop, Daemon.kill])
def test_alerts_published_while_the_daemon_is_away_arrive(bare_rig: Rig, end: object) -> None:
    """100 with a daemon, 3,000 without: those that a pipe kept, and those that it did not."""
    assert callable(end)
    daemon = bare_rig.start()
    with trader_on(bare_rig) as trader:
        trader.publish(100)
        wait_stored(bare_rig, 100)
        end(daemon)
        trader.publish(3_000)
        with bare_rig.daemon():
            wait_stored(bare_rig, 3_100)
            wait_settled(trader)
            check_whole(bare_rig)
            check_no_storm(bare_rig, trader)


@needs_pause
def test_alerts_beyond_the_high_water_mark_of_a_paused_daemon_arrive(bare_rig: Rig) -> None:
    """What the pipe and the connection's buffers can't take is dropped, and comes after the daemon goes on."""
    count = DATA_HIGH_WATER_MARK + _BEYOND
    with bare_rig.daemon() as daemon, trader_on(bare_rig) as trader:
        assert trader.order("critical", text="Connected", wait=_PATIENCE_SECONDS)["taken"]
        with paused(daemon):
            trader.publish(count)
        wait_stored(bare_rig, count + 1)
        wait_settled(trader)
        assert bare_rig.metric(_REPLAYED) > 0, "nothing was dropped, so this test showed nothing"
        check_whole(bare_rig)
        check_no_storm(bare_rig, trader)


@pytest.mark.parametrize("daemon_away", [False, True])
def test_alerts_of_a_publisher_killed_after_flush_arrive_by_its_successor(bare_rig: Rig, daemon_away: bool) -> None:
    """SIGKILL right after `flush`; what the daemon did not get in time is offered by the next publisher."""
    daemon = bare_rig.start()
    if daemon_away:
        daemon.stop()
    with trader_on(bare_rig) as trader:
        trader.publish(1_000)
        trader.kill()
    with trader_on(bare_rig) as trader:
        trader.publish(1_000)
        if daemon_away:
            bare_rig.start()
        wait_stored(bare_rig, 2_000)
        wait_settled(trader)
        check_whole(bare_rig)
    assert kept_in(bare_rig.folder / "alertbus.db").runs() == [(1, 1_000)] * 2


def test_alerts_of_a_publisher_closed_and_started_again_arrive(bare_rig: Rig) -> None:
    """It closes without waiting for anybody; its successor offers what was left."""
    with bare_rig.daemon():
        for number in range(1, 4):
            with trader_on(bare_rig) as trader:
                trader.order("publish", count=1_000)
                trader.order("close", timeout=0.0)
                trader.leave()
            assert len(ids_in(bare_rig.folder / "ids")) == 1_000 * number
        with trader_on(bare_rig) as trader:
            wait_stored(bare_rig, 3_000)
            wait_settled(trader)
            check_whole(bare_rig)
    assert kept_in(bare_rig.folder / "alertbus.db").runs() == [(1, 1_000)] * 3


def test_alerts_published_right_before_close_are_stored_when_it_returns(bare_rig: Rig) -> None:
    with bare_rig.daemon(), trader_on(bare_rig) as trader:
        trader.begin("publish", count=500)
        trader.begin("close", timeout=_PATIENCE_SECONDS)
        assert trader.answer()["refused"] == 0
        assert trader.answer()["settled"]
        check_whole(bare_rig)
        check_no_storm(bare_rig, trader)


def test_alerts_published_right_before_a_close_that_waits_for_nothing_are_drained(bare_rig: Rig) -> None:
    with trader_on(bare_rig) as trader:
        trader.begin("publish", count=500)
        trader.begin("close", timeout=0.0)
        assert trader.answer()["refused"] == 0
        assert not trader.answer()["settled"]
        trader.leave()
    with bare_rig.daemon():
        drained = bare_rig.publish("--drain", "--wait", "60")
        assert drained.returncode == 0, drained.stderr
        assert drained.stdout.startswith("500 of 500 alerts drained")
        check_whole(bare_rig)


def test_steady_flow_is_stored_without_a_single_replay(bare_rig: Rig) -> None:
    """Heartbeats run ahead of the data under load; what is only on its way is never asked for."""
    with bare_rig.daemon() as daemon, trader_on(bare_rig) as trader:
        assert trader.order("critical", text="Connected", wait=_PATIENCE_SECONDS)["taken"]
        replayed_before = trader.stats()["replayed"]
        asked_before = daemon.output.count("asked for a replay")
        trader.publish(20_000, rate=10_000)
        wait_stored(bare_rig, 20_001)
        wait_settled(trader)
        check_whole(bare_rig)
        assert trader.stats()["replayed"] == replayed_before
        assert daemon.output.count("asked for a replay") == asked_before
