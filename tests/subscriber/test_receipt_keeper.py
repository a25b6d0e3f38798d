"""The keeper asks for receipts: when, how often, for how long, and what it does when it can't."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from subscriber.deliveries import Outcome, Reason
from subscriber.delivery.receipts import ReceiptKeeper
from subscriber.errors import StoreError
from subscriber.receipts import Receipt, ReceiptMode, ReceiptState
from subscriber.store import Store
from tests.support.clock import FakeClock
from tests.support.receipts_bench import AskedChannel, ReceiptsBench
from tests.support.waiting import wait_until

pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)

SECOND = 1_000_000
AWAY = StoreError("The database is locked by another program.")


@pytest.fixture
def bench(store: Store, clock: FakeClock) -> Iterator[ReceiptsBench]:
    with ReceiptsBench(store, clock) as made:
        yield made


def turns(keeper: ReceiptKeeper, clock: FakeClock, seconds: float, step: float = 1.0) -> None:
    """Let a keeper take its turns for so long."""
    for _ in range(round(seconds / step)):
        clock.advance(step)
        keeper._turn()


def test_keeper_asks_two_seconds_after_acceptance_and_not_before(bench: ReceiptsBench, clock: FakeClock) -> None:
    channel = AskedChannel(ReceiptState.DELIVERED)
    desk = bench.asked_desk(channel)
    alert = bench.accepted(desk)
    keeper = bench.keeper(desk)
    turns(keeper, clock, 1.9, 0.1)
    assert channel.asked == []
    turns(keeper, clock, 0.2, 0.1)
    assert [message_id for message_id, _ in channel.asked] == ["SM1"]
    assert bench.state(alert) == "delivered"


def test_keeper_asks_ever_more_rarely_until_the_message_is_a_day_old(bench: ReceiptsBench, clock: FakeClock) -> None:
    channel = AskedChannel()
    desk = bench.asked_desk(channel)
    began = clock.now_us()
    alert = bench.accepted(desk)
    keeper = bench.keeper(desk)
    turns(keeper, clock, 120, 1)
    turns(keeper, clock, 26 * 3600, 30)
    ages = [(at - began) / SECOND for _, at in channel.asked]
    gaps = [later - earlier for earlier, later in itertools.pairwise(ages)]
    assert (ages[0], min(gaps)) == (2, 2)
    assert all(gap <= max(age / 2, 2) + 30 for age, gap in zip(ages, gaps, strict=False))
    assert max(gaps) <= 15 * 60 + 30
    assert 23.5 * 3600 < ages[-1] < 24.3 * 3600
    assert len(ages) < 130
    assert bench.state(alert) == "accepted"


@pytest.mark.parametrize("final", ["delivered", "read", "failed"])
def test_keeper_after_a_final_receipt_asks_no_more(bench: ReceiptsBench, clock: FakeClock, final: str) -> None:
    channel = AskedChannel(ReceiptState.QUEUED, ReceiptState.SENT, ReceiptState(final))
    desk = bench.asked_desk(channel)
    bench.accepted(desk)
    keeper = bench.keeper(desk)
    turns(keeper, clock, 600, 2)
    assert len(channel.asked) == 3


def test_keeper_counts_each_state_once(bench: ReceiptsBench, clock: FakeClock) -> None:
    told = [ReceiptState.QUEUED, ReceiptState.QUEUED, ReceiptState.SENT, ReceiptState.SENT, ReceiptState.DELIVERED]
    desk = bench.asked_desk(AskedChannel(*told))
    bench.accepted(desk)
    turns(bench.keeper(desk), clock, 60)
    counted = {
        state.value: bench.metric("receipts_total", channel="whatsapp", state=state.value) for state in ReceiptState
    }
    assert counted == {"queued": 1, "sent": 1, "delivered": 1, "read": 0, "failed": 0}
    assert bench.metric("deliveries_total", channel="whatsapp", state="delivered") == 1
    assert bench.metric("receipt_seconds_count", channel="whatsapp") == 1


def test_keeper_tells_how_long_delivery_took_by_the_providers_own_time(bench: ReceiptsBench, clock: FakeClock) -> None:
    """It was there after one second; that it was asked a second later is our affair."""
    arrived = clock.now_us() + SECOND
    channel = AskedChannel(lambda message_id: Receipt(message_id, ReceiptState.DELIVERED, arrived))
    desk = bench.asked_desk(channel)
    bench.accepted(desk)
    turns(bench.keeper(desk), clock, 3)
    assert bench.metric("receipt_seconds_sum", channel="whatsapp") == 1


def test_keeper_asks_at_most_five_times_a_second_and_forgets_none(bench: ReceiptsBench, clock: FakeClock) -> None:
    channel = AskedChannel(*[ReceiptState.DELIVERED] * 40)
    desk = bench.asked_desk(channel)
    alerts = [bench.accepted(desk) for _ in range(40)]
    keeper = bench.keeper(desk)
    turns(keeper, clock, 14, 0.05)
    moments = [at / SECOND for _, at in channel.asked]
    for moment in moments:
        assert sum(moment <= other < moment + 0.99 for other in moments) <= 5
    assert {bench.state(alert) for alert in alerts} == {"delivered"}


@pytest.mark.parametrize(
    ("outcome", "least"),
    [
        (Outcome(Reason.RATE_LIMITED, status=429, retry_after_seconds=35), 35),
        (Outcome(Reason.RATE_LIMITED, status=429), 5),
        (Outcome(Reason.NETWORK, "ConnectionRefusedError"), 5),
        (Outcome(Reason.TIMEOUT), 5),
        (Outcome(Reason.UNAVAILABLE, status=503, retry_after_seconds=-1), 5),
        (Outcome(Reason.UNAUTHORIZED, status=401), 5),
    ],
    ids=["35 s", "429", "network", "timeout", "503", "401"],
)
def test_keeper_that_can_not_ask_leaves_the_provider_alone_and_sends_undisturbed(
    bench: ReceiptsBench, clock: FakeClock, outcome: Outcome, least: float
) -> None:
    """What a question is answered with is no verdict on sending: nothing is held, and nothing paused."""
    channel = AskedChannel(outcome)
    desk = bench.asked_desk(channel)
    alerts = [bench.accepted(desk) for _ in range(3)]
    keeper = bench.keeper(desk)
    turns(keeper, clock, 2)
    assert len(channel.asked) == 1
    turns(keeper, clock, least - 0.5, 0.25)
    assert len(channel.asked) == 1
    assert (desk.up, desk.paused, desk.wait_needed()) == (True, False, 0)
    channel.told.extend([ReceiptState.DELIVERED] * 3)
    turns(keeper, clock, 60, 0.5)
    assert {bench.state(alert) for alert in alerts} == {"delivered"}
    assert bench.announced == []


def test_keeper_that_can_not_ask_for_long_asks_every_five_minutes_at_last(
    bench: ReceiptsBench, clock: FakeClock
) -> None:
    channel = AskedChannel(*[Outcome(Reason.NETWORK)] * 1000)
    desk = bench.asked_desk(channel)
    for _ in range(20):
        bench.accepted(desk)
    turns(bench.keeper(desk), clock, 3 * 3600, 5)
    moments = [at / SECOND for _, at in channel.asked]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert gaps == sorted(gaps)
    assert 300 <= gaps[-1] <= 310
    assert len(moments) < 50


def test_keeper_of_a_message_that_the_provider_does_not_know_forgets_that_one(
    bench: ReceiptsBench, clock: FakeClock
) -> None:
    """Somebody deleted it at the provider; the others have nothing to do with that."""
    channel = AskedChannel(Outcome(Reason.REJECTED, status=404), ReceiptState.DELIVERED)
    desk = bench.asked_desk(channel)
    first, second = bench.accepted(desk), bench.accepted(desk)
    turns(bench.keeper(desk), clock, 3600, 2)
    assert [message_id for message_id, _ in channel.asked] == ["SM1", "SM2"]
    assert (bench.state(first), bench.state(second)) == ("accepted", "delivered")


def test_keeper_whose_channel_raises_goes_on(bench: ReceiptsBench, clock: FakeClock) -> None:
    channel = AskedChannel(ZeroDivisionError("a bug"), ReceiptState.DELIVERED, ReceiptState.DELIVERED)
    desk = bench.asked_desk(channel)
    alerts = [bench.accepted(desk) for _ in range(2)]
    turns(bench.keeper(desk), clock, 60)
    assert {bench.state(alert) for alert in alerts} == {"delivered"}


def test_keeper_of_a_channel_with_a_webhook_asks_nothing(bench: ReceiptsBench, clock: FakeClock) -> None:
    channel = AskedChannel(mode=ReceiptMode.WEBHOOK)
    desk = bench.asked_desk(channel)
    bench.accepted(desk)
    turns(bench.keeper(desk), clock, 60)
    assert (channel.asked, channel.inbound) == ([], 0)


def test_keeper_asks_every_ten_minutes_when_the_person_wrote(bench: ReceiptsBench, clock: FakeClock) -> None:
    channel = AskedChannel()
    desk = bench.asked_desk(channel)
    keeper = bench.keeper(desk)
    keeper._turn()
    assert channel.inbound == 1
    turns(keeper, clock, 3600, 10)
    assert channel.inbound == 7


def test_keeper_whose_question_for_the_person_raises_still_asks_for_receipts(
    bench: ReceiptsBench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: AskedChannel) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(AskedChannel, "ask_inbound", fail)
    desk = bench.asked_desk(AskedChannel(ReceiptState.DELIVERED))
    alert = bench.accepted(desk)
    turns(bench.keeper(desk), clock, 3)
    assert bench.state(alert) == "delivered"


def test_keepers_of_two_daemons_ask_once(bench: ReceiptsBench, clock: FakeClock) -> None:
    """They share the database; who takes a message first asks."""
    channel = AskedChannel()
    desk = bench.asked_desk(channel)
    bench.accepted(desk)
    first, second = bench.keeper(desk), bench.keeper(desk)
    clock.advance(2)
    first._turn()
    second._turn()
    assert len(channel.asked) == 1


# --- its thread ---------------------------------------------------------------------------------------------


def test_keeper_that_hangs_in_a_question_delays_no_send_and_no_other_channel(
    bench: ReceiptsBench, clock: FakeClock
) -> None:
    """The provider takes messages, and does not answer what became of them."""
    hung: list[str] = []
    released = threading.Event()

    def hang(message_id: str) -> Outcome:
        hung.append(message_id)
        released.wait(30)
        return Outcome(Reason.TIMEOUT)

    desk = bench.asked_desk(AskedChannel(hang))
    other = bench.asked_desk(AskedChannel(ReceiptState.DELIVERED, name="business"))
    bench.accepted(desk)
    elsewhere = bench.accepted(other)
    clock.advance(2)
    keeper = bench.start_keeper(desk)
    bench.start_keeper(other)
    wait_until(lambda: hung)
    bench.start(desk)
    for _ in range(10):
        bench.wait_for(bench.add(None, "whatsapp"), "accepted", "whatsapp")
    wait_until(lambda: bench.state(elsewhere, "business") == "delivered")
    keeper.ask_to_stop()
    assert not keeper.join(0.01)
    released.set()
    assert keeper.join(60)


def test_keeper_woken_looks_at_once(bench: ReceiptsBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a webhook tells is acted on without waiting for the next look."""
    desk = bench.asked_desk(AskedChannel(mode=ReceiptMode.WEBHOOK))
    alert = bench.accepted(desk)
    looks: list[int] = []
    failed_receipts = bench.store.failed_receipts

    def counted(*args: Any) -> Any:
        looks.append(1)
        return failed_receipts(*args)

    monkeypatch.setattr(bench.store, "failed_receipts", counted)
    keeper = bench.start_keeper(desk, interval_seconds=3600)
    wait_until(lambda: looks)
    bench.store.note_receipt("twilio", ["whatsapp"], Receipt("SM1", ReceiptState.FAILED))
    keeper.look()
    wait_until(lambda: bench.state(alert) == "dead")


