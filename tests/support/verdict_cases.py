"""What providers answer, as cases to run: who is asked how, and what comes back. `verdict_table` runs them."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from subscriber.channels.channel import AppriseConfig, ChannelConfig, MetaConfig, TelegramConfig, TwilioConfig
from tests.support import provider_server as there
from tests.support.provider_faults import (
    Fault,
    accept_then_drop,
    drip,
    error,
    fails_later,
    garbage,
    hang,
    ok,
    ok_false,
    rate_limited,
    redirect,
    reset_after_reading,
    reset_before_reading,
)
from tests.support.provider_server import ProviderServer

#: Seconds that a send of a case may take: the silent ones take all of it.
DEADLINE_SECONDS: Final = 5.0
SHORT_DEADLINE_SECONDS: Final = 0.5

TELEGRAM: Final = "Telegram"
TWILIO: Final = "WhatsApp by Twilio"
META: Final = "WhatsApp by Meta"
OTHER: Final = "Any other service"
WIRE: Final = "On the way, with any of them"
LATER: Final = "After it was accepted: receipts that say failed"

#: Builds the configuration of a channel by this name, which reaches the server.
Configure = Callable[[ProviderServer, str], ChannelConfig]


@dataclass(frozen=True)
class Case:
    """One answer.

    Attributes:
        service: under which heading it is told.
        answer: what the provider says, in words.
        configure: builds the channel.
        faults: what the server does, one a request; the last one goes on. None: its rules decide.
        desk: whose faults these are.
        later: the code with which an accepted message fails afterwards.
        inbound: the person wrote just now, so that the 24-hour window is thought open.
    """

    service: str
    answer: str
    configure: Configure
    faults: Sequence[Callable[[], Fault]] = ()
    desk: str = ""
    later: int | None = None
    inbound: bool = False


def telegram(chat: str = there.TELEGRAM_CHAT, **changes: Any) -> Configure:
    """Configure a Telegram channel."""
    return lambda server, name: TelegramConfig(
        **{"token": there.TELEGRAM_TOKEN, "chat_id": chat, "name": name, **_reached(server), **changes}
    )


def twilio(recipient: str = there.TWILIO_RECIPIENT, **changes: Any) -> Configure:
    """Configure a WhatsApp by Twilio."""
    account = {
        "account_sid": there.TWILIO_ACCOUNT_SID,
        "auth_token": there.TWILIO_AUTH_TOKEN,
        "sender": there.TWILIO_SENDER,
    }
    return lambda server, name: TwilioConfig(
        **{**account, "recipient": recipient, "name": name, **_reached(server), **changes}
    )


def meta(recipient: str = there.META_RECIPIENT, **changes: Any) -> Configure:
    """Configure a WhatsApp by Meta."""
    account = {"access_token": there.META_TOKEN, "phone_number_id": there.META_PHONE_ID}
    webhook = {"app_secret": there.META_APP_SECRET, "verify_token": there.META_VERIFY_TOKEN}
    return lambda server, name: MetaConfig(
        **{**account, **webhook, "recipient": recipient, "name": name, **_reached(server), **changes}
    )


def webhook(server: ProviderServer, name: str) -> AppriseConfig:
    """Configure a webhook by its Apprise URL."""
    return AppriseConfig(name, f"json://127.0.0.1:{server.port}/hook", deadline_seconds=DEADLINE_SECONDS)


def _reached(server: ProviderServer) -> dict[str, Any]:
    return {"base_url": server.url, "deadline_seconds": DEADLINE_SECONDS}


def _described(status: int, description: str) -> Callable[[], Fault]:
    body = {"ok": False, "error_code": status, "description": description}
    return lambda: error(status, body=json.dumps(body).encode())


def _coded(status: int, code: int) -> Callable[[], Fault]:
    return lambda: error(status, code=code)


def failed_at_once() -> Fault:
    """Twilio's resource of a message outside of the window that has failed already."""
    return error(201, body=b'{"sid": "SM1", "status": "failed", "error_code": 63016, "error_message": null}')


def _titled(code: int, title: str) -> Callable[[], Fault]:
    content = {"message": f"(#{code}) {title}", "type": "OAuthException", "code": code}
    return lambda: error(400, body=json.dumps({"error": content}).encode())


def _failing_later(code: int) -> Callable[[], Fault]:
    return lambda: fails_later(code)


def _always(fault: Fault) -> Callable[[], Fault]:
    return lambda: fault


