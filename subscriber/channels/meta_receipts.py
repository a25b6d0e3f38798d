"""What Meta tells of messages by webhook, after it took them, and of what people write to us. Pure.

Sources, all of developers.facebook.com/documentation/business-messaging/whatsapp/webhooks: overview (the greeting),
create-webhook-endpoint (X-Hub-Signature-256 is the HMAC-SHA256 of the raw body by the app secret), and
reference/messages/status (statuses, errors, biz_opaque_callback_data). Meta repeats a call that is not answered by 200
for days, so a kind that we don't know is passed over and never refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bus.clock import MICROSECONDS
from subscriber.channels.channel import MetaConfig
from subscriber.channels.credentials import same_phone
from subscriber.channels.redaction import Redaction
from subscriber.channels.verdicts import mapping
from subscriber.channels.webhooks import Inbound, WebhookNews, WebhookRefused, WebhookRequest
from subscriber.receipts import Receipt, ReceiptState

_STATES: Final = {
    "accepted": ReceiptState.QUEUED,
    "sent": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "read": ReceiptState.READ,
    "failed": ReceiptState.FAILED,
}
_SIGNATURE_PREFIX: Final = "sha256="
#: What comes as a message and is none that a person wrote.
_NOT_WRITTEN: Final = frozenset({"system", "reaction"})
_CHALLENGE: Final = re.compile(r"[\w.-]{1,256}", re.ASCII)
_REFERENCE: Final = re.compile(r"[\w.-]{1,128}", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,11}", re.ASCII)
_LONGEST_ID: Final = 256


def message_key(wamid: str) -> str:
    """Return by what a message of Meta's is known here.

    A wamid is `wamid.` and base64 that holds the person's phone number. It is only ever compared, never asked for, so
    a digest of it does the same and tells nothing.
    """
    return f"meta-{hashlib.blake2b(wamid.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def secrets_of(config: MetaConfig) -> tuple[str, ...]:
    """Return the literal values that nobody may read."""
    optional = tuple(secret for secret in (config.app_secret, config.verify_token) if secret)
    return (config.access_token, config.phone_number_id, config.recipient.lstrip("+"), *optional)


class MetaWebhook:
    """Reads statuses of our messages, and that people wrote to our numbers."""

    provider: Final = "meta"

    def __init__(self, configs: Sequence[MetaConfig]) -> None:
        """Serve the channels that can check what comes.

        Args:
            configs: Each with its app secret and its verify token.
        """
        self._configs = tuple(config for config in configs if config.app_secret and config.verify_token)
        self._redaction = Redaction(
            [secret for config in self._configs for secret in secrets_of(config)], show_paths=True
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels whose messages it tells of."""
        return tuple(config.name for config in self._configs)

    def greet(self, request: WebhookRequest) -> str | None:
        """Answer the question by which the webhook is set up in Meta's dashboard.

        Raises:
            WebhookRefused: It does not come with our verify token.
        """
        if request.method.upper() != "GET":
            return None
        given = request.query.get("hub.verify_token", "").encode()
        known = [hmac.compare_digest((config.verify_token or "").encode(), given) for config in self._configs]
        challenge = request.query.get("hub.challenge", "")
        if request.query.get("hub.mode") != "subscribe" or not any(known):
            raise WebhookRefused(403, "The verify token is not ours.")
        if not _CHALLENGE.fullmatch(challenge):
            raise WebhookRefused(400, "There is no challenge to repeat.")
        return challenge

    def read(self, request: WebhookRequest) -> WebhookNews:
        """Return what a call tells; one call may tell of many messages.

        Raises:
            WebhookRefused: It is not signed by our app, or it is none of Meta's calls.
        """
        if request.method.upper() != "POST":
            raise WebhookRefused(405, "Meta posts.")
        signed = [config for config in self._configs if _is_signed(config, request)]
        if not signed:
            raise WebhookRefused(403, "The signature is not that of our app at Meta.")
        receipts: list[Receipt] = []
        inbound: list[Inbound] = []
        for value in _values(request.body):
            phone_id = str(mapping(value.get("metadata")).get("phone_number_id"))
            ours = [config for config in signed if config.phone_number_id == phone_id]
            if ours:
                receipts += self._receipts(value)
                inbound += _inbound(value, ours)
        return WebhookNews(tuple(receipts), tuple(inbound))

    def _receipts(self, value: Mapping[str, Any]) -> Iterator[Receipt]:
        for status in _objects(value.get("statuses")):
            state = _STATES.get(str(status.get("status")))
            message_id = status.get("id")
            if state is None or not isinstance(message_id, str) or not 0 < len(message_id) <= _LONGEST_ID:
                continue
            reference = str(status.get("biz_opaque_callback_data") or "")
            code, detail = self._failure(status) if state is ReceiptState.FAILED else (None, "")
            yield Receipt(
                message_key(message_id),
                state,
                _moment_us(status.get("timestamp")),
                code,
                detail,
                reference if _REFERENCE.fullmatch(reference) else "",
            )

    def _failure(self, status: Mapping[str, Any]) -> tuple[str | None, str]:
        error = next(_objects(status.get("errors")), {})
        code = error.get("code")
        words = str(error.get("message") or error.get("title") or "")
        details = mapping(error.get("error_data")).get("details")
        detail = self._redaction.text(f"{words}: {details}" if details and details != words else words)
        return (str(code) if isinstance(code, int) else None), detail or "Meta says failed"


def _inbound(value: Mapping[str, Any], configs: Sequence[MetaConfig]) -> Iterator[Inbound]:
    for message in _objects(value.get("messages")):
        number = f"+{str(message.get('from') or '').removeprefix('+')}"
        channels = tuple(config.name for config in configs if same_phone(number, config.recipient))
        if channels and message.get("type") not in _NOT_WRITTEN:
            yield Inbound(number, _moment_us(message.get("timestamp")), channels)


def _values(body: bytes) -> Iterator[Mapping[str, Any]]:
    try:
        call = json.loads(body)
    except (ValueError, RecursionError):
        raise WebhookRefused(400, "The body is no JSON.") from None
    if not isinstance(call, dict) or not isinstance(call.get("entry"), list):
        raise WebhookRefused(400, "The body is none of Meta's calls.")
    for entry in _objects(call["entry"]):
        for change in _objects(entry.get("changes")):
            yield mapping(change.get("value"))


def _objects(values: object) -> Iterator[Mapping[str, Any]]:
    return (value for value in (values if isinstance(values, list) else ()) if isinstance(value, dict))


def _moment_us(seconds: object) -> int | None:
    text = str(seconds)
    return int(text) * MICROSECONDS if _SECONDS.fullmatch(text) else None


def _is_signed(config: MetaConfig, request: WebhookRequest) -> bool:
    given = request.headers.get("x-hub-signature-256", "").encode("utf-8", "replace")
    digest = hmac.new((config.app_secret or "").encode(), request.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"{_SIGNATURE_PREFIX}{digest}".encode(), given)
