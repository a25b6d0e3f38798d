"""Lets a provider give every answer that it may give, and says what became of the alert.

Each case has a channel of its own on one SQLite store: the real worker, desk, plugin and receipts keeper, and a
provider on loopback. The clock stands still and the jitter is always the largest, so that a wait is told as the
longest that it may be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.channels.building import build_channel, build_webhooks
from subscriber.channels.channel import Channel, ChannelConfig
from subscriber.channels.memory import ChannelMemory
from subscriber.channels.webhooks import WebhookRequest
from subscriber.deliveries import Message, Outcome, Remembered
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.receipts import ReceiptKeeper
from subscriber.policy.retry import RetryPolicy
from subscriber.receipts import Receipt, ReceiptMode
from subscriber.status import status_of, view_of
from subscriber.store import Store
from tests.support.clock import FakeClock
from tests.support.meta_messages import payload, sign
from tests.support.provider_server import ProviderServer
from tests.support.verdict_cases import Case, cases
from tests.support.waiting import wait_until
from tests.support.worker_bench import Bench, HighestJitter

#: Failures in a row after which a channel's breaker opens.
_ROW: Final = 3
#: Longer than the first poll for a receipt waits.
_POLL_SECONDS: Final = 5.0
_NO_ANSWER: Final = frozenset({"unavailable", "network", "timeout"})
#: The system's own words differ from system to system, and so does the class of a connection that was cut.
_SYSTEM_WORDS: Final = re.compile(r"\b(\w+Error): .*")
_NONE: Final = "-"
#: The channel to which what is refused for good falls back.
_ANOTHER: Final = "another"
_CUT_OFF: Final = re.compile(r"\b(?:ConnectionAbortedError|BrokenPipeError)\b")
#: As which a reset may be read, where it comes while the machine is busy.
_ENDED: Final = re.compile(r"\bRemoteDisconnected: .*")


@dataclass(frozen=True)
class Verdict:
    """What became of one case, in words."""

    case: Case
    http: str
    code: str
    reason: str
    in_doubt: str
    delivery: str
    next_try: str
    channel: str
    told: str

    @property
    def row(self) -> str:
        """The case as a line of a Markdown table."""
        cells = (self.case.answer, self.http, self.code, self.reason, self.in_doubt, self.delivery, self.next_try)
        return f"| {' | '.join((*cells, self.channel, self.told))} |"


class _Overheard:
    """A channel whose verdicts are kept, with what no row of the database tells: the provider's own wait."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.outcomes: list[Outcome] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def send(self, message: Message) -> Outcome:
        return self._heard(self._channel.send(message))

    def judge_receipt(self, receipt: Receipt, *, by_template: bool) -> Outcome:
        return self._heard(self._channel.judge_receipt(receipt, by_template=by_template))

    def _heard(self, outcome: Outcome) -> Outcome:
        self.outcomes.append(outcome)
        return outcome


