"""Digests under several workers at once: each delivery is told once, no transaction is given up, the books balance."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random
from threading import Thread

import pytest

from subscriber.deliveries import Decision, Delivery, DigestKind, Done, Outcome, Reason, RetryAt
from subscriber.errors import LeaseLost
from subscriber.receipts import Receipt, ReceiptMode, ReceiptState
from subscriber.store import NewDigest, Store
from tests.support.clock import FakeClock
from tests.support.folding import DEAD, LEASE, TEXT, Flight, Folder
from tests.support.receipted import CHANNEL, NETWORK, PROVIDER, TIMEOUT, UNDELIVERED, taken

DELIVERIES = 400
WORKERS = 3


class TickingClock(FakeClock):
    """Never says the same time twice, so that no two threads do anything in the same microsecond."""

    def __init__(self) -> None:
        super().__init__()
        self._ticks = count()

    def now_us(self) -> int:
        return super().now_us() + next(self._ticks)


class Crowd:
    """Workers of several daemons, a person, and receipts, all at one channel."""

    def __init__(self, url: str, clock: FakeClock, seed: int) -> None:
        self.url = url
        self.clock = clock
        self.seed = seed
        self.failures: list[BaseException] = []

    def run(self) -> None:
        works = [*(self.work for _ in range(WORKERS)), self.meddle]
        threads = [Thread(target=self.guarded, args=(work, number)) for number, work in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert self.failures == []

    def guarded(self, work: Callable[[Store, str, Random], None], number: int) -> None:
        try:
            with Store(self.url, self.clock) as store:
                work(store, f"worker-{number}", Random(self.seed * 10 + number))
        except BaseException as error:  # noqa: BLE001 - told in the test's thread
            self.failures.append(error)

    def work(self, store: Store, name: str, rng: Random) -> None:
        """Fold, tell, fail, be late, until nothing waits."""
        idle = 0
        while idle < 20:
            claimed = store.claim(CHANNEL, name, LEASE, 1)
            idle = 0 if claimed else idle + 1
            try:
                for head in claimed:
                    self.deliver(store, name, rng, head)
            except LeaseLost:
                store.release_worker(name)

    def deliver(self, store: Store, name: str, rng: Random, head: Delivery) -> None:
        outcome, decision = self.outcome(rng)
        flight = self.opened(store, name, rng, head)
        if flight is None:
            return
        if rng.random() < 0.1:
            store.release_worker(name)  # as if it had died, and had begun anew
            return
        if rng.random() < 0.2:
            reference = store.reference_of(flight.attempt)
            receipt = Receipt(f"M{flight.attempt}", ReceiptState.DELIVERED, reference=reference)
            store.note_receipt(PROVIDER, [CHANNEL], receipt, polling=True)
        if outcome.accepted:
            outcome = taken(f"M{flight.attempt}")
        store.close_attempt(
            flight.attempt, flight.deliveries, outcome, decision, 0.1, receipts=ReceiptMode.POLLING, fallbacks=["desk"]
        )

    def opened(self, store: Store, name: str, rng: Random, head: Delivery) -> Flight | None:
        if head.digest is None:
            members = store.fold(head, name, LEASE, rng.choice([1, 2, 40]))
            new = NewDigest(DigestKind.STORM, TEXT) if len(members) > 1 else None
            return Flight(members, store.open_attempt(members, digest=new))
        held = store.claim_digest(head, name, LEASE)
        if held is None:
            store.release([head])
            return None
        new = NewDigest(held.kind, TEXT) if held.message is None else None
        return Flight(held.deliveries, store.open_attempt(held.deliveries, digest=new))

    def outcome(self, rng: Random) -> tuple[Outcome, Decision]:
        now_us = self.clock.now_us()
        endings: list[tuple[Outcome, Decision]] = [
            (Outcome(Reason.ACCEPTED), Done()),
            (Outcome(Reason.ACCEPTED), Done()),
            (NETWORK, RetryAt(now_us)),
            (TIMEOUT, RetryAt(now_us, in_doubt=True)),
            (UNDELIVERED, DEAD),
        ]
        return rng.choice(endings)

    def meddle(self, store: Store, _name: str, rng: Random) -> None:
        """What people and providers do meanwhile."""
        for _ in range(60):
            store.mark_notification_sent(rng.randrange(1, DELIVERIES + 1), rng.choice(["sent", "dead", "pending"]))
            for failed in store.failed_receipts([CHANNEL]):
                store.settle_failed(failed, UNDELIVERED, RetryAt(self.clock.now_us()))
            receipt = Receipt(f"M{rng.randrange(1, 60)}", ReceiptState(rng.choice(["failed", "read"])))
            store.note_receipt(PROVIDER, [CHANNEL], receipt, polling=True)
            store.expire(CHANNEL, self.clock.now_us())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_crowd_at_one_channel_tells_everything_and_the_ledger_balances(store_url: str, seed: int) -> None:
    clock = TickingClock()
    with Store(store_url, clock) as store:
        crowd_at(store, store_url, clock, seed)


def crowd_at(store: Store, store_url: str, clock: FakeClock, seed: int) -> None:
    folder = Folder(store, clock)
    folder.add(DELIVERIES)
    Crowd(store_url, clock, seed).run()
    folder.balanced()
    for worker in range(WORKERS):
        store.release_worker(f"worker-{worker}")
    Crowd(store_url, clock, seed + 100).run()  # what the last worker left behind is found by the next
    folder.balanced()
    if {"pending", "in_doubt"} & folder.counts().keys():  # set by hand at the very end
        assert store.next_due_us(CHANNEL) is not None
    assert sum(folder.counts().values()) == DELIVERIES
