"""WhatsApp by Twilio and by Meta, by Apprise's own plugins over real HTTP: exact text, verdicts, probes."""

import base64
import re
from collections.abc import Iterator

import pytest

from subscriber.channels.building import build_channel
from subscriber.channels.channel import Channel, Limit, MetaConfig, TwilioConfig
from subscriber.channels.meta_receipts import message_key
from subscriber.deliveries import Dialect, Message, Outcome, Reason
from tests.support.provider_faults import Fault, error, garbage, ok_false, rate_limited
from tests.support.provider_server import (
    META_NOT_ALLOWED,
    META_NOT_ON_WHATSAPP,
    META_OUTSIDE_WINDOW,
    META_PHONE_ID,
    META_RECIPIENT,
    META_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_OPTED_OUT,
    TWILIO_RECIPIENT,
    TWILIO_SANDBOX_SENDER,
    TWILIO_SENDER,
    ProviderServer,
)

TEXT = "  *PnL* < -5% & more\n\nBTC_USDT -3.2% &lt;b&gt; :smile: 😀 "
MESSAGE = Message(TEXT, TEXT, Dialect.WHATSAPP)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    """A strict Twilio and a strict Meta on loopback."""
    with ProviderServer() as running:
        yield running


def twilio(
    server: ProviderServer,
    recipient: str = TWILIO_RECIPIENT,
    sender: str = TWILIO_SENDER,
    token: str = TWILIO_AUTH_TOKEN,
) -> Channel:
    """Build a Twilio channel that reaches the server."""
    config = TwilioConfig(TWILIO_ACCOUNT_SID, token, sender, recipient, base_url=server.url, deadline_seconds=5)
    return build_channel(config, environ={})


def meta(
    server: ProviderServer, recipient: str = META_RECIPIENT, token: str = META_TOKEN, phone_id: str = META_PHONE_ID
) -> Channel:
    """Build a Meta channel that reaches the server."""
    return build_channel(MetaConfig(token, phone_id, recipient, base_url=server.url, deadline_seconds=5), environ={})


def sent(channel: Channel, message: Message = MESSAGE) -> Outcome:
    """Send one message and close the channel."""
    try:
        return channel.send(message)
    finally:
        channel.close()


def test_twilio_send_arrives_byte_for_byte_from_and_to_whatsapp(server: ProviderServer) -> None:
    """Not split at 160 characters, not stripped, both numbers with their prefix."""
    outcome = sent(twilio(server))
    [message] = server.twilio.accepted
    assert (message.raw_text, message.target) == (TEXT, TWILIO_RECIPIENT)
    assert server.twilio.requests[0].request.form() == {
        "From": f"whatsapp:{TWILIO_SENDER}",
        "To": f"whatsapp:{TWILIO_RECIPIENT}",
        "Body": TEXT,
    }
    assert outcome == Outcome(Reason.ACCEPTED, status=201, provider_message_id=message.message_id)


def test_meta_send_arrives_byte_for_byte(server: ProviderServer) -> None:
    """Not split at 1024 characters, not stripped."""
    outcome = sent(meta(server))
    [message] = server.meta.accepted
    assert (message.raw_text, message.target) == (TEXT, META_RECIPIENT)
    assert outcome == Outcome(Reason.ACCEPTED, status=200, provider_message_id=message_key(message.message_id))


def test_meta_message_is_known_by_a_digest_that_tells_no_phone_number(server: ProviderServer) -> None:
    """A wamid is base64 with the person's number in it; its digest is what a receipt comes with, too."""
    outcome = sent(meta(server))
    [message] = server.meta.accepted
    content = base64.b64decode(message.message_id.removeprefix("wamid."))
    assert META_RECIPIENT.removeprefix("+").encode() in content
    assert re.fullmatch(r"meta-[0-9a-f]{32}", outcome.provider_message_id or "")
    assert sent(meta(server)).provider_message_id != outcome.provider_message_id


@pytest.mark.parametrize("number", ["+4512345678", "+298123456", "+491234567890123"])
def test_send_to_a_number_of_any_length_goes_to_exactly_that(server: ProviderServer, number: str) -> None:
    """Apprise's constructor takes 10 to 14 digits; Denmark has 10, the Faroes 9, E.164 up to 15."""
    server.twilio.rules.senders.add("+4587654321")
    assert sent(twilio(server, number, sender="+4587654321")).accepted
    assert sent(meta(server, number)).accepted
    assert [message.target for message in server.accepted] == [number, number]


