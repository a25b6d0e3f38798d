"""Our subclass of Apprise's plugin for Twilio; the tests here are the ones that a release of Apprise may break."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from apprise import Apprise, AppriseAsset
from apprise.plugins.twilio import NotifyTwilio
from apprise.plugins.whatsapp import NotifyWhatsApp

from bus.errors import ConfigurationError
from subscriber.channels import requests_seam, twilio_plugin
from subscriber.channels.building import build_channel
from subscriber.channels.calls import Call
from subscriber.channels.channel import AppriseConfig, MetaConfig, TwilioConfig
from subscriber.channels.memory import ChannelMemory
from subscriber.channels.providers import TemplateMessage
from subscriber.channels.twilio import Twilio
from subscriber.deliveries import Dialect, Message
from tests.support.provider_server import (
    META_PHONE_ID,
    META_RECIPIENT,
    META_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_CONTENT_SID,
    TWILIO_CONTENT_SID_OF_ONE,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)

NUMBERS = f"w%3A{TWILIO_SENDER}/w%3A{TWILIO_RECIPIENT}"
URL = f"alertbustwilio://{TWILIO_ACCOUNT_SID}:{TWILIO_AUTH_TOKEN}@{NUMBERS}?contentsid={TWILIO_CONTENT_SID_OF_ONE}"
TWILIO = TwilioConfig(
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_SENDER,
    TWILIO_RECIPIENT,
    content_sid=TWILIO_CONTENT_SID,
    public_url="https://alerts.example.org",
)
META = MetaConfig(META_TOKEN, META_PHONE_ID, META_RECIPIENT, template="trading_alert")
MESSAGE = Message("*text*", "text", Dialect.WHATSAPP, parameters=("a", "b", "c"), reference="0123456789ab.17")


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Twilio on loopback, which every plugin for Twilio is led to."""
    with ProviderServer() as running:
        yield running


@pytest.fixture
def asset() -> AppriseAsset:
    """Apprise in the caller's own thread."""
    return AppriseAsset(service_timeout=0)


def test_apprise_finds_the_plugin_by_its_own_schema(asset: AppriseAsset) -> None:
    """And Apprise's own plugin by its own; nothing of the URL is lost when it is written again."""
    twilio_plugin.register()
    plugin: Any = Apprise.instantiate(URL, asset=asset)
    assert type(plugin) is twilio_plugin.NotifyTwilioContent
    assert (plugin.content_sid, plugin.source, plugin.body_maxlen) == (TWILIO_CONTENT_SID_OF_ONE, TWILIO_SENDER, 824)
    again: Any = Apprise.instantiate(plugin.url(), asset=asset)
    assert (again.content_sid, again.targets) == (plugin.content_sid, plugin.targets)
    text: Any = Apprise.instantiate(URL.partition("?")[0], asset=asset)
    assert (text.content_sid, text.body_maxlen) == (None, 1600)
    theirs = Apprise.instantiate(URL.replace("alertbustwilio", "twilio"), asset=asset)
    assert type(theirs) is NotifyTwilio


