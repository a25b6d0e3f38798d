"""A bot that listens: what is asked in its chats is done and answered, over real HTTP and in its own thread."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from subscriber.channels.memory import ChannelMemory
from subscriber.deliveries import Dialect, Message
from subscriber.errors import StoreError
from subscriber.policy.buttons import ButtonAction, button_of
from subscriber.telegram_commands import UPDATE_KINDS
from tests.support.clock import FastClock
from tests.support.provider_faults import error, rate_limited
from tests.support.provider_server import (
    TELEGRAM_CHAT,
    TELEGRAM_GROUP,
    TELEGRAM_UPGRADED_GROUP,
    TELEGRAM_UPGRADED_TO,
    ProviderServer,
)
from tests.support.strict_limits import StrictLimits
from tests.support.telegram_bench import ALERT, Bench, bench
from tests.support.telegram_rules import TelegramRules
from tests.support.waiting import wait_until

STRANGER = "5550009999"
BUTTONS = tuple(button_of(action, ALERT) for action in ButtonAction)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Telegram on loopback."""
    with ProviderServer() as running:
        yield running


@pytest.fixture
def listening(server: ProviderServer) -> Iterator[Bench]:
    """A bot that listens in the private chat."""
    with bench(server) as one:
        one.listen()
        yield one


def replies(server: ProviderServer, count: int) -> list[str]:
    """Return so many replies, when they are there."""
    return [message.text for message in server.wait_for_accepted(count, provider="telegram")]


def send_alert(one: Bench) -> int:
    """Send an alert with its buttons, and return the message's id."""
    outcome = one.channel.send(Message("<b>Drawdown</b>", "Drawdown", Dialect.TELEGRAM_HTML, buttons=BUTTONS))
    assert outcome.accepted
    return int(outcome.provider_message_id or 0)


# --- commands ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "done", "reply"),
    [
        ("/status", ("status",), "telegram: ok"),
        ("/test", ("test", "telegram"), "accepted after 0.2 s"),
        ("/ack", ("ack", ALERT, "Ada Lovelace", "telegram"), "Acknowledged: DRAWDOWN TNA (id deadbeef)"),
        ("/Ack@Test_Alerts_Bot deadbeef", ("ack", ALERT, "Ada Lovelace", "telegram"), "Acknowledged: DRAWDOWN TNA"),
        (
            "/mute 30min tna",
            ("mute", {"symbol": "TNA"}, 1800.0, "Ada Lovelace", "/mute", "telegram", False),
            "Muted: symbol TNA, until Thu 09:23 UTC. CRITICAL is told all the same. /unmute ends it.",
        ),
        ("/unmute", ("unmute", "Ada Lovelace", "telegram"), "Nothing is muted."),
    ],
)
def test_command_is_done_and_answered(
    listening: Bench, server: ProviderServer, text: str, done: tuple[object, ...], reply: str
) -> None:
    """As plain text, without a sound, in the chat that it came from."""
    server.telegram.rules.inbox.write(TELEGRAM_CHAT, text)
    [told] = replies(server, 1)
    assert told.startswith(reply)
    [message] = server.telegram.accepted
    assert (message.target, message.parse_mode, message.silent) == (TELEGRAM_CHAT, None, True)
    assert listening.notebook.done == [done]
    assert listening.notebook.counted == {"telegram command": 1}


def test_what_is_no_command_is_neither_done_nor_answered(listening: Bench, server: ProviderServer) -> None:
    inbox = server.telegram.rules.inbox
    inbox.write(TELEGRAM_CHAT, "good morning /ack")
    inbox.write(TELEGRAM_CHAT, "/status@another_bot")
    inbox.tell({"message": {"message_id": 1, "chat": {"id": int(TELEGRAM_CHAT), "type": "private"}, "photo": []}})
    wait_until(lambda: listening.notebook.counted["telegram other"] == 3)
    assert server.telegram.accepted == []
    assert listening.notebook.done == []


def test_unknown_command_is_answered_where_nobody_else_can_be_meant(server: ProviderServer) -> None:
    """In a group it may be another bot's, unless ours was named."""
    inbox = server.telegram.rules.inbox
    with bench(server, TELEGRAM_GROUP) as one:
        one.listen()
        inbox.write(TELEGRAM_GROUP, "/weather")
        inbox.write(TELEGRAM_GROUP, "/weather@test_alerts_bot")
        inbox.write(TELEGRAM_GROUP, "/status@test_alerts_bot")
        assert replies(server, 2) == [
            "alertbus does not know this command. /help says which there are.",
            "telegram: ok",
        ]
    assert one.notebook.counted == {"telegram other": 2, "telegram command": 1}


