"""How a bot is listened to: over restarts, beside other pollers, through every failure, and until the stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from subscriber import telegram_commands
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.channels.provider_http import MAX_ANSWER_BYTES
from subscriber.deliveries import Dialect, Message
from subscriber.errors import StoreError
from tests.support.clock import FakeClock
from tests.support.provider_faults import Fault, error, garbage, ok, rate_limited, reset_after_reading
from tests.support.provider_server import TELEGRAM_CHAT, TELEGRAM_TOKEN, ProviderServer
from tests.support.telegram_bench import ALERT, CRITICAL, OTHER_ALERT, Bench, bench
from tests.support.waiting import wait_until


class NotingEvent(threading.Event):
    """Notes for how long it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return super().wait(timeout)


MESSAGE = Message("Drawdown", "Drawdown", Dialect.PLAIN)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Telegram on loopback."""
    with ProviderServer() as running:
        yield running


@pytest.fixture
def one(server: ProviderServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench on which waits are short, and nobody listens yet."""
    monkeypatch.setattr(telegram_commands, "_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(telegram_commands, "_LONGEST_WAIT_SECONDS", 0.02)
    with bench(server) as built:
        yield built


def polls(server: ProviderServer) -> list[dict[str, object]]:
    """Return the arguments of each poll so far."""
    asked = [each.request.json_object() for each in server.telegram.requests if each.endpoint == "getUpdates"]
    return [each for each in asked if each is not None]


def killed_while_it_acts(one: Bench) -> None:
    """Run a poller that asks Telegram nothing more once it does something."""
    commands = one.listen(start=False)
    one.notebook.fail = commands.ask_to_stop
    commands.start()
    wait_until(lambda: not commands._thread.is_alive())
    assert one.notebook.done
    assert one.notebook.settings
    one.notebook.fail = lambda: None


def everything_logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return the records with all their fields, and not only their text."""
    return caplog.text + "".join(str(vars(record)) for record in caplog.records)


# --- once, and over restarts -------------------------------------------------------------------------------------


def test_poll_asks_for_what_is_read_and_waits_at_telegram(one: Bench, server: ProviderServer) -> None:
    one.listen()
    wait_until(lambda: server.telegram.rules.inbox.polled)
    assert polls(server) == [{"timeout": 25, "limit": 20, "allowed_updates": ["message", "callback_query"]}]


def test_restart_before_anything_was_confirmed_does_nothing_twice(one: Bench, server: ProviderServer) -> None:
    """What was done is kept before Telegram hears of it, so the next daemon confirms it first."""
    inbox = server.telegram.rules.inbox
    update_id = inbox.write(TELEGRAM_CHAT, "/mute")
    killed_while_it_acts(one)
    assert inbox.waiting == [update_id]
    assert list(one.notebook.settings.values()) == [str(update_id + 1)]
    one.listen()
    wait_until(lambda: inbox.polled)
    assert inbox.waiting == []
    assert polls(server)[-1]["offset"] == update_id + 1
    assert [each[0] for each in one.notebook.done] == ["mute"]


def test_restart_before_it_was_kept_does_it_again_and_nothing_else(one: Bench, server: ProviderServer) -> None:
    """A daemon that is killed between doing and keeping; the newest CRITICAL is another one by then."""
    inbox = server.telegram.rules.inbox
    one.notebook.alerts[OTHER_ALERT] = CRITICAL
    inbox.write(TELEGRAM_CHAT, "/ack")
    killed_while_it_acts(one)
    del one.notebook.settings[next(name for name in one.notebook.settings if "offset" in name)]
    one.listen()
    [told] = server.wait_for_accepted(1, provider="telegram")
    assert [each[0] for each in one.notebook.done] == ["ack", "ack"]
    assert list(one.notebook.acknowledged) == [ALERT]
    assert told.text == "DRAWDOWN TNA (id deadbeef) was acknowledged before, by Ada Lovelace."


def test_offset_is_kept_without_any_secret(one: Bench, server: ProviderServer) -> None:
    server.telegram.rules.inbox.write(TELEGRAM_CHAT, "/help")
    one.listen()
    wait_until(lambda: one.notebook.settings)
    [(name, value)] = one.notebook.settings.items()
    assert name.startswith("telegram_offset ")
    assert TELEGRAM_CHAT not in name + value
    assert not any(part in name for part in TELEGRAM_TOKEN.split(":"))


def test_updates_that_are_numbered_anew_are_heard_and_done_once(one: Bench, server: ProviderServer) -> None:
    """After a week without any, or at another server, ids begin anywhere, also below what was kept."""
    inbox = server.telegram.rules.inbox
    inbox.begin_anew(900_000_000)
    inbox.write(TELEGRAM_CHAT, "/status")
    one.listen()
    wait_until(lambda: one.notebook.done and not inbox.waiting)
    inbox.begin_anew(100)
    inbox.write(TELEGRAM_CHAT, "/status")
    inbox.write(TELEGRAM_CHAT, "/unmute")
    wait_until(lambda: inbox.waiting == [] and inbox.polled)
    assert [each[0] for each in one.notebook.done if each[0] == "unmute"] == ["unmute"]
    assert polls(server)[-1]["offset"] == 102


def test_offset_that_was_spoilt_is_none(one: Bench, server: ProviderServer) -> None:
    inbox = server.telegram.rules.inbox
    inbox.write(TELEGRAM_CHAT, "/help")
    first = one.listen()
    wait_until(lambda: one.notebook.settings)
    first.stop()
    one.notebook.settings = dict.fromkeys(one.notebook.settings, "-1 or so")
    asked = len(polls(server))
    one.listen()
    wait_until(lambda: len(polls(server)) > asked)
    assert "offset" not in polls(server)[asked]


def test_database_that_is_away_at_the_start_is_waited_for(
    one: Bench, server: ProviderServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is asked before it is known what was done already."""
    failures = [StoreError("The database is locked.")] * 3
    known: dict[str, str] = {}

    class Away(dict[str, str]):
        def get(self, name: str, default: object = None) -> str | None:  # type: ignore[override]  # as setting()
            if failures:
                raise failures.pop()
            return known.get(name)

    one.notebook.settings = Away()
    one.listen()
    wait_until(lambda: server.telegram.rules.inbox.polled)
    assert not failures
    assert "The database is locked." in everything_logged(caplog)


# --- what stands in the way --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (error(401), "the bot's token is refused"),
        (error(404), "the bot's token is refused"),
        (error(409), "another program, or a webhook, takes the bot's updates"),
        (error(500), "are not heard at the moment"),
        (error(502, body=b"<html>Bad Gateway</html>"), "are not heard at the moment"),
        (garbage(), "are not heard at the moment"),
        (garbage(b'{"ok":true,"result":{"a":1}}'), "are not heard at the moment"),
        (garbage(b'{"ok":true,"result":' + b"[" * 100_000), "are not heard at the moment"),
        (reset_after_reading(), "are not heard at the moment"),
        (rate_limited(0), "Telegram asks for a pause"),
    ],
)
def test_failure_is_told_once_a_minute_and_got_over(
    one: Bench, server: ProviderServer, caplog: pytest.LogCaptureFixture, fault: Fault, words: str
) -> None:
    """Alerts go on meanwhile, by connections that it has nothing to do with."""
    caplog.set_level(logging.INFO)
    server.telegram.script(fault, ok(), fault, fault, fault)  # getMe once, and then getUpdates
    one.listen(clock=FakeClock())
    wait_until(lambda: server.telegram.rules.inbox.polled)
    assert one.channel.send(MESSAGE).accepted
    assert one.desk.up
    server.telegram.rules.inbox.write(TELEGRAM_CHAT, "/status")
    wait_until(lambda: one.notebook.done)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1
    assert words in told[0]
    assert "Telegram's commands are heard again" in caplog.text
    assert TELEGRAM_TOKEN.split(":")[1] not in everything_logged(caplog)


