"""What Twilio tells of a message after it took it, whether we ask for the Message resource or Twilio calls us. Pure.

Sources, all of twilio.com/docs: messaging/api/message-resource (statuses and times), messaging/guides/
outbound-message-status-in-status-callbacks (parameters), messaging/guides/webhook-request (what a person writes),
usage/webhooks/webhooks-security (the signature). A callback of Twilio's carries no time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from bus.clock import MICROSECONDS
from subscriber.channels.channel import TwilioConfig
from subscriber.channels.credentials import same_phone
from subscriber.channels.redaction import Redaction
from subscriber.channels.twilio_codes import words_for
from subscriber.channels.webhooks import Inbound, WebhookNews, WebhookRefused, WebhookRequest
from subscriber.receipts import Receipt, ReceiptState

WEBHOOK_PATH: Final = "/webhooks/twilio"
_WHATSAPP: Final = "whatsapp:"
_STATES: Final = {
    "accepted": ReceiptState.QUEUED,
    "scheduled": ReceiptState.QUEUED,
    "queued": ReceiptState.QUEUED,
    "sending": ReceiptState.QUEUED,
    "sent": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
    "read": ReceiptState.READ,
    "undelivered": ReceiptState.FAILED,
    "failed": ReceiptState.FAILED,
    "canceled": ReceiptState.FAILED,
}
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9]{2,64}")
_REFERENCE: Final = re.compile(r"[\w.-]{1,128}", re.ASCII)
#: More than any call of Twilio's has.
_MOST_FIELDS: Final = 200
_PORTS: Final = {"https": 443, "http": 80}


def secrets_of(config: TwilioConfig) -> tuple[str, ...]:
    """Return the literal values that nobody may read."""
    return (
        config.auth_token,
        config.account_sid,
        f"{config.account_sid}:{config.auth_token}",  # as Basic authentication encodes it
        config.recipient.lstrip("+"),
        config.sender.lstrip("+"),
    )


def callback_url(public_url: str, reference: str) -> str:
    """Return where Twilio is to tell what becomes of a message."""
    return public_url + WEBHOOK_PATH + (f"?reference={quote(reference, safe='')}" if reference else "")


def receipt_of(resource: Mapping[str, Any], redaction: Redaction) -> Receipt | None:
    """Return what a Message resource tells, or None where it has no status that we know."""
    return _receipt(
        resource.get("sid"),
        resource.get("status"),
        code=resource.get("error_code"),
        words=str(resource.get("error_message") or ""),
        redaction=redaction,
        at_us=moment_us(resource.get("date_updated")),
    )


def moment_us(date: object) -> int | None:
    """Return a time of Twilio's, RFC 2822 in UTC, in microseconds; None for anything else."""
    try:
        return int(parsedate_to_datetime(str(date)).timestamp()) * MICROSECONDS
    except (ValueError, OverflowError):
        return None


class TwilioWebhook:
    """Reads status callbacks, and what people write to our senders."""

    provider: Final = "twilio"

    def __init__(self, configs: Sequence[TwilioConfig]) -> None:
        """Serve the channels that Twilio can reach.

        Args:
            configs: Each with its public URL.
        """
        self._configs = tuple(config for config in configs if config.public_url)
        self._redaction = Redaction(
            [secret for config in self._configs for secret in secrets_of(config)], show_paths=True
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels whose messages it tells of."""
        return tuple(config.name for config in self._configs)

    def greet(self, _request: WebhookRequest) -> None:
        """Twilio does not ask before it calls."""
        return

    def read(self, request: WebhookRequest) -> WebhookNews:
        """Return what a call tells.

        Raises:
            WebhookRefused: It is not signed by Twilio, or it is no form.
        """
        if request.method.upper() != "POST":
            raise WebhookRefused(405, "Twilio posts.")
        pairs = _form(request.body)
        signed = [config for config in self._configs if _is_signed(config, request, pairs)]
        form = dict(pairs)
        # Two channels of one account share its token, and two accounts never do.
        ours = [config for config in signed if form.get("AccountSid", config.account_sid) == config.account_sid]
        if not ours:
            raise WebhookRefused(403, "The signature is not that of this account at Twilio.")
        if form.get("MessageStatus"):
            receipt = self._receipt(form, request.query.get("reference", ""))
            return WebhookNews(receipts=() if receipt is None else (receipt,))
        return WebhookNews(inbound=tuple(_inbound(form, ours)))

    def _receipt(self, form: Mapping[str, str], reference: str) -> Receipt | None:
        return _receipt(
            form.get("MessageSid") or form.get("SmsSid"),
            form["MessageStatus"],
            code=form.get("ErrorCode"),
            words=form.get("ChannelStatusMessage") or form.get("ErrorMessage") or "",
            redaction=self._redaction,
            reference=reference if _REFERENCE.fullmatch(reference) else "",
        )


def _receipt(
    message_id: object,
    status: object,
    *,
    code: object,
    words: str,
    redaction: Redaction,
    at_us: int | None = None,
    reference: str = "",
) -> Receipt | None:
    state = _STATES.get(str(status).lower())
    if state is None or not isinstance(message_id, str) or not _MESSAGE_ID.fullmatch(message_id):
        return None
    if state is not ReceiptState.FAILED:
        return Receipt(message_id, state, at_us, reference=reference)
    number = int(str(code)) if str(code).isdecimal() and len(str(code)) < 10 else None
    detail = redaction.text(words) or words_for(number) or f"Twilio says {status}"
    return Receipt(message_id, state, at_us, None if number is None else str(number), detail, reference)


def _inbound(form: Mapping[str, str], configs: Sequence[TwilioConfig]) -> Iterator[Inbound]:
    sender, recipient = form.get("From", ""), form.get("To", "")
    if not sender.startswith(_WHATSAPP) or not recipient.startswith(_WHATSAPP):
        return
    number = sender.removeprefix(_WHATSAPP)
    channels = tuple(
        config.name
        for config in configs
        if same_phone(number, config.recipient) and recipient.removeprefix(_WHATSAPP) == config.sender
    )
    if channels:
        yield Inbound(number, None, channels)


def _form(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise WebhookRefused(400, "The body is no form.") from None


def _is_signed(config: TwilioConfig, request: WebhookRequest, pairs: Sequence[tuple[str, str]]) -> bool:
    """Check the signature over the URL as Twilio has it, which is the public one and not the one that a proxy used."""
    given = request.headers.get("x-twilio-signature", "").encode("utf-8", "replace")
    parts = urlsplit(request.url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    fields = "".join(name + value for name, value in sorted(set(pairs)))
    matches = [
        hmac.compare_digest(_signature(config.auth_token, f"{origin}{target}{fields}"), given)
        for origin in _origins(config.public_url or "")
    ]
    return any(matches)


def _origins(public_url: str) -> tuple[str, ...]:
    """Return a URL's start without and with its usual port: Twilio signs either (twilio-python's RequestValidator)."""
    parts = urlsplit(public_url)
    usual = _PORTS[parts.scheme]
    bare = public_url.removesuffix(f":{usual}")
    return (bare, f"{bare}:{usual}") if parts.port in (None, usual) else (bare,)


def _signature(auth_token: str, signed: str) -> bytes:
    digest = hmac.digest(auth_token.encode(), signed.encode("utf-8", "surrogatepass"), hashlib.sha1)
    return base64.b64encode(digest)
