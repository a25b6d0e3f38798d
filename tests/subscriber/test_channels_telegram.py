"""Telegram by Apprise's own plugin over real HTTP: exact text, verdicts, second tries within one send."""

import json
from collections.abc import Iterator

import pytest

from subscriber.channels.building import build_channel
from subscriber.channels.channel import Channel, TelegramConfig
from subscriber.deliveries import Dialect, Message, Outcome, Reason
from tests.support.provider_faults import Fault, error, garbage, ok_false, rate_limited
from tests.support.provider_server import (
    TELEGRAM_BLOCKED_CHAT,
    TELEGRAM_CHAT,
    TELEGRAM_DEACTIVATED_CHAT,
    TELEGRAM_GROUP,
    TELEGRAM_KICKED_GROUP,
    TELEGRAM_TOKEN,
    TELEGRAM_UNKNOWN_CHAT,
    TELEGRAM_UPGRADED_GROUP,
    TELEGRAM_UPGRADED_TO,
    ProviderServer,
)

TEXT = "PnL < -5%\nBTC_USDT & *x* :smile: &nbsp; 😀"
HTML = "<b>PnL &lt; -5%</b>\nBTC_USDT &amp; *x* :smile: &amp;nbsp; <code>😀</code>"
MESSAGE = Message(HTML, TEXT, Dialect.TELEGRAM_HTML)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Telegram on loopback."""
    with ProviderServer() as running:
        yield running


def channel(server: ProviderServer, chat: str = TELEGRAM_CHAT, token: str = TELEGRAM_TOKEN) -> Channel:
    """Build a channel that reaches the server."""
    return build_channel(TelegramConfig(token, chat, base_url=server.url, deadline_seconds=5), environ={})


def sent(server: ProviderServer, chat: str = TELEGRAM_CHAT, token: str = TELEGRAM_TOKEN) -> Outcome:
    """Send one message and close the channel."""
    telegram = channel(server, chat, token)
    try:
        return telegram.send(MESSAGE)
    finally:
        telegram.close()


def test_send_of_rendered_html_arrives_exactly_as_rendered(server: ProviderServer) -> None:
    """Nothing is converted, stripped, split, prefixed or escaped again."""
    outcome = sent(server)
    [message] = server.telegram.accepted
    assert (message.raw_text, message.text, message.parse_mode) == (HTML, TEXT, "HTML")
    assert (message.silent, message.target) == (False, TELEGRAM_CHAT)
    assert outcome == Outcome(Reason.ACCEPTED, status=200, provider_message_id=message.message_id)
    assert server.telegram.requests[0].request.json_object() == {
        "chat_id": int(TELEGRAM_CHAT),
        "text": HTML,
        "parse_mode": "HTML",
        "disable_notification": False,
        "disable_web_page_preview": True,
    }


def test_send_of_a_silent_message_makes_no_sound_and_the_next_one_does(server: ProviderServer) -> None:
    """Silence belongs to the message."""
    telegram = channel(server)
    telegram.send(Message(HTML, TEXT, Dialect.TELEGRAM_HTML, silent=True))
    telegram.send(MESSAGE)
    telegram.close()
    assert [message.silent for message in server.telegram.accepted] == [True, False]


def test_send_of_the_longest_message_is_one_request(server: ProviderServer) -> None:
    """4096 UTF-16 units after parsing, in one piece."""
    body = "<b>&lt;</b>" + "😀" * 2047 + "x"
    telegram = channel(server)
    assert telegram.send(Message(body, "", Dialect.TELEGRAM_HTML)).accepted
    telegram.close()
    assert len(server.telegram.requests) == 1


def test_send_of_plain_text_is_escaped(server: ProviderServer) -> None:
    """A message in another dialect shows what it says."""
    telegram = channel(server)
    telegram.send(Message(TEXT, TEXT, Dialect.PLAIN))
    telegram.close()
    assert server.telegram.accepted[0].text == TEXT


@pytest.mark.parametrize(
    ("fault", "reason", "code", "in_doubt"),
    [
        (rate_limited(35), Reason.RATE_LIMITED, "429", False),
        (rate_limited(None), Reason.RATE_LIMITED, "429", False),
        (error(500), Reason.UNAVAILABLE, "500", True),
        (error(502), Reason.UNAVAILABLE, "502", True),
        (error(502, body=b"<html>Bad Gateway</html>"), Reason.UNAVAILABLE, None, True),
        (error(400), Reason.REJECTED, "400", False),
        (error(409), Reason.REJECTED, "409", False),
        (error(401), Reason.UNAUTHORIZED, "401", False),
        (ok_false(), Reason.UNAUTHORIZED, "400", False),
        (garbage(), Reason.UNAVAILABLE, None, True),
        (garbage(b"[]"), Reason.UNAVAILABLE, None, True),
        (garbage(b""), Reason.UNAVAILABLE, None, True),
        (error(429, body=b"slow down", headers={"Retry-After": "7"}), Reason.RATE_LIMITED, None, False),
    ],
)
def test_send_that_is_refused_has_its_verdict(
    server: ProviderServer, fault: Fault, reason: Reason, code: str | None, in_doubt: bool
) -> None:
    """Status and body decide together, whatever Apprise makes of them."""
    server.telegram.script(fault)
    outcome = sent(server)
    assert (outcome.reason, outcome.code, outcome.in_doubt) == (reason, code, in_doubt)
    assert server.telegram.accepted == []


def test_send_that_is_rate_limited_knows_the_wait(server: ProviderServer) -> None:
    """The wait of the body counts, or that of the header, a date of which goes by the provider's own clock."""
    server.telegram.script(
        rate_limited(35),
        error(429, body=b"slow down", headers={"Retry-After": "7"}),
        error(
            503,
            body=b"",
            headers={"Date": "Tue, 01 Jul 2025 10:00:00 GMT", "Retry-After": "Tue, 01 Jul 2025 10:02:00 GMT"},
        ),
        error(429, body=b"", headers={"Retry-After": "soon"}),
    )
    assert [sent(server).retry_after_seconds for _ in range(4)] == [35, 7, 120, None]


