"""What a worker knows of receipts, of the channel that tells an alert instead, and of answers that come late."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from subscriber.channels.lanes import Lanes, StillRunning
from subscriber.deliveries import Message, Outcome, Reason
from subscriber.delivery.desk import ChannelDesk
from subscriber.errors import StoreError
from subscriber.receipts import Receipt, ReceiptMode, ReceiptState
from subscriber.store import Store
from tests.support.clock import FakeClock
from tests.support.waiting import wait_until
from tests.support.worker_bench import Bench, ScriptedChannel

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

TAKEN = Outcome(Reason.ACCEPTED, status=201, provider_message_id="SM1")
TIMEOUT = Outcome(Reason.TIMEOUT, "no answer within 15 s", in_doubt=True)
REJECTED = Outcome(Reason.REJECTED, "outside of the allowed window", status=400, code="63016")


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subscriber.delivery.worker._STORE_BACKOFF_SECONDS", 0.005)


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[Bench]:
    with Bench(store, clock) as made:
        yield made


def states(bench: Bench, channel: str = "telegram") -> dict[str, float | None]:
    names = ("accepted", "delivered", "dead", "in_doubt", "pending")
    return {name: value for name in names if (value := bench.metric("deliveries_total", channel=channel, state=name))}


def test_message_has_the_reference_of_its_attempt(bench: Bench) -> None:
    """A new one for each attempt, for providers tell it back."""
    channel = ScriptedChannel("telegram", REJECTED)
    first, second = bench.add(), bench.add()
    bench.start(bench.desk(channel))
    bench.wait_for(first, "dead")
    bench.wait_for(second, "accepted")
    numbers = [bench.delivery(alert)["attempts"][0]["id"] for alert in (first, second)]
    assert [message.reference for message in channel.sent] == [bench.store.reference_of(number) for number in numbers]


def test_acceptance_of_a_channel_with_receipts_waits_for_one(bench: Bench) -> None:
    alert = bench.add()
    bench.start(bench.desk(ScriptedChannel("telegram", TAKEN, receipts=ReceiptMode.POLLING)))
    bench.wait_for(alert, "accepted")
    assert bench.store.receipts_waiting() == {"telegram": 1}


def test_acceptance_whose_receipt_came_first_is_delivered(bench: Bench) -> None:
    """Accepted and delivered are counted, in this order of things though not of news."""

    def delivered_at_once(message: Message) -> Outcome:
        receipt = Receipt("SM1", ReceiptState.DELIVERED, reference=message.reference)
        bench.store.note_receipt("scripted", ["telegram"], receipt)
        return TAKEN

    alert = bench.add()
    bench.start(bench.desk(ScriptedChannel("telegram", delivered_at_once, receipts=ReceiptMode.WEBHOOK)))
    bench.wait_for(alert, "delivered")
    wait_until(lambda: states(bench) == {"accepted": 1, "delivered": 1})
    assert bench.metric("end_to_end_seconds_count", channel="telegram", severity="CRITICAL") == 1


def test_timeout_whose_receipt_came_first_is_delivered_and_not_sent_again(bench: Bench, clock: FakeClock) -> None:
    """Whoever tells of a message has taken it, whatever became of its answer."""

    def delivered_without_an_answer(message: Message) -> Outcome:
        receipt = Receipt("SM1", ReceiptState.DELIVERED, reference=message.reference)
        bench.store.note_receipt("scripted", ["telegram"], receipt)
        return TIMEOUT

    channel = ScriptedChannel("telegram", delivered_without_an_answer, receipts=ReceiptMode.WEBHOOK)
    alert = bench.add()
    bench.start(bench.desk(channel))
    bench.wait_for(alert, "delivered")
    wait_until(lambda: states(bench) == {"accepted": 1, "delivered": 1})
    clock.advance(3600)
    later = bench.add()
    bench.wait_for(later, "accepted")
    assert len(channel.sent) == 2


# --- the fallback ---------------------------------------------------------------------------------------------------


def test_rejected_is_told_by_the_first_other_channel_at_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Its worker is woken, and need not look by itself."""
    desks: dict[str, ChannelDesk] = {}

    def wake(names: Iterable[str]) -> None:
        for name in names:
            desks[name].wake.set()

    for name, answers in (("telegram", [REJECTED]), ("whatsapp", []), ("mail", [])):
        desks[name] = bench.desk(ScriptedChannel(name, *answers))
    bench.start(desks["whatsapp"], "whatsapp", interval_seconds=3600.0)
    bench.start(desks["mail"], "mail", interval_seconds=3600.0)
    alert = bench.add()
    bench.start(desks["telegram"], wake=wake, fallbacks=lambda name: [other for other in desks if other != name])
    bench.wait_for(alert, "dead")
    wait_until(lambda: "whatsapp" in bench.deliveries(alert))
    delivery = bench.wait_for(alert, "accepted", "whatsapp")
    assert (delivery["step"], "mail" in bench.deliveries(alert)) == ("fallback", False)
    assert (states(bench), states(bench, "whatsapp")) == ({"dead": 1}, {"pending": 1, "accepted": 1})
    assert "another channel is to tell it instead" in caplog.text


def test_rejected_by_all_channels_ends(bench: Bench) -> None:
    """No channel is asked twice: two that refuse an alert do not hand it to and fro."""
    channels = [ScriptedChannel(name, REJECTED, REJECTED) for name in ("telegram", "whatsapp")]
    alert = bench.add()
    for channel in channels:
        bench.start(bench.desk(channel), channel.name, fallbacks=lambda _name: ["telegram", "whatsapp"])
    bench.wait_for(alert, "dead")
    wait_until(lambda: "whatsapp" in bench.deliveries(alert))
    bench.wait_for(alert, "dead", "whatsapp")
    assert [len(channel.sent) for channel in channels] == [1, 1]
    assert bench.store.open_counts() == {}


