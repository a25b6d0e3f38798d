"""The duties of each second: escalations, ends of silences, and what a channel that is down owes; on each database."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import pytest

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import (
    PLAIN,
    DeliveryState,
    Escalation,
    Handling,
    Outcome,
    PlannedDelivery,
    Reason,
    Why,
)
from subscriber.desks import fallbacks_of
from subscriber.duties import Duties
from subscriber.errors import StoreError
from subscriber.rulebook import RuleBook
from subscriber.store import Store
from subscriber.store.silences import NewSilence, Silence
from subscriber.switchboard import Switchboard
from tests.support.alerts import risk_event
from tests.support.clock import FakeClock
from tests.support.holding import FREE, MORNING, rules_from
from tests.support.worker_bench import Bench, ScriptedChannel

UNAUTHORIZED = Outcome(Reason.UNAUTHORIZED, "blocked", status=403)
MINUTE = 60
MINUTE_US = MINUTE * MICROSECONDS
CHANNELS = ("telegram", "desk", "whatsapp")


class Daemon:
    """One daemon's duties and what they need."""

    def __init__(self, store: Store, clock: FakeClock, *, dry_run: bool = False, after: float | None = 300.0) -> None:
        self.bench = Bench(store, clock)
        self.desks = {name: self.bench.desk(ScriptedChannel(name)) for name in CHANNELS}
        self.woken: list[str] = []
        self.book = RuleBook(FREE.rules, store=store, clock=clock, enabled=self._enabled, dry_run=dry_run)
        self.duties = Duties(
            store,
            self.desks,
            book=self.book,
            metrics=self.bench.metrics,
            clock=clock,
            fallbacks=fallbacks_of(self.desks),
            fallback_after_seconds=after,
            wake=self._wake,
            switchboard=Switchboard(store, self.desks, metrics=self.bench.metrics, clock=clock, wake=self._wake),
            dry_run=dry_run,
        )

    def add(self, alert: Alert | None = None, **planned: Any) -> Alert:
        """Store an alert for telegram."""
        due_us = self.bench.clock.now_us()
        return self.bench.add(alert, planned=(PlannedDelivery("telegram", due_us, **planned),))

    def add_held(self, batch: str, handling: Handling = PLAIN) -> Alert:
        """Store a WARNING for telegram that is held for five minutes."""
        due_us = self.bench.clock.now_us() + 5 * MINUTE_US
        planned = (PlannedDelivery("telegram", due_us, batch=batch, handling=handling),)
        return self.bench.add(risk_event(severity="WARNING"), planned=planned)

    def channels(self, alert: Alert) -> list[tuple[str, str, str]]:
        """Return where an alert's deliveries stand."""
        story = self.bench.store.story(alert.id)
        assert story is not None
        return [(each["channel"], each["step"], each["status"]) for each in story["deliveries"]]

    def _enabled(self) -> list[str]:
        return [name for name, desk in self.desks.items() if desk.enabled]

    def _wake(self, channels: Iterable[str]) -> None:
        self.woken += channels


@pytest.fixture
def daemon(store: Store, clock: FakeClock) -> Daemon:
    return Daemon(store, clock)


def escalating(*channels: str) -> Escalation:
    return Escalation(5 * MINUTE_US, channels)


def silence(daemon: Daemon, *, drops: bool = False) -> Silence:
    now_us = daemon.bench.clock.now_us()
    return daemon.bench.store.add_silence(
        NewSilence({"symbol": "TNA"}, "kim", "expected", now_us, now_us + 10 * MINUTE_US, drops=drops), "cli"
    )


# --- escalations --------------------------------------------------------------------------------------------


