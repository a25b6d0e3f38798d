"""Switches, alerts, attempts and several daemons on one database, all at once: every delivery ends once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from random import Random

from subscriber.deliveries import Done, Outcome, Reason, RetryAt
from subscriber.errors import LeaseLost
from subscriber.store import Store
from tests.support.alerts import STREAM, incoming, risk_event
from tests.support.clock import FakeClock

CHANNELS = ("telegram", "whatsapp")
BATCHES = 8
PER_BATCH = 10
OUTCOMES = (
    Outcome(Reason.ACCEPTED),
    Outcome(Reason.NETWORK, "refused"),
    Outcome(Reason.TIMEOUT, "no answer", in_doubt=True),
)


class Crowd:
    """Threads that do something to one database until all alerts are stored."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self._over = threading.Event()
        store.begin(STREAM, "trader-1", 1)

    def publish(self) -> None:
        """Store every alert, each third of them CRITICAL."""
        for batch in range(BATCHES):
            first = batch * PER_BATCH + 1
            items = [
                incoming(
                    risk_event(severity="WARNING" if place % 3 else "CRITICAL"),
                    first + place,
                    *CHANNELS[: 1 + place % 2],
                )
                for place in range(PER_BATCH)
            ]
            self.store.accept(items, {STREAM: first + PER_BATCH - 1})
        self._over.set()

    def until_over(self, act: Callable[[Random], object], seed: int) -> None:
        """Do something again and again."""
        rng = Random(seed)
        while not self._over.is_set():
            act(rng)

    def switch(self, rng: Random) -> None:
        """Switch some channel off or on."""
        self.store.switch_channel(rng.choice(CHANNELS), enabled=rng.random() < 0.5, author="kim", via="api")

    def settle(self, _rng: Random) -> None:
        """Settle what a switch leaves behind."""
        self.store.settle_switched_off(CHANNELS, 20)

    def send(self, channel: str, rng: Random) -> None:
        """Send what is due next, if anything is."""
        held = self.store.claim(channel, channel, 60.0, 1)
        if not held:
            return
        others = [name for name in CHANNELS if name != channel]
        outcome = rng.choice(OUTCOMES)
        again = RetryAt(self.clock.now_us(), in_doubt=outcome.in_doubt)
        with suppress(LeaseLost):
            attempt = self.store.open_attempt(held)
            self.store.close_attempt(
                attempt, held, outcome, Done() if outcome.accepted else again, 0.1, fallbacks=others
            )


def test_all_at_once_leaves_nothing_waiting_and_the_ledger_balanced(store: Store, clock: FakeClock) -> None:
    crowd = Crowd(store, clock)
    acts: tuple[Callable[[Random], object], ...] = (
        crowd.switch,
        crowd.settle,
        crowd.settle,
        *(partial(crowd.send, channel) for channel in CHANNELS),
    )
    with ThreadPoolExecutor(len(acts) + 1) as threads:
        running = [threads.submit(crowd.until_over, act, seed) for seed, act in enumerate(acts)]
        running.append(threads.submit(crowd.publish))
        for each in running:
            each.result()
    for channel in CHANNELS:
        store.switch_channel(channel, enabled=True, author="kim", via="api")
    rng = Random(9)
    for _ in range(20 * BATCHES * PER_BATCH):
        if not store.open_counts():
            break
        for channel in CHANNELS:
            crowd.send(channel, rng)
    assert store.open_counts() == {}
    assert store.audit().faults == ()
