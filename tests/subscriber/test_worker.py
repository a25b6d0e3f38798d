"""One delivery by one worker: what each outcome makes of it, of its channel and of the metrics."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import DeliveryState, Message, Outcome, PlannedDelivery, Reason, Why
from subscriber.policy.retry import UNSAID_WAIT_SECONDS
from subscriber.policy.wording import REPEAT_TEXT
from subscriber.store import Store
from tests.support.alerts import agent_action, risk_event
from tests.support.clock import FakeClock
from tests.support.waiting import wait_until
from tests.support.worker_bench import ACCEPTED, Bench, ScriptedChannel

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

UNAVAILABLE = Outcome(Reason.UNAVAILABLE, "Bad Gateway", status=502, in_doubt=True)
NETWORK = Outcome(Reason.NETWORK, "nothing was sent: ConnectionRefusedError")
TIMEOUT = Outcome(Reason.TIMEOUT, "no answer within 15 s", in_doubt=True)
REJECTED = Outcome(Reason.REJECTED, "Bad Request: message is too long", status=400, code="400")


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[Bench]:
    with Bench(store, clock) as made:
        yield made


def test_delivery_accepted_is_recorded_and_counted(bench: Bench, clock: FakeClock) -> None:
    """The message is the alert's; state, attempt and every metric of the channel say that it was taken."""
    channel = ScriptedChannel("telegram", Outcome(Reason.ACCEPTED, status=200, provider_message_id="77"))
    desk = bench.desk(channel)
    alert = bench.add()
    clock.advance(1.4)
    bench.start(desk)
    delivery = bench.wait_for(alert, "accepted")
    assert (delivery["retries"], delivery["last_reason"], delivery["possible_repeat"]) == (0, "accepted", False)
    (attempt,) = delivery["attempts"]
    assert (attempt["reason"], attempt["provider_message_id"], attempt["in_doubt"]) == ("accepted", "77", False)
    (message,) = channel.sent
    assert "CRITICAL DRAWDOWN_BREACHED TNA" in message.text
    wait_until(lambda: bench.metric("deliveries_total", channel="telegram", state="accepted") == 1)
    assert bench.metric("attempts_total", channel="telegram", outcome="accepted") == 1
    assert bench.metric("attempt_seconds_count", channel="telegram") == 1
    assert bench.metric("end_to_end_seconds_count", channel="telegram", severity="CRITICAL") == 1
    assert bench.metric("end_to_end_seconds_sum", channel="telegram", severity="CRITICAL") == pytest.approx(1.4)
    assert bench.store.last_success_us("telegram") == clock.now_us()


def test_delivery_before_first_send_notes_that_the_database_sends_for_real(bench: Bench, store: Store) -> None:
    """A later start without credentials is then refused; noted before the request, so no crash can skip it."""
    noted: list[bool] = []

    def ask(_message: Message) -> Outcome:
        noted.append(store.sent_for_real())
        return ACCEPTED

    desk = bench.desk(ScriptedChannel("telegram", ask))
    assert not store.sent_for_real()
    alert = bench.add()
    bench.start(desk)
    bench.wait_for(alert, "accepted")
    assert noted == [True]


@pytest.mark.parametrize(
    ("outcome", "state", "retries", "repeat"),
    [
        (UNAVAILABLE, "in_doubt", 1, True),
        (Outcome(Reason.UNAVAILABLE, "not processed", status=503), "pending", 1, False),
        (NETWORK, "pending", 1, False),
        (TIMEOUT, "in_doubt", 1, True),
        (Outcome(Reason.RATE_LIMITED, "Too Many Requests", status=429, retry_after_seconds=1), "pending", 0, False),
    ],
    ids=["unavailable", "not processed", "network", "timeout", "rate limited"],
)
def test_delivery_failed_waits_a_second_and_tries_again(
    bench: Bench, clock: FakeClock, outcome: Outcome, state: str, retries: int, repeat: bool
) -> None:
    """The table of design.md: what counts as an attempt, what is in doubt, and that no state of it is an end."""
    channel = ScriptedChannel("telegram", outcome)
    desk = bench.desk(channel)
    alert = bench.add()
    bench.start(desk)
    delivery = bench.wait_for_attempts(alert, 1)
    assert (delivery["status"], delivery["retries"], delivery["possible_repeat"]) == (state, retries, repeat)
    assert delivery["due_at"] == clock.now_us() + MICROSECONDS
    assert (delivery["last_reason"], delivery["last_detail"]) == (outcome.reason.value, outcome.detail)
    assert delivery["attempts"][0]["in_doubt"] is repeat
    clock.advance(1)
    delivery = bench.wait_for(alert, "accepted")
    assert [attempt["possible_repeat"] for attempt in delivery["attempts"]] == [False, repeat]
    assert [REPEAT_TEXT in message.text for message in channel.sent] == [False, repeat]
    assert bench.metric("attempts_total", channel="telegram", outcome=outcome.reason.value) == 1
    doubts = bench.metric("deliveries_total", channel="telegram", state="in_doubt")
    assert doubts == (1 if repeat else 0)