def test_rejected_as_a_text_only_is_tried_again_at_once(bench: Bench) -> None:
    """The channel knows now that its 24-hour window is shut; no other channel has to tell it."""
    refused = Outcome(Reason.REJECTED, status=400, code="63016", template_instead=True)
    by_template = Outcome(Reason.ACCEPTED, status=201, provider_message_id="SM2", by_template=True)
    channel = ScriptedChannel("whatsapp", refused, by_template)
    alert = bench.add(None, "whatsapp")
    bench.start(bench.desk(channel), fallbacks=lambda _name: ["telegram"])
    delivery = bench.wait_for(alert, "accepted", "whatsapp")
    assert [attempt["by_template"] for attempt in delivery["attempts"]] == [False, True]
    assert list(bench.deliveries(alert)) == ["whatsapp"]


# --- late answers ---------------------------------------------------------------------------------------------------


def hung_send(bench: Bench, outcome: Outcome) -> tuple[ChannelDesk, ScriptedChannel, threading.Event]:
    """Return a desk whose first send hangs beyond its deadline, in a real lane, and what lets it answer."""
    may_answer = threading.Event()
    lanes = Lanes("telegram", count=2)
    desks: list[ChannelDesk] = []

    def send(message: Message) -> Outcome:
        def work() -> Outcome:
            assert may_answer.wait(20)
            return outcome

        try:
            return lanes.run(
                work, seconds=0.01, give_up=lambda: None, late=lambda late: desks[0].late.add(message, late)
            )
        except StillRunning:
            return TIMEOUT

    channel = ScriptedChannel("telegram", send)
    desks.append(bench.desk(channel))
    return desks[0], channel, may_answer


def test_late_acceptance_is_recorded_and_nothing_is_sent_again(bench: Bench, clock: FakeClock) -> None:
    desk, channel, may_answer = hung_send(bench, TAKEN)
    alert = bench.add()
    bench.start(desk)
    assert bench.wait_for_attempts(alert, 1)["status"] == "in_doubt"
    may_answer.set()
    delivery = bench.wait_for(alert, "accepted")
    assert [attempt["reason"] for attempt in delivery["attempts"]] == ["accepted"]
    wait_until(lambda: states(bench) == {"in_doubt": 1, "accepted": 1})
    clock.advance(3600)
    later = bench.add()
    bench.wait_for(later, "accepted")
    assert len(channel.sent) == 2


def test_late_acceptance_while_the_database_is_away_is_recorded_when_it_is_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lane that tells it waits for nothing; the worker tries until it is written down."""
    failures = deque([StoreError("The database is locked.")] * 5)
    real = bench.store.settle_late

    def settle_late(*args: Any, **kwargs: Any) -> Any:
        if failures:
            raise failures.popleft()
        return real(*args, **kwargs)

    monkeypatch.setattr(bench.store, "settle_late", settle_late)
    desk, channel, may_answer = hung_send(bench, TAKEN)
    alert = bench.add()
    bench.start(desk)
    bench.wait_for_attempts(alert, 1)
    may_answer.set()
    bench.wait_for(alert, "accepted")
    assert (len(channel.sent), bench.metric("store_errors_total")) == (1, 5)


def test_late_acceptance_of_a_paused_channel_is_recorded_all_the_same(bench: Bench) -> None:
    desk, _channel, may_answer = hung_send(bench, TAKEN)
    alert = bench.add()
    bench.start(desk)
    bench.wait_for_attempts(alert, 1)
    desk.note(Outcome(Reason.UNAUTHORIZED, status=401))
    may_answer.set()
    bench.wait_for(alert, "accepted")


def test_late_acceptance_after_the_repeat_changes_no_end(bench: Bench, clock: FakeClock) -> None:
    """Both arrived, and both are on record; the delivery has ended once."""
    desk, channel, may_answer = hung_send(bench, TAKEN)
    alert = bench.add()
    bench.start(desk)
    bench.wait_for_attempts(alert, 1)
    clock.advance(1)
    bench.wait_for(alert, "accepted")
    may_answer.set()
    wait_until(lambda: [each["reason"] for each in bench.delivery(alert)["attempts"]] == ["accepted", "accepted"])
    assert (len(channel.sent), states(bench)["accepted"]) == (2, 1)


def test_late_rate_limit_holds_the_channel(bench: Bench) -> None:
    """That the answer came too late for its message changes nothing in what the provider asks for."""
    desk, channel, may_answer = hung_send(bench, Outcome(Reason.RATE_LIMITED, status=429, retry_after_seconds=35))
    alert = bench.add()
    bench.start(desk)
    bench.wait_for_attempts(alert, 1)
    may_answer.set()
    wait_until(lambda: desk.wait_needed() == 35)
    assert len(channel.sent) == 1


def test_late_answer_of_another_store_is_none_of_ours(bench: Bench) -> None:
    """References are told by providers, and a database may have been replaced."""
    desk = bench.desk(ScriptedChannel())
    desk.late.add(Message("text", "text", desk.channel.message_limits.dialect, reference="000000000000.1"), TAKEN)
    alert = bench.add()
    bench.start(desk)
    bench.wait_for(alert, "accepted")
    assert bench.metric("store_errors_total") == 0