@pytest.mark.parametrize(
    ("chat", "words"),
    [
        (TELEGRAM_UNKNOWN_CHAT, "chat not found"),
        (TELEGRAM_BLOCKED_CHAT, "blocked by the user"),
        (TELEGRAM_DEACTIVATED_CHAT, "deactivated"),
        (TELEGRAM_KICKED_GROUP, "kicked"),
    ],
)
def test_send_to_a_chat_that_refuses_is_unauthorized_with_telegrams_words(
    server: ProviderServer, chat: str, words: str
) -> None:
    """The target itself is refused, and the detail says why."""
    outcome = sent(server, chat)
    assert outcome.reason is Reason.UNAUTHORIZED
    assert words in outcome.detail


def test_send_with_an_unknown_token_is_unauthorized(server: ProviderServer) -> None:
    """A revoked token is well-formed."""
    assert sent(server, token=TELEGRAM_TOKEN[:-3] + "111").reason is Reason.UNAUTHORIZED


def test_send_of_refused_markup_goes_out_once_more_as_text(server: ProviderServer) -> None:
    """A fault of ours in the markup costs the bold type and not the alert."""
    telegram = channel(server)
    outcome = telegram.send(Message("<b>PnL < -5%", "PnL < -5%", Dialect.TELEGRAM_HTML))
    telegram.close()
    assert outcome.accepted
    assert [request.status for request in server.telegram.requests] == [400, 200]
    assert server.telegram.accepted[0].text == "PnL < -5%"


def test_send_of_text_that_is_refused_for_markup_is_not_tried_again(server: ProviderServer) -> None:
    """Once more, and not for ever."""
    refused = error(400, body=b'{"ok":false,"error_code":400,"description":"Bad Request: can\'t parse entities: x"}')
    server.telegram.always(refused)
    assert sent(server).reason is Reason.REJECTED
    assert len(server.telegram.requests) == 2