def test_second_poller_gets_a_turn_and_both_say_so(
    one: Bench, server: ProviderServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Telegram cuts the older poll; neither of the two loses a command for good."""
    one.listen(hold_seconds=1)
    wait_until(lambda: server.telegram.rules.inbox.polled)
    one.listen(hold_seconds=1)
    wait_until(lambda: any(each.status == 409 for each in server.telegram.requests))
    server.telegram.rules.inbox.write(TELEGRAM_CHAT, "/status")
    wait_until(lambda: one.notebook.done)
    wait_until(lambda: "another program, or a webhook" in caplog.text)


def test_webhook_that_is_set_ends_the_poll_and_its_end_is_noticed(one: Bench, server: ProviderServer) -> None:
    inbox = server.telegram.rules.inbox
    one.listen()
    wait_until(lambda: inbox.polled)
    inbox.set_webhook()
    wait_until(lambda: sum(each.status == 409 for each in server.telegram.requests) >= 3)
    inbox.webhook = False
    inbox.write(TELEGRAM_CHAT, "/status")
    wait_until(lambda: one.notebook.done)


def test_pause_that_telegram_asks_for_is_kept(one: Bench, server: ProviderServer) -> None:
    """By the poll alone: whether a message may go is another question."""
    server.telegram.script(error(500), rate_limited(3600))
    one.listen()
    wait_until(lambda: len(server.telegram.requests) == 2)
    assert one.channel.send(MESSAGE).accepted
    assert [each.endpoint for each in server.telegram.requests] == ["getMe", "getMe", "sendMessage"]


def test_telegram_that_is_away_costs_nothing_but_its_commands(
    one: Bench, server: ProviderServer, caplog: pytest.LogCaptureFixture
) -> None:
    environment = HttpEnvironment.read({"HTTP_PROXY": "http://127.0.0.1:9"})  # nobody is there
    one.listen(environment=environment)
    wait_until(lambda: "commands are not heard at the moment" in caplog.text)
    assert one.channel.send(MESSAGE).accepted
    assert polls(server) == []


# --- hostile updates ---------------------------------------------------------------------------------------------


def test_updates_that_make_no_sense_are_counted_and_passed_over(one: Bench, server: ProviderServer) -> None:
    inbox = server.telegram.rules.inbox
    chat = {"id": int(TELEGRAM_CHAT), "type": "private"}
    odd: list[dict[str, object]] = [
        {"message": None},
        {"message": []},
        {"message": {"text": "/status"}},
        {"message": {"chat": TELEGRAM_CHAT, "text": "/status"}},
        {"message": {"chat": {"id": True}, "text": "/status"}},
        {"message": {"chat": {"id": 10**40}, "text": "/status"}},
        {"message": {"chat": chat, "text": 7, "from": "x"}},
        {"message": {"chat": chat, "text": ["/status"]}},
        {"callback_query": {"id": 5, "data": "ack", "message": {"message_id": 1, "chat": chat}}},
        {"callback_query": {"id": "5", "message": {"message_id": 1, "chat": chat}}},
        {"callback_query": {"id": "5" * 99, "data": "ack", "message": {"message_id": 1, "chat": chat}}},
        {"callback_query": {"id": "5", "data": "x" * 999, "message": {"message_id": 1, "chat": chat}}},
        {"callback_query": "x"},
        {"edited_message": {"chat": chat, "text": "/status"}},
        {},
    ]
    for update in odd:
        inbox.tell(update)
    inbox.write(TELEGRAM_CHAT, "/help", by={"first_name": ["x"], "username": 7}, date="now")
    one.listen()
    server.wait_for_accepted(1, provider="telegram")
    wait_until(lambda: inbox.waiting == [])
    assert one.notebook.counted == {"telegram other": len(odd), "telegram command": 1}


def test_updates_without_an_id_are_asked_for_slowly(one: Bench, server: ProviderServer) -> None:
    """They can't be confirmed; nothing but the wait keeps them from being asked for a thousand times a second."""
    odd = garbage(b'{"ok":true,"result":[{},7,null,{"update_id":"1"},{"update_id":-4}]}')
    empty = garbage(b'{"ok":true,"result":[]}')
    server.telegram.script(ok(), odd, odd, empty, empty)
    commands = one.listen(start=False)
    commands._stopping = stopping = NotingEvent()
    commands.start()
    wait_until(lambda: len(polls(server)) == 5)
    # a poll that took longer than the wait, on a busy machine, needs none
    assert set(stopping.waits) <= {0.01, 0.0}
    assert stopping.waits.count(0.01) >= 1
    assert one.notebook.counted["telegram other"] == 10
    assert one.notebook.done == []


def test_update_that_is_longer_than_what_is_read_keeps_no_other_from_being_heard(
    one: Bench, server: ProviderServer
) -> None:
    """Those before it and those behind it are done; it is passed over alone."""
    inbox = server.telegram.rules.inbox
    inbox.write(TELEGRAM_CHAT, "/status")
    inbox.write(TELEGRAM_CHAT, "x", entities=["y" * (MAX_ANSWER_BYTES + 1)])
    inbox.write(TELEGRAM_CHAT, "/unmute")
    one.listen()
    wait_until(lambda: inbox.waiting == [] and inbox.polled)
    assert [each[0] for each in one.notebook.done] == ["status", "unmute"]


# --- the end -----------------------------------------------------------------------------------------------------


def test_stop_cuts_the_poll(one: Bench, server: ProviderServer, caplog: pytest.LogCaptureFixture) -> None:
    """It would last for 25 seconds; the stop is no failure."""
    commands = one.listen()
    wait_until(lambda: server.telegram.rules.inbox.polled)
    commands.stop()
    assert not commands._thread.is_alive()
    assert caplog.records == []
    commands.stop()


def test_stop_during_a_long_wait_ends_it(one: Bench, server: ProviderServer) -> None:
    server.telegram.script(rate_limited(3600))
    commands = one.listen()
    wait_until(lambda: server.telegram.requests)
    commands.stop()
    assert not commands._thread.is_alive()


def test_listening_tells_no_log_its_token_at_any_level(
    one: Bench, server: ProviderServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Libraries included: urllib3 logs each path at DEBUG."""
    caplog.set_level(logging.DEBUG)
    leaking = b'{"ok":false,"error_code":400,"description":"no bot%s in %s"}' % (
        TELEGRAM_TOKEN.encode(),
        TELEGRAM_CHAT.encode(),
    )
    server.telegram.script(error(500), error(400, body=leaking))
    one.listen(clock=FakeClock())
    server.telegram.rules.inbox.write(TELEGRAM_CHAT, "/status")
    wait_until(lambda: one.notebook.done)
    assert "are not heard at the moment" in caplog.text
    logged = everything_logged(caplog)
    assert TELEGRAM_TOKEN.split(":")[1] not in logged
    assert TELEGRAM_CHAT not in logged