def test_plugin_that_is_imported_again_takes_the_place_of_the_old_one(
    asset: AppriseAsset, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a clash of names, which Apprise would only log."""
    twilio_plugin.register()
    twilio_plugin.register()
    old = sys.modules.pop(twilio_plugin.__name__)
    try:
        new = importlib.import_module(twilio_plugin.__name__)
        new.register()
        assert type(Apprise.instantiate(URL, asset=asset)) is new.NotifyTwilioContent
    finally:
        sys.modules[twilio_plugin.__name__] = old
        twilio_plugin.register()
    assert "already defined" not in caplog.text


def test_channel_of_ones_own_by_the_url_puts_its_text_into_the_template(
    server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like the built-in channel."""
    monkeypatch.setattr(NotifyTwilio, "notify_sms_url", server.url + "/2010-04-01/Accounts/{sid}/Messages.json")
    channel = build_channel(AppriseConfig("deputy", URL), environ={})
    outcome = channel.send(Message("first\nsecond", "", Dialect.PLAIN, parameters=("first · second",)))
    channel.close()
    assert outcome.accepted
    (message,) = server.twilio.accepted
    assert message.template == TWILIO_CONTENT_SID_OF_ONE
    assert message.parameters == ("first · second",)


class Recorder:
    """Stands in for a channel's HTTP."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def request(self, _call: object, _method: str, _url: str, **options: Any) -> requests.Response:
        self.sent.append(options.get("data"))
        response = requests.Response()
        response.status_code = 201
        return response


def form_of(message: Message) -> dict[str, str]:
    """Return the form that a message is sent by."""
    provider = Twilio(TWILIO, ChannelMemory(), lambda: 0)
    recorder = Recorder()
    with requests_seam.routed(recorder, Call(5)):  # type: ignore[arg-type]  # all that the seam asks of it
        assert provider.submit(provider.plugin(message), message)
    (form,) = recorder.sent
    return dict(form)


def test_form_is_that_of_apprise_with_what_we_add() -> None:
    """Body, or content; the callback always, with the attempt's reference."""
    addressed = {"From": f"whatsapp:{TWILIO_SENDER}", "To": f"whatsapp:{TWILIO_RECIPIENT}"}
    callback = {"StatusCallback": "https://alerts.example.org/webhooks/twilio?reference=0123456789ab.17"}
    assert form_of(MESSAGE) == {**addressed, "Body": "*text*", **callback}
    form = form_of(TemplateMessage.of(MESSAGE))
    assert json.loads(form.pop("ContentVariables")) == {"1": "a", "2": "b", "3": "c"}
    assert form == {**addressed, "ContentSid": TWILIO_CONTENT_SID, **callback}


def test_amendment_ends_with_the_send() -> None:
    """The next plugin of the thread sends what it means."""
    recorder = Recorder()
    with requests_seam.routed(recorder, Call(5)):  # type: ignore[arg-type]  # as above
        with requests_seam.amended(lambda data: [data, "amended"]):
            requests_seam.SEAM.post("http://127.0.0.1:9", "form")
            requests_seam.SEAM.request("POST", "http://127.0.0.1:9", data="form")
        requests_seam.SEAM.post("http://127.0.0.1:9", "form")
    assert recorder.sent == [["form", "amended"], ["form", "amended"], "form"]


# --- what a release of Apprise may change ------------------------------------------------------------------------


def post_json(plugin: Any, body: str, **_options: Any) -> bool:
    module = vars(sys.modules[NotifyTwilio.__module__])["requests"]
    module.post(plugin.notify_sms_url, json={"Body": body})
    return True


def post_other_names(plugin: Any, body: str, **_options: Any) -> bool:
    module = vars(sys.modules[NotifyTwilio.__module__])["requests"]
    module.post(plugin.notify_sms_url, data={"text": body, "to": plugin.targets[0][1], "from": plugin.source})
    return True


def post_nothing(_plugin: Any, _body: str, **_options: Any) -> bool:
    return True


@pytest.mark.parametrize("send", [post_json, post_other_names, post_nothing])
def test_release_that_sends_another_way_to_twilio_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, send: object
) -> None:
    """Better no start than a template that nobody gets."""
    monkeypatch.setattr(NotifyTwilio, "send", send)
    with pytest.raises(ConfigurationError, match="Apprise's twilio plugin does not address what channel whatsapp"):
        build_channel(TWILIO, environ={})


def test_release_that_sends_twilio_forms_past_the_seam_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request would carry neither template nor callback."""
    real = requests_seam.RequestsSeam.request

    def unamended(method: str, url: str, *arguments: Any, **options: Any) -> Any:
        with requests_seam.amended(lambda data: data):
            return real(method, url, *arguments, **options)

    monkeypatch.setattr(requests_seam.RequestsSeam, "request", staticmethod(unamended))
    for config in (TWILIO, META):
        with pytest.raises(ConfigurationError, match="plugin does not send what channel whatsapp is configured for"):
            build_channel(config, environ={})


def test_release_that_orders_parameters_another_way_at_meta_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What stands in the message would be another thing than what is meant."""
    real: Any = NotifyWhatsApp.__init__

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        real(self, *arguments, **options)
        self.component_keys = list(reversed(list(self.component_keys)))

    monkeypatch.setattr(NotifyWhatsApp, "__init__", init)
    with pytest.raises(ConfigurationError, match="meta plugin does not send what channel whatsapp is configured for"):
        build_channel(META, environ={})
