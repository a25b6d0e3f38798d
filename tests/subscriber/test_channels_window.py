"""WhatsApp's 24-hour window: what is known of it, and text or template that follows, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from bus.clock import MICROSECONDS
from subscriber.channels import lanes
from subscriber.channels.building import build_channel
from subscriber.channels.channel import MetaConfig
from subscriber.channels.memory import ChannelMemory
from subscriber.channels.plugins import Plugin
from subscriber.channels.providers import TemplateMessage
from subscriber.channels.window import OPEN_US, PARAMETERS_LENGTH, state_of
from subscriber.deliveries import Dialect, LengthUnit, Message, Reason, Remembered, TemplateLimits, Window
from subscriber.receipts import Receipt, ReceiptState
from tests.support.provider_faults import error, hang
from tests.support.provider_server import (
    META_OUTSIDE_WINDOW,
    META_PHONE_ID,
    META_RECIPIENT,
    META_TEMPLATE_LANGUAGE,
    META_TEMPLATE_OF_THREE,
    META_TOKEN,
    TWILIO_CONTENT_SID,
    TWILIO_OUTSIDE_WINDOW,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)
from tests.support.whatsapp_channels import DAY_US, MESSAGE, NOW_US, PARAMETERS, channel_of, meta, twilio


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Twilio and a strict Meta on loopback."""
    with ProviderServer() as running:
        yield running


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Closes channels at the end."""
    with ExitStack() as stack:
        yield stack


# --- what is known -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inbound_us", "outside_us", "state"),
    [
        (None, None, Window.UNKNOWN),
        (None, NOW_US - 9 * DAY_US, Window.CLOSED),
        (NOW_US, None, Window.OPEN),
        (NOW_US - OPEN_US, None, Window.OPEN),
        (NOW_US - OPEN_US - 1, None, Window.CLOSED),
        (NOW_US - DAY_US, None, Window.CLOSED),
        (NOW_US - 10, NOW_US - 20, Window.OPEN),
        (NOW_US - 20, NOW_US - 10, Window.CLOSED),
        (NOW_US - 20, NOW_US - 20, Window.CLOSED),
    ],
)
def test_window_follows_from_the_last_message_and_the_last_refusal(
    inbound_us: int | None, outside_us: int | None, state: Window
) -> None:
    """Open for a minute less than a day; a refusal counts until the person writes again."""
    assert state_of(Remembered(inbound_us=inbound_us, outside_us=outside_us), NOW_US) is state


def test_channel_with_a_template_says_its_limits(server: ProviderServer, opened: ExitStack) -> None:
    """Templates only where one is configured; the text's limit is the provider's own."""
    for config in (twilio(server), meta(server)):
        limits = channel_of(opened, config).message_limits
        assert limits.template == TemplateLimits(3, PARAMETERS_LENGTH, LengthUnit.UTF16)
    for config in (twilio(server, content_sid=None), meta(server, template=None)):
        assert channel_of(opened, config).message_limits.template is None


# --- the choice --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "by_template"),
    [
        (Remembered(), True),
        (Remembered(inbound_us=NOW_US - DAY_US), True),
        (Remembered(inbound_us=NOW_US - 10), False),
        (Remembered(inbound_us=NOW_US - 20, outside_us=NOW_US - 10), True),
    ],
)
def test_send_takes_the_template_unless_the_window_is_known_to_be_open(
    server: ProviderServer, opened: ExitStack, known: Remembered, by_template: bool
) -> None:
    """At both providers, and the outcome says which it was."""
    for config, desk in ((twilio(server), server.twilio), (meta(server), server.meta)):
        outcome = channel_of(opened, config, ChannelMemory(known)).send(MESSAGE)
        (message,) = desk.accepted
        assert (outcome.accepted, outcome.by_template) == (True, by_template)
        assert message.parameters == (PARAMETERS if by_template else ())
        assert (message.raw_text == "*text*") is not by_template


def test_send_without_a_template_or_without_parameters_is_text(server: ProviderServer, opened: ExitStack) -> None:
    """There is nothing else to send, whatever is known."""
    closed = ChannelMemory(Remembered(inbound_us=NOW_US - DAY_US))
    assert not channel_of(opened, twilio(server, content_sid=None), closed).send(MESSAGE).by_template
    bare = Message("*text*", "text", Dialect.WHATSAPP)
    assert not channel_of(opened, meta(server), closed).send(bare).by_template
    assert [message.template for message in server.accepted] == [None, None]


def test_template_of_twilio_is_a_form_of_its_own(server: ProviderServer, opened: ExitStack) -> None:
    """ContentSid and ContentVariables, and no Body: a template's text in Body fails with 63016."""
    channel_of(opened, twilio(server)).send(MESSAGE)
    form = server.twilio.requests[0].request.form()
    assert json.loads(form.pop("ContentVariables")) == dict(zip("123", PARAMETERS, strict=True))
    assert form == {
        "From": f"whatsapp:{TWILIO_SENDER}",
        "To": f"whatsapp:{TWILIO_RECIPIENT}",
        "ContentSid": TWILIO_CONTENT_SID,
    }