def test_delivery_failing_on_backs_off_and_counts_one_doubt(bench: Bench, clock: FakeClock) -> None:
    """Each wait is longer; a delivery enters the state of doubt once, however often it is tried."""
    channel = ScriptedChannel("telegram", TIMEOUT, NETWORK, TIMEOUT)
    desk = bench.desk(channel)
    alert = bench.add()
    bench.start(desk)
    for attempt, wait in enumerate((1, 2, 4), start=1):
        delivery = bench.wait_for_attempts(alert, attempt)
        assert (delivery["status"], delivery["retries"]) == ("in_doubt", attempt)
        assert delivery["due_at"] == clock.now_us() + wait * MICROSECONDS
        clock.advance(wait)
    clock.advance(1)  # the third failure opened the breaker for five seconds
    bench.wait_for(alert, "accepted")
    assert [REPEAT_TEXT in message.text for message in channel.sent] == [False, True, True, True]
    assert bench.metric("deliveries_total", channel="telegram", state="in_doubt") == 1


def test_delivery_rejected_is_dead_and_the_next_goes_out(bench: Bench) -> None:
    """What is refused for good is kept for a person, and holds nobody up."""
    channel = ScriptedChannel("telegram", REJECTED)
    desk = bench.desk(channel)
    first, second = bench.add(), bench.add()
    bench.start(desk)
    delivery = bench.wait_for(first, "dead")
    assert (delivery["retries"], delivery["last_code"], delivery["finished_at"] is not None) == (1, "400", True)
    bench.wait_for(second, "accepted")
    assert bench.metric("deliveries_total", channel="telegram", state="dead") == 1
    assert desk.up


def test_delivery_too_old_expires_without_a_request(bench: Bench, clock: FakeClock) -> None:
    channel = ScriptedChannel()
    desk = bench.desk(channel)
    alert = bench.add(risk_event(severity="WARNING"))
    clock.advance(24 * 3600 + 1)
    bench.start(desk)
    delivery = bench.wait_for(alert, "expired")
    assert (channel.sent, delivery["attempts"]) == ([], [])
    wait_until(lambda: bench.metric("deliveries_total", channel="telegram", state="expired") == 1)


def test_delivery_that_ages_while_it_is_sent_expires_after_it(bench: Bench, clock: FakeClock) -> None:
    """A failed attempt ends a delivery whose age is over by then; the attempt is on record."""

    def hang(_message: Message) -> Outcome:
        clock.advance(24 * 3600 + 1)
        return TIMEOUT

    desk = bench.desk(ScriptedChannel("telegram", hang))
    alert = bench.add(risk_event(severity="WARNING"))
    bench.start(desk)
    delivery = bench.wait_for(alert, "expired")
    assert [attempt["reason"] for attempt in delivery["attempts"]] == ["timeout"]
    assert delivery["possible_repeat"]


def test_delivery_critical_of_any_age_is_sent(bench: Bench, clock: FakeClock) -> None:
    desk = bench.desk(ScriptedChannel())
    alert = bench.add()
    clock.advance(30 * 24 * 3600)
    bench.start(desk)
    bench.wait_for(alert, "accepted")


