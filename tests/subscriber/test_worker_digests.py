"""A worker that tells many alerts in one message: when, which, and what becomes of them. Driven turn by turn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import Delivery, Handling, Limit, Message, Outcome, PlannedDelivery, Reason
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.worker import DeliveryWorker
from subscriber.policy.wording import REPEAT_TEXT
from subscriber.store import Store
from tests.support.alerts import risk_event
from tests.support.clock import FakeClock
from tests.support.worker_bench import ACCEPTED, Bench, ScriptedChannel, drive

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

ONE_A_SECOND = (Limit(messages=1, seconds=1),)
ONE_IN_SIX = (Limit(messages=1, seconds=6),)
REJECTED = Outcome(Reason.REJECTED, "Bad Request", status=400, code="400")
TIMEOUT = Outcome(Reason.TIMEOUT, "no answer within 15 s", in_doubt=True)
NETWORK = Outcome(Reason.NETWORK, "nothing was sent: ConnectionRefusedError")


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[Bench]:
    with Bench(store, clock) as made:
        yield made


def working(bench: Bench, channel: ScriptedChannel, name: str = "worker") -> tuple[ChannelDesk, DeliveryWorker]:
    desk = bench.desk(channel)
    return desk, bench.worker(desk, name, max_delay_seconds=30.0, interval_seconds=1.0)


def warnings(bench: Bench, count: int, **fields: object) -> list[Alert]:
    alerts: list[Alert] = [risk_event(**{"severity": "WARNING", **fields}) for _ in range(count)]
    bench.add_all(alerts)
    return alerts


def criticals(bench: Bench, count: int) -> list[Alert]:
    alerts: list[Alert] = [risk_event(symbol=f"C{number:03}") for number in range(count)]
    bench.add_all(alerts)
    return alerts


def states(bench: Bench, alerts: list[Alert]) -> set[str]:
    return {bench.delivery(alert)["status"] for alert in alerts}


def grouped(clock: FakeClock, batch: str = "group:desk:TNA", *, silent: bool = False) -> tuple[PlannedDelivery, ...]:
    return (PlannedDelivery("telegram", clock.now_us(), batch=batch, handling=Handling(route="desk", silent=silent)),)


def test_storm_is_told_in_one_message_and_counted(bench: Bench, clock: FakeClock) -> None:
    """A hundred at a message a second would take a hundred seconds: they are told at once, and all of them folded."""
    channel = ScriptedChannel(pace=ONE_A_SECOND)
    _, worker = working(bench, channel)
    alerts = warnings(bench, 100)
    worker.turn()
    (message,) = channel.sent
    assert "100" in message.text.splitlines()[0]
    assert states(bench, alerts) == {"folded"}
    assert bench.metric("deliveries_total", channel="telegram", state="folded") == 100
    assert bench.metric("digests_total", channel="telegram", kind="storm") == 1
    assert bench.metric("digest_alerts_total", channel="telegram", kind="storm") == 100
    assert bench.metric("attempts_total", channel="telegram", outcome="accepted") == 1
    assert bench.metric("end_to_end_seconds_count", channel="telegram", severity="WARNING") == 100
    assert bench.store.audit().balanced


def test_few_alerts_are_told_one_by_one(bench: Bench, clock: FakeClock) -> None:
    channel = ScriptedChannel(pace=ONE_A_SECOND)
    _, worker = working(bench, channel)
    alerts = warnings(bench, 20)
    drive(worker, clock, 25)
    assert (len(channel.sent), states(bench, alerts)) == (20, {"accepted"})
    assert bench.metric("digests_total", channel="telegram", kind="storm") == 0


def test_storm_that_goes_on_is_told_once_in_max_delay_and_critical_at_once(bench: Bench, clock: FakeClock) -> None:
    """What comes after a digest is collected for thirty seconds; a CRITICAL in between waits for its turn alone."""
    told: list[tuple[float, str]] = []
    began = clock.monotonic()

    def hear(message: Message) -> Outcome:
        told.append((clock.monotonic() - began, message.text))
        return ACCEPTED

    channel = ScriptedChannel("telegram", *[hear] * 100, pace=ONE_A_SECOND)
    _, worker = working(bench, channel)
    for second in range(60):
        warnings(bench, 40)
        if second % 10 == 5:
            bench.add(risk_event(symbol=f"C{second}"))
        drive(worker, clock, 1)
    drive(worker, clock, 35)
    singles = {text.split()[3]: when for when, text in told if "CRITICAL DRAWDOWN_BREACHED C" in text}
    assert set(singles) == {f"C{second}" for second in range(5, 60, 10)}
    assert all(when - int(symbol[1:]) <= 1.01 for symbol, when in singles.items())
    digests = [when for when, text in told if "alerts" in text.splitlines()[0]]
    assert len(digests) == len(told) - len(singles) <= 4
    assert all(29.0 <= later - earlier <= 32.0 for earlier, later in pairwise(digests[:-1]))
    assert bench.store.open_counts().get("telegram", 0) == 0
    assert bench.store.audit().balanced


def test_lone_alert_after_a_storm_is_sent_at_once(bench: Bench, clock: FakeClock) -> None:
    channel = ScriptedChannel(pace=ONE_A_SECOND)
    _, worker = working(bench, channel)
    warnings(bench, 100)
    drive(worker, clock, 3)
    assert len(channel.sent) == 1
    (lone,) = warnings(bench, 1)
    drive(worker, clock, 1)
    assert (len(channel.sent), states(bench, [lone])) == (2, {"accepted"})


def test_storm_of_an_earlier_run_is_gone_on_with(bench: Bench, clock: FakeClock) -> None:
    """A restart in a storm sends no digest before its time."""
    channel = ScriptedChannel(pace=ONE_A_SECOND)
    desk, _ = working(bench, channel)
    began_us = clock.now_us()
    warnings(bench, 100)
    clock.advance(10 - 0.1)
    desk.storm.seed(began_us)
    restarted = bench.worker(desk, "again", max_delay_seconds=30.0, interval_seconds=1.0)
    drive(restarted, clock, 19)
    assert channel.sent == []
    drive(restarted, clock, 1.5)
    assert len(channel.sent) == 1


def test_criticals_too_many_for_the_pace_have_a_line_each(bench: Bench, clock: FakeClock) -> None:
    """Never merged into a count: each symbol is in exactly one message, within what a message holds."""
    channel = ScriptedChannel(pace=ONE_IN_SIX)
    _, worker = working(bench, channel)
    alerts = criticals(bench, 150)
    drive(worker, clock, 60)
    named = [symbol for message in channel.sent for symbol in re.findall(r"\bC\d{3}\b", message.text)]
    assert sorted(named) == [f"C{number:03}" for number in range(150)]
    assert all(len(message.body) <= 4096 for message in channel.sent)
    assert bench.store.open_counts().get("telegram", 0) == 0
    assert states(bench, alerts) <= {"folded", "accepted"}
    assert bench.metric("digest_alerts_total", channel="telegram", kind="criticals") == len(
        [alert for alert in alerts if bench.delivery(alert)["status"] == "folded"]
    )
    assert bench.store.audit().balanced


def test_digest_in_doubt_is_retried_as_it_was_and_marked(bench: Bench, clock: FakeClock) -> None:
    """Who is in it and what it says were fixed by its first attempt; what came since is not in it."""
    channel = ScriptedChannel("telegram", TIMEOUT, pace=ONE_A_SECOND)
    _, worker = working(bench, channel)
    alerts = warnings(bench, 60)
    worker.turn()
    assert states(bench, alerts) == {"in_doubt"}
    assert bench.metric("deliveries_total", channel="telegram", state="in_doubt") == 60
    later = warnings(bench, 1)
    drive(worker, clock, 5)
    first, again = channel.sent[:2]
    assert (REPEAT_TEXT in first.text, again.text) == (False, f"{REPEAT_TEXT}\n{first.text}")
    assert (states(bench, alerts), states(bench, later)) == ({"folded"}, {"accepted"})
    assert bench.metric("digests_total", channel="telegram", kind="storm") == 1
    assert bench.store.audit().balanced


def test_digest_rate_limited_holds_the_channel_and_is_the_same_after_it(bench: Bench, clock: FakeClock) -> None:
    limited = Outcome(Reason.RATE_LIMITED, "Too Many Requests", status=429, retry_after_seconds=20)
    channel = ScriptedChannel("telegram", limited, pace=ONE_A_SECOND)
    desk, worker = working(bench, channel)
    alerts = warnings(bench, 60)
    worker.turn()
    assert (desk.wait_needed(), states(bench, alerts)) == (20, {"pending"})
    drive(worker, clock, 21)
    assert [message.text for message in channel.sent] == [channel.sent[0].text] * 2
    assert states(bench, alerts) == {"folded"}


def test_digest_refused_for_good_is_halved_until_one_alert_is_dead(bench: Bench, clock: FakeClock) -> None:
    """One alert that the provider does not take costs none of the others."""

    def judge(message: Message) -> Outcome:
        return REJECTED if "POISON" in message.text else ACCEPTED

    channel = ScriptedChannel("telegram", *[judge] * 100, pace=ONE_A_SECOND)
    _, worker = working(bench, channel)
    symbols = ["POISON" if number == 17 else f"S{number}" for number in range(40)]
    alerts: list[Alert] = [risk_event(severity="WARNING", symbol=symbol) for symbol in symbols]
    bench.add_all(alerts)
    drive(worker, clock, 60)
    dead = [alert for alert in alerts if bench.delivery(alert)["status"] == "dead"]
    assert dead == [alerts[17]]
    assert states(bench, [alert for alert in alerts if alert not in dead]) <= {"folded", "accepted"}
    assert bench.metric("deliveries_total", channel="telegram", state="dead") == 1
    assert bench.store.audit().balanced


def test_digest_of_a_worker_that_died_is_taken_over_as_it_was(
    bench: Bench, clock: FakeClock, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its attempt was open: nobody knows whether it arrived, and the person is told so."""
    first = ScriptedChannel(pace=ONE_A_SECOND)
    _, dying = working(bench, first, "dying")
    alerts = warnings(bench, 60)

    def die(*_args: object, **_kwargs: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(store, "close_attempt", die)
        with pytest.raises(SystemExit):
            dying.turn()
    store.release_worker("dying")
    second = ScriptedChannel(pace=ONE_A_SECOND)
    _, worker = working(bench, second, "next")
    drive(worker, clock, 10)
    assert second.sent[0].text == f"{REPEAT_TEXT}\n{first.sent[0].text}"
    assert (len(second.sent), states(bench, alerts)) == (1, {"folded"})
    assert store.audit().balanced


def test_digest_that_another_worker_took_over_drops_its_result(bench: Bench, clock: FakeClock, store: Store) -> None:
    """As for one delivery; what it answered says nothing of the members any more."""

    def hang(_message: Message) -> Outcome:
        store.release_worker("worker")
        return ACCEPTED

    channel = ScriptedChannel("telegram", hang, pace=ONE_A_SECOND)
    _, worker = working(bench, channel)
    alerts = warnings(bench, 60)
    worker.turn()
    assert bench.metric("leases_lost_total") == 1
    drive(worker, clock, 5)
    assert states(bench, alerts) == {"folded"}  # the late answer is recorded all the same
    assert bench.metric("deliveries_total", channel="telegram", state="folded") == 60
    assert bench.metric("digest_alerts_total", channel="telegram", kind="storm") == 60
    assert store.audit().balanced


def test_digest_of_which_somebody_took_one_away_is_told_without_it_at_once(
    bench: Bench, clock: FakeClock, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a person does who marks one by hand, just before it is sent: the others wait for no lease."""
    channel = ScriptedChannel(pace=ONE_A_SECOND)
    _, worker = working(bench, channel)
    alerts = criticals(bench, 50)
    open_attempt = store.open_attempt

    def taken_away(deliveries: Sequence[Delivery], **given: Any) -> int:
        if len(deliveries) > 1:
            monkeypatch.setattr(store, "open_attempt", open_attempt)
            store.mark_notification_sent(deliveries[-1].id, "sent")
        return open_attempt(deliveries, **given)

    monkeypatch.setattr(store, "open_attempt", taken_away)
    drive(worker, clock, 10)
    assert bench.metric("leases_lost_total") == 1
    assert ["49 CRITICAL alerts" in message.text for message in channel.sent] == [True]
    assert states(bench, alerts) == {"folded", "accepted"}
    assert store.audit().balanced


def test_digest_held_in_part_by_another_worker_waits(bench: Bench, clock: FakeClock, store: Store) -> None:
    channel = ScriptedChannel("telegram", NETWORK, pace=ONE_A_SECOND)
    _, worker = working(bench, channel)
    alerts = warnings(bench, 40)
    worker.turn()
    clock.advance(2)
    (led,) = store.claim("telegram", "other", 60.0, 1)
    assert store.claim_digest(led, "other", 60.0) is not None
    store.release([led])
    drive(worker, clock, 3)
    assert len(channel.sent) == 1
    store.release_worker("other")
    drive(worker, clock, 3)
    assert (len(channel.sent), states(bench, alerts)) == (2, {"folded"})


def test_batch_is_told_in_one_message(bench: Bench, clock: FakeClock) -> None:
    """Also where the channel has no pace, and `max_delay` is off."""
    channel = ScriptedChannel()
    worker = bench.worker(bench.desk(channel), interval_seconds=1.0)
    alerts = [bench.add(risk_event(severity="WARNING"), planned=grouped(clock)) for _ in range(5)]
    other = bench.add(risk_event(severity="WARNING"), planned=grouped(clock, "group:desk:UPRO"))
    drive(worker, clock, 1)
    assert len(channel.sent) == 2
    assert (states(bench, alerts), states(bench, [other])) == ({"folded"}, {"accepted"})
    assert bench.metric("digests_total", channel="telegram", kind="group") == 1
    assert bench.metric("digest_alerts_total", channel="telegram", kind="group") == 5


@pytest.mark.parametrize(("loud", "silent"), [(0, True), (1, False)])
def test_digest_is_silent_where_all_of_it_is(bench: Bench, clock: FakeClock, loud: int, silent: bool) -> None:
    channel = ScriptedChannel()
    worker = bench.worker(bench.desk(channel))
    for number in range(4):
        bench.add(risk_event(severity="WARNING"), planned=grouped(clock, silent=number >= loud))
    worker.turn()
    assert [message.silent for message in channel.sent] == [silent]


def test_single_delivery_is_silent_where_its_route_says_so(bench: Bench, clock: FakeClock) -> None:
    channel = ScriptedChannel()
    worker = bench.worker(bench.desk(channel))
    bench.add(planned=(PlannedDelivery("telegram", clock.now_us(), handling=Handling(silent=True)),))
    bench.add()
    drive(worker, clock, 1)
    assert [message.silent for message in channel.sent] == [True, False]


def test_digest_never_expires(bench: Bench, clock: FakeClock) -> None:
    """Once it is fixed it is tried until it is told, however old its members are by then."""
    channel = ScriptedChannel("telegram", NETWORK, NETWORK, pace=ONE_A_SECOND)
    _, worker = working(bench, channel)
    now_us = clock.now_us()
    planned = (PlannedDelivery("telegram", now_us, max_age_us=10 * MICROSECONDS),)
    alerts: list[Alert] = [risk_event(severity="WARNING") for _ in range(50)]
    bench.add_all(alerts, planned=planned)
    worker.turn()
    assert states(bench, alerts) == {"pending"}
    clock.advance(60)
    drive(worker, clock, 5)
    assert states(bench, alerts) == {"folded"}


def test_digest_that_can_not_be_written_out_is_told_all_the_same(
    bench: Bench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of ours costs the text, and no alert."""

    def fails(*_args: object, **_kwargs: object) -> Message:
        raise ZeroDivisionError

    monkeypatch.setattr("subscriber.delivery.telling.render_digest", fails)
    channel = ScriptedChannel(pace=ONE_A_SECOND)
    _, worker = working(bench, channel)
    alerts = warnings(bench, 40)
    worker.turn()
    assert [message.text for message in channel.sent] == [
        f"alertbus: 40 alerts could not be written out. The first one's id is {alerts[0].id}."
    ]
    assert "a digest could not be written out" in caplog.text
    assert states(bench, alerts) == {"folded"}