def test_template_of_meta_has_its_parameters_in_order_and_the_reference(
    server: ProviderServer, opened: ExitStack
) -> None:
    """Ten of them: sorted as text, 10 would come before 2."""
    parameters = tuple(f"parameter {number}" for number in range(1, 11))
    server.meta.rules.templates["of_ten", META_TEMPLATE_LANGUAGE] = 10
    config = MetaConfig(
        META_TOKEN, META_PHONE_ID, META_RECIPIENT, base_url=server.url, template="of_ten", template_parameters=10
    )
    message = Message("text", "text", Dialect.WHATSAPP, parameters=parameters, reference="store.1")
    assert channel_of(opened, config).send(message).accepted
    assert server.meta.accepted[0].parameters == parameters
    request = server.meta.requests[0].request.json_object()
    assert request is not None
    assert request["biz_opaque_callback_data"] == "store.1"


def test_rehearsal_shows_the_template(server: ProviderServer) -> None:
    """What would be requested is what would be requested: 1600 characters of text are not."""
    long = Message("x" * 1600, "x", Dialect.WHATSAPP, parameters=("a", "b", "c"))
    channel = build_channel(twilio(server), rehearsal=True, environ={})
    size = int(channel.rehearse(long).rpartition(", ")[2].split()[0])
    channel.close()
    assert size < 600


# --- refusals ----------------------------------------------------------------------------------------------------


def test_text_that_meta_refuses_at_once_goes_by_template_in_the_same_attempt(
    server: ProviderServer, opened: ExitStack
) -> None:
    """The window was thought to be open; one attempt, two requests, and it is remembered."""
    memory = ChannelMemory(Remembered(inbound_us=NOW_US - 10))
    channel = channel_of(opened, meta(server, META_OUTSIDE_WINDOW), memory)
    outcome = channel.send(MESSAGE)
    assert (outcome.accepted, outcome.by_template) == (True, True)
    assert [request.status for request in server.meta.requests] == [400, 200]
    assert (memory.values.outside_us, channel.window) == (NOW_US, Window.CLOSED)
    channel.send(MESSAGE)
    assert len(server.meta.requests) == 3


def test_text_that_is_refused_without_a_template_is_rejected_and_remembered(
    server: ProviderServer, opened: ExitStack
) -> None:
    """Another channel is to tell it."""
    memory = ChannelMemory()
    channel = channel_of(opened, meta(server, META_OUTSIDE_WINDOW, template=None), memory)
    outcome = channel.send(MESSAGE)
    assert (outcome.reason, outcome.code, outcome.template_instead) == (Reason.REJECTED, "131047", False)
    assert (channel.window, len(server.meta.requests)) == (Window.CLOSED, 1)


def test_template_that_is_refused_for_the_window_is_not_sent_for_ever(
    server: ProviderServer, opened: ExitStack
) -> None:
    """It can't be, says Meta; if it is, it ends."""
    server.meta.always(error(400, code=131047))
    outcome = channel_of(opened, meta(server)).send(MESSAGE)
    assert (outcome.reason, outcome.by_template, outcome.template_instead) == (Reason.REJECTED, True, False)
    assert len(server.meta.requests) == 1


def test_text_that_is_refused_with_a_hanging_template_behind_it_is_in_doubt(
    server: ProviderServer, opened: ExitStack
) -> None:
    """The refusal of the first request says nothing of the second."""
    server.meta.script(error(400, code=131047), hang())
    config = MetaConfig(
        META_TOKEN,
        META_PHONE_ID,
        META_RECIPIENT,
        base_url=server.url,
        deadline_seconds=0.5,
        template=META_TEMPLATE_OF_THREE,
    )
    outcome = channel_of(opened, config, ChannelMemory(Remembered(inbound_us=NOW_US))).send(MESSAGE)
    assert (outcome.reason, outcome.in_doubt, outcome.by_template) == (Reason.TIMEOUT, True, True)


