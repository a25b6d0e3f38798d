"""A whole daemon that listens to its Telegram chat: buttons and commands do what the API does, in the same store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.clock import SystemClock
from publisher import Publisher, PublisherSettings
from subscriber.telegram_ears import status_text
from tests.support.provider_server import TELEGRAM_CHAT, AcceptedMessage, ProviderServer
from tests.support.running_service import ServiceThread, provider_environ, running_service
from tests.support.waiting import wait_until

TOML = """
[[routes]]
match = { severity = ">=WARNING" }
channels = ["telegram"]
escalate = { ack_within = "1h", to = ["whatsapp"] }
"""


@pytest.fixture
def providers() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def daemon(providers: ProviderServer, tmp_path: Path) -> Iterator[ServiceThread]:
    file = tmp_path / "alertbus.toml"
    file.write_text(TOML)
    environ = provider_environ(providers) | {
        "ALERTBUS_CONFIG": str(file),
        "ALERTBUS_TELEGRAM_COMMANDS": "true",
    }
    with running_service(environ, tmp_path) as running:
        yield running


@pytest.fixture
def trader(daemon: ServiceThread) -> Iterator[Publisher]:
    settings = PublisherSettings.from_environment(daemon.environ, None)
    with Publisher(settings) as publisher:
        yield publisher


def message_with(providers: ProviderServer, text: str) -> AcceptedMessage:
    def found() -> list[AcceptedMessage]:
        return [message for message in providers.accepted if message.provider == "telegram" and text in message.text]

    wait_until(lambda: bool(found()))
    return found()[-1]


def number_of(message: AcceptedMessage) -> int:
    return int(message.message_id)


def test_button_acknowledges_and_ends_the_escalation(
    daemon: ServiceThread, providers: ProviderServer, trader: Publisher
) -> None:
    """Nobody further is to be woken: WhatsApp, the escalation's only turn, is not planned any more."""
    trader.risk_event("DRAWDOWN_BREACHED", "CRITICAL", "Drawdown 12 %", symbol="TNA")
    message = message_with(providers, "DRAWDOWN_BREACHED")
    inbox = providers.telegram.rules.inbox
    inbox.press("Acknowledge", message_id=number_of(message), chat=TELEGRAM_CHAT)
    story = _story_when(daemon, lambda each: each["acknowledgement"] is not None)
    assert story["acknowledgement"]["via"] == "telegram"
    assert (story["escalation"]["ended_why"], story["escalation"]["turn"]) == ("acknowledged", 1)
    assert [delivery["channel"] for delivery in story["deliveries"]] == ["telegram"]
    wait_until(lambda: "Acknowledged" in " ".join(inbox.keyboard(TELEGRAM_CHAT, number_of(message))))
    wait_until(lambda: daemon.metric("alertbus_telegram_updates_total", channel="telegram", kind="button") == 1)
    assert daemon.metric("alertbus_acknowledgements_total", via="telegram") == 1


def test_mute_command_holds_and_unmute_tells(
    daemon: ServiceThread, providers: ProviderServer, trader: Publisher
) -> None:
    trader.risk_event("SLIPPAGE", "WARNING", "first", symbol="TNA")
    message_with(providers, "first")
    inbox = providers.telegram.rules.inbox
    inbox.write(TELEGRAM_CHAT, "/mute 1h TNA")
    message_with(providers, "Muted")
    trader.risk_event("SLIPPAGE", "WARNING", "second", symbol="TNA")
    wait_until(lambda: any(entry["deliveries"][0]["silence"] for entry in daemon.history() if entry["deliveries"]))
    [silence] = daemon.get("/silences")
    assert silence["via"] == "telegram"
    inbox.write(TELEGRAM_CHAT, "/unmute")
    message_with(providers, "second")
    wait_until(lambda: daemon.get("/silences") == [])


def test_status_and_test_commands_are_answered_and_strangers_are_not(
    daemon: ServiceThread, providers: ProviderServer
) -> None:
    inbox = providers.telegram.rules.inbox
    inbox.write("424242", "/status")
    inbox.write(TELEGRAM_CHAT, "/status")
    assert "telegram: ok" in message_with(providers, "alertbus runs").text
    inbox.write(TELEGRAM_CHAT, "/test")
    message_with(providers, "telegram: accepted")
    assert daemon.metric("alertbus_telegram_updates_total", channel="telegram", kind="stranger") == 1
    assert {message.target for message in providers.accepted} == {TELEGRAM_CHAT}


def test_status_text_tells_what_is_wrong() -> None:
    channel = {"name": "telegram", "state": "error", "backlog": 3, "dead": 1, "paused": False, "breaker": None}
    standing = {"held_until": None, "receipts": None, "window": None, "paused_since": None, "last_error": None}
    publisher = {"source": "trader", "up": False, "goodbye": None, "last_heard_seconds_ago": 40}
    text = status_text({"dry_run": True, "channels": [{**channel, **standing}], "publishers": [publisher]})
    for words in ("DRY RUN", "telegram: error, 3 waiting, 1 dead", "trader: SILENT"):
        assert words in text
    assert "No publisher" in status_text({"dry_run": False, "channels": [], "publishers": []})


def _story_when(daemon: ServiceThread, settled: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    alert_id = next(entry["alert"]["id"] for entry in daemon.history() if entry["alert"]["kind"] == "risk_event")
    wait_until(lambda: settled(daemon.get(f"/alerts/{alert_id}")))
    story: dict[str, Any] = daemon.get(f"/alerts/{alert_id}")
    assert story["published_us"] < SystemClock().now_us()
    return story