def cases() -> Iterator[Case]:
    """Yield every case, in the order in which they are told."""
    yield from _telegram()
    yield from _twilio()
    yield from _meta()
    yield from _other()
    yield from _wire()
    yield from _later()


def _telegram() -> Iterator[Case]:
    unparsed = _described(400, "Bad Request: can't parse entities: Unexpected end tag at byte offset 4")
    answers: tuple[tuple[str, Configure, Sequence[Callable[[], Fault]]], ...] = (
        ("taken", telegram(), ()),
        ("the token was revoked", telegram(token=there.TELEGRAM_TOKEN[:-3] + "111"), ()),
        ("no bot can have such a token", telegram(), [lambda: error(404)]),
        ("the bot was blocked", telegram(there.TELEGRAM_BLOCKED_CHAT), ()),
        ("the user is deactivated", telegram(there.TELEGRAM_DEACTIVATED_CHAT), ()),
        ("the bot was kicked", telegram(there.TELEGRAM_KICKED_GROUP), ()),
        ("chat not found", telegram(there.TELEGRAM_UNKNOWN_CHAT), ()),
        ("not enough rights", telegram(), [_described(400, "Bad Request: not enough rights to send text messages")]),
        ("the group has moved (migrate_to_chat_id)", telegram(there.TELEGRAM_UPGRADED_GROUP), ()),
        ("can't parse entities; as plain text it passes", telegram(), [unparsed, ok]),
        ("can't parse entities, plain text included", telegram(), [unparsed]),
        ("any other 400", telegram(), [lambda: error(400)]),
        ("too many requests, retry_after 35", telegram(), [lambda: rate_limited(35)]),
        ("too many requests, without a wait", telegram(), [lambda: rate_limited(None)]),
        ("`ok: false` under 200", telegram(), [ok_false]),
        ("internal server error", telegram(), [lambda: error(500)]),
        ("a gateway's page", telegram(), [lambda: error(502, body=b"<html>Bad Gateway</html>")]),
    )
    for answer, configure, faults in answers:
        yield Case(TELEGRAM, answer, configure, faults, "telegram")


def _twilio() -> Iterator[Case]:
    codes = (
        (400, 21211, "the recipient is no phone number"),
        (400, 21617, "longer than 1600 characters"),
        (400, 63015, "the recipient has not joined the sandbox"),
        (400, 63016, "outside of the 24-hour window"),
        (429, 63018, "too fast for WhatsApp"),
        (429, 20429, "too many requests"),
        (500, 20500, "internal server error"),
        (503, 20503, "service unavailable"),
    )
    yield Case(TWILIO, "taken", twilio())
    yield Case(TWILIO, "the auth token is wrong", twilio(auth_token="0" * 32))
    yield Case(TWILIO, "the recipient has opted out", twilio(there.TWILIO_OPTED_OUT))
    for status, code, answer in codes:
        yield Case(TWILIO, answer, twilio(), [_coded(status, code)], "twilio")
    template = twilio(content_sid=there.TWILIO_CONTENT_SID)
    yield Case(TWILIO, "outside of the window, told under 201", template, [failed_at_once, ok], "twilio", inbound=True)
    yield Case(TWILIO, "no such template, the window unknown", template, [_coded(400, 21655), ok], "twilio")
    yield Case(TWILIO, "too many requests, Retry-After 7", twilio(), [lambda: rate_limited(7)], "twilio")
    yield Case(TWILIO, "a message that failed at once, under 200", twilio(), [ok_false], "twilio")
    yield Case(TWILIO, "a gateway's page", twilio(), [lambda: error(502, body=b"<html>Bad Gateway</html>")], "twilio")


