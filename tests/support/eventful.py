"""A daemon to which everything has happened: alerts of every kind, deliveries in every state, and who did what.

What has happened before its start is written by the store's own functions; the daemon escalates, tells of what expired
and goes on from there. For checks of what the API answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from bus.alerts import Alert, OpaqueAlert, Severity
from bus.clock import MICROSECONDS, SystemClock
from subscriber.deliveries import (
    Decision,
    Dedup,
    Delivery,
    DeliveryState,
    Dialect,
    DigestKind,
    Done,
    Escalation,
    GiveUp,
    Handling,
    Message,
    Outcome,
    PlannedDelivery,
    Reason,
    RetryAt,
    Why,
)
from subscriber.receipts import Receipt, ReceiptMode, ReceiptState
from subscriber.store import NewDigest, Store
from subscriber.store.silences import NewSilence
from tests.support.alerts import STREAM, agent_action, incoming, risk_event, system_event
from tests.support.clock import FakeClock
from tests.support.daemon import Daemon
from tests.support.provider_server import ProviderServer
from tests.support.running_service import ServiceThread, daemon_environ, provider_environ, running_service
from tests.support.waiting import wait_until

#: How long ago all of it happened.
_AGO_US: Final = 2 * 3600 * MICROSECONDS
_LATER_US: Final = 24 * 3600 * MICROSECONDS

POLICY: Final = """
[[routes]]
name = "risk"
match = { severity = ">=WARNING", symbol = ["TNA", "U*", "!UPRO"], agent_name = "!backtest-*" }
channels = { telegram = "silent", whatsapp = "on" }
max_age = "2h"
group = { by = ["symbol"], wait = "1s", interval = "2s" }
dedup = { by = ["source", "event_type", "symbol", "agent_name"], window = "5min", critical = "10s" }
quiet_hours = ["night"]
template = "short"
fallback = ["whatsapp"]
continue = true

  [[routes.routes]]
  name = "risk-critical"
  match = { severity = "CRITICAL" }
  channels = ["telegram"]
  max_age = "never"
  escalate = { ack_within = "5min", to = ["whatsapp"], rounds = 2 }

[[routes]]
name = "warnings"
match = { severity = ">=WARNING" }
channels = ["telegram", "whatsapp"]

[[routes]]
name = "trades"
match = { action = ["BUY", "SELL"] }
channels = ["telegram"]
dedup = false

[quiet_hours.night]
windows = ["Mon-Fri 02:00-02:01"]
timezone = "Europe/Berlin"
channels = ["telegram"]