def test_text_that_is_refused_with_a_template_that_never_left_is_tried_again(
    server: ProviderServer, opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request's refusal is not the end of the alert; nobody has it, so nothing is in doubt."""
    released = threading.Event()
    server.meta.script(error(400, code=131047))
    config = replace(meta(server), deadline_seconds=0.3)
    channel = channel_of(opened, config, ChannelMemory(Remembered(inbound_us=NOW_US)))
    real = channel._provider.plugin

    def plugin(message: Message) -> Plugin:
        if isinstance(message, TemplateMessage):
            released.wait(10)
        return real(message)

    monkeypatch.setattr(lanes, "GRACE_SECONDS", 0.01)
    monkeypatch.setattr(channel._provider, "plugin", plugin)
    outcome = channel.send(MESSAGE)
    released.set()
    assert (outcome.reason, outcome.in_doubt) == (Reason.NETWORK, False)


def test_refusal_of_twilio_by_receipt_asks_for_the_template(server: ProviderServer, opened: ExitStack) -> None:
    """Twilio accepts, and tells later; the next message goes by template from the start."""
    memory = ChannelMemory(Remembered(inbound_us=NOW_US - 10))
    channel = channel_of(opened, twilio(server, TWILIO_OUTSIDE_WINDOW), memory)
    server.twilio.rules.now = lambda: NOW_US / MICROSECONDS
    first = channel.send(MESSAGE)
    assert not first.by_template
    receipt = channel.ask_receipt(first.provider_message_id or "")
    assert isinstance(receipt, Receipt)
    judged = channel.judge_receipt(receipt, by_template=False)
    assert (judged.reason, judged.code, judged.template_instead) == (Reason.REJECTED, "63016", True)
    assert judged.detail == "outside of the 24-hour window"
    assert channel.window is Window.CLOSED
    second = channel.send(MESSAGE)
    assert second.by_template
    arrived = channel.ask_receipt(second.provider_message_id or "")
    assert isinstance(arrived, Receipt)
    assert arrived.state.arrived


def test_refusal_closes_the_window_that_the_text_relied_on_whatever_the_clocks_say(
    server: ProviderServer, opened: ExitStack
) -> None:
    """The person's message was timed by a clock that is ahead of the one that times the receipt."""
    memory = ChannelMemory(Remembered(inbound_us=NOW_US))
    channel = channel_of(opened, twilio(server), memory)
    receipt = Receipt("SM1", ReceiptState.FAILED, NOW_US - 300 * MICROSECONDS, "63016")
    assert channel.judge_receipt(receipt, by_template=False).template_instead
    assert channel.window is Window.CLOSED
    assert channel.send(MESSAGE).by_template


def test_text_that_twilio_fails_at_once_goes_by_template_in_the_same_attempt(
    server: ProviderServer, opened: ExitStack
) -> None:
    """A message resource that is failed already, with its code as `error_code`."""
    server.twilio.script(error(201, body=b'{"sid": "SM1", "status": "failed", "error_code": 63016}'))
    channel = channel_of(opened, twilio(server), ChannelMemory(Remembered(inbound_us=NOW_US)))
    outcome = channel.send(MESSAGE)
    assert (outcome.accepted, outcome.by_template, channel.window) == (True, True, Window.CLOSED)
    assert len(server.twilio.requests) == 2


BAD_TEMPLATES = [
    *(("meta", code) for code in (132000, 132001, 132005, 132007, 132012, 132015, 132016, 132018)),
    *(("twilio", code) for code in (21655, 21656, 63013, 63021, 63027, 63028)),
]


@pytest.mark.parametrize(("provider", "code"), BAD_TEMPLATES)
def test_template_that_is_refused_for_its_own_sake_gives_way_to_the_text(
    server: ProviderServer, opened: ExitStack, provider: str, code: int
) -> None:
    """Once, in the same attempt, where nobody knows that the window is closed; a person is told to put it right."""
    desk, config = (server.meta, meta(server)) if provider == "meta" else (server.twilio, twilio(server))
    desk.script(error(400, code=code))
    outcome = channel_of(opened, config).send(MESSAGE)
    assert (outcome.accepted, outcome.by_template) == (True, False)
    [message] = desk.accepted
    assert (message.template, message.text, len(desk.requests)) == (None, MESSAGE.body, 2)


def test_template_that_is_refused_where_the_window_is_closed_ends_there(
    server: ProviderServer, opened: ExitStack
) -> None:
    """The text would be refused as well; another channel is to tell it."""
    server.meta.always(error(400, code=132001))
    channel = channel_of(opened, meta(server), ChannelMemory(Remembered(outside_us=NOW_US)))
    outcome = channel.send(MESSAGE)
    assert (outcome.reason, outcome.code, outcome.by_template) == (Reason.REJECTED, "132001", True)
    assert len(server.meta.requests) == 1


def test_text_that_stands_in_for_a_refused_template_is_not_followed_by_it_again(
    server: ProviderServer, opened: ExitStack
) -> None:
    """The window turns out to be closed: two requests, and the end."""
    server.meta.script(error(400, code=132001))
    channel = channel_of(opened, meta(server, META_OUTSIDE_WINDOW))
    outcome = channel.send(MESSAGE)
    assert (outcome.reason, outcome.code, outcome.by_template) == (Reason.REJECTED, "131047", False)
    assert (len(server.meta.requests), channel.window) == (2, Window.CLOSED)
