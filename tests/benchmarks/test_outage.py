"""A day's outage: the trader publishes on while no daemon runs, and then one comes back.

OUTAGE_ALERTS sets how many, 1,000,000 by default. Publisher and daemon run on default settings; the routes are the
default ones with a webhook beside the chats, which has no pace, so that a CRITICAL's way can be timed.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.rig import CREDENTIALS, Daemon, Rig
from tests.support.kept import Watch, count_in, kept_in, watching
from tests.support.memory import peak_mebibytes
from tests.support.provider_server import ProviderServer
from tests.support.trader import Trader, ids_in
from tests.support.waiting import wait_until

pytestmark = pytest.mark.benchmark

_ALERTS: Final = int(os.environ.get("OUTAGE_ALERTS", "1000000"))
_LIVE_ALERTS: Final = max(_ALERTS // 5, 1)
#: Seconds between two CRITICALs, when idle and in mid-replay: a chat takes one message a second.
_EVERY_SECONDS: Final = 3.0
_IDLE_CRITICALS: Final = 5
#: No measurement takes so long unless something hangs.
_LIMIT_SECONDS: Final = 1_800.0
_ROUTES: Final = """
[channels.webhook]
url = "env:WEBHOOK_URL"
[[routes]]
match = { severity = "CRITICAL" }
channels = ["whatsapp", "telegram", "webhook"]
[[routes]]
match = { severity = ">=WARNING" }
channels = ["whatsapp", "telegram"]
[[routes]]
match = { action = ["BUY", "SELL"] }
channels = ["telegram"]
"""


@dataclass(slots=True)
class Critical:
    """A CRITICAL on its way; all times are monotonic seconds."""

    text: str
    identity: bytes
    published_at: float
    stored_at: float | None = None


class Criticals:
    """CRITICALs published one by one, and when each is in the store."""

    def __init__(self, trader: Trader, watch: Watch) -> None:
        self._trader = trader
        self._watch = watch
        self.all: list[Critical] = []
        self.due_at = time.monotonic()

    def look(self) -> bool:
        """Publish the next one when it is time, and note which are stored; True when all so far are."""
        now = time.monotonic()
        if now >= self.due_at:
            self.due_at = now + _EVERY_SECONDS
            text = f"Margin call {len(self.all)} of {id(self)}"
            answer = self._trader.order("critical", text=text)
            assert answer["taken"]
            self.all.append(Critical(text, bytes.fromhex(answer["id"]), now))
        for critical in self.all:
            if critical.stored_at is None and self._watch.holds(critical.identity):
                critical.stored_at = time.monotonic()
        return all(critical.stored_at is not None for critical in self.all)

    def lateness(self, provider: ProviderServer) -> dict[str, list[float]]:
        """Return the milliseconds until each was stored, and until each provider had accepted it."""
        late = {"stored": [1000 * ((one.stored_at or 0.0) - one.published_at) for one in self.all]}
        for name in ("hook", "telegram", "twilio"):
            accepted_at = {message.text: message.at for message in provider.wait_for_accepted(0, provider=name)}
            late[name] = [
                1000 * next(at - one.published_at for text, at in accepted_at.items() if one.text in text)
                for one in self.all
            ]
        return late


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    """The chats and a webhook on loopback."""
    with ProviderServer() as server:
        yield server


@pytest.fixture
def rig(tmp_path: Path, provider: ProviderServer) -> Iterator[Rig]:
    """A machine whose daemon has both chats and the webhook."""
    addresses = {f"ALERTBUS_{name}_URL": provider.url for name in ("TELEGRAM", "TWILIO", "META")}
    hook = {"WEBHOOK_URL": f"json://127.0.0.1:{provider.port}/hook"}
    (tmp_path / "alertbus.toml").write_text(_ROUTES)
    with Rig(tmp_path, {**CREDENTIALS, **addresses, **hook}) as machine:
        yield machine


def seconds_to_store(watch: Watch, number: int, criticals: Criticals | None = None) -> float:
    """Wait until so many alerts are stored in all; with `criticals`, publish one every few seconds meanwhile."""
    begin = time.monotonic()

    def stored() -> bool:
        if criticals is not None:
            criticals.look()
        extra = 0 if criticals is None else len(criticals.all)
        return watch.newest() >= number + extra

    wait_until(stored, _LIMIT_SECONDS)
    return time.monotonic() - begin


def told(criticals: Criticals, provider: ProviderServer) -> dict[str, list[float]]:
    """Wait until every CRITICAL is stored and accepted everywhere, and return how late each was."""
    criticals.due_at = float("inf")
    wait_until(criticals.look, _LIMIT_SECONDS)
    for name in ("hook", "telegram", "twilio"):
        for one in criticals.all:
            wait_until(
                lambda name=name, one=one: any(  # type: ignore[misc]  # mypy infers nothing of a lambda's defaults
                    one.text in message.text for message in provider.wait_for_accepted(0, provider=name)
                ),
                _LIMIT_SECONDS,
            )
    return criticals.lateness(provider)


def test_outage_of_the_daemon_loses_nothing_and_what_it_costs(
    rig: Rig, provider: ProviderServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of it is stored once and nothing is lost; rates, bytes, memory and lateness are printed."""
    database = rig.folder / "alertbus.db"
    figures: list[tuple[str, str]] = []
    with ExitStack() as stack:
        daemon = rig.start()
        watch = stack.enter_context(watching(database))
        trader = stack.enter_context(Trader(rig.environ, rig.folder, rig.folder / "ids"))
        live_rate = publish_live(watch, trader, daemon, figures)
        idle = Criticals(trader, watch)
        wait_until(lambda: idle.look() and len(idle.all) == _IDLE_CRITICALS, _LIMIT_SECONDS)
        idle_lateness = told(idle, provider)
        daemon.stop()
        replayed_before = trader.stats()["replayed"]

        seconds = trader.publish(_ALERTS, kind="day")["seconds"]
        journal = sum(path.stat().st_size for path in (rig.folder / "state").rglob("*.journal*"))
        figures.append(("published while it was away, alerts/s", f"{_ALERTS / seconds:,.0f}"))
        figures.append(("journal, bytes per alert", f"{journal / _ALERTS:,.0f}"))
        figures.append(("publisher's peak memory before the replay, MiB", memory(trader.process.pid)))

        daemon = rig.start()
        criticals = Criticals(trader, watch)
        before = _LIVE_ALERTS + _IDLE_CRITICALS
        seconds = seconds_to_store(watch, before + _ALERTS, criticals)
        lateness = told(criticals, provider)
        wait_until(lambda: count_in(database) == before + _ALERTS + len(criticals.all), _LIMIT_SECONDS)
        stats = trader.stats()
        figures.append(("replayed, alerts/s", f"{_ALERTS / seconds:,.0f}"))
        figures.append(("... as a share of the live rate", f"{_ALERTS / seconds / live_rate:.2f}"))
        figures.append(("alerts sent again", f"{stats['replayed'] - replayed_before:,}"))
        figures.append(("... that were missing", f"{rig.metric('alertbus_alerts_replayed_total'):,.0f}"))
        figures.append(("publisher's peak memory, MiB", memory(trader.process.pid)))
        figures.append(("daemon's peak memory, MiB", memory(daemon.process.pid)))
        assert rig.metric("alertbus_alerts_lost_total") == 0
        assert (stats["refused"], stats["dropped"], stats["errors"]) == (0, 0, 0)
        trader.leave()
        daemon.stop()
    kept_in(database).check(ids_in(rig.folder / "ids"))
    show(capsys, figures, {"idle": idle_lateness, "in mid-replay": lateness})