def _meta() -> Iterator[Case]:
    codes = (
        (429, 130429, "throughput of the number reached"),
        (400, 131048, "spam rate limit"),
        (400, 131049, "not delivered, for a healthy ecosystem"),
        (429, 131056, "pair rate limit"),
        (400, 132000, "number of parameters differs from the template's"),
        (400, 132001, "no such template in this language"),
        (400, 132005, "the template's text is too long"),
        (500, 131000, "something went wrong"),
        (503, 131016, "service unavailable"),
    )
    templates = (
        (132007, "Template format character policy violated"),
        (132012, "Template parameter format mismatch"),
        (132015, "Template is paused"),
        (132016, "Template is disabled"),
    )
    yield Case(META, "taken", meta())
    yield Case(META, "the access token has expired", meta(access_token="EAA" + "1" * 40))
    yield Case(META, "no such phone number id", meta(phone_number_id="999999999999999"))
    yield Case(META, "the recipient can't get it", meta(there.META_NOT_ON_WHATSAPP))
    yield Case(META, "the recipient is not in a test number's list", meta(there.META_NOT_ALLOWED))
    yield Case(META, "outside of the 24-hour window, no template", meta(there.META_OUTSIDE_WINDOW))
    closed = [_coded(400, 131047), ok]
    with_template = meta(template=there.META_TEMPLATE_OF_THREE)
    yield Case(META, "outside of the window that was thought open", with_template, closed, "meta", inbound=True)
    refused = [_coded(400, 132001), ok]
    yield Case(META, "no such template in this language, the window unknown", with_template, refused, "meta")
    for status, code, answer in codes:
        yield Case(META, answer, meta(), [_coded(status, code)], "meta")
    for code, title in templates:
        yield Case(META, title, meta(), [_titled(code, title)], "meta")
    yield Case(META, "an error under 200", meta(), [ok_false], "meta")


def _other() -> Iterator[Case]:
    answers: tuple[tuple[str, Fault], ...] = (
        ("400", error(400)),
        ("401", error(401)),
        ("402", error(402)),
        ("403", error(403)),
        ("404", error(404)),
        ("408", error(408)),
        ("410", error(410)),
        ("413", error(413)),
        ("429, Retry-After 4", error(429, body=b"", headers={"Retry-After": "4"})),
        ("429, without a wait", error(429, body=b"")),
        ("500", error(500)),
        ("503, Retry-After 20", error(503, body=b"", headers={"Retry-After": "20"})),
        ("511, a network that wants a login", error(511)),
    )
    yield Case(OTHER, "taken", webhook)
    for answer, fault in answers:
        yield Case(OTHER, answer, webhook, [_always(fault)], "hook")


def _wire() -> Iterator[Case]:
    silent = (
        ("silence until the deadline", hang),
        ("taken, then silence until the deadline", lambda: hang(accept_first=True)),
        ("a byte a second", lambda: drip(1, 1.0)),
    )
    answers: tuple[tuple[str, Callable[[], Fault]], ...] = (
        ("reset while the request is read", reset_before_reading),
        ("reset after it was read", reset_after_reading),
        ("taken, then closed without an answer", accept_then_drop),
        ("200 with garbage", garbage),
        ("200 without a body", lambda: garbage(b"")),
        ("200 with a megabyte", lambda: garbage(b'{"ok": true, "x": "' + b"x" * 1_000_000 + b'"}')),
        ("a redirect, which is not followed", redirect),
    )
    yield Case(WIRE, "nobody listens there", _nobody)
    yield Case(WIRE, "the TLS handshake fails", _over_tls)
    for answer, fault in silent:
        yield Case(WIRE, answer, telegram(deadline_seconds=SHORT_DEADLINE_SECONDS), [fault], "telegram")
    for answer, fault in answers:
        yield Case(WIRE, answer, telegram(), [fault], "telegram")


def _nobody(server: ProviderServer, name: str) -> ChannelConfig:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return telegram(base_url=f"http://127.0.0.1:{port}")(server, name)


def _over_tls(server: ProviderServer, name: str) -> ChannelConfig:
    return telegram(base_url=f"https://127.0.0.1:{server.port}")(server, name)


def _later() -> Iterator[Case]:
    sandbox = twilio(there.TWILIO_NOT_JOINED, sender=there.TWILIO_SANDBOX_SENDER)
    by_template = twilio(content_sid=there.TWILIO_CONTENT_SID)
    yield Case(LATER, "Twilio 63015: has not joined the sandbox", sandbox, later=63015)
    for code, words, configure in (
        (63016, "outside of the window, no template", twilio()),
        (63016, "outside of the window, a template is configured", by_template),
        (63018, "too fast for WhatsApp", twilio()),
        (63024, "WhatsApp refuses the recipient", twilio()),
        (63012, "an internal error of WhatsApp's", twilio()),
    ):
        yield Case(
            LATER, f"Twilio {code}: {words}", configure, [_failing_later(code), ok], "twilio", later=code, inbound=True
        )
    for code, words in (
        (131026, "undeliverable"),
        (131047, "outside of the window, no template"),
        (131048, "spam rate limit"),
        (131049, "not delivered, for a healthy ecosystem"),
    ):
        yield Case(LATER, f"Meta {code}: {words}", meta(), later=code)