def test_delivery_rate_limited_holds_the_whole_channel(bench: Bench, clock: FakeClock) -> None:
    """The provider means the target and not the message: nothing else is sent before its own wait is over."""
    channel = ScriptedChannel("telegram", Outcome(Reason.RATE_LIMITED, status=429, retry_after_seconds=35))
    desk = bench.desk(channel)
    first, second = bench.add(), bench.add()
    bench.start(desk)
    delivery = bench.wait_for_attempts(first, 1)
    assert delivery["due_at"] == clock.now_us() + 35 * MICROSECONDS
    wait_until(lambda: desk.wait_needed() == 35)
    clock.advance(34.9)
    assert desk.wait_needed() == pytest.approx(0.1)
    assert len(channel.sent) == 1
    clock.advance(0.2)
    assert bench.wait_for(first, "accepted")["retries"] == 0
    bench.wait_for(second, "accepted")


@pytest.mark.parametrize(("said", "wait"), [(35.0, 35.0), (None, UNSAID_WAIT_SECONDS)])
def test_delivery_rate_limited_and_too_old_holds_the_channel_too(
    bench: Bench, clock: FakeClock, said: float | None, wait: float
) -> None:
    """That this message expires changes nothing in what the provider asked of its sender."""

    def answer(_message: Message) -> Outcome:
        clock.advance(24 * 3600 + 1)
        return Outcome(Reason.RATE_LIMITED, status=429, retry_after_seconds=said)

    channel = ScriptedChannel("telegram", answer)
    desk = bench.desk(channel)
    alert = bench.add(risk_event(severity="WARNING"))
    bench.start(desk)
    bench.wait_for(alert, "expired")
    assert desk.wait_needed() == wait


def test_delivery_channel_raises_is_in_doubt_and_tried_again(
    bench: Bench, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A channel never raises; one that does may have sent, and must not end the thread."""
    channel = ScriptedChannel("telegram", RuntimeError("a bug"))
    desk = bench.desk(channel)
    alert = bench.add()
    bench.start(desk)
    delivery = bench.wait_for_attempts(alert, 1)
    assert (delivery["status"], delivery["last_detail"]) == ("in_doubt", "RuntimeError")
    clock.advance(1)
    bench.wait_for(alert, "accepted")
    assert "a channel raised" in caplog.text


def test_delivery_critical_overtakes_what_waits(bench: Bench, clock: FakeClock) -> None:
    """CRITICAL first, then trades, each the oldest first."""
    channel = ScriptedChannel()
    desk = bench.desk(channel)
    symbols = ("W1", "T1", "C1", "C2")
    order: list[Alert] = [risk_event(severity="WARNING", symbol="W1"), agent_action(symbol="T1")]
    order += [risk_event(symbol="C1"), risk_event(symbol="C2")]
    for alert in order:
        bench.add(alert)
        clock.advance(0.001)
    bench.start(desk)
    wait_until(lambda: len(channel.sent) == 4)
    told = [next(symbol for symbol in symbols if symbol in message.text.split()) for message in channel.sent]
    assert told[:2] == ["C1", "C2"]


def test_delivery_in_dry_run_is_shown_once_and_never_sent(bench: Bench, store: Store) -> None:
    """A rehearsal does all but the request; what a real run planned goes on waiting."""
    channel = ScriptedChannel()
    desk = bench.desk(channel)
    rehearsed = bench.add(planned=(PlannedDelivery("telegram", 0, DeliveryState.SUPPRESSED, Why.DRY_RUN),))
    waiting = bench.add()
    bench.start(desk, dry_run=True)
    wait_until(lambda: bench.delivery(rehearsed)["retries"] == 1)
    last = bench.add(planned=(PlannedDelivery("telegram", 0, DeliveryState.SUPPRESSED, Why.DRY_RUN),))
    wait_until(lambda: bench.delivery(last)["retries"] == 1)
    assert [(name, "DRAWDOWN_BREACHED" in text, request[:12]) for name, text, request in bench.shown] == [
        ("telegram", True, "POST nowhere")
    ] * 2
    assert (channel.sent, bench.delivery(waiting)["status"]) == ([], "pending")
    assert not store.sent_for_real()
    assert bench.delivery(rehearsed)["status"] == "suppressed"