def test_send_to_an_upgraded_group_follows_it_and_remembers(server: ProviderServer) -> None:
    """The second message goes straight to the new id."""
    telegram = channel(server, TELEGRAM_UPGRADED_GROUP)
    assert telegram.send(MESSAGE).accepted
    assert telegram.send(MESSAGE).accepted
    telegram.close()
    assert [message.target for message in server.telegram.accepted] == [TELEGRAM_UPGRADED_TO] * 2
    assert len(server.telegram.requests) == 3


@pytest.mark.parametrize(
    "description",
    [
        "Bad Request: not enough rights to send text messages to the chat",
        "Bad Request: need administrator rights in the channel chat",
        "Bad Request: CHAT_WRITE_FORBIDDEN",
        "Bad Request: have no write access to the chat",
        "Bad Request: TOPIC_CLOSED",
        "Bad Request: group chat was upgraded to a supergroup chat",
    ],
)
def test_send_to_a_chat_that_forbids_it_is_unauthorized(server: ProviderServer, description: str) -> None:
    """Each later message would be refused as well, so the channel has to stop."""
    body = json.dumps({"ok": False, "error_code": 400, "description": description}).encode()
    server.telegram.script(error(400, body=body))
    assert sent(server).reason is Reason.UNAUTHORIZED


def test_send_to_groups_that_move_in_a_circle_ends(server: ProviderServer) -> None:
    """A provider gone mad costs a few requests and no loop."""
    for number in range(1, 9):
        body = (
            b'{"ok":false,"error_code":400,"description":"upgraded","parameters":{"migrate_to_chat_id":-%d}}' % number
        )
        server.telegram.script(error(400, body=body))
    assert not sent(server).accepted
    assert len(server.telegram.requests) == 3


def test_channel_never_asks_who_wrote_to_the_bot(server: ProviderServer) -> None:
    """Apprise would write to whoever wrote to the bot, were there no chat."""
    telegram = channel(server, TELEGRAM_UNKNOWN_CHAT)
    telegram.send(MESSAGE)
    telegram.probe()
    telegram.close()
    assert {request.endpoint.lower() for request in server.telegram.requests} == {"sendmessage", "getme"}


def test_probe_says_whether_the_token_holds(server: ProviderServer) -> None:
    """Nothing is sent for it."""
    good, bad = channel(server), channel(server, token=TELEGRAM_TOKEN[:-3] + "111")
    assert good.probe() == Outcome(Reason.ACCEPTED, status=200)
    assert bad.probe().reason is Reason.UNAUTHORIZED
    good.close()
    bad.close()
    assert server.accepted == []


def test_pace_of_a_group_is_slower_than_that_of_a_person(server: ProviderServer) -> None:
    """A negative id is a group; a public name may be one."""
    person, group, public = channel(server), channel(server, TELEGRAM_GROUP), channel(server, "@trading_desk")
    assert [limit.messages for limit in person.pace] == [3, 30]
    assert [limit.messages for limit in group.pace] == [limit.messages for limit in public.pace] == [3, 20, 30]
    assert (person.concurrency, person.message_limits.length) == (1, 4096)


def test_pace_of_channels_with_one_bot_or_one_chat_is_shared(server: ProviderServer) -> None:
    """The bot's limit counts for all of its chats, the chat's for all channels that write to it by this bot."""
    here, there = channel(server, TELEGRAM_GROUP).pace, channel(server, TELEGRAM_CHAT).pace
    assert here[-1].scope == there[-1].scope != ""
    assert here[0].scope == here[1].scope != there[0].scope
    assert channel(server, "@Trading_Desk").pace == channel(server, "@trading_desk").pace
    other_bot = channel(server, TELEGRAM_GROUP, token=f"9{TELEGRAM_TOKEN}").pace
    assert not {limit.scope for limit in here} & {limit.scope for limit in other_bot}


def test_pace_never_shows_the_chat(server: ProviderServer) -> None:
    """A scope holds it."""
    assert TELEGRAM_CHAT not in repr(channel(server).pace)
