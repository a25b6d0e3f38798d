"""Apprise URLs of Telegram, Twilio and Meta: built in where that loses nothing of them, else by the plugin."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from bus.errors import ConfigurationError
from subscriber.channels.building import build_channel
from subscriber.channels.calls import Exchange
from subscriber.channels.channel import (
    Addresses,
    AppriseConfig,
    ChannelConfig,
    MetaConfig,
    TelegramConfig,
    TwilioConfig,
)
from subscriber.channels.custom import resolved
from subscriber.channels.generic import Generic
from subscriber.channels.provider_http import ProviderHttp
from subscriber.channels.redaction import Redaction
from subscriber.channels.verdicts import Answer
from subscriber.channels.window import PARAMETERS_LENGTH
from subscriber.deliveries import Dialect, LengthUnit, Limit, Message, Outcome, Reason, TemplateLimits
from tests.support.provider_faults import Fault, error, ok_false
from tests.support.provider_server import (
    META_PHONE_ID,
    META_TOKEN,
    TELEGRAM_CHAT,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_CONTENT_SID_OF_ONE,
    ProviderServer,
)

TELEGRAM = f"tgram://{TELEGRAM_TOKEN}/{TELEGRAM_CHAT}"
GROUP = f"tgram://{TELEGRAM_TOKEN}/-1005550001002"
META = f"whatsapp://{META_TOKEN}@{META_PHONE_ID}/+12025550111"
META_TEMPLATE = f"whatsapp://trading_alert:{META_TOKEN}@{META_PHONE_ID}/+12025550111?lang=de_DE&:body=1"
TWILIO = f"twilio://{TWILIO_ACCOUNT_SID}:{TWILIO_AUTH_TOKEN}@w%3A+12025550100/w:+12025550101"
TWILIO_TEMPLATE = f"alertbus{TWILIO}?contentsid={TWILIO_CONTENT_SID_OF_ONE}"
SMS = f"twilio://{TWILIO_ACCOUNT_SID}:{TWILIO_AUTH_TOKEN}@+12025550100/+12025550101"
MESSAGE = Message("PnL < -5%", "PnL < -5%", Dialect.PLAIN)
LIMITS = (Limit(1, 10),)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """All providers on loopback."""
    with ProviderServer() as running:
        yield running


def config(url: str) -> AppriseConfig:
    """Return the configuration of a channel with wishes of its own."""
    return AppriseConfig("desk", url, LIMITS, concurrency=3, deadline_seconds=7.0)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (TELEGRAM, TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT)),
        (f"{TELEGRAM}?silent=no&preview=no&detect=yes&overflow=split", TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT)),
        (f"tgram://bot{TELEGRAM_TOKEN}/-1005550001002/", TelegramConfig(TELEGRAM_TOKEN, "-1005550001002")),
        (f"tgram://{TELEGRAM_TOKEN}/?to=@trading_desk", TelegramConfig(TELEGRAM_TOKEN, "@trading_desk")),
        (META, MetaConfig(META_TOKEN, META_PHONE_ID, "+12025550111")),
        (
            META_TEMPLATE,
            MetaConfig(
                META_TOKEN,
                META_PHONE_ID,
                "+12025550111",
                template="trading_alert",
                template_language="de_DE",
                template_parameters=1,
            ),
        ),
        (TWILIO, TwilioConfig(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, "+12025550100", "+12025550101")),
        (
            TWILIO_TEMPLATE,
            TwilioConfig(
                TWILIO_ACCOUNT_SID,
                TWILIO_AUTH_TOKEN,
                "+12025550100",
                "+12025550101",
                content_sid=TWILIO_CONTENT_SID_OF_ONE,
                template_parameters=1,
            ),
        ),
        (
            f"twilio://{TWILIO_ACCOUNT_SID}:{TWILIO_AUTH_TOKEN}@_/?from=whatsapp:12025550100&to=12025550101",
            TwilioConfig(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, "+12025550100", "+12025550101"),
        ),
    ],
)
def test_url_of_a_built_in_service_is_that_channel(url: str, expected: ChannelConfig) -> None:
    """With the name, pace, concurrency and deadline of the URL's channel."""
    wishes = {"name": "desk", "limits": LIMITS, "concurrency": 3, "deadline_seconds": 7.0}
    assert resolved(config(url)) == replace(expected, **wishes)  # type: ignore[arg-type]


