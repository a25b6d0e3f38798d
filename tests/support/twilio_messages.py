"""What Twilio knows of a message after it took it: its status, the list of messages, and status callbacks.

Owns the messages of the one account, in both directions, and the 24-hour windows. Sources, all of twilio.com/docs:
- messaging/api/message-resource: fields, statuses, the list's filters; default 50 and at most 1000 a page;
- messaging/guides/outbound-message-status-in-status-callbacks: parameters of a callback, none for the first status;
- usage/webhooks/webhooks-security: X-Twilio-Signature is the HMAC-SHA1, by the auth token and in base64, of the whole
  URL as it was given, followed by every form field's name and value in order of the names;
- whatsapp/api#whatsapp-session-messages: free-form only in the 24 hours after the person's last message;
- hackclub/attend#84: a WhatsApp message that failed has an ErrorCode and no ErrorMessage.
The order of the list, newest first, is signalwire.com's for the same interface; Twilio names none.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.webhook_sender import WebhookAnswer, call_webhook

TWILIO_ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
TWILIO_AUTH_TOKEN = "fedcba9876543210" * 2
TWILIO_SENDER = "+12025550100"
TWILIO_OUTSIDE_WINDOW = "+12025550104"

WHATSAPP = "whatsapp:"
WINDOW_SECONDS = 24 * 3600.0

_RANKS = {"accepted": 0, "queued": 0, "sending": 1, "sent": 2, "failed": 3, "undelivered": 3, "delivered": 4, "read": 5}
#: Statuses that a callback may tell; there is none for the first one.
_TOLD = ("sending", "sent", "failed", "undelivered", "delivered", "read")
_FAILED = ("failed", "undelivered")
_PAGE_SIZE, _LARGEST_PAGE = 50, 1000


@dataclass
class _Sent:
    """A message and where it is on its way; `course` is what each further look-up shows, the last one for good."""

    resource: dict[str, object]
    callback: str
    failed_code: int | None
    course: deque[str] = field(default_factory=deque)

    def move(self, status: str, code: int | None, now: float) -> None:
        """Move on to a status; never back."""
        if _RANKS[status] < _RANKS[str(self.resource["status"])]:
            return
        self.resource |= {
            "status": status,
            "date_updated": rfc_2822(now),
            "error_code": code if status in _FAILED else None,
        }
        if _RANKS[status] >= _RANKS["sent"] and self.resource["date_sent"] is None:
            self.resource["date_sent"] = rfc_2822(now)


class TwilioMessages:
    """Every message of the account.

    Attributes:
        course: the statuses that look-ups of a message accepted from now on show, one after the other, the last for
            good; a message that fails ends with `failed` instead. Empty: it stays queued until `report`.
        told_at_once: statuses that are posted to the StatusCallback before whoever sends the message has its answer.
        windows: until when (Unix seconds) free-form messages reach a number; always, where it is not named.
        inbound_url: where what people write is posted, as set for a sender in Twilio's console; None posts nothing.
        now: returns Unix seconds.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.course: tuple[str, ...] = ("delivered",)
        self.told_at_once: tuple[str, ...] = ()
        self.windows: dict[str, float] = {TWILIO_OUTSIDE_WINDOW: -math.inf}
        self.inbound_url: str | None = None
        self.now = now
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._sent: dict[str, _Sent] = {}
        self._all: list[dict[str, object]] = []  # newest last

    def report(
        self, message_id: str, status: str, *, code: int | None = None, via: str | None = None
    ) -> WebhookAnswer | None:
        """Move a message on and post that to its StatusCallback; return the answer, None where it was given no URL.

        Args:
            message_id: As Twilio's answer named it.
            status: `sent`, `delivered`, `read`, `failed` …, in whatever order; the message itself never moves back.
            code: Why it failed; the code that the message was to fail with where none is given.
            via: Where to connect instead, such as http://127.0.0.1:8787, as a proxy in front would lead there; the
                signature stays that of the URL as given.

        Raises:
            ValueError: Twilio has no callback for such a status.
            OSError: Nobody answers there.
        """
        if status not in _TOLD:
            raise ValueError(f"Twilio has no callback for {status}")
        with self._lock:
            sent = self._sent[message_id]
            failure = (code or sent.failed_code) if status in _FAILED else None
            sent.course.clear()
            sent.move(status, failure, self.now())
            form = _callback_form(sent.resource, status, failure)
        return _post(sent.callback, form, via) if sent.callback else None

    def receive(
        self, sender: str, at: float | None = None, *, text: str = "Ok", via: str | None = None
    ) -> WebhookAnswer | None:
        """Let a person write to the WhatsApp sender, which opens the window; return what the inbound URL answered.

        Args:
            sender: The person's number, with its `+`.
            at: When, in Unix seconds; now where it is not said.
            text: What is written.
            via: As in `report`.
        """
        moment = self.now() if at is None else at
        with self._lock:
            self.windows[sender] = moment + WINDOW_SECONDS
            resource = self._resource(WHATSAPP + sender, WHATSAPP + TWILIO_SENDER, text, "received", "inbound", moment)
            self._all.append(resource)
            self._all.sort(key=lambda one: _unix(one["date_created"]))
        form = {
            "SmsMessageSid": str(resource["sid"]),
            "MessageSid": str(resource["sid"]),
            "SmsSid": str(resource["sid"]),
            "SmsStatus": "received",
            "AccountSid": TWILIO_ACCOUNT_SID,
            "From": WHATSAPP + sender,
            "To": WHATSAPP + TWILIO_SENDER,
            "Body": text,
            "NumMedia": "0",
            "NumSegments": "1",
            "ProfileName": "Trader",
            "WaId": sender.removeprefix("+"),
            "MessageType": "text",
            "ApiVersion": "2010-04-01",
        }
        return None if self.inbound_url is None else _post(self.inbound_url, form, via)

    def close_window(self, number: str) -> None:
        """Let no free-form message reach a number until it writes again."""
        with self._lock:
            self.windows[number] = -math.inf

    def window_is_open(self, number: str) -> bool:
        """Whether free-form messages reach a number."""
        with self._lock:
            return self.windows.get(number, math.inf) > self.now()

    def take(self, form: Mapping[str, str], failed_code: int | None) -> dict[str, object]:
        """Note a message that was accepted and return its resource as the answer shows it."""
        status = "accepted" if form.get("MessagingServiceSid") else "queued"
        with self._lock:
            sender, body = form.get("From", ""), form.get("Body", "")
            resource = self._resource(sender, form["To"], body, status, "outbound-api", self.now())
            resource["messaging_service_sid"] = form.get("MessagingServiceSid")
            course = deque(self.course)
            if course and failed_code is not None:
                course[-1] = "failed"
            sent = _Sent(resource, form.get("StatusCallback", ""), failed_code, course)
            self._sent[str(resource["sid"])] = sent
            self._all.append(resource)
            answer = dict(resource)
        for told in self.told_at_once:
            self.report(str(answer["sid"]), "failed" if failed_code and told == self.told_at_once[-1] else told)
        return answer

    def look_up(self, message_id: str) -> dict[str, object] | None:
        """Return a message's resource, one step further on its course; None where there is none."""
        with self._lock:
            sent = self._sent.get(message_id)
            if sent is None:
                return None
            if sent.course:
                status = sent.course[0] if len(sent.course) == 1 else sent.course.popleft()
                sent.move(status, sent.failed_code, self.now())
            return dict(sent.resource)

    def listed(self, query: str) -> dict[str, object] | None:
        """Return a page of the list, newest first; None where the query is none that Twilio takes."""
        wanted = dict(parse_qsl(query))
        size = wanted.pop("PageSize", str(_PAGE_SIZE))
        if not size.isdecimal() or not 1 <= int(size) <= _LARGEST_PAGE or not set(wanted) <= {"From", "To", "Page"}:
            return None
        with self._lock:
            found = [
                dict(one)
                for one in reversed(self._all)
                if all(one[name.lower()] == value for name, value in wanted.items() if name != "Page")
            ]
        page = int(wanted.get("Page", "0"))
        return {
            "messages": found[page * int(size) : (page + 1) * int(size)],
            "page": page,
            "page_size": int(size),
            "uri": f"/2010-04-01/Accounts/{TWILIO_ACCOUNT_SID}/Messages.json?{query}",
        }

    def _resource(
        self, sender: str, recipient: str, body: str, status: str, direction: str, moment: float
    ) -> dict[str, object]:
        message_id = f"SM{next(self._numbers):032x}"
        return {
            "sid": message_id,
            "account_sid": TWILIO_ACCOUNT_SID,
            "api_version": "2010-04-01",
            "from": sender or None,
            "to": recipient,
            "body": body,
            "status": status,
            "direction": direction,
            "date_created": rfc_2822(moment),
            "date_updated": rfc_2822(moment),
            "date_sent": rfc_2822(moment) if direction == "inbound" else None,
            "error_code": None,
            "error_message": None,
            "messaging_service_sid": None,
            "num_media": "0",
            "num_segments": "1",
            "price": None,
            "price_unit": None,
            "uri": f"/2010-04-01/Accounts/{TWILIO_ACCOUNT_SID}/Messages/{message_id}.json",
        }