def test_escalation_tells_the_next_channel_each_time_and_ends(daemon: Daemon, clock: FakeClock) -> None:
    alert = daemon.add(escalation=escalating("desk", "whatsapp"))
    daemon.duties.turn()
    assert daemon.channels(alert) == [("telegram", "first", "pending")]
    clock.advance(5 * MINUTE)
    daemon.duties.turn()
    daemon.duties.turn()
    assert daemon.channels(alert)[1:] == [("desk", "escalation 1", "pending")]
    assert daemon.woken[:1] == ["desk"]
    clock.advance(5 * MINUTE)
    daemon.duties.turn()
    assert daemon.channels(alert)[2:] == [("whatsapp", "escalation 2", "pending")]
    clock.advance(60 * MINUTE)
    daemon.duties.turn()
    assert len(daemon.channels(alert)) == 3
    assert daemon.bench.metric("escalations_total", channel="desk") == 1
    assert daemon.bench.metric("escalations_total", channel="whatsapp") == 1
    assert daemon.bench.metric("deliveries_total", channel="desk", state="pending") == 1


def test_escalation_of_what_a_person_knows_of_ends(daemon: Daemon, clock: FakeClock) -> None:
    alert = daemon.add(escalation=escalating("desk"))
    daemon.bench.store.acknowledge(alert.id, "kim", "cli")
    clock.advance(5 * MINUTE)
    daemon.duties.turn()
    assert len(daemon.channels(alert)) == 1