[templates.short]
text = "{{ event }} {{ symbol }}: {{ description }}"
kinds = ["risk_event"]
"""


class Past:
    """What happened before the daemon began."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.alerts: dict[str, Alert] = {}
        self._numbers = 0
        store.begin(STREAM, "trader-1", 1)

    def happen(self) -> None:
        """Let everything happen."""
        self._singly()
        self._told_in_one()
        self._kept_back()
        self._of_every_kind()
        self.store.acknowledge(self.key("dead"), "Kim", "page", "on it")

    def key(self, name: str) -> UUID:
        """Return an alert's id."""
        return self.alerts[name].id

    def _add(self, name: str, channel: str, alert: Alert | None = None, *, later_us: int = 0, **planned: Any) -> None:
        told = alert or risk_event(description=f"What became of this: {name}", symbol=name.upper())
        given = {"handling": Handling(route="risk"), **planned}
        plan = PlannedDelivery(channel, self.clock.now_us() + later_us, **given)
        self._accept(name, told, plan)

    def _accept(self, name: str, alert: Alert, *plan: PlannedDelivery) -> None:
        self.alerts[name] = alert
        self._numbers += 1
        item = incoming(alert, self._numbers, planned=plan, published_us=self.clock.now_us())
        self.store.accept([item], {STREAM: self._numbers})
        self.clock.advance(0.05)

    def _claim(self, name: str, channel: str) -> Delivery:
        claimed = self.store.claim(channel, "worker", 60.0, 100)
        mine = [delivery for delivery in claimed if delivery.alert.id == self.key(name)]
        self.store.release([delivery for delivery in claimed if delivery not in mine])
        return mine[0]

    def _end(self, name: str, channel: str, outcome: Outcome, decision: Decision) -> None:
        delivery = self._claim(name, channel)
        attempt = self.store.open_attempt([delivery])
        self.clock.advance(0.4)
        mode = ReceiptMode.WEBHOOK if channel == "whatsapp" else ReceiptMode.NONE
        self.store.close_attempt(attempt, [delivery], outcome, decision, 0.4, receipts=mode)

    def _singly(self) -> None:
        later = RetryAt(self.clock.now_us())
        self._add("delivered", "whatsapp")
        self._end("delivered", "whatsapp", Outcome(Reason.ACCEPTED, status=201, provider_message_id="SM1"), Done())
        for state in (ReceiptState.SENT, ReceiptState.DELIVERED):
            receipt = Receipt("SM1", state, at_us=self.clock.now_us())
            self.store.note_receipt("twilio", ["whatsapp"], receipt, polling=False)
        self._add("accepted", "telegram")
        self._end("accepted", "telegram", Outcome(Reason.NETWORK, "connection refused"), later)
        doubt = Outcome(Reason.TIMEOUT, "no answer in 15 s", in_doubt=True)
        self._end("accepted", "telegram", doubt, replace(later, in_doubt=True))
        self._end("accepted", "telegram", Outcome(Reason.ACCEPTED, status=200, provider_message_id="17"), Done())
        self._add("dead", "whatsapp")
        refused = Outcome(Reason.REJECTED, "the recipient has no WhatsApp", status=400, code="63024")
        self._end("dead", "whatsapp", refused, GiveUp(DeliveryState.DEAD))
        self._add("dead-too", "telegram", risk_event(severity="WARNING", symbol="UPRO"))
        self._end("dead-too", "telegram", replace(refused, detail="message is too long"), GiveUp(DeliveryState.DEAD))
        self._add("expired", "telegram", risk_event(severity="WARNING", symbol="EXPIRED"), max_age_us=1)
        self.store.finish(self._claim("expired", "telegram"), DeliveryState.EXPIRED)

    def _told_in_one(self) -> None:
        for number in range(3):
            self._add(f"storm-{number}", "telegram", risk_event(severity="WARNING", symbol=f"S{number}"))
        head = self.store.claim("telegram", "worker", 60.0, 1)[0]
        members = self.store.fold(head, "worker", 60.0, 100)
        text = Message("<b>3 alerts</b>", "3 alerts: S0, S1, S2", Dialect.TELEGRAM_HTML)
        attempt = self.store.open_attempt(members, digest=NewDigest(DigestKind.STORM, text))
        self.clock.advance(0.3)
        outcome = Outcome(Reason.ACCEPTED, status=200, provider_message_id="18")
        self.store.close_attempt(attempt, members, outcome, Done(), 0.3, receipts=ReceiptMode.NONE)

    def _kept_back(self) -> None:
        now_us = self.clock.now_us()
        silence = NewSilence({"symbol": ["HELD", "DROPPED"]}, "Kim", "known", now_us, now_us + _LATER_US, drops=False)
        held = self.store.add_silence(silence, "page")
        dropped = self.store.add_silence(replace(silence, drops=True, reason="noise"), "telegram")
        suppressed = DeliveryState.SUPPRESSED
        self._add(
            "held", "telegram", risk_event(severity="WARNING", symbol="HELD"), later_us=_LATER_US, batch=held.batch
        )
        self._add("dropped", "telegram", state=suppressed, why=Why.SILENCE, batch=dropped.batch)
        self._add("off", "archive", state=suppressed, why=Why.OFF)
        counted = Dedup(b"a-fingerprint-16", _AGO_US // 2)
        for name in ("first", "counted", "counted-too"):
            self._add(name, "telegram", risk_event(severity="WARNING", symbol="TZA"), dedup=counted)

    def _of_every_kind(self) -> None:
        self._accept("held back", agent_action(action="HOLD", state={"price": 41.2}))
        self._add("trade", "telegram", agent_action(rationale="momentum", confidence=0.9, pnl=-3.5))
        self._accept("system", system_event(severity="INFO", description="A program's own words"))
        self._accept(
            "opaque",
            OpaqueAlert(original_kind="margin_call", event_type="margin_call", severity=Severity.WARNING, source="x"),
        )
        escalation = Escalation(60 * MICROSECONDS, ("whatsapp", "telegram"))
        self._add("escalated", "telegram", escalation=escalation)


@contextmanager
def eventful_daemon(
    folder: Path, environ: Mapping[str, str] | None = None
) -> Iterator[tuple[ServiceThread, Mapping[str, Alert]]]:
    """Run a daemon with such a past, and providers that take everything; its alerts are named by what became of them.

    Args:
        folder: The test's own.
        environ: What is configured beside the providers.
    """
    with ProviderServer() as providers:
        given, alerts = eventful_environ(providers, folder, environ or {})
        with running_service(given, folder) as daemon:
            settled(daemon, alerts)
            yield daemon, alerts


def eventful_environ(
    providers: ProviderServer, folder: Path, environ: Mapping[str, str]
) -> tuple[dict[str, str], Mapping[str, Alert]]:
    """Write such a past; return the configuration of a daemon that goes on from there, and its alerts."""
    config = folder / "alertbus.toml"
    config.write_text(POLICY)
    given = daemon_environ({**provider_environ(providers), "ALERTBUS_CONFIG": str(config), **environ}, folder)
    return given, write_past(given["ALERTBUS_DATABASE_URL"])


def settled(daemon: Daemon, alerts: Mapping[str, Alert]) -> None:
    """Wait until the daemon has escalated, and told all but what a silence holds."""
    escalated = f"/alerts/{alerts['escalated'].id}"
    wait_until(lambda: daemon.get(escalated)["escalation"]["turn"] > 1)
    wait_until(lambda: daemon.states()["telegram"].count("pending") == 1)


def write_past(url: str) -> Mapping[str, Alert]:
    """Let everything have happened in an empty database; return the alerts by what became of them."""
    clock = FakeClock(SystemClock().now_us() - _AGO_US)
    with Store(url, clock) as store:
        past = Past(store, clock)
        past.happen()
        return past.alerts
