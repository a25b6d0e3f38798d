"""Credentials that nobody can mistake for anything else, and providers that repeat them in their errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tests.support.canary import echo_of
from tests.support.daemon import provider_environ
from tests.support.provider_faults import (
    Fault,
    error,
    garbage,
    hang,
    ok,
    rate_limited,
    redirect,
    reset_after_reading,
)
from tests.support.provider_server import (
    META_APP_SECRET,
    META_PHONE_ID,
    META_RECIPIENT,
    META_TEMPLATE_OF_THREE,
    META_TOKEN,
    TELEGRAM_CHAT,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_CONTENT_SID,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)

API_TOKEN: Final = "canary/api+token%41&\"quoted'\\end"
PASSWORD: Final = 'canary pass/word+&%"é'
VERIFY_TOKEN: Final = 'canary/verify+"token"&more'
PING_TOKEN: Final = "5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"
DESK_TOKEN: Final = "canary-desk-T0ken-7f3a99"
DESK_PASSWORD: Final = "canary-desk-Passw0rd-51"
#: By harmless names, every text that must be nowhere.
SECRETS: Final[Mapping[str, str]] = {
    "bot token": TELEGRAM_TOKEN,
    "bot token's second half": TELEGRAM_TOKEN.partition(":")[2],
    "chat id": TELEGRAM_CHAT,
    "account sid": TWILIO_ACCOUNT_SID,
    "auth token": TWILIO_AUTH_TOKEN,
    "twilio sender": TWILIO_SENDER.removeprefix("+"),
    "twilio recipient": TWILIO_RECIPIENT.removeprefix("+"),
    "meta token": META_TOKEN,
    "meta phone id": META_PHONE_ID,
    "meta recipient": META_RECIPIENT.removeprefix("+"),
    "app secret": META_APP_SECRET,
    "verify token": VERIFY_TOKEN,
    "api token": API_TOKEN,
    "database password": PASSWORD,
    "ping token": PING_TOKEN,
    "desk token": DESK_TOKEN,
    "desk password": DESK_PASSWORD,
}
#: By channel, what its provider is told and may repeat.
TOLD: Final = {
    "telegram": (TELEGRAM_TOKEN, TELEGRAM_CHAT),
    "twilio": (TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_SENDER, TWILIO_RECIPIENT),
    "meta": (META_TOKEN, META_PHONE_ID, META_RECIPIENT),
    "hook": (DESK_TOKEN, DESK_PASSWORD),
}


def environ_of(whatsapp: str, server: ProviderServer, ping_port: int) -> dict[str, str]:
    """Return the settings of a daemon that has all of these credentials, at DEBUG and in a hurry.

    Args:
        whatsapp: WhatsApp's provider: `twilio`, with logs as text, or `meta`, with logs as JSON.
        server: Stands in for all providers.
        ping_port: Where the daemon tells that it lives.
    """
    by_provider = {
        "twilio": {
            "TWILIO_CONTENT_SID": TWILIO_CONTENT_SID,
            "ALERTBUS_PUBLIC_URL": "https://alerts.example.com",
            "ALERTBUS_LOG_FORMAT": "text",
        },
        "meta": {
            "WHATSAPP_TEMPLATE": META_TEMPLATE_OF_THREE,
            "WHATSAPP_APP_SECRET": META_APP_SECRET,
            "WHATSAPP_VERIFY_TOKEN": VERIFY_TOKEN,
            "ALERTBUS_LOG_FORMAT": "json",
        },
    }
    return {
        **provider_environ(server, "telegram", whatsapp),
        **by_provider[whatsapp],
        "ALERTBUS_API_TOKEN": API_TOKEN,
        "ALERTBUS_PING_URL": f"http://ping:{PING_TOKEN}@127.0.0.1:{ping_port}/ping/{PING_TOKEN}",
        "ALERTBUS_PING_INTERVAL": "5",
        "DESK_URL": f"json://desk:{DESK_PASSWORD}@127.0.0.1:{server.port}/hook/{DESK_TOKEN}",
        "ALERTBUS_LOG_LEVEL": "DEBUG",
        "ALERTBUS_DELIVERY_DEADLINE": "0.5",
        "ALERTBUS_DELIVERY_BACKOFF_BASE": "0.05",
        "ALERTBUS_DELIVERY_BACKOFF_CAP": "0.2",
    }


def faults_of(provider: str) -> tuple[Fault, ...]:
    """Return every way in which a provider fails, each of which repeats what the provider was told."""
    told = echo_of(TOLD[provider]).encode()
    rejected = {"telegram": 400, "twilio": 21617, "meta": 100, "hook": 400}[provider]
    rejection, failure = refusal_by(provider, 400, rejected), refusal_by(provider, 500, None)
    if provider == "meta":  # the others have all of it, and its pace is slow
        return rejection, failure
    # Never three failures in a row, or the channel only probes for some seconds.
    return (
        rate_limited(1),
        rejection,
        failure,
        ok(),
        garbage(told),
        hang(),
        ok(),
        reset_after_reading(),
        redirect(f"/elsewhere/{TOLD[provider][0]}"),
    )


def refusal_by(provider: str, status: int, code: int | None) -> Fault:
    """Return an error that repeats what the provider was told, in the provider's shape."""
    echoed = echo_of(TOLD[provider])
    bodies: dict[str, Any] = {
        "telegram": {"ok": False, "error_code": status, "description": f"Bad Request: {echoed}"},
        "twilio": {"code": code or 20500, "message": echoed, "more_info": echoed, "status": status},
        "meta": {"error": {"code": code or 131000, "message": echoed, "error_data": {"details": echoed}}},
        "hook": {"error": echoed},
    }
    headers = {"X-Echo": echoed, "Location": f"/elsewhere?{echoed.split()[0]}"}
    return error(status, body=json.dumps(bodies[provider]).encode(), headers=headers)
