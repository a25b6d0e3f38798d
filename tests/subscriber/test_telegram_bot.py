"""A bot's own way to Telegram: its deadline, its end, proxies, and what it makes of answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.errors import ConfigurationError
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.channels.provider_http import MAX_ANSWER_BYTES
from subscriber.channels.telegram_bot import Said, TelegramBot
from tests.support.provider_faults import drip, error, garbage, hang, rate_limited
from tests.support.provider_server import TELEGRAM_CHAT, TELEGRAM_TOKEN, ProviderServer
from tests.support.telegram_bench import bot_of
from tests.support.tls_proxy import TlsProxy
from tests.support.waiting import wait_until


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Telegram on loopback."""
    with ProviderServer() as running:
        yield running


@pytest.fixture
def bot(server: ProviderServer) -> Iterator[TelegramBot]:
    built = bot_of(server)
    yield built
    built.close()


def test_ask_returns_what_telegram_says(bot: TelegramBot, server: ProviderServer) -> None:
    said = bot.ask("getMe")
    assert (said.result["username"], said.failure) == ("test_alerts_bot", None)
    [request] = server.telegram.requests
    assert request.request.method == "POST"


def test_ask_that_is_refused_says_why(bot: TelegramBot, server: ProviderServer) -> None:
    said = bot.ask("sendMessage", {"chat_id": 1, "text": "x"})
    assert said == Said(failure="Bad Request: chat not found", code=400)
    server.telegram.script(rate_limited(35), error(502, body=b"<html>"))
    assert bot.ask("getMe").retry_after_seconds == 35
    assert bot.ask("getMe") == Said(failure="HTTP 502 Bad Gateway", code=502)


def test_ask_says_when_by_telegrams_clock(bot: TelegramBot, server: ProviderServer) -> None:
    dated = error(200, body=b'{"ok":true,"result":[]}', headers={"Date": "Tue, 01 Jul 2025 10:00:00 GMT"})
    undated = error(200, body=b'{"ok":true,"result":[]}', headers={"Date": "yesterday"})
    server.telegram.script(dated, undated)
    assert [bot.ask("getUpdates").at_seconds for _ in range(2)] == [1_751_364_000, None]


def test_updates_that_are_too_long_say_which_is_the_first(bot: TelegramBot, server: ProviderServer) -> None:
    """Nothing else can be read of them."""
    server.telegram.rules.inbox.write(TELEGRAM_CHAT, "x", entities="y" * MAX_ANSWER_BYTES)
    said = bot.updates(None, hold_seconds=0)
    assert (said.too_long, said.result) == (True, None)
    assert [said.first_update] == server.telegram.rules.inbox.waiting


@pytest.mark.parametrize("body", [b'{"ok":true}', b'{"ok":true,"result":{}}', b"[]", b"", b"\xff", b'{"ok":1}'])
def test_updates_that_are_none_are_a_failure(bot: TelegramBot, server: ProviderServer, body: bytes) -> None:
    server.telegram.script(garbage(body))
    assert bot.updates(None, hold_seconds=0).failure


def test_ask_ends_at_its_deadline(server: ProviderServer) -> None:
    """A byte now and then does not keep it alive."""
    bot = bot_of(server, deadline_seconds=0.2)
    server.telegram.script(hang(), drip(1, 0.05))
    assert bot.ask("getMe").failure == "no answer within 0.2 s"
    assert bot.ask("getMe").failure == "no answer within 0.2 s"
    bot.close()


def test_end_cuts_what_is_waited_for_and_lets_nothing_begin(bot: TelegramBot, server: ProviderServer) -> None:
    said: list[Said] = []
    poll = threading.Thread(target=lambda: said.append(bot.updates(None, hold_seconds=25)))
    poll.start()
    wait_until(lambda: server.telegram.rules.inbox.polled)
    bot.end()
    poll.join(60)
    assert said[0].failure
    assert bot.ask("getMe").failure
    assert len(server.telegram.requests) == 1


def test_bot_goes_by_proxy_and_ca_bundle_of_the_environment() -> None:
    """To Telegram's own https address, as the channel does."""
    with TlsProxy() as far_end:
        bot = TelegramBot(TELEGRAM_TOKEN, HttpEnvironment.read(far_end.environment))
        bot.prepare()
        assert bot.ask("getMe").result["is_bot"] is True
        assert "api.telegram.org:443" in far_end.connects
        bot.close()


def test_bot_with_an_unreadable_ca_bundle_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("nothing")
    with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE"):
        TelegramBot(TELEGRAM_TOKEN, HttpEnvironment.read({"REQUESTS_CA_BUNDLE": str(bundle)})).prepare()


def test_digest_tells_bots_and_servers_apart_without_telling_which(bot: TelegramBot) -> None:
    """The ids of updates are the server's own."""
    others = [
        TelegramBot(TELEGRAM_TOKEN, HttpEnvironment()),
        TelegramBot(TELEGRAM_TOKEN[:-3] + "111", HttpEnvironment()),
        TelegramBot(TELEGRAM_TOKEN, HttpEnvironment(), base_url="http://127.0.0.1:8081"),
    ]
    digests = {each.digest for each in (bot, *others)}
    assert len(digests) == 4
    assert not any(part in "".join(digests) for part in TELEGRAM_TOKEN.split(":"))