def test_send_of_the_longest_message_is_one_request(server: ProviderServer) -> None:
    """1600 at Twilio, 4096 at Meta."""
    for channel in (twilio(server), meta(server)):
        text = "x" * channel.message_limits.length
        assert sent(channel, Message(text, text, Dialect.WHATSAPP)).accepted
    assert [len(message.text) for message in server.accepted] == [1600, 4096]
    assert len(server.twilio.requests) == len(server.meta.requests) == 1


TWILIO_VERDICTS: list[tuple[Fault, Reason, str | None]] = [
    (error(401, code=20003), Reason.UNAUTHORIZED, "20003"),
    (error(400, code=21211), Reason.UNAUTHORIZED, "21211"),
    (error(400, code=21610), Reason.UNAUTHORIZED, "21610"),
    (error(400, code=21602), Reason.REJECTED, "21602"),
    (error(400, code=21617), Reason.REJECTED, "21617"),
    (error(400, code=63007), Reason.UNAUTHORIZED, "63007"),
    (error(400, code=63015), Reason.UNAUTHORIZED, "63015"),
    (error(400, code=63016), Reason.REJECTED, "63016"),
    (error(400, code=63018), Reason.RATE_LIMITED, "63018"),
    (error(400, code=99999), Reason.REJECTED, "99999"),
    (rate_limited(3), Reason.RATE_LIMITED, "20429"),
    (error(429, body=b"slow down"), Reason.RATE_LIMITED, None),
    (error(500), Reason.UNAVAILABLE, "20500"),
    (error(503), Reason.UNAVAILABLE, "20503"),
    (error(502, body=b"<html>"), Reason.UNAVAILABLE, None),
    (garbage(), Reason.UNAVAILABLE, None),
    (garbage(b"{}"), Reason.UNAVAILABLE, None),
]
META_VERDICTS: list[tuple[Fault, Reason, str | None]] = [
    (error(401, code=190), Reason.UNAUTHORIZED, "190"),
    (error(400, code=190), Reason.UNAUTHORIZED, "190"),
    (error(403, code=200), Reason.UNAUTHORIZED, "200"),
    (error(400, code=100), Reason.REJECTED, "100"),
    (error(400, code=131026), Reason.REJECTED, "131026"),
    (error(400, code=131047), Reason.REJECTED, "131047"),
    (error(400, code=131048), Reason.REJECTED, "131048"),
    (error(400, code=131056), Reason.RATE_LIMITED, "131056"),
    (error(400, code=130429), Reason.RATE_LIMITED, "130429"),
    (error(400, code=132001), Reason.REJECTED, "132001"),
    (error(404, code=132001), Reason.REJECTED, "132001"),
    (error(400, code=131016), Reason.UNAVAILABLE, "131016"),
    (error(500), Reason.UNAVAILABLE, "131000"),
    (error(503), Reason.UNAVAILABLE, "131016"),
    (rate_limited(9), Reason.RATE_LIMITED, "130429"),
    (ok_false(), Reason.REJECTED, "131026"),
    (error(502, body=b"<html>"), Reason.UNAVAILABLE, None),
    (garbage(), Reason.UNAVAILABLE, None),
    (garbage(b'{"messages": [[]]}'), Reason.UNAVAILABLE, None),
]


@pytest.mark.parametrize(("fault", "reason", "code"), TWILIO_VERDICTS)
def test_twilio_send_that_is_refused_has_its_verdict(
    server: ProviderServer, fault: Fault, reason: Reason, code: str | None
) -> None:
    """One row of the table; only an unavailable provider leaves a doubt."""
    server.twilio.script(fault)
    outcome = sent(twilio(server))
    assert (outcome.reason, outcome.code) == (reason, code)
    assert outcome.in_doubt is (reason is Reason.UNAVAILABLE)


@pytest.mark.parametrize(("fault", "reason", "code"), META_VERDICTS)
def test_meta_send_that_is_refused_has_its_verdict(
    server: ProviderServer, fault: Fault, reason: Reason, code: str | None
) -> None:
    """One row of the table; the code decides and not the HTTP status, of which sources differ."""
    server.meta.script(fault)
    outcome = sent(meta(server))
    assert (outcome.reason, outcome.code) == (reason, code)
    assert outcome.in_doubt is (reason is Reason.UNAVAILABLE)


