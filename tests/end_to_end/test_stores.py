"""More than one store, and more than one copy of a journal: each store has each alert once, and nothing is called lost.

The publishers and the daemons are processes; what is stored is read from the databases beside them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.rig import Daemon, Rig
from tests.support.kept import count_in, kept_in
from tests.support.trader import Trader, ids_in
from tests.support.waiting import wait_until

_PATIENCE_SECONDS: Final = 120.0
_LOST: Final = "alertbus_alerts_lost_total"
_REPLAYED: Final = "alertbus_alerts_replayed_total"
#: Alerts whose replay lasts longer than a process takes to start.
_LONG_REPLAY: Final = 30_000
_ENDPOINTS: Final = ("ALERTBUS_DATA_ENDPOINT", "ALERTBUS_CONTROL_ENDPOINT")


def journals(rig: Rig) -> Path:
    """Return the folder of journals that all publishers of a rig share, unless they are told another."""
    return Path(rig.environ["ALERTBUS_JOURNAL"])


def copy_journal(rig: Rig, folder: Path, name: str | None = None) -> None:
    """Copy the only journal of a rig as a backup does: database and write-ahead log, but no lock."""
    (journal,) = journals(rig).glob("*.journal")
    folder.mkdir(exist_ok=True)
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{journal}{suffix}", folder / f"{name or journal.name}{suffix}")


def wait_stored(rig: Rig, count: int) -> None:
    """Wait until so many alerts of publishers are in a rig's database."""
    wait_until(lambda: count_in(rig.folder / "alertbus.db") >= count, _PATIENCE_SECONDS)


def wait_journal(trader: Trader, count: int) -> None:
    """Wait until a publisher holds so many alerts."""
    wait_until(lambda: trader.stats()["journal_alerts"] == count, _PATIENCE_SECONDS)


def check(rig: Rig, published: list[bytes]) -> None:
    """A rig's store has exactly these, each once, and its daemon lost nothing."""
    kept_in(rig.folder / "alertbus.db").check(published)
    assert rig.metric(_LOST) == 0


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A machine without credentials, whose journals lie in a folder known to the test."""
    with Rig(tmp_path, {"ALERTBUS_JOURNAL": str(tmp_path / "journals")}) as machine:
        yield machine


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Rig]:
    """A second daemon's machine, with a database of its own."""
    folder = tmp_path / "other"
    folder.mkdir()
    with Rig(folder, {}) as machine:
        yield machine


@pytest.fixture
def both(rig: Rig, other: Rig) -> dict[str, str]:
    """The environment of a publisher that knows both daemons."""
    return rig.environ | {name: f"{rig.environ[name]},{other.environ[name]}" for name in _ENDPOINTS}


# --- a journal restored from a copy -----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["elsewhere", "beside"])
def test_copy_of_a_journal_offered_while_its_publisher_runs_changes_nothing(rig: Rig, where: str) -> None:
    """Two processes offer one stream at once: the copy its first 500 numbers, the original all and further ones."""
    folder = rig.folder / "restored" if where == "elsewhere" else journals(rig)
    with Trader(rig.environ, rig.folder, rig.folder / "ids") as trader:
        trader.publish(500)
        copy_journal(rig, folder, "restored.journal" if where == "beside" else None)
        with rig.daemon():
            trader.publish(500)
            wait_journal(trader, 0)
            drained = rig.publish("--drain", "--wait", "60", environ={"ALERTBUS_JOURNAL": str(folder)})
            assert drained.returncode == 0, drained.stdout + drained.stderr
            assert drained.stdout.startswith("500 of 500 alerts drained")
            trader.publish(500)
            wait_journal(trader, 0)
            check(rig, ids_in(trader.ids))
    assert kept_in(rig.folder / "alertbus.db").runs() == [(1, 1_500)]


