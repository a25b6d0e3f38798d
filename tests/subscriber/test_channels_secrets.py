"""No secret in an outcome, a log record at any level, an exception or a repr."""

import base64
import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

import pytest

from bus.errors import ConfigurationError
from subscriber.channels.apprise_channel import AppriseChannel
from subscriber.channels.building import build_channel, placeholder_configs
from subscriber.channels.channel import AppriseConfig, Channel, ChannelConfig, MetaConfig, TelegramConfig, TwilioConfig
from subscriber.channels.redaction import MAX_DETAIL_CHARACTERS, Redaction
from subscriber.deliveries import Dialect, Message
from subscriber.receipts import Receipt, ReceiptState
from tests.support.provider_desk import ProviderDesk
from tests.support.provider_faults import error, garbage, hang, reset_after_reading
from tests.support.provider_rules import ProviderRules
from tests.support.provider_server import ProviderServer

TOKEN = "987654321:" + "CanaryTelegramToken" + "x" * 16
SID = "AC" + "badc0ffee0ddf00d" * 2
AUTH_TOKEN = "deadbeefcafef00d" * 2
META_TOKEN = "EAACanaryMetaToken" + "9" * 40
APP_SECRET = "cafebabe0badf00d" * 2
VERIFY_TOKEN = "canary-verify-token"
WEBHOOK = "canary-webhook-path"
#: By provider, an answer that repeats the credentials, as error messages do.
ECHOES = (
    f'{{"ok": false, "error_code": 400, "description": "{TOKEN} {TOKEN[10:]}"}}'.encode(),
    f'{{"code": 20003, "message": "{SID} {AUTH_TOKEN} {quote(f"{SID}:{AUTH_TOKEN}")}"}}'.encode(),
    (
        f'{{"error": {{"code": 190, "message": "{META_TOKEN} {APP_SECRET}", '
        f'"error_data": {{"details": "{META_TOKEN} {VERIFY_TOKEN}"}}}}}}'
    ).encode(),
    f"no such hook: {WEBHOOK}".encode(),
)
MESSAGE = Message("Drawdown", "Drawdown", Dialect.PLAIN)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """Providers that know none of these credentials."""
    with ProviderServer() as running:
        yield running


def configs(url: str) -> list[ChannelConfig]:
    """Return a channel of each provider with unmistakable secrets."""
    return [
        TelegramConfig(TOKEN, "5559998887", base_url=url, deadline_seconds=0.3),
        TwilioConfig(
            SID,
            AUTH_TOKEN,
            "+12025559998",
            "+12025559997",
            base_url=url,
            deadline_seconds=0.3,
            content_sid="HX" + "0" * 32,
            public_url="https://alerts.example.org",
        ),
        MetaConfig(
            META_TOKEN,
            "777666555444",
            "+12025559997",
            base_url=url,
            deadline_seconds=0.3,
            template="trading_alert",
            app_secret=APP_SECRET,
            verify_token=VERIFY_TOKEN,
        ),
        AppriseConfig("desk", f"{url.replace('http', 'json')}/hook/{WEBHOOK}", deadline_seconds=0.3),
    ]


def assert_clean(*told: object) -> None:
    """Look for every secret, plain and encoded."""
    text = "\n".join(map(str, told))
    secrets = (TOKEN, TOKEN[10:], SID, AUTH_TOKEN, META_TOKEN, APP_SECRET, VERIFY_TOKEN, WEBHOOK, f"{SID}:{AUTH_TOKEN}")
    for secret in (*secrets, "2025559997", "2025559998"):
        assert secret not in text
        assert quote(secret, safe="") not in text
        assert base64.b64encode(secret.encode()).decode() not in text


def everything(channel: Channel) -> list[object]:
    """Do all that a channel can do and return all that it says."""
    assert isinstance(channel, AppriseChannel)
    template = replace(MESSAGE, parameters=("a", "b", "c"), reference="store.1")
    failed = Receipt("SM1", ReceiptState.FAILED, code="63016")
    return [
        *(channel.rehearse(message) for message in (MESSAGE, template)),
        *(channel.send(message) for message in (MESSAGE, template)),
        channel.probe(),
        channel.ask_receipt("SM1"),
        channel.ask_inbound(),
        channel.judge_receipt(failed, by_template=False),
        channel,
        channel.name,
    ]


def test_sends_that_succeed_fail_or_hang_tell_no_secret(
    server: ProviderServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything a provider or the network can do, at DEBUG, with the libraries' own loggers forced open."""
    caplog.set_level(logging.DEBUG)
    for name in ("apprise", "urllib3", "urllib3.connectionpool", "urllib3.connection", "requests"):
        caplog.set_level(logging.DEBUG, logger=name)
    told: list[object] = []
    desks: tuple[ProviderDesk[ProviderRules], ...] = (server.telegram, server.twilio, server.meta, server.hook)
    for desk, echo, config in zip(desks, ECHOES, configs(server.url), strict=True):
        channel = build_channel(config, environ={})
        for fault in (None, error(400, body=echo), error(500, body=echo), garbage(echo), hang(), reset_after_reading()):
            desk.always(fault)
            told += everything(channel)
        channel.close()
    assert_clean(*told, caplog.text, *(vars(record) for record in caplog.records))


def test_sends_that_reach_nobody_tell_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Refused connections are where libraries print whole URLs."""
    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    told = [said for config in configs(url) for said in everything(build_channel(config, environ={}))]
    assert_clean(*told, caplog.text)


def test_configs_and_channels_do_not_repr_their_secrets() -> None:
    """A traceback shows reprs."""
    for config in configs("http://127.0.0.1:9"):
        channel = build_channel(config, environ={})
        assert_clean(repr(config), repr(channel), repr(vars(channel)))


def test_malformed_credentials_that_got_past_us_are_not_printed(caplog: pytest.LogCaptureFixture) -> None:
    """Apprise prints them at WARNING; here they end in an error without a value."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigurationError) as raised:
        build_channel(MetaConfig(f"{META_TOKEN}-!", "1", "+12025559997"), environ={})
    assert_clean(raised.value, repr(raised.value), raised.value.__cause__, caplog.text)


def test_rehearsal_of_the_placeholders_needs_no_credentials_and_no_network() -> None:
    """What a dry run without configuration shows."""
    telegram, whatsapp = (build_channel(config, rehearsal=True, environ={}) for config in placeholder_configs())
    assert (telegram.name, whatsapp.name) == ("telegram", "whatsapp")
    assert telegram.rehearse(MESSAGE).startswith("POST https://api.telegram.org/bot***/sendMessage, ")
    expected = "POST https://api.twilio.com/2010-04-01/Accounts/***/Messages.json, "
    assert whatsapp.rehearse(MESSAGE).startswith(expected)
    assert telegram.send(MESSAGE).detail == telegram.probe().detail == "nothing was sent: this is a rehearsal"


def test_redaction_cuts_after_masking_and_leaves_one_line() -> None:
    """Half a secret at the end of a text would still be half a secret."""
    redaction = Redaction(["secret/value"], show_paths=True)
    assert redaction.text("a\n\tsecret/value b\x00 secret%2Fvalue") == "a *** b ***"
    long = redaction.text("x" * (MAX_DETAIL_CHARACTERS - 6) + "secret/value" + "y" * 100)
    assert len(long) == MAX_DETAIL_CHARACTERS
    assert long.endswith("***yy…")
