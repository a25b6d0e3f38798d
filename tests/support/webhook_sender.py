"""Posts what a provider tells of its messages to a webhook, as the provider's own servers would.

Owns the connection and nothing else: who signs, and with what, is the business of the provider's rules.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

#: Seconds; Twilio and Meta give up on a webhook after some 15 and 10.
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class WebhookAnswer:
    """What the webhook said."""

    status: int
    body: bytes


def call_webhook(method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> WebhookAnswer:
    """Make one request on a connection of its own and return the answer; a redirect is not followed.

    Raises:
        OSError: Nobody answers there.
    """
    parts = urlsplit(url)
    address, port = parts.hostname or "", parts.port
    connection = (
        http.client.HTTPSConnection(address, port, timeout=_PATIENCE_SECONDS, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(address, port, timeout=_PATIENCE_SECONDS)
    )
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body or None, dict(headers or {}))
        with connection.getresponse() as answer:
            return WebhookAnswer(answer.status, answer.read())
    finally:
        connection.close()