def test_copy_and_original_offered_at_once_to_a_daemon_that_has_neither_are_stored_once(rig: Rig) -> None:
    """Both have 500 numbers that nobody acknowledged, one of them 500 more; the daemon comes last."""
    with Trader(rig.environ, rig.folder, rig.folder / "ids") as trader:
        trader.publish(500)
        copy_journal(rig, rig.folder / "restored")
        trader.publish(500)
        elsewhere = rig.environ | {"ALERTBUS_JOURNAL": str(rig.folder / "restored")}
        with Trader(elsewhere, rig.folder, rig.folder / "no-ids") as second, rig.daemon():
            wait_journal(trader, 0)
            wait_journal(second, 0)
            trader.publish(500)
            wait_journal(trader, 0)
            check(rig, ids_in(trader.ids))
    assert kept_in(rig.folder / "alertbus.db").runs() == [(1, 1_500)]


def test_copy_taken_after_acknowledgements_and_restored_after_the_end_is_drained(rig: Rig) -> None:
    """Its first 500 numbers were acknowledged, and are gone; the 300 behind them are stored already."""
    with Trader(rig.environ, rig.folder, rig.folder / "ids") as trader:
        daemon = rig.start()
        trader.publish(500)
        wait_journal(trader, 0)
        daemon.stop()
        trader.publish(300)
        copy_journal(rig, rig.folder / "restored")
        with rig.daemon():
            wait_journal(trader, 0)
            assert trader.order("close", timeout=_PATIENCE_SECONDS)["settled"]
            trader.leave()
            assert not list(journals(rig).glob("*.journal")), "what is settled leaves no file"
            for path in (rig.folder / "restored").iterdir():
                path.rename(journals(rig) / path.name)
            drained = rig.publish("--drain", "--wait", "60")
            assert drained.returncode == 0, drained.stdout + drained.stderr
            assert drained.stdout.startswith("300 of 300 alerts drained")
            check(rig, ids_in(trader.ids))
            assert not list(journals(rig).glob("*.journal"))


def test_original_that_holds_less_than_its_copy_does_not_make_the_copys_numbers_lost(rig: Rig) -> None:
    """A new store takes from the copy what the old store acknowledged, while the original says that it is gone."""
    with Trader(rig.environ, rig.folder, rig.folder / "ids") as trader:
        daemon = rig.start()
        trader.publish(500)
        wait_journal(trader, 0)
        daemon.stop()
        trader.publish(_LONG_REPLAY)
        copy_journal(rig, rig.folder / "restored")
        daemon = rig.start()
        wait_journal(trader, 0)
        trader.kill()  # its file stays: the original, in which every number is acknowledged
        daemon.stop()
    published = ids_in(rig.folder / "ids")
    rig.environ["ALERTBUS_DATABASE_URL"] = "sqlite:///empty.db"
    elsewhere = rig.environ | {"ALERTBUS_JOURNAL": str(rig.folder / "restored")}
    with rig.daemon(), Trader(elsewhere, rig.folder, rig.folder / "no-ids"):
        wait_until(lambda: count_in(rig.folder / "empty.db") > 0, _PATIENCE_SECONDS)
        with Trader(rig.environ, rig.folder, rig.folder / "no-ids"):
            wait_until(
                lambda: rig.metric(_LOST) or count_in(rig.folder / "empty.db") == _LONG_REPLAY, _PATIENCE_SECONDS
            )
            assert rig.metric(_LOST) == 0
            kept_in(rig.folder / "empty.db").check(published[500:])


# --- a daemon on an empty database ------------------------------------------------------------------------------


@pytest.mark.parametrize("away", [0, 300])
def test_daemon_on_an_empty_database_gets_what_nobody_acknowledged(rig: Rig, away: int) -> None:
    """What the old store has is neither asked for again nor called lost."""
    with Trader(rig.environ, rig.folder, rig.folder / "ids") as trader:
        daemon = rig.start()
        trader.publish(500)
        wait_journal(trader, 0)
        daemon.stop()
        if away:
            trader.publish(away)
        rig.environ["ALERTBUS_DATABASE_URL"] = "sqlite:///empty.db"
        with rig.daemon():
            assert trader.order("critical", text="Still here", wait=_PATIENCE_SECONDS)["taken"]
            trader.publish(200)
            kept = wait_until(lambda: _with_numbers(rig.folder / "empty.db", away + 201), _PATIENCE_SECONDS)
            wait_until(lambda: trader.stats()["journal_alerts"] == away + 201)
            assert rig.metric(_LOST) == 0
            assert rig.metric(_REPLAYED) <= away + 1
        kept_in(kept).check(ids_in(trader.ids)[500:])
        assert kept_in(kept).runs() == [(501, 500 + away + 201)]
        kept_in(rig.folder / "alertbus.db").check(ids_in(trader.ids)[:500])


