"""A keeper of receipts on a bench: real store, desk, metrics; the channel tells what a test says."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Self

from bus.alerts import Alert
from subscriber.deliveries import Done, Message, Outcome, Reason
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.receipts import ReceiptKeeper
from subscriber.policy.retry import RetryPolicy
from subscriber.receipts import Receipt, ReceiptMode, ReceiptState
from tests.support.worker_bench import Bench, HighestJitter, ScriptedChannel

Told = ReceiptState | Receipt | Outcome | Exception | Callable[[str], Receipt | Outcome]

DONE: Final = Done()
REJECTED: Final = Outcome(Reason.REJECTED, "it was refused", code="63005")


class AskedChannel(ScriptedChannel):
    """Accepts every message under an id of its own; tells of each what it is told beforehand, after that `sent`.

    Attributes:
        told: what the next questions are answered with.
        verdict: what a failed message means.
        asked: the messages that were asked for, in order, with the clock's microseconds.
        judged: the receipts that were judged, and whether they were of templates.
        inbound: how often it was asked when the person wrote.
    """

    def __init__(
        self, *told: Told, name: str = "whatsapp", mode: ReceiptMode = ReceiptMode.POLLING, verdict: Outcome = REJECTED
    ) -> None:
        super().__init__(name, receipts=mode)
        self.told = deque(told)
        self.verdict = verdict
        self.asked: list[tuple[str, int]] = []
        self.judged: list[tuple[Receipt, bool]] = []
        self.inbound = 0
        self.now_us: Callable[[], int] = lambda: 0
        self._numbers = itertools.count(1)

    def send(self, message: Message) -> Outcome:
        outcome = super().send(message)
        if not outcome.accepted or outcome.provider_message_id is not None:
            return outcome
        return Outcome(Reason.ACCEPTED, status=201, provider_message_id=f"SM{next(self._numbers)}")

    def ask_receipt(self, message_id: str) -> Receipt | Outcome:
        self.asked.append((message_id, self.now_us()))
        told = self.told.popleft() if self.told else ReceiptState.SENT
        if isinstance(told, Exception):
            raise told
        if isinstance(told, ReceiptState):
            return Receipt(message_id, told, code="63005" if told is ReceiptState.FAILED else None)
        return told if isinstance(told, Receipt | Outcome) else told(message_id)

    def judge_receipt(self, receipt: Receipt, *, by_template: bool) -> Outcome:
        self.judged.append((receipt, by_template))
        return self.verdict

    def ask_inbound(self) -> bool:
        self.inbound += 1
        return True


class ReceiptsBench(Bench):
    """Makes keepers, and ends those that it started."""

    def __enter__(self) -> Self:
        self.keepers: list[ReceiptKeeper] = []
        self.woken: list[str] = []
        return self

    def __exit__(self, *error: object) -> None:
        for keeper in self.keepers:
            keeper.ask_to_stop()
        for keeper in self.keepers:
            assert keeper.join(60.0), "a keeper did not stop"
        super().__exit__(None, None, None)

    def asked_desk(self, channel: AskedChannel) -> ChannelDesk:
        """Make a desk, on whose channel the clock is this bench's."""
        channel.now_us = self.clock.now_us
        desk = self.desk(channel)
        self.metrics.add_channel(channel.name, enabled=True, receipts=True)
        return desk

    def keeper(self, desk: ChannelDesk, fallbacks: tuple[str, ...] = (), **changes: Any) -> ReceiptKeeper:
        """Make a keeper that is not started; a test may take its turns by hand."""
        return ReceiptKeeper(
            desk,
            store=self.store,
            metrics=self.metrics,
            clock=self.clock,
            rng=HighestJitter(),
            **{
                "policy": RetryPolicy(),
                "fallbacks": lambda _channel: fallbacks,
                "wake": self._wake(desk),
                "announce": self.announced.append,
                "interval_seconds": 0.005,
                **changes,
            },
        )

    def start_keeper(self, desk: ChannelDesk, fallbacks: tuple[str, ...] = (), **changes: Any) -> ReceiptKeeper:
        """Start a keeper; it is stopped with the bench."""
        keeper = self.keeper(desk, fallbacks, **changes)
        self.keepers.append(keeper)
        keeper.start()
        return keeper

    def accepted(self, desk: ChannelDesk, alert: Alert | None = None) -> Alert:
        """Have an alert accepted by a channel, by hand; with the id that the channel gives it."""
        told = self.add(alert, desk.name)
        (delivery,) = self.store.claim(desk.name, "by hand", 60.0, 1)
        attempt = self.store.open_attempt([delivery])
        outcome = desk.channel.send(Message("", "", desk.channel.message_limits.dialect))
        assert outcome.accepted
        self.store.close_attempt(attempt, [delivery], outcome, DONE, 0.2, receipts=desk.channel.receipts, fallbacks=())
        return told

    def state(self, alert: Alert, channel: str = "whatsapp") -> str:
        """Return the state of a delivery."""
        status: str = self.delivery(alert, channel)["status"]
        return status

    def _wake(self, desk: ChannelDesk) -> Callable[[Any], None]:
        def wake(channels: Any) -> None:
            self.woken.extend(channels)
            desk.wake.set()

        return wake
