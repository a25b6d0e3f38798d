"""The launcher: a process dies at its step and nowhere else, ends when it is asked to, and is never orphaned."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from subscriber.channels import telegram, twilio
from subscriber.channels.building import build_channel, placeholder_configs
from tests.support.waiting import wait_until
from tests.torture import victim
from tests.torture.disks import Disks
from tests.torture.orders import Orders
from tests.torture.site import Site
from tests.torture.slots import Victim

NOBODY = "http://127.0.0.1:9"
_YEAR_US = 366 * 86_400 * 1_000_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Disks(tmp_path, mount=False) as disks:
        yield Site(tmp_path, disks, NOBODY)


@pytest.fixture
def trader(site: Site) -> Iterator[Victim]:
    victim = Victim(site, "trader-1", "trader")
    yield victim
    victim.kill()


def orders(site: Site, **what: str | int | None) -> Orders:
    known = {
        "record": str(site.record_of(1)),
        "clock": str(site.clock_of("trader")),
        "quota": str(site.quota_of("trader")),
        "tokens": str(site.tokens),
        "epoch": 1,
        "seed": "1",
        "rate": 50.0,
    }
    return Orders(**{**known, **what})  # type: ignore[arg-type]  # the names are those of Orders


def notes(site: Site, kind: str) -> list[str]:
    path = site.tokens / f"{kind}-1"
    return path.read_text(encoding="ascii").splitlines() if path.exists() else []


def test_daemon_of_a_victim_sends_without_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (telegram, twilio):
        monkeypatch.setattr(module, "limits_of", module.limits_of)  # put back at the end
    victim._lift_pace()
    for config in placeholder_configs():
        with closing(build_channel(config, rehearsal=True, environ={})) as channel:
            assert channel.pace == ()


def test_trader_dies_before_the_commit_and_was_promised_nothing(site: Site, trader: Victim) -> None:
    trader.tell(orders(site, step="journal.before-commit", passing=1).line())
    assert trader.ended_within(60)
    assert trader.process.returncode != 0
    assert site.record_of(1).exists()
    assert notes(site, "attempted")
    assert not notes(site, "journaled")


def test_trader_dies_at_the_passing_that_was_ordered(site: Site, trader: Victim) -> None:
    trader.tell(orders(site, step="journal.before-commit", passing=4).line())
    assert trader.ended_within(60)
    journaled = notes(site, "journaled")
    assert journaled
    assert len(journaled) < len(notes(site, "attempted"))


def test_trader_that_is_asked_to_end_was_promised_all_that_it_published(site: Site, trader: Victim) -> None:
    trader.tell(orders(site).line())
    wait_until(lambda: len(notes(site, "journaled")) > 3, 60)
    assert trader.end() == 0
    assert not site.record_of(1).exists()
    assert notes(site, "journaled") == [line.split()[0] for line in notes(site, "attempted")]


def test_trader_whose_supervisor_is_gone_ends(site: Site, trader: Victim) -> None:
    trader.tell(orders(site).line())
    wait_until(lambda: notes(site, "attempted"), 60)
    assert trader.process.stdin is not None
    trader.process.stdin.close()
    assert trader.ended_within(60)


def test_trader_that_waits_for_orders_ends_with_its_supervisor(trader: Victim) -> None:
    assert trader.process.stdin is not None
    trader.process.stdin.close()
    assert trader.ended_within(60)
    assert trader.process.returncode == 0


def test_trader_with_a_wrong_clock_journals_wrong_times(site: Site, trader: Victim) -> None:
    site.set_clock("trader", -_YEAR_US)
    trader.tell(orders(site).line())
    wait_until(lambda: len(notes(site, "journaled")) > 3, 60)
    trader.kill()
    (journal,) = site.disks.journal.glob("*.journal")
    with closing(sqlite3.connect(journal)) as connection:
        (published_us,) = connection.execute("SELECT max(published_us) FROM outbox").fetchone()
    assert abs(published_us + _YEAR_US - journal.stat().st_mtime_ns // 1000) < _YEAR_US / 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_trader_with_a_quota_can_journal_nothing(site: Site, trader: Victim) -> None:
    site.set_quota("trader", 4096)
    trader.tell(orders(site).line())
    log = site.folder / "trader-1.log"
    wait_until(lambda: "JOURNAL_FAILED" in log.read_text(encoding="utf-8"), 60)
