"""One good message for each provider, sent as plainly as can be.

Owns what the tests of the server and its faults have in common; a test of a provider's rules builds its own
requests.
"""

import json
from collections.abc import Callable

import requests

from tests.support.provider_server import (
    META_PHONE_ID,
    META_RECIPIENT,
    META_TOKEN,
    TELEGRAM_CHAT,
    TELEGRAM_TOKEN,
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_RECIPIENT,
    TWILIO_SENDER,
    ProviderServer,
)

TELEGRAM_BODY = json.dumps({"chat_id": TELEGRAM_CHAT, "text": "Drawdown"})
TELEGRAM_HEADERS = {"Content-Type": "application/json"}


def send_telegram(server: ProviderServer, *, timeout: float = 60.0) -> requests.Response:
    """Send by the Telegram Bot API, as JSON."""
    url = f"{server.url}/bot{TELEGRAM_TOKEN}/sendMessage"
    return requests.post(url, data=TELEGRAM_BODY, headers=TELEGRAM_HEADERS, timeout=timeout)


def send_twilio(server: ProviderServer) -> requests.Response:
    """Send an SMS by Twilio."""
    url = f"{server.url}/2010-04-01/Accounts/{TWILIO_ACCOUNT_SID}/Messages.json"
    form = {"From": TWILIO_SENDER, "To": TWILIO_RECIPIENT, "Body": "Drawdown"}
    return requests.post(url, data=form, auth=(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN), timeout=60)


def send_meta(server: ProviderServer) -> requests.Response:
    """Send a text by the Cloud API."""
    payload = {
        "messaging_product": "whatsapp",
        "to": META_RECIPIENT,
        "type": "text",
        "text": {"body": "Drawdown"},
    }
    headers = {"Authorization": f"Bearer {META_TOKEN}"}
    return requests.post(f"{server.url}/v21.0/{META_PHONE_ID}/messages", json=payload, headers=headers, timeout=60)


def send_hook(server: ProviderServer) -> requests.Response:
    """Post to the webhook."""
    return requests.post(f"{server.url}/hook", json={"message": "Drawdown"}, timeout=60)


SENDERS: dict[str, Callable[[ProviderServer], requests.Response]] = {
    "telegram": send_telegram,
    "twilio": send_twilio,
    "meta": send_meta,
    "hook": send_hook,
}
