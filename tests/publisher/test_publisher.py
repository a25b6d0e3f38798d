"""The publisher that a trader holds: publishing, waiting, refusing, counting."""

from __future__ import annotations

import threading

import pytest
from pydantic import ValidationError

from bus.alerts import AgentAction, Alert, RiskEvent, Severity, SystemEvent
from bus.wire import encode_alert
from publisher import Publisher, PublisherSettings, packing
from tests.publisher.builders import alert, numbers
from tests.publisher.conftest import MakePublisher
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Hold the sender's thread up while it packs an alert, as a hanging disk would."""
    opened = threading.Event()

    def slow(given: Alert) -> bytes:
        opened.wait(20.0)
        return encode_alert(given)

    monkeypatch.setattr(packing, "encode_alert", slow)
    return opened


def publish_until_refused(publisher: Publisher, severity: Severity) -> int:
    taken = 0
    while publisher.publish(alert(taken, severity)):
        taken += 1
    return taken


def test_publish_eight_threads_keeps_every_alert_and_each_threads_order(
    daemon: ScriptedDaemon, make_publisher: MakePublisher
) -> None:
    """Sequences have no gap, whoever publishes, and nobody's alerts overtake each other."""
    publisher = make_publisher(daemon)
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        for number in range(500):
            assert publisher.publish(alert(1_000 * thread + number))

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: publisher.stats().acknowledged == 4_000)

    record = daemon.record_of("trader")
    assert sorted(record.envelopes) == list(range(1, 4_001))
    received = numbers(record.alerts)
    for which in range(8):
        mine = [number for number in received if number // 1_000 == which]
        assert mine == list(range(1_000 * which, 1_000 * which + 500))


def test_publish_full_queue_refuses_counts_and_keeps_room_for_what_is_urgent(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, gate: threading.Event
) -> None:
    """HOLD and INFO fill it; a CRITICAL and a trade still go in; the refusals reach the daemon."""
    publisher = make_publisher(daemon, queue_limit=1_000)
    publisher.publish(alert())
    wait_until(lambda: publisher.stats().queued == 0)  # the thread has it, and is held up
    taken = publish_until_refused(publisher, Severity.INFO)
    assert taken == 900
    assert not publisher.publish(alert(0, Severity.WARNING))
    assert not publisher.publish(AgentAction(action="HOLD"))
    assert not publisher.publish(SystemEvent(event_type="A", severity="INFO"))

    assert publisher.publish(AgentAction(action="BUY", quantity=1))
    assert publisher.publish(RiskEvent(event_type="DRAWDOWN", severity="CRITICAL"))
    urgent = publish_until_refused(publisher, Severity.CRITICAL)
    assert urgent == 98
    assert publisher.publish(alert(0, Severity.CRITICAL), wait=30.0) is False
    assert publisher.stats().refused == 6

    gate.set()
    wait_until(lambda: any(beat.refused == 6 for beat in daemon.heartbeats))
    wait_until(lambda: publisher.stats().acknowledged == 1 + 1_000)


def test_publish_and_flush_return_while_the_disk_hangs(make_publisher: MakePublisher, gate: threading.Event) -> None:
    """The trader's thread waits for nothing but its own limit."""
    publisher = make_publisher()
    assert publisher.publish(alert())
    wait_until(lambda: publisher.stats().queued == 0)
    assert publisher.publish(alert())
    assert publisher.flush(0.01) is False
    assert publisher.stats().queued == 2
    gate.set()
    assert publisher.flush(10.0) is True


def test_publish_before_start_is_sent_after_it(daemon: ScriptedDaemon, settings: PublisherSettings) -> None:
    """Nothing is asked of the order in which a trader sets itself up."""
    data, control = daemon.endpoints
    publisher = Publisher(settings.model_copy(update={"data_endpoints": (data,), "control_endpoints": (control,)}))
    publisher.publish(alert(1))
    assert publisher.stats().queued == 1
    with publisher:
        wait_until(lambda: publisher.stats().acknowledged == 1)
    assert numbers(daemon.alerts) == [1]


def test_publish_wait_is_true_only_after_the_ack(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """Arriving is not enough: the daemon must have stored it."""
    daemon.acknowledges = False
    publisher = make_publisher(daemon)
    assert publisher.publish(alert(1), wait=0.3) is False
    assert numbers(daemon.alerts) == [1]

    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(publisher.publish(alert(2), wait=20.0)))
    waiting.start()
    wait_until(lambda: numbers(daemon.alerts) == [1, 2])
    assert answers == []
    daemon.acknowledges = True
    waiting.join()
    assert answers == [True]


def test_publish_wait_many_threads_each_gets_its_answer(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """Receipts are told apart."""
    publisher = make_publisher(daemon)
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda: answers.append(publisher.publish(alert(), wait=20.0))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 20


def test_flush_true_means_that_it_is_in_the_journal(make_publisher: MakePublisher) -> None:
    """No daemon is needed for that."""
    publisher = make_publisher()
    for number in range(2_500):
        publisher.publish(alert(number))
    assert publisher.flush(10.0) is True
    stats = publisher.stats()
    assert (stats.journaled, stats.journal_alerts, stats.queued, stats.acknowledged) == (2_500, 2_500, 0, 0)
    assert [(each.reachable, each.store_id) for each in stats.daemons] == [(False, None)]
    assert stats.daemons[0].endpoint == publisher.settings.control_endpoints[0]


def test_flush_empty_queue_is_true(make_publisher: MakePublisher) -> None:
    """There is nothing to wait for but the thread."""
    assert make_publisher().flush(10.0) is True


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"event_type": "", "severity": "INFO"}, "event_type"),
        ({"event_type": "A", "severity": "LOUD"}, "severity"),
        ({"event_type": "A", "severity": "INFO", "value": [1, 2]}, "value"),
        ({"event_type": "A", "severity": "INFO", "symbol": 5}, "symbol"),
    ],
)
def test_risk_event_malformed_raises_at_the_line_that_built_it(
    make_publisher: MakePublisher, fields: dict[str, object], field: str
) -> None:
    """The one thing that raises; it names the field."""
    publisher = make_publisher()
    with pytest.raises(ValidationError) as caught:
        publisher.risk_event(**fields)  # type: ignore[arg-type]
    assert [fault["loc"] for fault in caught.value.errors()] == [(field,)]
    assert publisher.stats().queued == publisher.stats().journaled == 0


def test_agent_action_malformed_raises_at_the_line_that_built_it(make_publisher: MakePublisher) -> None:
    """The same for an action that has no name."""
    with pytest.raises(ValidationError, match="action"):
        make_publisher().agent_action("ppo", "TNA", "SHORT")


def test_attach_failed_from_many_threads_counts_each(make_publisher: MakePublisher) -> None:
    """Traders' threads meet here, whatever the error's own text does."""

    class SilentError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even this")

    def fail() -> None:
        for _ in range(100):
            publisher.attach_failed(SilentError())

    publisher = make_publisher()
    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = publisher.stats()
    assert (stats.attach_failures, stats.errors) == (800, 800)
    assert stats.last_error == "SilentError: <SilentError>"