def test_rate_limits_carry_the_providers_wait(server: ProviderServer) -> None:
    """Both tell it in a header."""
    server.twilio.script(rate_limited(3))
    server.meta.script(rate_limited(9))
    assert [sent(twilio(server)).retry_after_seconds, sent(meta(server)).retry_after_seconds] == [3, 9]


def test_send_to_a_recipient_that_is_refused_names_it_by_code(server: ProviderServer) -> None:
    """The recipients' own refusals, by the providers' rules and not by script."""
    outcomes = [
        sent(twilio(server, TWILIO_OPTED_OUT)),
        sent(meta(server, META_NOT_ALLOWED)),
        sent(meta(server, META_NOT_ON_WHATSAPP)),
        sent(meta(server, META_OUTSIDE_WINDOW)),
    ]
    assert [(outcome.code, outcome.reason) for outcome in outcomes] == [
        ("21610", Reason.UNAUTHORIZED),
        ("131030", Reason.UNAUTHORIZED),
        ("131026", Reason.REJECTED),
        ("131047", Reason.REJECTED),
    ]
    assert "24 hours" in outcomes[3].detail


def test_probes_ask_for_account_and_phone_without_sending(server: ProviderServer) -> None:
    """Good credentials are accepted, and no account's sid is handed on."""
    for channel in (twilio(server), meta(server)):
        assert channel.probe() == Outcome(Reason.ACCEPTED, status=200)
        channel.close()
    assert server.accepted == []


def test_probes_with_wrong_credentials_are_unauthorized(server: ProviderServer) -> None:
    """A wrong token, and a phone number id of somebody else."""
    for channel in (
        twilio(server, token="0" * 32),
        meta(server, token="EAA" + "1" * 60),
        meta(server, phone_id="4711"),
    ):
        assert channel.probe().reason is Reason.UNAUTHORIZED
        channel.close()


def test_probe_of_a_suspended_account_is_unauthorized(server: ProviderServer) -> None:
    """Its credentials hold, and nothing would be sent."""
    server.twilio.script(error(200, body=b'{"sid": "AC", "status": "suspended"}'))
    channel = twilio(server)
    outcome = channel.probe()
    channel.close()
    assert (outcome.reason, outcome.detail) == (Reason.UNAUTHORIZED, "the account is suspended")


def test_pace_is_shared_by_those_that_share_a_sender(server: ProviderServer) -> None:
    """One message in three seconds for the sandbox, where a sender of one's own takes 80 a second."""
    sandbox, sender = f"twilio:{TWILIO_SANDBOX_SENDER}", f"twilio:{TWILIO_SENDER}"
    assert twilio(server, sender=TWILIO_SANDBOX_SENDER).pace == (
        Limit(30, 180, burst=30, scope=f"{sandbox}:{TWILIO_RECIPIENT}"),
        Limit(1, 3, scope=sandbox),
    )
    assert twilio(server).pace == (
        Limit(30, 180, burst=30, scope=f"{sender}:{TWILIO_RECIPIENT}"),
        Limit(80, 1, burst=80, scope=sender),
    )
    number = f"meta:{META_PHONE_ID}"
    assert meta(server).pace == (
        Limit(10, 60, burst=5, scope=f"{number}:{META_RECIPIENT}"),
        Limit(80, 1, burst=80, scope=number),
    )
    for limit in (*twilio(server).pace, *meta(server).pace):
        assert TWILIO_SENDER not in repr(limit)
        assert META_PHONE_ID not in repr(limit)


def test_pace_of_the_configuration_comes_beside_the_providers(server: ProviderServer) -> None:
    """A person may want fewer messages than the provider takes, and never more."""
    own = Limit(1, 60)
    config = TwilioConfig(
        TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT, limits=(own,), concurrency=2
    )
    channel = build_channel(config, environ={})
    assert (len(channel.pace), channel.pace[-1], channel.concurrency) == (3, own, 2)
    number = MetaConfig(META_TOKEN, META_PHONE_ID, META_RECIPIENT, limits=(own,), concurrency=3)
    channel = build_channel(number, environ={})
    assert (len(channel.pace), channel.pace[-1], channel.concurrency) == (3, own, 3)
