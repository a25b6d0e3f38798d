"""A daemon as tests configure it and look at it: its environment, and its HTTP API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx2

from tests.support.ports import free_port
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

PREFIX: Final = "/api/monitoring/notifications"
#: Far longer than anything should take on a busy machine.
PATIENCE_SECONDS: Final = 60.0

_TELEGRAM: Final = {"TELEGRAM_BOT_TOKEN": TELEGRAM_TOKEN, "TELEGRAM_CHAT_ID": TELEGRAM_CHAT}
_TWILIO: Final = {
    "TWILIO_ACCOUNT_SID": TWILIO_ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": TWILIO_AUTH_TOKEN,
    "WHATSAPP_FROM": TWILIO_SENDER,
    "WHATSAPP_TO": TWILIO_RECIPIENT,
}
_META: Final = {
    "WHATSAPP_CLOUD_TOKEN": META_TOKEN,
    "WHATSAPP_PHONE_NUMBER_ID": META_PHONE_ID,
    "WHATSAPP_TO": META_RECIPIENT,
}
CREDENTIALS: Final[Mapping[str, Mapping[str, str]]] = {"telegram": _TELEGRAM, "twilio": _TWILIO, "meta": _META}


def provider_environ(server: ProviderServer, *providers: str) -> dict[str, str]:
    """Return the credentials of providers (`telegram`, `twilio`, `meta`) and where the server stands in for them.

    Args:
        server: Stands in for all of them.
        providers: Telegram and Twilio unless others are named; WhatsApp is by Twilio or by Meta, never by both.
    """
    given = {
        name: value for provider in providers or ("telegram", "twilio") for name, value in CREDENTIALS[provider].items()
    }
    addresses = ("ALERTBUS_TELEGRAM_URL", "ALERTBUS_TWILIO_URL", "ALERTBUS_META_URL")
    return given | dict.fromkeys(addresses, server.url)


def daemon_environ(environ: Mapping[str, str], tmp_path: Path) -> dict[str, str]:
    """Return a whole configuration: what is given, on free ports and in the test's folder where it says nothing.

    Every alert is a message of its own, unless the test says otherwise.
    """
    config = tmp_path / "alertbus-of-the-test.toml"  # or the one of whoever runs the tests would be read
    if "ALERTBUS_CONFIG" not in environ and not config.exists():
        config.write_text("")
    return {
        "ALERTBUS_DATA_ENDPOINT": f"tcp://127.0.0.1:{free_port()}",
        "ALERTBUS_CONTROL_ENDPOINT": f"tcp://127.0.0.1:{free_port()}",
        "ALERTBUS_HTTP_PORT": str(free_port()),
        "ALERTBUS_DATABASE_URL": f"sqlite:///{tmp_path / 'alertbus.db'}",
        "ALERTBUS_JOURNAL": str(tmp_path / "journal"),
        "ALERTBUS_CONFIG": str(config),
        "ALERTBUS_TIMEZONE": "UTC",
        "ALERTBUS_MAX_DELAY": "off",
        "ALERTBUS_DEDUP_WINDOW": "off",
        "ALERTBUS_DEDUP_WINDOW_CRITICAL": "off",
        **environ,
    }


class Daemon:
    """A running daemon, as its HTTP API shows it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = dict(environ)
        self.url = f"http://127.0.0.1:{environ['ALERTBUS_HTTP_PORT']}"
        token = environ.get("ALERTBUS_API_TOKEN")
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.http = httpx2.Client(base_url=self.url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False)

    def get(self, path: str, **query: Any) -> Any:
        """Return the data of an API path such as `/status`; fail where it says anything but success."""
        return _data(self.http.get(PREFIX + path, params=query))

    def post(self, path: str, body: Any = None) -> Any:
        """Post to an API path such as `/test`, and return its data."""
        return _data(self.http.post(PREFIX + path, json=body))

    def patch(self, path: str, body: Any) -> Any:
        """Change what an API path such as `/channels/telegram` names, and return its data."""
        return _data(self.http.patch(PREFIX + path, json=body))

    def metric(self, name: str, **labels: str) -> float | None:
        """Return a sample of `/metrics` by its name and exactly these labels, or None where there is none."""
        for found in re.finditer(
            rf"^{re.escape(name)}(?:{{(.*)}})? (\S+)$", self.http.get("/metrics").text, re.MULTILINE
        ):
            if dict(re.findall(r'(\w+)="([^"]*)"', found[1] or "")) == labels:
                return float(found[2])
        return None

    def history(self) -> list[dict[str, Any]]:
        """Return all alerts with their deliveries, the newest first, as far as one page holds them."""
        alerts: list[dict[str, Any]] = self.get("/history", limit=500)
        return alerts

    def states(self) -> dict[str, list[str]]:
        """Return the states of all deliveries by channel, the oldest first."""
        found: dict[str, list[str]] = {}
        for entry in reversed(self.history()):
            for delivery in entry["deliveries"]:
                found.setdefault(delivery["channel"], []).append(delivery["status"])
        return found

    def is_ready(self) -> bool:
        """Whether it takes, stores and delivers alerts."""
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx2.TransportError:
            return False


def _data(answer: httpx2.Response) -> Any:
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "success"), body
    return body["data"]