def test_reply_to_a_topic_goes_to_the_topic(server: ProviderServer) -> None:
    with bench(server, TELEGRAM_GROUP) as one:
        one.listen()
        server.telegram.rules.inbox.write(TELEGRAM_GROUP, "/help", is_topic_message=True, message_thread_id=42)
        replies(server, 1)
    [sent] = [each for each in server.telegram.requests if each.endpoint == "sendMessage"]
    fields = sent.request.json_object()
    assert fields is not None
    assert fields["message_thread_id"] == 42


def test_command_that_was_written_long_ago_is_told_and_not_done(listening: Bench, server: ProviderServer) -> None:
    """Muted in the wrong hour is worse than not at all; an acknowledgement is never too late."""
    inbox = server.telegram.rules.inbox
    long_ago = int(time.time()) - 7200
    inbox.write(TELEGRAM_CHAT, "/mute 1h", date=long_ago)
    inbox.write(TELEGRAM_CHAT, "/ack", date=long_ago)
    refused, done = replies(server, 2)
    assert refused.startswith("/mute was written 120 minutes ago")
    assert done.startswith("Acknowledged")
    assert [each[0] for each in listening.notebook.done] == ["ack"]


# --- buttons -----------------------------------------------------------------------------------------------------


def test_acknowledge_button_says_who_and_goes(listening: Bench, server: ProviderServer) -> None:
    """The person hears it at once, all others see it below the message."""
    inbox = server.telegram.rules.inbox
    message_id = send_alert(listening)
    assert inbox.keyboard(TELEGRAM_CHAT, message_id) == ["Acknowledge", "Mute 1 h"]
    query_id = inbox.press("Acknowledge", message_id=message_id, chat=TELEGRAM_CHAT)
    wait_until(lambda: inbox.keyboard(TELEGRAM_CHAT, message_id) == ["Acknowledged by Ada Lovelace"])
    assert [(each.query_id, each.text) for each in inbox.answers] == [(query_id, "Acknowledged by Ada Lovelace")]
    inbox.press("Acknowledged by Ada Lovelace", message_id=message_id, chat=TELEGRAM_CHAT)
    wait_until(lambda: len(inbox.answers) == 2)
    assert inbox.answers[1].text == "That is done already."
    assert listening.notebook.done == [("ack", ALERT, "Ada Lovelace", "telegram")]
    assert listening.notebook.counted == {"telegram button": 2}


def test_mute_button_mutes_what_is_like_the_alert_and_leaves_acknowledging(
    listening: Bench, server: ProviderServer
) -> None:
    inbox = server.telegram.rules.inbox
    message_id = send_alert(listening)
    inbox.press("Mute 1 h", message_id=message_id, chat=TELEGRAM_CHAT)
    muted = "Muted until Thu 09:53 UTC by Ada Lovelace"
    wait_until(lambda: inbox.keyboard(TELEGRAM_CHAT, message_id) == ["Acknowledge", muted])
    assert inbox.answers[0].text == f"{muted}. /unmute ends it."
    [(what, matchers, seconds, author, reason, via, critical)] = listening.notebook.done
    assert (what, matchers) == ("mute", {"event_type": "DRAWDOWN", "symbol": "TNA", "source": "live_trader"})
    assert (seconds, author, reason) == (3600.0, "Ada Lovelace", "button below alert deadbeef")
    assert (via, critical) == ("telegram", True)


def test_button_pressed_by_two_is_the_firsts_and_says_so(listening: Bench, server: ProviderServer) -> None:
    """Both pressed before either saw the other's; the repeat changes nothing, not even the keyboard."""
    inbox = server.telegram.rules.inbox
    message_id = send_alert(listening)
    data = BUTTONS[0].data
    inbox.press_data(data, message_id=message_id, chat=TELEGRAM_CHAT)
    inbox.press_data(data, message_id=message_id, chat=TELEGRAM_CHAT, by={"id": 2, "username": "bob"})
    wait_until(lambda: len(inbox.answers) == 2)
    assert inbox.answers[1].text == "Acknowledged by Ada Lovelace before"
    edited = [200, 400]  # Telegram: message is not modified
    wait_until(lambda: [each.status for each in server.telegram.requests if "edit" in each.endpoint] == edited)
    assert listening.notebook.counted == {"telegram button": 2}
    assert inbox.keyboard(TELEGRAM_CHAT, message_id) == ["Acknowledged by Ada Lovelace"]


