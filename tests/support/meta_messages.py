"""What Meta knows of a message after it took it, and tells by webhook: statuses, and what people write.

Owns the messages of the one phone number, the webhook that was set up for it, and the 24-hour windows. Sources:
- developers.facebook.com/docs/graph-api/webhooks/getting-started: the GET that verifies an endpoint (hub.mode,
  hub.challenge, hub.verify_token; the answer is the challenge alone), and X-Hub-Signature-256: `sha256=` and the
  HMAC-SHA256, by the app secret and in hexadecimal, of the payload with its escaped unicode; several changes may come
  in one call, in any order, and a call that was not answered by 200 is repeated;
- developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components: statuses with times in Unix seconds as text,
  messages, biz_opaque_callback_data, conversation and pricing of what is sent or delivered;
- restfb/restfb#1240 and #1344: a whole payload, and one of a message that failed after it was accepted (131026).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.webhook_sender import WebhookAnswer, call_webhook

META_PHONE_ID = "100000000000001"
META_BUSINESS_ID = "200000000000002"
META_APP_SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
META_VERIFY_TOKEN = "verify-token-for-tests"
META_OUTSIDE_WINDOW = "+12025550113"
META_DISPLAY_NUMBER = "12025550110"

WINDOW_SECONDS = 24 * 3600.0

#: Title and details of each error that Meta may tell after it accepted a message.
LATE_ERRORS = {
    131026: ("Message undeliverable", "Message Undeliverable."),
    131047: (
        "Re-engagement message",
        "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
    ),
    131048: ("Spam rate limit hit", "Previous messages were blocked or flagged as spam"),
    131049: (
        "This message was not delivered to maintain healthy ecosystem engagement.",
        "In order to maintain a healthy ecosystem engagement, the message failed to be delivered.",
    ),
    131053: ("Media upload error", "Unsupported media"),
}
_STATES = ("sent", "delivered", "read", "failed")


@dataclass(frozen=True)
class _Sent:
    recipient: str  # with its `+`
    reference: str
    failed_code: int | None


class MetaMessages:
    """Every message of the phone number.

    Attributes:
        told_at_once: statuses that are posted to the webhook before whoever sends a message has its answer.
        tells_window_late: a free-form message outside the window is accepted, and fails by webhook (131047), instead
            of being refused; Meta does either.
        windows: until when (Unix seconds) free-form messages reach a number; always, where it is not named.
        app_secret: signs what is posted.
        now: returns Unix seconds.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.told_at_once: tuple[str, ...] = ()
        self.tells_window_late = False
        self.windows: dict[str, float] = {META_OUTSIDE_WINDOW: -math.inf}
        self.app_secret = META_APP_SECRET
        self.now = now
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._sent: dict[str, _Sent] = {}
        self._webhook: str | None = None

    def subscribe(self, url: str, verify_token: str = META_VERIFY_TOKEN) -> WebhookAnswer:
        """Set the webhook up, as a person does in the app's dashboard; only one that answers the challenge is taken.

        Raises:
            OSError: Nobody answers there.
        """
        challenge = str(1_158_201_444)
        query = urlencode({"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token})
        answer = call_webhook("GET", f"{url}{'&' if urlsplit(url).query else '?'}{query}")
        if (answer.status, answer.body) == (200, challenge.encode()):
            self._webhook = url
        return answer

    def report(self, message_id: str, state: str, *, at: float | None = None, code: int | None = None) -> WebhookAnswer:
        """Post one status of a message and return the answer; see `status`."""
        return self.post(statuses=[self.status(message_id, state, at=at, code=code)])

    def status(
        self, message_id: str, state: str, *, at: float | None = None, code: int | None = None
    ) -> dict[str, object]:
        """Return what a webhook call says of a message.

        Args:
            message_id: As Meta's answer named it.
            state: `sent`, `delivered`, `read` or `failed`, in whatever order.
            at: When, in Unix seconds; now where it is not said.
            code: Why it failed; the code that the message was to fail with where none is given.

        Raises:
            ValueError: Meta has no such state, or nothing says why the message failed.
        """
        if state not in _STATES:
            raise ValueError(f"Meta has no status {state}")
        with self._lock:
            sent = self._sent[message_id]
        told: dict[str, object] = {
            "id": message_id,
            "status": state,
            "timestamp": str(int(self.now() if at is None else at)),
            "recipient_id": sent.recipient.removeprefix("+"),
        }
        if sent.reference:
            told["biz_opaque_callback_data"] = sent.reference
        if state == "failed":
            told["errors"] = [_error(code or sent.failed_code)]
        elif state != "read":
            told["conversation"] = {"id": "c0ffee00000000000000000000000001", "origin": {"type": "utility"}}
            told["pricing"] = {"billable": True, "pricing_model": "PMP", "category": "utility"}
        return told

    def receive(self, sender: str, at: float | None = None, *, text: str = "Ok") -> WebhookAnswer | None:
        """Let a person write to the phone number, which opens the window; return the webhook's answer, if there is one.

        Args:
            sender: The person's number, with its `+`.
            at: When, in Unix seconds; now where it is not said.
            text: What is written.
        """
        moment = self.now() if at is None else at
        number = sender.removeprefix("+")
        with self._lock:
            self.windows[sender] = moment + WINDOW_SECONDS
            message_id = self._next_id(sender)
        message = {
            "from": number,
            "id": message_id,
            "timestamp": str(int(moment)),
            "text": {"body": text},
            "type": "text",
        }
        contact = {"profile": {"name": "Trader"}, "wa_id": number}
        return None if self._webhook is None else self.post(messages=[message], contacts=[contact])

    def post(self, *, app_secret: str | None = None, **value: Sequence[Mapping[str, Any]]) -> WebhookAnswer:
        """Post statuses, messages and contacts in one call, signed, and return the answer.

        Raises:
            ValueError: No webhook was set up.
            OSError: Nobody answers there.
        """
        if self._webhook is None:
            raise ValueError("no webhook was set up; `subscribe` first")
        body = json.dumps(payload(**value)).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature": "sha1=" + hmac.new(self.app_secret.encode(), body, hashlib.sha1).hexdigest(),
            "X-Hub-Signature-256": sign(body, app_secret or self.app_secret),
        }
        return call_webhook("POST", self._webhook, body, headers)

    def close_window(self, number: str) -> None:
        """Let no free-form message reach a number until it writes again."""
        with self._lock:
            self.windows[number] = -math.inf

    def window_is_open(self, number: str) -> bool:
        """Whether free-form messages reach a number."""
        with self._lock:
            return self.windows.get(number, math.inf) > self.now()

    def take(self, recipient: str, reference: str, failed_code: int | None) -> str:
        """Note a message that was accepted and return its id."""
        with self._lock:
            message_id = self._next_id(recipient)
            self._sent[message_id] = _Sent(recipient, reference, failed_code)
        for state in self.told_at_once:
            self.report(message_id, "failed" if failed_code and state == self.told_at_once[-1] else state)
        return message_id

    def _next_id(self, person: str) -> str:
        """Return an id as Meta's are, by its documents' examples: base64 that holds the person's number."""
        digits = person.removeprefix("+").encode()
        own = f"{next(self._numbers):018X}".encode()
        content = (
            b"\x1c\x18" + bytes([len(digits)]) + digits + b"\x15\x02\x00\x11\x18" + bytes([len(own)]) + own + b"\0"
        )
        return f"wamid.{base64.b64encode(content).decode()}"


def payload(**value: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Return the body of a webhook call about the phone number."""
    metadata = {"display_phone_number": META_DISPLAY_NUMBER, "phone_number_id": META_PHONE_ID}
    change = {"value": {"messaging_product": "whatsapp", "metadata": metadata, **value}, "field": "messages"}
    return {"object": "whatsapp_business_account", "entry": [{"id": META_BUSINESS_ID, "changes": [change]}]}


def sign(body: bytes, app_secret: str = META_APP_SECRET) -> str:
    """Return the X-Hub-Signature-256 of a body."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def _error(code: int | None) -> dict[str, object]:
    if code is None:
        raise ValueError("a message that fails says why")
    title, details = LATE_ERRORS.get(code, ("Unknown error", "Unknown error"))
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    }