def publish_live(watch: Watch, trader: Trader, daemon: Daemon, figures: list[tuple[str, str]]) -> float:
    """Publish to a daemon that runs, as fast as the queue takes alerts; return how many are stored a second."""
    assert trader.order("critical", text="Hello", wait=60.0)["taken"]
    begin = time.monotonic()
    trader.publish(_LIVE_ALERTS - 1, kind="day")
    seconds_to_store(watch, _LIVE_ALERTS)
    rate = (_LIVE_ALERTS - 1) / (time.monotonic() - begin)
    figures.append(("live, stored alerts/s", f"{rate:,.0f}"))
    figures.append(("live, alerts sent again", f"{trader.stats()['replayed']:,}"))
    figures.append(("live, daemon's peak memory, MiB", memory(daemon.process.pid)))
    return rate


def memory(pid: int) -> str:
    """Return a process's peak so far."""
    peak = peak_mebibytes(pid)
    return "not known here" if peak is None else f"{peak:,.0f}"


def show(
    capsys: pytest.CaptureFixture[str], figures: list[tuple[str, str]], late: dict[str, dict[str, list[float]]]
) -> None:
    """Print the tables."""
    with capsys.disabled():
        print(f"\n{_ALERTS:,} alerts while the daemon was away")
        for name, value in figures:
            print(f"  {name:<52}{value:>14}")
        for when, columns in late.items():
            count = len(next(iter(columns.values())))
            print(f"a CRITICAL's way, {when} ({count} of them)   median ms     max ms")
            for name, values in columns.items():
                print(f"  {name:<30}{statistics.median(values):>18,.1f}{max(values):>11,.1f}")
