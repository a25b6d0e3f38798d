"""The gauges that are set each second: what they show of a real store, and that a dear question is asked rarely."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan
from pathlib import Path
from random import Random
from shutil import disk_usage

import pytest

from bus.clock import MICROSECONDS
from subscriber.assembly import Assembly
from subscriber.deliveries import Outcome, PlannedDelivery, Reason
from subscriber.errors import StoreError
from subscriber.measuring import Question
from subscriber.policy.rules import Rules
from subscriber.settings import SubscriberSettings, channel_configs
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.books import spoil
from tests.support.clock import FakeClock
from tests.support.provider_server import ProviderServer
from tests.support.running_intake import on_sqlite
from tests.support.running_service import daemon_environ, provider_environ


@pytest.fixture
def assembly(tmp_path: Path, store: Store, clock: FakeClock) -> Iterator[Assembly]:
    """The parts of a daemon with Telegram and WhatsApp by Twilio; nothing of it is started."""
    with ProviderServer() as server:
        environ = daemon_environ(provider_environ(server), tmp_path)
        settings = SubscriberSettings.from_environment(environ, env_file=None)
        configs = channel_configs(settings)
        made = Assembly(
            settings,
            configs,
            Rules.of_defaults([config.name for config in configs]),
            store,
            clock=clock,
            rng=Random(1),
            dry_run=False,
            interval_seconds=0.5,
            show_rehearsal=lambda *_shown: None,
        )
        yield made
        made.close()


def value(assembly: Assembly, name: str, **labels: str) -> float | None:
    assembly.measure()
    return assembly.metrics.registry.get_sample_value(f"alertbus_{name}", labels)


# --- how often ----------------------------------------------------------------------------------------------------


class Asked:
    """A question that takes as long as a test says."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.takes = 0.0
        self.times = 0
        self.fails = False

    def __call__(self) -> None:
        self.times += 1
        self.clock.advance(self.takes)
        if self.fails:
            raise StoreError("The database is away.")


@pytest.mark.parametrize(("takes", "rest"), [(0.0, 0.0), (0.01, 0.5), (0.2, 10.0), (30.0, 60.0)])
def test_question_rests_for_as_long_as_it_was_dear(clock: FakeClock, takes: float, rest: float) -> None:
    asked = Asked(clock)
    question = Question(asked, clock)
    asked.takes = takes
    question.turn()
    clock.advance(max(rest - 0.001, 0.0))
    question.turn()
    assert asked.times == (1 if rest else 2)
    clock.advance(0.002)
    question.turn()
    assert asked.times == (2 if rest else 3)


def test_question_that_failed_is_asked_by_the_next_turn(clock: FakeClock) -> None:
    """An answer that is missing is worse than a dear one."""
    asked = Asked(clock)
    question = Question(asked, clock)
    asked.takes, asked.fails = 10.0, True
    for _ in range(2):
        with pytest.raises(StoreError):
            question.turn()
    assert asked.times == 2


# --- what they show -----------------------------------------------------------------------------------------------


@on_sqlite
def test_gauges_tell_what_is_overdue_and_what_is_held(assembly: Assembly, store: Store, clock: FakeClock) -> None:
    now_us = clock.now_us()
    held = (PlannedDelivery("telegram", now_us + 3600 * MICROSECONDS, batch="quiet:night"),)
    store.accept([incoming(risk_event(severity="WARNING"), 1, planned=held, published_us=now_us)])
    assert value(assembly, "held_deliveries") == 1
    assert value(assembly, "queue_oldest_timestamp_seconds", channel="telegram") == now_us / 1e6
    assert value(assembly, "queue_overdue_timestamp_seconds", channel="telegram") == 0
    clock.advance(3600)
    assert value(assembly, "held_deliveries") == 0
    assert value(assembly, "queue_overdue_timestamp_seconds", channel="telegram") == now_us / 1e6
    for waiting in store.fetch_pending_notifications():
        store.mark_notification_sent(waiting["id"], "sent")
    assert value(assembly, "queue_overdue_timestamp_seconds", channel="telegram") == 0


