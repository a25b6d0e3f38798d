"""Receipts in every order, twice, at once, and among crashes: the state only moves forward, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import permutations
from random import Random
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from subscriber.deliveries import DeliveryState, GiveUp, RetryAt
from subscriber.errors import LeaseLost
from subscriber.receipts import ReceiptMode, ReceiptState
from subscriber.store import Store, delivering
from subscriber.store.receiving import Receiving
from tests.subscriber.conftest import PostgresqlServer
from tests.support.clock import FakeClock
from tests.support.receipted import CHANNEL, DEAD, NETWORK, TIMEOUT, UNDELIVERED, Flight, Sender, taken
from tests.support.running_intake import on_sqlite
from tests.support.waiting import wait_until

CLOSE = "close"
_RANKS = {None: -1, "queued": 0, "sent": 1, "failed": 2, "delivered": 3, "read": 4}


@pytest.fixture
def sender(store: Store, clock: FakeClock) -> Sender:
    return Sender(store, clock)


def attempts(store: Store) -> dict[int, Any]:
    with store.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM attempt").all()
    return {row.id: row for row in rows}


def check_orders(sender: Sender, orders: list[tuple[str, ...]], rng: Random) -> None:
    """Let each order of receipts, with the end of the attempt among them, happen to a message of its own."""
    expected: dict[int, tuple[str, str]] = {}
    for order in orders:
        alert = sender.add()
        flight = sender.begin()
        message = f"SM{flight.attempt}"
        highest = -1
        for event in order:
            sender.clock.advance(0.001)
            if event == CLOSE:
                sender.end(flight, taken(message))
            else:
                sender.tell(event, message, reference=rng.choice(("", flight.reference)))
            rank = _RANKS[sender.attempt(flight).receipt]
            assert rank >= highest, order
            highest = rank
        told = max((word for word in order if word != CLOSE), key=lambda word: _RANKS[word])
        state = "delivered" if told in {"delivered", "read"} else "accepted"
        assert (sender.state(alert), sender.attempt(flight).receipt) == (state, told), order
        expected[flight.attempt] = (told, state)
    assert all(row.attempt_id is not None for row in sender.receipts())
    failed = {number for number, (told, _) in expected.items() if told == "failed"}
    assert {each.attempt for each in sender.store.failed_receipts([CHANNEL], 1000)} == failed
    assert sender.store.audit().faults == ()


@on_sqlite
def test_receipts_in_every_order_before_and_after_the_acceptance(sender: Sender) -> None:
    """All 720 of them."""
    check_orders(sender, list(permutations((CLOSE, *(state.value for state in ReceiptState)))), Random(1))


@pytest.mark.parametrize("seed", range(3))
def test_receipts_in_any_order_some_of_them_twice_and_some_never(sender: Sender, seed: int) -> None:
    rng = Random(seed)
    words = [state.value for state in ReceiptState]
    orders = []
    for _ in range(40):
        order = [CLOSE, *rng.choices(words, k=rng.randint(1, 8))]
        rng.shuffle(order)
        orders.append(tuple(order))
    check_orders(sender, orders, rng)


class Life:
    """One alert's way, in which anything may happen next."""

    def __init__(self, sender: Sender, rng: Random) -> None:
        self.sender = sender
        self.rng = rng
        self.alert = sender.add()
        self.flight: Flight | None = None
        self.sent: list[Flight] = []

    def step(self, *others: Callable[[], None]) -> None:
        """Do one of the things that workers, keepers, providers and crashes do, or one of the others."""
        self.sender.clock.advance(0.001)
        doing: Callable[[], None] = self.rng.choice(
            (self.begin, self.end, self.tell, self.tell, self.keep, self.crash, self.answer_late, *others)
        )
        doing()

    def begin(self) -> None:
        claimed = self.sender.store.claim(CHANNEL, "worker", 3600, 1)
        if claimed:
            attempt = self.sender.store.open_attempt(claimed)
            self.flight = Flight(claimed[0], attempt, self.sender.store.reference_of(attempt))
            self.sent.append(self.flight)

    def end(self) -> None:
        if self.flight is not None:
            flight, self.flight = self.flight, None
            answer = self.rng.choice((taken(f"SM{flight.attempt}"), TIMEOUT, NETWORK, UNDELIVERED))
            gives_up = answer is UNDELIVERED or self.rng.random() < 0.1
            decision = GiveUp(DeliveryState.DEAD) if gives_up and not answer.accepted else None
            self.sender.end(flight, answer, decision)

    def tell(self) -> None:
        if self.sent:
            flight = self.rng.choice(self.sent)
            word = self.rng.choice([state.value for state in ReceiptState])
            self.sender.tell(word, f"SM{flight.attempt}", reference=self.rng.choice(("", flight.reference)))

    def keep(self) -> None:
        while found := self.sender.store.failed_receipts([CHANNEL]):
            settled = []
            for failed in found:  # what follows from one may change what the next one is about
                decision = self.rng.choice((RetryAt(self.sender.clock.now_us()), GiveUp(DeliveryState.DEAD)))
                settled.append(self.sender.store.settle_failed(failed, UNDELIVERED, decision) is not None)
            assert settled[0]

    def crash(self) -> None:
        self.flight = None
        self.sender.store.release_worker("worker")

    def answer_late(self) -> None:
        if self.sent:
            flight = self.rng.choice(self.sent)
            if self.flight is None or flight.attempt != self.flight.attempt:
                answer = self.rng.choice((taken(f"SM{flight.attempt}"), UNDELIVERED))
                self.sender.store.settle_late(flight.attempt, answer, receipts=ReceiptMode.POLLING)

    def set_by_hand(self) -> None:
        words = ("pending", "in_doubt", "sent", "delivered", "dead", "suppressed")
        self.sender.store.mark_notification_sent(self.sender.delivery(self.alert)["id"], self.rng.choice(words))
        self.flight = None

    def switch_off(self) -> None:
        self.sender.store.switch_off_others(["telegram"])
        self.flight = None

    def finish(self) -> None:
        """Let everything that is under way end."""
        self.crash()
        self.keep()
        assert self.sender.store.failed_receipts([CHANNEL]) == []