def sign(url: str, form: Mapping[str, str], auth_token: str = TWILIO_AUTH_TOKEN) -> str:
    """Return the X-Twilio-Signature of a form that is posted to a URL."""
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.digest(auth_token.encode(), signed.encode(), hashlib.sha1)).decode()


def rfc_2822(moment: float) -> str:
    """Return Unix seconds as Twilio writes times, in whole seconds."""
    return format_datetime(datetime.fromtimestamp(int(moment), UTC))


def _unix(text: object) -> float:
    return datetime.strptime(str(text), "%a, %d %b %Y %H:%M:%S %z").timestamp()


def _callback_form(resource: Mapping[str, object], status: str, code: int | None) -> dict[str, str]:
    form = {
        "MessageSid": str(resource["sid"]),
        "MessageStatus": status,
        "SmsSid": str(resource["sid"]),
        "SmsStatus": status,
        "AccountSid": TWILIO_ACCOUNT_SID,
        "From": str(resource["from"] or ""),
        "To": str(resource["to"]),
        "ApiVersion": "2010-04-01",
    }
    if form["To"].startswith(WHATSAPP):
        form |= {"ChannelPrefix": "whatsapp", "ChannelToAddress": form["To"].removeprefix(WHATSAPP)}
        if status in ("delivered", "read"):
            form["EventType"] = status.upper()
    if code is not None:
        form |= {"ErrorCode": str(code), "ErrorMessage": ""}
    return form


def _post(url: str, form: Mapping[str, str], via: str | None) -> WebhookAnswer:
    parts = urlsplit(url)
    address = url if via is None else via.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "X-Twilio-Signature": sign(url, form),
        "User-Agent": "TwilioProxy/1.1",
        "I-Twilio-Idempotency-Token": hashlib.sha256(urlencode(form).encode()).hexdigest()[:32],
    }
    return call_webhook("POST", address, urlencode(form).encode(), headers)
