"""A worker whose database fails at each step, or whose delivery another worker took over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bus.errors import ConfigurationError
from subscriber.deliveries import DeliveryState, Message, Outcome, PlannedDelivery, Reason, Why
from subscriber.errors import StoreError
from subscriber.policy.rendering import render
from subscriber.policy.wording import REPEAT_TEXT
from subscriber.store import Store
from tests.support.alerts import risk_event
from tests.support.clock import FakeClock
from tests.support.waiting import wait_until
from tests.support.worker_bench import ACCEPTED, Bench, ScriptedChannel

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

AWAY = StoreError("The database is locked by another program.")
TIMEOUT = Outcome(Reason.TIMEOUT, "no answer within 15 s", in_doubt=True)
Break = Callable[..., None]


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("worker", "courier"):
        monkeypatch.setattr(f"subscriber.delivery.{module}._STORE_BACKOFF_SECONDS", 0.005)


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[Bench]:
    with Bench(store, clock) as made:
        yield made


@pytest.fixture
def break_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> Break:
    """Let a function of the store fail for its next calls, before it does anything or (`after`) when all is done."""

    def arrange(name: str, *faults: Exception, after: bool = False) -> None:
        real = getattr(store, name)
        left = deque(faults)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if not left:
                return real(*args, **kwargs)
            if after:
                real(*args, **kwargs)
            raise left.popleft()

        monkeypatch.setattr(store, name, wrapped)

    return arrange


@pytest.mark.parametrize("step", ["claim", "remember_sent_for_real", "open_attempt"])
@pytest.mark.parametrize("after", [False, True], ids=["undone", "done all the same"])
def test_worker_store_fails_before_the_request_sends_once_when_it_is_back(
    bench: Bench, break_store: Break, step: str, after: bool
) -> None:
    """Nothing was sent, so nothing may wait for the end of the worker's own lease, and the clock stands still here."""
    channel = ScriptedChannel()
    desk = bench.desk(channel)
    break_store(step, AWAY, AWAY, AWAY, after=after)
    alert = bench.add()
    bench.start(desk)
    bench.wait_for(alert, "accepted")
    assert len(channel.sent) == 1
    assert bench.metric("store_errors_total") == 3


def test_worker_store_fails_while_it_settles_goes_on_settling(bench: Bench, break_store: Break) -> None:
    channel = ScriptedChannel()
    desk = bench.desk(channel)
    break_store("open_attempt", AWAY)
    break_store("release_worker", AWAY, AWAY)
    alert = bench.add()
    bench.start(desk)
    bench.wait_for(alert, "accepted")
    assert (len(channel.sent), bench.metric("store_errors_total")) == (1, 3)


@pytest.mark.parametrize(
    "fault", [AWAY, ConfigurationError("The database refuses the password.")], ids=["away", "password"]
)
def test_worker_close_fails_is_retried_until_recorded(bench: Bench, break_store: Break, fault: Exception) -> None:
    """The provider took it: a failing database must not make a repeat of it, whatever its reason."""
    channel = ScriptedChannel()
    desk = bench.desk(channel)
    break_store("close_attempt", *[fault] * 5)
    alert = bench.add()
    bench.start(desk)
    delivery = bench.wait_for(alert, "accepted")
    assert (len(channel.sent), len(delivery["attempts"]), delivery["possible_repeat"]) == (1, 1, False)
    assert bench.metric("store_errors_total") == 5


def test_worker_close_fails_at_the_end_of_the_daemon_leaves_the_attempt_open(
    bench: Bench, break_store: Break, store: Store
) -> None:
    """The next start finds the open attempt and tells the person that it may be a repeat."""
    desk = bench.desk(ScriptedChannel("telegram"))
    break_store("close_attempt", *[AWAY] * 10_000)
    alert = bench.add()
    worker = bench.start(desk)
    wait_until(lambda: bench.metric("store_errors_total"))
    worker.ask_to_stop()
    assert worker.join(60)
    (attempt,) = bench.delivery(alert)["attempts"]
    assert attempt["closed_us"] is None
    assert store.release_worker("worker") == 1
    delivery = bench.delivery(alert)
    assert (delivery["status"], delivery["possible_repeat"]) == ("in_doubt", True)


def test_worker_expiry_can_not_be_stored_is_tried_again(bench: Bench, break_store: Break, clock: FakeClock) -> None:
    channel = ScriptedChannel()
    desk = bench.desk(channel)
    break_store("finish", AWAY)
    alert = bench.add(risk_event(severity="WARNING"))
    clock.advance(24 * 3600 + 1)
    bench.start(desk)
    bench.wait_for(alert, "expired")
    assert channel.sent == []