def test_escalation_passes_over_a_channel_that_is_switched_off(
    daemon: Daemon, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.bench.store.switch_channel("desk", enabled=False, author="kim", via="api")
    alert = daemon.add(escalation=escalating("desk", "whatsapp"))
    nobody = daemon.add(escalation=escalating("desk"))
    clock.advance(5 * MINUTE)
    daemon.duties.turn()
    assert daemon.channels(alert)[1:] == [("whatsapp", "escalation 2", "pending")]
    assert len(daemon.channels(nobody)) == 1
    assert "no channel is left to be told" in caplog.text


def test_escalation_waits_while_every_channel_is_switched_off(daemon: Daemon, clock: FakeClock) -> None:
    for name in CHANNELS:
        daemon.bench.store.switch_channel(name, enabled=False, author="kim", via="api")
    alert = daemon.add(escalation=escalating("desk"))
    clock.advance(5 * MINUTE)
    daemon.duties.turn()
    assert len(daemon.channels(alert)) == 1
    daemon.bench.store.switch_channel("desk", enabled=True, author="kim", via="api")
    daemon.duties.turn()
    assert ("desk", "escalation 1", "pending") in daemon.channels(alert)


def test_escalation_in_a_dry_run_is_suppressed(store: Store, clock: FakeClock) -> None:
    daemon = Daemon(store, clock, dry_run=True)
    alert = daemon.add(escalation=escalating("desk"))
    clock.advance(5 * MINUTE)
    daemon.duties.turn()
    assert daemon.channels(alert)[1:] == [("desk", "escalation 1", "suppressed")]
    assert daemon.bench.metric("deliveries_total", channel="desk", state="suppressed") == 1


# --- silences -----------------------------------------------------------------------------------------------


def test_silences_that_hold_are_counted_until_they_are_over(daemon: Daemon, clock: FakeClock) -> None:
    silence(daemon)
    daemon.duties.turn()
    assert daemon.bench.metric("silences_active") == 1
    clock.advance(10 * MINUTE)
    daemon.duties.turn()
    assert daemon.bench.metric("silences_active") == 0
    assert daemon.bench.store.over_silences() == []
    assert set(daemon.woken) == set(CHANNELS)  # what it held is due now


def test_silence_of_later_is_not_active(daemon: Daemon, clock: FakeClock) -> None:
    now_us = clock.now_us()
    new = NewSilence({}, "kim", "maintenance", now_us + MINUTE_US, now_us + 2 * MINUTE_US)
    daemon.bench.store.add_silence(new, "cli")
    daemon.duties.turn()
    assert daemon.bench.metric("silences_active") == 0
    clock.advance(MINUTE)
    daemon.duties.turn()
    assert daemon.bench.metric("silences_active") == 1


def test_silence_that_dropped_tells_again_what_still_holds(daemon: Daemon, clock: FakeClock) -> None:
    made = silence(daemon, drops=True)
    clock.advance(9 * MINUTE)
    dropped = {"state": DeliveryState.SUPPRESSED, "why": Why.SILENCE, "batch": made.batch}
    older, newest = (daemon.add(risk_event(severity="WARNING"), **dropped) for _ in range(2))
    clock.advance(MINUTE)
    daemon.duties.turn()
    assert daemon.channels(newest) == [("telegram", "first", "pending")]
    assert daemon.channels(older) == [("telegram", "first", "suppressed")]
    assert daemon.woken == ["telegram"]
    assert daemon.bench.metric("deliveries_total", channel="telegram", state="pending") == 1


def test_stragglers_that_were_held_are_no_new_deliveries(daemon: Daemon, clock: FakeClock) -> None:
    """They were counted as pending when they were stored; what was dropped is pending again, and counted."""
    kept, dropping = silence(daemon), silence(daemon, drops=True)
    for each in (kept, dropping):
        daemon.bench.store.end_silence(each.id, "kim", "api", FREE)
    clock.advance(1)
    daemon.add_held(kept.batch)
    daemon.add(state=DeliveryState.SUPPRESSED, why=Why.SILENCE, batch=dropping.batch)
    daemon.duties.turn()
    assert daemon.bench.metric("deliveries_total", channel="telegram", state="pending") == 1
    assert daemon.bench.store.claim("telegram", "worker", 60.0, 10)[1:] != []


# --- what is held -------------------------------------------------------------------------------------------


def test_held_by_hours_that_are_gone_is_let_go_at_the_start(daemon: Daemon, clock: FakeClock) -> None:
    daemon.add_held("quiet:night")
    daemon.duties.turn()
    assert daemon.bench.store.next_due_us("telegram") == clock.now_us()
    assert daemon.woken == ["telegram"]


def test_held_by_hours_that_a_reload_took_away_is_let_go_at_the_next_turn(daemon: Daemon, clock: FakeClock) -> None:
    daemon.book.replace(rules_from(MORNING))
    alert = daemon.add_held("quiet:morning", Handling(route="desk"))
    daemon.duties.turn()
    clock.advance(1)
    daemon.duties.turn()
    assert daemon.woken == []
    daemon.book.replace(rules_from(MORNING + "# the same\n"))
    daemon.duties.turn()
    assert daemon.woken == []
    daemon.book.replace(FREE.rules)
    daemon.duties.turn()
    assert [each.alert for each in daemon.bench.store.claim("telegram", "worker", 60.0, 10)] == [alert]


def test_held_is_looked_at_each_minute_and_again_after_a_failure(
    daemon: Daemon, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_holding: object) -> None:
        raise StoreError("The database is locked.")

    with monkeypatch.context() as patched:
        patched.setattr(daemon.bench.store, "let_go", fails)
        daemon.duties.turn()
    daemon.duties.turn()
    daemon.add_held("quiet:night")
    clock.advance(59)
    daemon.duties.turn()
    assert daemon.woken == []
    clock.advance(1)
    daemon.duties.turn()
    assert daemon.woken == ["telegram"]


# --- channels that are down ---------------------------------------------------------------------------------


def test_channel_down_for_long_is_helped_out_once(daemon: Daemon, clock: FakeClock) -> None:
    """What waits for as long as the channel is down is told by another one, and goes on waiting as well."""
    daemon.desks["telegram"].note(UNAUTHORIZED)
    alert = daemon.add()
    clock.advance(299)
    daemon.duties.turn()
    assert len(daemon.channels(alert)) == 1
    clock.advance(1)
    daemon.duties.turn()
    daemon.duties.turn()
    assert daemon.channels(alert) == [("telegram", "first", "pending"), ("desk", "fallback", "pending")]
    assert daemon.woken == ["desk"]
    assert daemon.bench.metric("deliveries_total", channel="desk", state="pending") == 1


def test_channel_down_for_long_takes_whom_the_route_names(daemon: Daemon, clock: FakeClock) -> None:
    daemon.desks["telegram"].note(UNAUTHORIZED)
    named = daemon.add(handling=Handling(fallbacks=("whatsapp",)))
    nobody = daemon.add(handling=Handling(fallbacks=()))
    clock.advance(300)
    daemon.duties.turn()
    assert daemon.channels(named)[1:] == [("whatsapp", "fallback", "pending")]
    assert daemon.channels(nobody)[1:] == []


@pytest.mark.parametrize("after", [None, 300.0])
def test_channel_that_is_well_or_never_helped_out_hands_over_nothing(
    store: Store, clock: FakeClock, after: float | None
) -> None:
    daemon = Daemon(store, clock, after=after)
    if after is None:
        daemon.desks["telegram"].note(UNAUTHORIZED)
    alert = daemon.add()
    clock.advance(3600)
    daemon.duties.turn()
    assert len(daemon.channels(alert)) == 1


def test_channel_found_down_after_a_restart_is_helped_out_with_what_waited_before(
    store: Store, clock: FakeClock
) -> None:
    """How long a delivery waits stands in the database; how long this process has seen the channel down counts not."""
    alert = Daemon(store, clock).add()
    clock.advance(300)
    restarted = Daemon(store, clock)
    restarted.duties.turn()
    assert len(restarted.channels(alert)) == 1
    restarted.desks["telegram"].note(UNAUTHORIZED)
    young = restarted.add()
    restarted.duties.turn()
    assert restarted.channels(alert)[1:] == [("desk", "fallback", "pending")]
    assert restarted.channels(young)[1:] == []


def test_channels_all_down_keep_what_waits_until_one_is_well(daemon: Daemon, clock: FakeClock) -> None:
    for desk in daemon.desks.values():
        desk.note(UNAUTHORIZED)
    alert = daemon.add()
    clock.advance(600)
    daemon.duties.turn()
    assert len(daemon.channels(alert)) == 1
    daemon.desks["whatsapp"].resume()
    daemon.duties.turn()
    assert daemon.channels(alert)[1:] == [("whatsapp", "fallback", "pending")]


# --- errors, and several daemons ----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [StoreError("The database is locked."), ZeroDivisionError()], ids=["away", "bug"])
def test_duty_that_fails_holds_up_no_other(
    daemon: Daemon,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
) -> None:
    """It is told once a minute, and done when it can be."""

    def fails(_limit: int) -> None:
        raise fault

    alert = daemon.add(escalation=escalating("desk"))
    silence(daemon)
    clock.advance(10 * MINUTE)
    with monkeypatch.context() as patched:
        patched.setattr(daemon.bench.store, "due_escalations", fails)
        for _ in range(5):
            daemon.duties.turn()
    assert daemon.bench.store.over_silences() == []
    assert len([each for each in caplog.records if "a duty" in each.getMessage()]) == 1
    assert daemon.bench.metric("store_errors_total") == (5 if isinstance(fault, StoreError) else 0)
    daemon.duties.turn()
    assert len(daemon.channels(alert)) == 2


def test_duties_of_two_daemons_do_each_thing_once(store_url: str, store: Store, clock: FakeClock) -> None:
    with Store(store_url, clock) as second:
        daemons = [Daemon(store, clock), Daemon(second, clock)]
        alerts = [daemons[0].add(escalation=escalating("desk")) for _ in range(20)]
        silence(daemons[0])
        for daemon in daemons:
            daemon.desks["telegram"].note(UNAUTHORIZED)
        clock.advance(10 * MINUTE)
        threads = [threading.Thread(target=daemon.duties.turn) for daemon in daemons for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for daemon in daemons:
            daemon.duties.turn()
        steps = [sorted(step for _, step, _ in daemons[0].channels(alert)) for alert in alerts]
        assert steps == [["escalation 1", "fallback", "first"]] * 20
        told = sum(daemon.bench.metric("escalations_total", channel="desk") or 0 for daemon in daemons)
        errors = sum(daemon.bench.metric("store_errors_total") or 0 for daemon in daemons)
        assert (told, errors) == (20, 0)
        assert store.audit().balanced