@pytest.mark.parametrize("seed", range(10))
def test_whatever_happens_the_ledger_balances_and_what_arrived_is_delivered(sender: Sender, seed: int) -> None:
    life = Life(sender, Random(seed))
    ranks: dict[int, int] = {}
    for _ in range(40):
        life.step()
        for number, row in attempts(sender.store).items():
            assert _RANKS[row.receipt] >= ranks.get(number, -1)
            ranks[number] = _RANKS[row.receipt]
        assert sender.store.audit().faults == ()
    life.finish()
    assert sender.store.audit().faults == ()
    arrived = [row for row in attempts(sender.store).values() if row.receipt in {"delivered", "read"}]
    assert (sender.state(life.alert) == "delivered") is bool(arrived)
    if arrived:
        assert sender.store.claim(CHANNEL, "worker", 60, 5) == []


@pytest.mark.parametrize("seed", range(6))
def test_whatever_a_person_does_as_well_the_ledger_balances(sender: Sender, seed: int) -> None:
    life = Life(sender, Random(seed))
    for _ in range(40):
        life.step(life.set_by_hand, life.switch_off)
        assert sender.store.audit().faults == ()
    life.finish()
    assert sender.store.audit().faults == ()


def at_once(*works: Callable[[], None]) -> None:
    """Run functions in threads that begin together; fail where one of them does."""
    together = Barrier(len(works))
    failures: list[Exception] = []

    def run(work: Callable[[], None]) -> None:
        try:
            together.wait()
            work()
        except Exception as error:  # noqa: BLE001 - told in the test's thread
            failures.append(error)

    threads = [Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_acceptances_and_receipts_at_once_miss_nothing(sender: Sender) -> None:
    """Four threads close attempts while four note receipts of the same messages, each in an order of its own."""
    count = 48
    alerts = [sender.add() for _ in range(count)]
    flights = [sender.begin() for _ in range(count)]

    def close(part: int) -> None:
        for flight in Random(part).sample(flights[part::4], count // 4):
            sender.end(flight, taken(f"SM{flight.attempt}"))

    def note(part: int) -> None:
        for flight in Random(part).sample(flights, count):
            reference = flight.reference if part % 2 else ""
            for state in ("sent", "delivered"):
                sender.tell(state, f"SM{flight.attempt}", reference=reference)

    at_once(*(partial(work, part) for part in range(4) for work in (close, note)))
    assert {sender.state(alert) for alert in alerts} == {"delivered"}
    assert len(sender.receipts()) == 2 * count
    assert sender.store.audit().faults == ()


def test_keepers_and_receipts_at_once_settle_everything_once(sender: Sender) -> None:
    """Two daemons settle what failed while it arrives after all, and a third takes what is due again."""
    count = 32
    alerts = [sender.add() for _ in range(count)]
    for number in range(count):
        sender.send(f"SM{number}")
        sender.tell("failed", f"SM{number}")
    again = RetryAt(sender.clock.now_us())

    def settle() -> None:
        while found := sender.store.failed_receipts([CHANNEL], 8):
            for failed in found:
                sender.store.settle_failed(failed, UNDELIVERED, again)

    def arrive(part: int) -> None:
        for number in Random(part).sample(range(count), count):
            sender.tell("delivered", f"SM{number}")

    def send() -> None:
        for _ in range(count):
            for delivery in sender.store.claim(CHANNEL, "worker", 60, 2):
                with suppress(LeaseLost):  # it arrived after the claim
                    attempt = sender.store.open_attempt([delivery])
                    mode = ReceiptMode.POLLING
                    sender.store.close_attempt(attempt, [delivery], NETWORK, again, 0.1, receipts=mode)

    at_once(settle, settle, partial(arrive, 1), partial(arrive, 2), send)
    sender.store.release_worker("worker")
    assert {sender.state(alert) for alert in alerts} == {"delivered"}
    assert sender.store.audit().faults == ()


def test_channels_that_give_an_alert_up_at_once_hand_it_over_once(sender: Sender) -> None:
    """Each knows only that itself has failed; two of the same deliveries would break the ledger."""
    channels = ("whatsapp", "desk", "mail", "pager")
    alerts = [sender.add(*channels) for _ in range(8)]

    def give_up(channel: str) -> None:
        for _ in alerts:
            sender.end(sender.begin(channel), UNDELIVERED, DEAD, "telegram")

    at_once(*(partial(give_up, channel) for channel in channels))
    assert sender.store.channel_counts()["telegram"] == {"pending": len(alerts)}
    assert sender.store.audit().faults == ()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("first", ["receipt", "acceptance"])
def test_receipt_and_acceptance_that_overlap_wait_for_each_other(
    sender: Sender, store_url: str, postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Neither sees what the other has not committed yet: the second one begins to look when the first one has ended."""
    alert = sender.add()
    flight = sender.begin()
    looked, ended = Event(), Event()
    owner, name = (Receiving, "_sender") if first == "receipt" else (delivering, "apply_news")
    original = getattr(owner, name)

    def look_and_wait(*given: Any, **named: Any) -> Any:
        found = original(*given, **named)
        looked.set()
        wait_until(lambda: ended.is_set() or postgresql.waiting(store_url) == 1)
        return found

    def note() -> None:
        sender.tell("delivered")

    def close() -> None:
        sender.end(flight, taken())

    begins, follows = (note, close) if first == "receipt" else (close, note)
    monkeypatch.setattr(owner, name, look_and_wait)
    thread = Thread(target=begins)
    thread.start()
    assert looked.wait(60)
    monkeypatch.undo()
    follows()
    ended.set()
    thread.join()
    assert sender.state(alert) == "delivered"
    assert sender.store.audit().faults == ()