def _with_numbers(database: Path, count: int) -> Path | None:
    return database if count_in(database) >= count else None


# --- a second daemon with its own database ----------------------------------------------------------------------


def test_two_stores_that_run_from_the_start_have_everything(rig: Rig, other: Rig, both: dict[str, str]) -> None:
    with rig.daemon(), other.daemon(), Trader(both, rig.folder, rig.folder / "ids") as trader:
        wait_until(lambda: all(daemon["store_id"] for daemon in trader.stats()["daemons"]), _PATIENCE_SECONDS)
        trader.publish(1_000)
        wait_stored(rig, 1_000)
        wait_stored(other, 1_000)
        wait_journal(trader, 0)
        check(rig, ids_in(trader.ids))
        check(other, ids_in(trader.ids))


@pytest.mark.parametrize("end", [Daemon.stop, Daemon.kill])
def test_store_that_was_away_gets_what_it_missed_and_the_other_nothing_twice(
    rig: Rig, other: Rig, both: dict[str, str], end: object
) -> None:
    """The journal keeps for the one that is away what the other has acknowledged long since."""
    assert callable(end)
    with rig.daemon(), Trader(both, rig.folder, rig.folder / "ids") as trader:
        away = other.start()
        wait_until(lambda: all(daemon["store_id"] for daemon in trader.stats()["daemons"]), _PATIENCE_SECONDS)
        trader.publish(200)
        wait_journal(trader, 0)
        end(away)
        trader.publish(1_000)
        wait_stored(rig, 1_200)
        replayed = rig.metric(_REPLAYED)
        with other.daemon():
            wait_journal(trader, 0)
            trader.publish(100)
            wait_journal(trader, 0)
            check(rig, ids_in(trader.ids))
            check(other, ids_in(trader.ids))
            assert rig.metric(_REPLAYED) == replayed


def test_store_that_comes_late_begins_at_the_first_number_nobody_acknowledged(
    rig: Rig, other: Rig, both: dict[str, str]
) -> None:
    with rig.daemon(), Trader(both, rig.folder, rig.folder / "ids") as trader:
        trader.publish(500)
        wait_journal(trader, 0)
        with other.daemon():
            wait_until(lambda: all(daemon["store_id"] for daemon in trader.stats()["daemons"]), _PATIENCE_SECONDS)
            trader.publish(500)
            wait_stored(other, 500)
            wait_journal(trader, 0)
            check(rig, ids_in(trader.ids))
            check(other, ids_in(trader.ids)[500:])
    assert kept_in(other.folder / "alertbus.db").runs() == [(501, 1_000)]


def test_two_stores_that_come_after_the_publisher_have_everything_that_they_began_with(
    rig: Rig, other: Rig, both: dict[str, str]
) -> None:
    """The first one has all of it; the second begins wherever the first had not acknowledged yet, without a hole."""
    with Trader(both, rig.folder, rig.folder / "ids") as trader:
        trader.publish(1_000)
        with rig.daemon(), other.daemon():
            wait_stored(rig, 1_000)
            wait_until(lambda: all(daemon["store_id"] for daemon in trader.stats()["daemons"]), _PATIENCE_SECONDS)
            trader.publish(100)
            wait_journal(trader, 0)
            check(rig, ids_in(trader.ids))
            ((first, last),) = kept_in(other.folder / "alertbus.db").runs()
            assert last == 1_100
            check(other, ids_in(trader.ids)[first - 1 :])