def test_button_of_an_alert_that_is_gone_is_taken_away(listening: Bench, server: ProviderServer) -> None:
    inbox = server.telegram.rules.inbox
    message_id = send_alert(listening)
    listening.notebook.alerts.clear()
    inbox.press("Acknowledge", message_id=message_id, chat=TELEGRAM_CHAT)
    wait_until(lambda: inbox.keyboard(TELEGRAM_CHAT, message_id) == [])
    assert inbox.answers[0].text == "That alert is no longer in the history."


def test_button_with_data_that_is_none_of_ours_does_nothing(listening: Bench, server: ProviderServer) -> None:
    """A client can send any data; the keyboard stays."""
    inbox = server.telegram.rules.inbox
    message_id = send_alert(listening)
    for data in ("ack:" + "g" * 32, "ack:" + "A" * 32, "drop table", f"unmute:{ALERT.hex}", "x" * 64):
        inbox.press_data(data, message_id=message_id, chat=TELEGRAM_CHAT)
    wait_until(lambda: len(inbox.answers) == 5)
    assert {each.text for each in inbox.answers} == {"alertbus does not know this button."}
    assert listening.notebook.done == []
    assert inbox.keyboard(TELEGRAM_CHAT, message_id) == ["Acknowledge", "Mute 1 h"]


# --- strangers ---------------------------------------------------------------------------------------------------


def test_strangers_are_counted_and_never_answered(listening: Bench, server: ProviderServer) -> None:
    """Neither their commands nor their presses do anything, and Telegram is asked nothing for them."""
    inbox = server.telegram.rules.inbox
    server.telegram.rules.chats[STRANGER] = None
    inbox.write(STRANGER, "/mute 7d")
    inbox.write(STRANGER, f"/ack {ALERT.hex}")
    inbox.press_data(BUTTONS[0].data, message_id=1, chat=STRANGER)
    inbox.tell({"callback_query": {"id": "1", "from": {"id": 1}, "data": BUTTONS[0].data, "inline_message_id": "x"}})
    inbox.write(TELEGRAM_CHAT, "/status")
    assert replies(server, 1) == ["telegram: ok"]
    assert listening.notebook.done == [("status",)]
    assert listening.notebook.counted == {"telegram stranger": 3, "telegram other": 1, "telegram command": 1}
    assert {each.endpoint for each in server.telegram.requests} == {"getMe", "getUpdates", "sendMessage"}
    assert {kind.split()[1] for kind in listening.notebook.counted} <= set(UPDATE_KINDS)


def test_chat_that_anybody_may_join_is_not_heard(server: ProviderServer, caplog: pytest.LogCaptureFixture) -> None:
    """Who finds a public group could mute the desk; a private chat with a person who has a name is not public."""
    inbox = server.telegram.rules.inbox
    public = {"id": int(TELEGRAM_GROUP), "type": "supergroup", "title": "Desk", "username": "trading_desk"}
    with bench(server, "@Trading_Desk") as one:
        one.listen()
        inbox.tell({"message": {"message_id": 1, "chat": public, "text": "/mute"}})
        wait_until(lambda: one.notebook.counted["telegram stranger"] == 1)
    assert one.notebook.done == []
    assert "a chat that anybody may join is not heard" in caplog.text
    assert "rading_" not in caplog.text


def test_group_that_has_moved_is_heard_where_it_is_now(server: ProviderServer) -> None:
    """The setting still has the old id; the channel found out by sending."""
    memory = ChannelMemory()
    with bench(server, TELEGRAM_UPGRADED_GROUP, memory) as one:
        assert one.channel.send(Message("x", "x", Dialect.PLAIN)).accepted
        one.listen()
        server.telegram.rules.inbox.write(TELEGRAM_UPGRADED_TO, "/status")
        assert replies(server, 2)[1] == "telegram: ok"
        assert server.telegram.accepted[1].target == TELEGRAM_UPGRADED_TO