def test_keeper_never_started_is_joined_at_once(bench: ReceiptsBench) -> None:
    keeper = bench.keeper(bench.asked_desk(AskedChannel()))
    keeper.ask_to_stop()
    assert keeper.join(0)


@pytest.mark.parametrize(
    "step", ["failed_receipts", "due_receipts", "note_receipt", "postpone_receipt", "settle_failed"]
)
@pytest.mark.parametrize("after", [False, True], ids=["undone", "done all the same"])
def test_keeper_while_the_database_is_away_loses_nothing(
    bench: ReceiptsBench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    monkeypatch.setattr("subscriber.delivery.receipts._STORE_BACKOFF_SECONDS", 0.005)
    real = getattr(bench.store, step)
    left = [AWAY, AWAY, AWAY]

    def broken(*args: Any, **kwargs: Any) -> Any:
        if not left:
            return real(*args, **kwargs)
        if after:
            real(*args, **kwargs)
        raise left.pop()

    monkeypatch.setattr(bench.store, step, broken)
    failing = ReceiptState.FAILED if step == "settle_failed" else ReceiptState.DELIVERED
    channel = AskedChannel(*[ReceiptState.SENT] * 3, *[failing] * 4)
    desk = bench.asked_desk(channel)
    alert = bench.accepted(desk)
    bench.start_keeper(desk)
    expected = "dead" if step == "settle_failed" else "delivered"

    def settled() -> bool:
        clock.advance(1)
        return bool(bench.metric("store_errors_total")) and bench.state(alert) == expected

    wait_until(settled)
    assert len(channel.asked) <= 7


def test_keeper_with_a_bug_goes_on(
    bench: ReceiptsBench, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("subscriber.delivery.receipts._STORE_BACKOFF_SECONDS", 0.005)
    desk = bench.asked_desk(AskedChannel(ReceiptState.DELIVERED))
    alert = bench.accepted(desk)
    turn = ReceiptKeeper._turn
    left = [ZeroDivisionError()]

    def failing(keeper: ReceiptKeeper) -> float:
        if left:
            raise left.pop()
        return turn(keeper)

    monkeypatch.setattr(ReceiptKeeper, "_turn", failing)
    bench.start_keeper(desk)
    clock.advance(3)
    wait_until(lambda: bench.state(alert) == "delivered")
    assert "receipts failed unexpectedly" in caplog.text