@on_sqlite
def test_gauges_of_a_question_that_fails_leave_the_others_theirs(
    assembly: Assembly, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A count that a server's limit ends says nothing of the disk; and it is counted."""

    def fails() -> int:
        raise StoreError("The statement took too long.")

    monkeypatch.setattr(store, "held_count", fails)
    with pytest.raises(StoreError, match="took too long"):
        assembly.measure()
    registry = assembly.metrics.registry
    assert registry.get_sample_value("alertbus_store_errors_total") == 1
    assert (registry.get_sample_value("alertbus_database_bytes") or 0) > 0
    assert (registry.get_sample_value("alertbus_disk_size_bytes", {"disk": "database"}) or 0) > 0


@on_sqlite
def test_gauges_tell_dead_letters_also_of_a_channel_that_is_gone(
    assembly: Assembly, store: Store, clock: FakeClock
) -> None:
    """And none of them is forgotten when they are sent again."""
    store.accept([incoming(risk_event(), 1, "telegram", "forgotten", published_us=clock.now_us())])
    spoil(store, "UPDATE notification_queue SET status = 'dead', finished_at = 1")
    assert value(assembly, "dead_letters", channel="telegram") == 1
    assert value(assembly, "dead_letters", channel="forgotten") == 1
    assert value(assembly, "dead_letters", channel="whatsapp") == 0
    spoil(store, "UPDATE notification_queue SET status = 'accepted'")
    assert value(assembly, "dead_letters", channel="telegram") == 0
    assert value(assembly, "dead_letters", channel="forgotten") == 0


@on_sqlite
def test_gauges_tell_criticals_of_the_last_day_that_nobody_acknowledged(
    assembly: Assembly, store: Store, clock: FakeClock
) -> None:
    alert, since_us = risk_event(), clock.now_us()
    store.accept([incoming(alert, 1, "telegram", published_us=since_us)])
    oldest = "unacknowledged_critical_oldest_timestamp_seconds"
    assert (value(assembly, "unacknowledged_critical_alerts"), value(assembly, oldest)) == (1, since_us / 1e6)
    clock.advance(86_401)
    assert (value(assembly, "unacknowledged_critical_alerts"), value(assembly, oldest)) == (0, 0)
    clock.advance(-86_401)
    store.acknowledge(alert.id, "kim", "api")
    assert (value(assembly, "unacknowledged_critical_alerts"), value(assembly, oldest)) == (0, 0)


@on_sqlite
def test_gauges_tell_the_room_of_the_database(assembly: Assembly, tmp_path: Path) -> None:
    assert (value(assembly, "database_bytes") or 0) >= (tmp_path / "alertbus.db").stat().st_size
    assert value(assembly, "disk_size_bytes", disk="database") == disk_usage(tmp_path).total
    assert 0 < (value(assembly, "disk_free_bytes", disk="database") or 0) <= disk_usage(tmp_path).total


@on_sqlite
def test_gauges_tell_whatsapps_window_and_of_no_other_channel(assembly: Assembly, clock: FakeClock) -> None:
    """Unknown is no number; a day after the person wrote it is closed."""
    unknown = value(assembly, "channel_window_open", channel="whatsapp")
    assert unknown is not None
    assert isnan(unknown)
    assembly.person_wrote(["whatsapp"], clock.now_us())
    assert value(assembly, "channel_window_open", channel="whatsapp") == 1
    clock.advance(86_400)
    assert value(assembly, "channel_window_open", channel="whatsapp") == 0
    assert value(assembly, "channel_window_open", channel="telegram") is None


@on_sqlite
def test_gauges_tell_how_a_desk_stands(assembly: Assembly) -> None:
    desk = assembly.desks["telegram"]
    assert value(assembly, "channel_pace_wait_seconds", channel="telegram") == 0
    desk.hold(40.0)
    assert value(assembly, "channel_pace_wait_seconds", channel="telegram") == pytest.approx(40.0)
    assert value(assembly, "channel_paused", channel="telegram") == 0
    desk.note(Outcome(Reason.UNAUTHORIZED))
    assert value(assembly, "channel_paused", channel="telegram") == 1
    assert value(assembly, "channel_up", channel="telegram") == 0
    desk.resume()
    assert value(assembly, "channel_paused", channel="telegram") == 0
    assert value(assembly, "channel_pace_wait_seconds", channel="telegram") == 0


@on_sqlite
def test_gauges_of_channels_are_set_while_the_database_is_away(
    assembly: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise StoreError("The database is away.")

    monkeypatch.setattr(assembly.store, "open_counts", away)
    assembly.desks["telegram"].note(Outcome(Reason.UNAUTHORIZED))
    with pytest.raises(StoreError):
        assembly.measure()
    registry = assembly.metrics.registry
    assert registry.get_sample_value("alertbus_channel_paused", {"channel": "telegram"}) == 1


@on_sqlite
def test_clock_that_is_set_is_counted(assembly: Assembly) -> None:
    for step_us in (5_000_000, -3_600_000_000):
        assembly.clock_was_set(step_us)
    assert value(assembly, "clock_steps_total") == 2