class Runner:
    """Runs cases one after the other."""

    def __init__(self, bench: Bench, clock: FakeClock, server: ProviderServer) -> None:
        self._bench = bench
        self._clock = clock
        self._server = server
        self._number = 0

    def run(self, case: Case) -> Verdict:
        """Send one alert and say what became of it."""
        self._number += 1
        config = case.configure(self._server, f"case-{self._number}")
        memory = ChannelMemory(Remembered(inbound_us=self._clock.now_us()) if case.inbound else None)
        channel = build_channel(config, environ={}, memory=memory, now_us=self._clock.now_us)
        heard = _Overheard(channel)
        try:
            desk = self._bench.desk(cast("Channel", heard))
            with self._misbehaving(case), self._working(desk):
                alert = self._bench.add(None, channel.name)
                self._bench.wait_for_attempts(alert, 1, channel.name)
                if case.later is None:
                    wait_until(lambda: self._rests(alert, desk))
                    return self._verdict(case, alert, desk)
            self._fail_later(case, config, desk, alert)
            return self._verdict(case, alert, desk)
        finally:
            channel.close()

    @contextmanager
    def _misbehaving(self, case: Case) -> Iterator[None]:
        faults = [make() for make in case.faults]
        if not faults:
            yield
            return
        desk = getattr(self._server, case.desk)
        desk.script(*faults[:-1])
        desk.always(faults[-1])
        try:
            yield
        finally:
            desk.behave()
            for fault in faults:
                fault.release()

    @contextmanager
    def _working(self, desk: ChannelDesk) -> Iterator[None]:
        worker = self._bench.start(desk, name=f"worker of {desk.name}", fallbacks=lambda _channel: [_ANOTHER])
        try:
            yield
        finally:
            worker.ask_to_stop()
            assert worker.join(60.0)
            self._bench.workers.remove(worker)

    def _rests(self, alert: Alert, desk: ChannelDesk) -> bool:
        """Whether all attempts have ended, and their result is where it belongs."""
        delivery = self._bench.delivery(alert, desk.name)
        return all(attempt["closed_us"] is not None for attempt in delivery["attempts"])

    def _fail_later(self, case: Case, config: ChannelConfig, desk: ChannelDesk, alert: Alert) -> None:
        """Let the provider tell what it found out after it had taken the message, and the keeper act on it."""
        keeper = ReceiptKeeper(
            desk,
            store=self._bench.store,
            metrics=self._bench.metrics,
            clock=self._clock,
            rng=HighestJitter(),
            policy=RetryPolicy(),
            fallbacks=lambda _channel: [_ANOTHER],
            wake=lambda _channels: None,
            announce=self._bench.announced.append,
            interval_seconds=0.005,
        )
        if desk.channel.receipts is ReceiptMode.WEBHOOK:
            self._call_webhook(case, config, desk)
        self._clock.advance(_POLL_SECONDS)
        keeper.start()
        try:
            wait_until(lambda: self._bench.delivery(alert, desk.name)["status"] != "accepted")
        finally:
            keeper.ask_to_stop()
            assert keeper.join(60.0)

    def _call_webhook(self, case: Case, config: ChannelConfig, desk: ChannelDesk) -> None:
        message_id = self._server.meta.accepted[-1].message_id
        told = self._server.meta.rules.status(message_id, "failed", code=case.later)
        body = json.dumps(payload(statuses=[told])).encode()
        reader = build_webhooks([config])["meta"]
        news = reader.read(WebhookRequest("POST", "/webhooks/meta", {}, {"x-hub-signature-256": sign(body)}, body))
        for receipt in news.receipts:
            self._bench.store.note_receipt(reader.provider, reader.channels, receipt)

    def _verdict(self, case: Case, alert: Alert, desk: ChannelDesk) -> Verdict:
        delivery = self._bench.delivery(alert, desk.name)
        attempt = delivery["attempts"][-1]
        reason = attempt["reason"]
        told = self._told(desk)
        next_try = self._next_try(alert, delivery, desk)
        channel = self._channel(desk)
        if reason in _NO_ANSWER and case.later is None:
            channel = f"{channel}; after {_ROW} in a row: {self._after_more(alert, desk)}"
        return Verdict(
            case,
            str(attempt["status"] or _NONE),
            str(attempt["code"] or _NONE),
            _how_it_ended(attempt),
            "yes" if attempt["in_doubt"] else "no",
            self._state(delivery, alert),
            next_try,
            channel,
            _ENDED.sub("ConnectionResetError: …", told) if case.answer.startswith("reset") else told,
        )

    def _state(self, delivery: Mapping[str, Any], alert: Alert) -> str:
        falls_back = _ANOTHER in self._bench.deliveries(alert)
        return f"{delivery['status']}; another channel tells it" if falls_back else str(delivery["status"])

    def _next(self, alert: Alert, desk: ChannelDesk) -> str:
        """Let the worker make its next attempt, which is due, and say how that ended."""
        count = len(self._bench.delivery(alert, desk.name)["attempts"])
        with self._working(desk):
            delivery = self._bench.wait_for_attempts(alert, count + 1, desk.name)
        return _how_it_ended(delivery["attempts"][-1])

    def _next_try(self, alert: Alert, delivery: Mapping[str, Any], desk: ChannelDesk) -> str:
        if delivery["status"] not in {"pending", "in_doubt"}:
            return _NONE
        if desk.paused:
            return "when a person resumes it"
        wait = (delivery["due_at"] - self._clock.now_us()) / MICROSECONDS
        if wait <= 0:
            return f"at once: {self._next(alert, desk)}"
        said = cast("_Overheard", desk.channel).outcomes[-1].retry_after_seconds is not None
        if said:
            return f"after {wait:g} s, as it says"
        return f"after at most {wait:g} s; it names no wait" if desk.view.held_until_us else f"within {wait:g} s"

    def _channel(self, desk: ChannelDesk) -> str:
        view = desk.view
        if view.paused:
            return "paused (error)"
        if not view.up:
            return f"error, breaker {view.breaker.state.value}"
        if view.held_until_us is not None:
            return f"held {(view.held_until_us - self._clock.now_us()) / MICROSECONDS:g} s"
        return "ok"

    def _after_more(self, alert: Alert, desk: ChannelDesk) -> str:
        """Let the same happen until the breaker's count is full."""
        for count in range(2, _ROW + 1):
            self._clock.advance(60.0)
            self._bench.wait_for_attempts(alert, count, desk.name)
        wait_until(lambda: not desk.up)
        return self._channel(desk)

    def _told(self, desk: ChannelDesk) -> str:
        """Return what the status shows a person of the last failure."""
        [channel] = [
            each
            for each in status_of(self._bench.store, [view_of(desk)], dry_run=False)["channels"]
            if each["name"] == desk.name
        ]
        error = channel["last_error"]
        return _NONE if error is None else _shown(str(error["detail"]))


def _how_it_ended(attempt: Mapping[str, Any]) -> str:
    return f"{attempt['reason']}{', by template' if attempt['by_template'] else ''}"


def _shown(text: str) -> str:
    text = _SYSTEM_WORDS.sub(r"\1: …", text)
    return _CUT_OFF.sub("ConnectionResetError", text).replace("|", "\\|")


def verdicts_of_all() -> list[Verdict]:
    """Run every case."""
    clock = FakeClock()
    with (
        TemporaryDirectory(prefix="alertbus-") as folder,
        ProviderServer() as server,
        Store(f"sqlite:///{Path(folder) / 'verdicts.db'}", clock) as store,
        Bench(store, clock) as bench,
    ):
        runner = Runner(bench, clock, server)
        return [runner.run(case) for case in cases()]