def test_url_of_a_built_in_service_goes_where_the_daemon_finds_that_service() -> None:
    """A Bot API server of one's own, an API of Meta's or Twilio's behind a gateway."""
    addresses = Addresses("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
    built = [resolved(replace(config(url), addresses=addresses)) for url in (TELEGRAM, TWILIO, META)]
    assert [each.base_url for each in built if not isinstance(each, AppriseConfig)] == [
        addresses.telegram,
        addresses.twilio,
        addresses.meta,
    ]


@pytest.mark.parametrize("url", [f"{TELEGRAM}?silent=yes", f"{META}?verify=no", SMS])
def test_url_that_stays_as_it_is_goes_where_the_daemon_finds_that_service(server: ProviderServer, url: str) -> None:
    """By Apprise's plugin, and all the same to no other address."""
    channel = build_channel(replace(config(url), addresses=Addresses(server.url, server.url, server.url)), environ={})
    channel.send(Message("text", "text", Dialect.PLAIN))
    channel.close()
    assert sum(len(desk.requests) for desk in (server.telegram, server.twilio, server.meta)) == 1


@pytest.mark.parametrize(
    "url",
    [
        f"{TELEGRAM}:42",
        f"{TELEGRAM}?topic=42",
        f"{TELEGRAM}?silent=yes",
        f"{TELEGRAM}?preview=yes",
        f"{TELEGRAM}?image=yes",
        f"{TELEGRAM}?emojis=yes",
        f"{TELEGRAM}?verify=no",
        f"{TELEGRAM}?:symbol=TNA",
        f"tgram://123456789:short_token-of-another-shape/{TELEGRAM_CHAT}",
        f"whatsapp://{META_TOKEN}@{META_PHONE_ID}/1203630000000000001",
        f"{META_TEMPLATE}&:type=2",
        f"{META_TEMPLATE}&:2=TNA",
        f"whatsapp://trading_alert:{META_TOKEN}@{META_PHONE_ID}/+12025550111",
        f"{META}?verify=no",
        f"{TWILIO}?apikey=SK{'0' * 32}",
        f"{TWILIO_TEMPLATE}&apikey=SK{'0' * 32}",
        SMS,
        f"{SMS}?method=call",
        f"twilio://{TWILIO_ACCOUNT_SID}:{TWILIO_AUTH_TOKEN}@12345/+12025550101",
        "twilio://AC01:abc@w%3A+12025550100/w:+12025550101",
        "json://127.0.0.1/",
        "discord://12345678/abcdefgh",
        "mailto://127.0.0.1?from=desk@example.org&to=trader@example.org",
    ],
)
def test_url_that_says_more_than_a_built_in_channel_can_stays_as_it_is(url: str) -> None:
    """A topic, silence, previews, an API key, fixed parameters: nothing of it is lost."""
    assert resolved(config(url)) == config(url)


def test_built_in_channel_stays_as_it_is() -> None:
    """No URL, nothing to resolve."""
    built_in = TelegramConfig(TELEGRAM_TOKEN, TELEGRAM_CHAT)
    assert resolved(built_in) is built_in


@pytest.mark.parametrize("url", [f"{TELEGRAM}/7654321", f"tgram://{TELEGRAM_TOKEN}/", f"{SMS}/+12025550102", "x"])
def test_url_without_exactly_one_target_is_refused_without_showing_it(url: str) -> None:
    """As for any other service."""
    with pytest.raises(ConfigurationError, match="ALERTBUS_CONFIG: channel desk: its url") as raised:
        resolved(config(url))
    assert TELEGRAM_TOKEN[10:] not in repr(raised.value)
    assert TWILIO_AUTH_TOKEN not in repr(raised.value)


def test_channel_of_a_telegram_url_is_rendered_and_paced_like_the_built_in_one(server: ProviderServer) -> None:
    """HTML, its limits, and the pace of the configuration beside Telegram's own."""
    named = resolved(config(TELEGRAM))
    assert isinstance(named, TelegramConfig)
    named = replace(named, base_url=server.url)
    channel = build_channel(named, environ={})
    assert (channel.name, channel.provider, channel.concurrency) == ("desk", "telegram", 3)
    assert channel.message_limits.dialect is Dialect.TELEGRAM_HTML
    assert [limit.messages for limit in channel.pace] == [3, 30, 1]
    assert channel.send(Message("<b>PnL &lt; -5%</b>", "PnL < -5%", Dialect.TELEGRAM_HTML)).accepted
    channel.close()
    assert [(message.target, message.text) for message in server.telegram.accepted] == [(TELEGRAM_CHAT, "PnL < -5%")]


def test_build_of_a_url_builds_the_built_in_channel() -> None:
    """The one way in which channels are built knows of it."""
    names = [build_channel(config(url), environ={}).provider for url in (TELEGRAM, META, TWILIO, SMS)]
    assert names == ["telegram", "meta", "twilio", "twilio"]


# --- what stays with the plugin -----------------------------------------------------------------------------


def asked(url: str, server: ProviderServer, monkeypatch: pytest.MonkeyPatch, message: Message = MESSAGE) -> Outcome:
    """Send by a URL's plugin, whose built-in address is led to the server."""
    addresses = ("https://api.telegram.org", "https://api.twilio.com", "https://graph.facebook.com")
    real = ProviderHttp._rewritten

    def rewritten(http: ProviderHttp, asked_for: str) -> str:
        for address in addresses:
            asked_for = asked_for.replace(address, server.url)
        return real(http, asked_for)

    monkeypatch.setattr(ProviderHttp, "_rewritten", rewritten)
    channel = build_channel(config(url), environ={})
    try:
        return channel.send(message)
    finally:
        channel.close()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ok_false(), Reason.UNAUTHORIZED),
        (error(401), Reason.UNAUTHORIZED),
        (error(400), Reason.REJECTED),
        (error(502), Reason.UNAVAILABLE),
    ],
)
def test_send_to_a_topic_goes_by_telegrams_table(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch, fault: Fault, reason: Reason
) -> None:
    """Apprise takes `ok: false` for a success, and the general table knows nothing of chats."""
    server.telegram.script(fault)
    assert asked(f"{GROUP}:42", server, monkeypatch).reason is reason
    [request] = server.telegram.requests
    content = request.request.json_object()
    assert content is not None
    assert (content["message_thread_id"], content["text"]) == (42, "PnL &lt; -5%")