def test_worker_store_away_for_long_warns_once_a_minute(
    bench: Bench, break_store: Break, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A night without a database must not fill the disk with the same line."""
    desk = bench.desk(ScriptedChannel())
    break_store("claim", *[AWAY] * 10_000)
    bench.start(desk)
    wait_until(lambda: (bench.metric("store_errors_total") or 0) > 10)
    lines = [record for record in caplog.records if "wait for the database" in record.getMessage()]
    assert len(lines) == 1
    clock.advance(61)
    wait_until(lambda: sum("wait for the database" in record.getMessage() for record in caplog.records) == 2)


def test_worker_lost_its_lease_while_sending_drops_the_result(bench: Bench, store: Store) -> None:
    """Whoever holds the delivery now decides; what the answer says of the channel counts all the same."""

    def taken_over(_message: Message) -> Outcome:
        (delivery,) = store.fetch_pending_notifications()
        store.mark_notification_sent(delivery["id"], "dead")
        return Outcome(Reason.RATE_LIMITED, status=429, retry_after_seconds=35)

    desk = bench.desk(ScriptedChannel("telegram", taken_over))
    alert = bench.add()
    bench.start(desk)
    wait_until(lambda: bench.metric("leases_lost_total") == 1)
    bench.wait_for(alert, "dead")
    wait_until(lambda: [each["reason"] for each in bench.delivery(alert)["attempts"]] == ["rate_limited"])
    assert (bench.delivery(alert)["status"], desk.wait_needed()) == ("dead", 35)
    assert bench.metric("deliveries_total", channel="telegram", state="accepted") == 0


def test_worker_lost_its_lease_before_sending_sends_nothing(
    bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was paused between claim and request finds out before anything leaves."""
    channel = ScriptedChannel()
    desk = bench.desk(channel)
    alert = bench.add()

    def taken_over_meanwhile() -> None:
        (delivery,) = store.fetch_pending_notifications()
        store.mark_notification_sent(delivery["id"], "sent")

    monkeypatch.setattr(store, "remember_sent_for_real", taken_over_meanwhile)
    bench.start(desk)
    wait_until(lambda: bench.metric("leases_lost_total") == 1)
    assert (channel.sent, bench.delivery(alert)["attempts"]) == ([], [])


def test_worker_hung_beyond_its_lease_is_taken_over_as_a_possible_repeat(bench: Bench, clock: FakeClock) -> None:
    """The other one tells the person so, and the first one's late answer changes nothing."""
    taken: list[str] = []

    def hang(_message: Message) -> Outcome:
        clock.advance(61)
        bench.start(other, "other")
        taken.append(bench.wait_for(alert, "accepted")["status"])
        return TIMEOUT

    first = bench.desk(ScriptedChannel("telegram", hang))
    repeating = ScriptedChannel()
    other = bench.desk(repeating)
    alert = bench.add()
    bench.start(first, "first")
    wait_until(lambda: bench.metric("leases_lost_total") == 1)
    assert taken == ["accepted"]
    (message,) = repeating.sent
    assert REPEAT_TEXT in message.text
    delivery = bench.wait_for(alert, "accepted")
    assert [attempt["reason"] for attempt in delivery["attempts"]] == ["timeout", "accepted"]


def test_worker_bug_of_ours_is_logged_and_the_others_go_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    """An alert that can't be written out is still told, by its id, and holds up nobody."""

    def fragile(alert: Any, *args: Any, **kwargs: Any) -> Message:
        if alert.symbol == "BAD":
            raise ZeroDivisionError
        return render(alert, *args, **kwargs)

    monkeypatch.setattr("subscriber.delivery.telling.render", fragile)
    channel = ScriptedChannel()
    desk = bench.desk(channel)
    bad = bench.add(risk_event(symbol="BAD"))
    clock.advance(0.001)
    good = bench.add()
    bench.start(desk)
    bench.wait_for(good, "accepted")
    bench.wait_for(bad, "accepted")
    assert "an alert could not be written out" in caplog.text
    assert channel.sent[0].body == f"alertbus: an alert could not be written out. Its id is {bad.id}."


def test_worker_rehearsal_fails_is_shown_when_the_database_is_back(bench: Bench, break_store: Break) -> None:
    desk = bench.desk(ScriptedChannel())
    break_store("rehearsed", AWAY)
    alert = bench.add(planned=(PlannedDelivery("telegram", 0, DeliveryState.SUPPRESSED, Why.DRY_RUN),))
    bench.start(desk, dry_run=True)
    wait_until(lambda: bench.delivery(alert)["retries"] == 1)
    assert len(bench.shown) == 2
    assert bench.metric("attempts_total", channel="telegram", outcome=ACCEPTED.reason.value) == 0


def test_worker_bug_of_ours_elsewhere_costs_one_delivery_its_turn_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    """It keeps its lease for a while, holds up nobody, and is tried again."""

    def fragile(delivery: Any, *args: Any) -> bool:
        if delivery.alert.symbol == "BAD":
            raise ZeroDivisionError
        return False

    monkeypatch.setattr("subscriber.delivery.worker.too_old", fragile)
    bad = bench.add(risk_event(symbol="BAD"))
    clock.advance(0.001)
    good = bench.add()
    bench.start(bench.desk(ScriptedChannel()))
    bench.wait_for(good, "accepted")
    assert bench.delivery(bad)["status"] == "pending"
    assert "a delivery failed unexpectedly" in caplog.text
    monkeypatch.undo()
    clock.advance(61)
    bench.wait_for(bad, "accepted")
