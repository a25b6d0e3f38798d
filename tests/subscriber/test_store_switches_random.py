"""Switches of chance: no CRITICAL rests while a channel that is on was never asked to tell it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final
from uuid import UUID

import pytest

from bus.alerts import Alert
from subscriber.deliveries import (
    Decision,
    DeliveryState,
    Done,
    GiveUp,
    Handling,
    Outcome,
    PlannedDelivery,
    Reason,
    RetryAt,
    Why,
)
from subscriber.store import Store
from tests.support.clock import FakeClock
from tests.support.switch_books import CHANNELS, DISABLED, Books

ACCEPTED: Final = Outcome(Reason.ACCEPTED)
REJECTED: Final = Outcome(Reason.REJECTED, "too long", status=400)
TIMEOUT: Final = Outcome(Reason.TIMEOUT, "no answer", in_doubt=True)
GIVEN_UP: Final = GiveUp(DeliveryState.DEAD, fallback=True)
TOLD: Final = {"accepted", "delivered", "folded"}
OPEN: Final = {"pending", "in_doubt"}
_STEPS: Final = 40


class Chance:
    """Switches, sends, refuses and hands over as a random number generator says."""

    def __init__(self, store: Store, clock: FakeClock, seed: int) -> None:
        self.books = Books(store)
        self.clock = clock
        self.rng = Random(seed)
        self.off: set[str] = set()
        #: The alerts and whom their routes name to tell them instead.
        self.alerts: list[tuple[Alert, tuple[str, ...] | None]] = []
        #: Those that every channel refused that was on by then: dead letters.
        self.given_up: set[UUID] = set()

    def others(self, channel: str) -> list[str]:
        """Return the other channels that are on."""
        return [name for name in CHANNELS if name != channel and name not in self.off]

    def step(self) -> None:
        """Do one thing, and let every daemon have its turn."""
        self.rng.choice((self.publish, self.switch, self.switch, self.send, self.send, self.hand_over))()
        self.books.settle()
        self.check()

    def publish(self) -> None:
        """Plan an alert as routes do: suppressed where a channel is off, unless all are."""
        chosen = self.rng.sample(CHANNELS, self.rng.choice((1, 1, 2, 3)))
        fallbacks = self.rng.choice((None, None, ("whatsapp",), ("desk", "telegram")))
        waits = self.off.issuperset(chosen)
        planned = [
            PlannedDelivery(name, self.clock.now_us(), handling=Handling(fallbacks=fallbacks))
            if waits or name not in self.off
            else PlannedDelivery(name, self.clock.now_us(), DeliveryState.SUPPRESSED, Why.DISABLED)
            for name in chosen
        ]
        self.alerts.append((self.books.add(planned=planned), fallbacks))

    def switch(self) -> None:
        channel = self.rng.choice(CHANNELS)
        self.turn(channel, on=channel in self.off)

    def turn(self, channel: str, *, on: bool) -> None:
        if on:
            self.books.on(channel)
            self.off.discard(channel)
        else:
            self.books.off(channel)
            self.off.add(channel)

    def send(self) -> None:
        """Let a channel answer something; it may be switched off meanwhile."""
        channel = self.rng.choice(CHANNELS)
        switched = self.rng.random() < 0.2
        answers: list[tuple[Outcome, Decision]] = [
            (ACCEPTED, Done()),
            (REJECTED, GIVEN_UP),
            (REJECTED, GIVEN_UP),
            (TIMEOUT, RetryAt(self.clock.now_us(), in_doubt=True)),
        ]
        self.answer(channel, *self.rng.choice(answers), switched=switched)

    def answer(self, channel: str, outcome: Outcome, decision: Decision, *, switched: bool = False) -> bool:
        store = self.books.store
        held = store.claim(channel, "worker", 60.0, 1)
        if not held:
            return False
        attempt = store.open_attempt(held)
        if switched:
            self.turn(channel, on=False)
        store.close_attempt(attempt, held, outcome, decision, 0.1, fallbacks=self.others(channel))
        return True

    def hand_over(self) -> None:
        self.overdue(self.rng.choice([name for name in CHANNELS if name not in self.off] or CHANNELS))

    def overdue(self, channel: str) -> None:
        """Hand over what waits for a channel that is down, as the daemon's duty does."""
        self.clock.advance(10)
        others = self.others(channel)
        if others and channel not in self.off:
            self.books.store.hand_over_overdue(channel, self.clock.now_us(), others, 100)

    def unasked(self, alert: Alert, among: Sequence[str]) -> set[str]:
        """Return the channels that never had an alert, or had it only while they were off."""
        rows = self.books.rows(alert.id)
        asked = {row["channel"] for row in rows if (row["status"], row["why"]) != DISABLED}
        return set(among) - self.off - asked

    def check(self) -> None:
        """Make sure that what rests has been refused by all, and what waits for an off channel has no other."""
        uncovered = 0
        for alert, fallbacks in self.alerts:
            rows = self.books.rows(alert.id)
            states = {row["status"] for row in rows}
            if states & TOLD or alert.id in self.given_up:
                continue
            waits = {row["channel"] for row in rows if row["status"] in OPEN}
            uncovered += sum(row["status"] in OPEN and row["channel"] in self.off for row in rows)
            if not waits:
                assert not self.unasked(alert, CHANNELS if fallbacks is None else fallbacks), self.books.story(alert)
                self.given_up.add(alert.id)
            elif waits <= self.off:
                assert not self.unasked(alert, CHANNELS), self.books.story(alert)
        assert self.books.store.uncovered_critical() >= uncovered

    def end(self, down: str) -> None:
        """Switch all on, let all but one channel take what they have, and that one's be handed over."""
        for channel in sorted(self.off):
            self.turn(channel, on=True)
        self.books.settle()
        self.overdue(down)
        for channel in CHANNELS:
            while channel != down and self.answer(channel, ACCEPTED, Done()):
                pass
        self.check()
        self.books.balanced()
        for alert, fallbacks in self.alerts:
            told = any(row["status"] in TOLD for row in self.books.rows(alert.id))
            others = [name for name in (CHANNELS if fallbacks is None else fallbacks) if name != down]
            assert told or alert.id in self.given_up or not self.unasked(alert, others), self.books.story(alert)


@pytest.mark.parametrize("seed", range(8))
def test_critical_never_rests_while_a_channel_that_is_on_was_not_asked(
    store: Store, clock: FakeClock, seed: int
) -> None:
    chance = Chance(store, clock, seed)
    for _ in range(_STEPS):
        chance.step()
    chance.end(CHANNELS[seed % len(CHANNELS)])