def test_channel_of_a_topic_has_telegrams_limits() -> None:
    """The chat and the bot are the same as for the built-in channel."""
    channel = build_channel(config(f"{GROUP}:42"), environ={})
    built_in = build_channel(TelegramConfig(TELEGRAM_TOKEN, "-1005550001002"), environ={})
    assert channel.pace == (*built_in.pace, *LIMITS)
    assert (channel.message_limits.length, channel.message_limits.unit) == (4096, LengthUnit.UTF16)


@pytest.mark.parametrize(
    ("fault", "reason", "code"),
    [
        (error(400, code=21610), Reason.UNAUTHORIZED, "21610"),
        (error(400, code=21617), Reason.REJECTED, "21617"),
        (error(429, code=20429), Reason.RATE_LIMITED, "20429"),
        (error(500, code=20500), Reason.UNAVAILABLE, "20500"),
        (ok_false(), Reason.RATE_LIMITED, "63018"),
    ],
)
def test_send_of_an_sms_goes_by_twilios_table(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch, fault: Fault, reason: Reason, code: str
) -> None:
    """The code in the body decides."""
    server.twilio.script(fault)
    outcome = asked(SMS, server, monkeypatch)
    assert (outcome.reason, outcome.code) == (reason, code)
    assert server.twilio.requests[0].request.form()["To"] == "+12025550101"


def test_send_by_a_template_with_more_parameters_has_no_line_breaks(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meta refuses a parameter with line breaks, tabs or many blanks, and judges by its own codes."""
    message = Message("Drawdown\n\nPnL\t< -5%     now", "", Dialect.WHATSAPP)
    outcome = asked(f"{META_TEMPLATE}&:2=TNA", server, monkeypatch, message)
    assert (outcome.reason, outcome.code) == (Reason.REJECTED, "132001")  # it is not approved in German
    content = server.meta.requests[0].request.json_object()
    assert content is not None
    [component] = content["template"]["components"]  # type: ignore[index]
    assert [parameter["text"] for parameter in component["parameters"]] == ["Drawdown PnL < -5% now", "TNA"]
    asked(f"{META_TEMPLATE}&:2=TNA", server, monkeypatch, replace(message, parameters=("Drawdown · now",)))
    assert b"Drawdown \\u00b7 now" in server.meta.requests[1].request.body


def test_channel_of_a_template_by_a_url_has_room_for_one_parameter() -> None:
    """However it is built; the rest of a template's 1024 characters are its own words."""
    for url in (f"{META_TEMPLATE}&:2=TNA", f"{TWILIO_TEMPLATE}&apikey=SK{'0' * 32}", META_TEMPLATE, TWILIO_TEMPLATE):
        template = build_channel(config(url), environ={}).message_limits.template
        assert template == TemplateLimits(1, PARAMETERS_LENGTH)


# --- secrets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        (f"{GROUP}:42", TELEGRAM_TOKEN.partition(":")[2]),
        ("pover://u123456789012345678901234567890@a123456789012345678901234567890", "a123456789012345678901234567890"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts", "T1JJ3T3L2"),
        ("ntfys://a-topic-nobody-guesses", "a-topic-nobody-guesses"),
    ],
)
def test_secret_in_the_place_of_a_host_is_one(url: str, secret: str) -> None:
    """Apprise puts tokens where other URLs have a host."""
    provider = Generic(config(url))
    redaction = Redaction(provider.secrets, show_paths=provider.show_paths)
    words = f"refused: {secret} is unknown".encode()
    answer = Answer(Exchange("POST", "", status=403, headers={"content-type": "text/plain"}, body=words), taken=False)
    assert secret not in provider.judge(answer, redaction).detail


def test_host_of_a_url_is_shown() -> None:
    """Where a webhook is helps to put it right."""
    provider = Generic(config("jsons://user:password-of-desk@hooks.example.org:8443/s3cret-path"))
    redaction = Redaction(provider.secrets, show_paths=provider.show_paths)
    assert redaction.text("password-of-desk hooks.example.org s3cret-path") == "*** hooks.example.org ***"