# --- what fails --------------------------------------------------------------------------------------------------


def test_command_waits_for_the_database_and_is_then_done_once(
    listening: Bench, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subscriber.telegram_commands._WAIT_SECONDS", 0.01)
    failures = [StoreError("The database is locked."), StoreError("The database is locked.")]

    def fail() -> None:
        if failures:
            raise failures.pop()

    listening.notebook.fail = fail
    server.telegram.rules.inbox.write(TELEGRAM_CHAT, "/ack")
    [told] = replies(server, 1)
    assert told.startswith("Acknowledged")
    assert len(listening.notebook.done) == 1


def test_command_is_told_as_not_done_while_the_database_stays_away(
    listening: Bench, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that can't be done never keeps the next from being heard."""
    monkeypatch.setattr("subscriber.telegram_commands._WAIT_SECONDS", 0.01)

    def fail() -> None:
        raise StoreError("The database is locked.")

    listening.notebook.fail = fail
    inbox = server.telegram.rules.inbox
    message_id = send_alert(listening)
    inbox.write(TELEGRAM_CHAT, "/mute")
    inbox.press("Acknowledge", message_id=message_id, chat=TELEGRAM_CHAT)
    inbox.write(TELEGRAM_CHAT, "/help")
    away = "alertbus can't reach its database at the moment, so this is not done. Try again."
    told = replies(server, 3)
    assert told[1] == away
    assert told[2].startswith("/status")
    assert [each.text for each in inbox.answers] == [away]
    assert listening.notebook.counted["telegram failed"] == 2


def test_command_that_meets_a_bug_is_told_and_logged_and_the_next_is_done(
    listening: Bench, server: ProviderServer, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [ZeroDivisionError("a bug")]

    def fail() -> None:
        if failures:
            raise failures.pop()

    listening.notebook.fail = fail
    inbox = server.telegram.rules.inbox
    inbox.write(TELEGRAM_CHAT, "/status")
    inbox.write(TELEGRAM_CHAT, "/status")
    assert replies(server, 2) == [
        "That failed, and alertbus's log says why. Nothing may have been done.",
        "telegram: ok",
    ]
    assert "what was asked for by Telegram failed" in caplog.text


def test_reply_that_meets_a_limit_holds_the_channel_and_is_sent_again(listening: Bench, server: ProviderServer) -> None:
    """Alerts wait as well, for they would only run into the same limit."""
    inbox = server.telegram.rules.inbox
    wait_until(lambda: inbox.polled)
    server.telegram.script(rate_limited(1))
    inbox.write(TELEGRAM_CHAT, "/status")
    wait_until(lambda: listening.desk.view.held_until_us is not None)
    assert listening.desk.turn() > 0
    assert replies(server, 1) == ["telegram: ok"]
    sent = [each.status for each in server.telegram.requests if each.endpoint == "sendMessage"]
    assert sent == [429, 200]


def test_reply_that_is_refused_is_given_up_and_counted(
    listening: Bench, server: ProviderServer, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = server.telegram.rules.inbox
    wait_until(lambda: inbox.polled)
    server.telegram.script(error(403))
    inbox.write(TELEGRAM_CHAT, "/status")
    wait_until(lambda: listening.notebook.counted["telegram unanswered"] == 1)
    inbox.write(TELEGRAM_CHAT, "/help")
    [told] = replies(server, 1)
    assert told.startswith("/status")
    assert "a person was not answered by Telegram" in caplog.text


def test_flood_of_commands_keeps_to_the_pace_of_the_channel() -> None:
    """Telegram's limits, enforced to the letter, are never met by replies, and so not by the alerts beside them."""
    clock = FastClock(speed=50)
    limits = StrictLimits(clock)
    with ProviderServer(telegram=TelegramRules(limits=limits)) as strict, bench(strict, clock=clock) as one:
        one.listen(clock=clock, hold_seconds=1)
        for _ in range(30):
            strict.telegram.rules.inbox.write(TELEGRAM_CHAT, "/status")
        wait_until(lambda: one.notebook.counted["telegram command"] == 30)
        wait_until(lambda: len(strict.accepted) + one.notebook.counted["telegram unanswered"] == 30, timeout=60)
        assert len(strict.accepted) >= 3
    assert limits.refusals == []
