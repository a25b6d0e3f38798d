"""Twilio's Messages API as far as alerts use it: send by WhatsApp or SMS, look at a message, probe the account.

Owns which account, senders and recipients exist and which requests are refused. Every code quotes its page
of twilio.com/docs/api/errors; the shape of an error is that of twilio.com/docs/usage/twilios-response. Found
out late at Twilio, hence accepted here and told by GET .../Messages/<sid>.json: 63015, 63016 (facts: the real
result arrives only by callback or polling; twilio/twilio-csharp#488 shows `queued` for a phone that never
joined the sandbox; hackclub/attend#84 shows an empty error message).

Stricter than a reading of the page allows in one place: 21617 says that emoji and the like count as several
characters, not how many, so length is in UTF-16 code units.
"""

import base64
import binascii
import itertools
import json
import re
import threading
from collections.abc import Mapping

from tests.support.provider_rules import Judgement, Message, ProviderRequest, Reply, json_reply, utf16_length

TWILIO_ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
TWILIO_AUTH_TOKEN = "fedcba9876543210" * 2
TWILIO_SENDER = "+12025550100"
TWILIO_SANDBOX_SENDER = "+14155238886"  # the sandbox is one number for everybody
TWILIO_RECIPIENT = "+12025550101"
TWILIO_OPTED_OUT = "+12025550102"
TWILIO_NOT_JOINED = "+12025550103"
TWILIO_OUTSIDE_WINDOW = "+12025550104"
TWILIO_CONTENT_SID = "HX" + "0123456789abcdef" * 2
TWILIO_MESSAGING_SERVICE_SID = "MG" + "0123456789abcdef" * 2

TWILIO_BODY_LIMIT = 1600

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_PATH = re.compile(r"/2010-04-01/Accounts/(?P<account>[^/]+?)(?:/Messages(?:/(?P<message>[^/]+?))?)?\.json")
_WHATSAPP = "whatsapp:"

# Title of each error page, as the API's message.
_TITLES = {
    400: "Bad Request",
    20003: "Authenticate",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    20503: "Service unavailable",
    21211: "Invalid 'To' Phone Number",
    21602: "Message body is required",
    21603: "A 'From' or 'MessagingServiceSid' parameter is required to send a message",
    21604: "The destination 'To' phone number is required to send an SMS",
    21610: "Attempt to send to unsubscribed recipient",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21619: "A Message Body, Media URL or Content SID is required",
    21654: "ContentSid Required",
    21655: "The ContentSid is Invalid",
    21656: "The ContentVariables Parameter is invalid",
    21658: "Parameter exceeded character limit",
    21659: "'From' is not a Twilio phone number or Short Code country mismatch",
    21910: "Invalid 'From' and 'To' pair. 'From' and 'To' should be of the same channel",
    63007: "Twilio could not find a Channel with the specified 'From' address",
    63015: "Channel Sandbox can only send messages to phone numbers that have joined the Sandbox",
    63016: "Outside messaging window. For WhatsApp, use a Message Template instead",
    63018: "Rate limit exceeded for Channel",
}
_USUAL_CODES = {400: 400, 401: 20003, 404: 20404, 429: 20429, 503: 20503}


class TwilioRules:
    """One account with two WhatsApp senders, of which one is the sandbox, and one SMS number."""

    def __init__(self) -> None:
        self.senders = {TWILIO_SENDER, TWILIO_SANDBOX_SENDER}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._sent: dict[str, dict[str, object]] = {}

    def judge(self, request: ProviderRequest, *, fails_later: int | None = None) -> Judgement:
        """Decide on one request; see `fails_later` in provider_faults."""
        if not _authenticated(request.headers.get("authorization", "")):
            return Judgement(reply=_refuse(401, 20003))
        found = _PATH.fullmatch(request.path)
        if found is None or found["account"] != TWILIO_ACCOUNT_SID:
            return Judgement(reply=_refuse(404, 20404))
        if request.method == "GET" and found["message"] is not None:
            return Judgement(reply=self._look_up(found["message"]))
        if request.method == "GET" and not request.path.endswith("/Messages.json"):
            account = {"sid": TWILIO_ACCOUNT_SID, "friendly_name": "Test account", "status": "active"}
            return Judgement(reply=json_reply(200, account))
        if request.method != "POST" or not request.path.endswith("/Messages.json"):
            return Judgement(reply=_refuse(404, 20404))
        form = request.form()
        refusal = self._refusal(form)
        return Judgement(reply=_refuse(400, refusal)) if refusal else self._accept(form, fails_later)

    def _refusal(self, form: Mapping[str, str]) -> int | None:
        """Return the code with which Twilio refuses a message, or None."""
        sender, recipient = form.get("From", ""), form.get("To", "")
        service = form.get("MessagingServiceSid", "")
        if not recipient:
            return 21604  # also for a JSON body, says its page
        if not sender and not service:
            return 21603
        if service and not form.get("Body") and not form.get("ContentSid"):
            return 21619
        if not form.get("Body") and not form.get("ContentSid"):
            return 21654 if form.get("ContentVariables") else 21602
        if sender and sender.startswith(_WHATSAPP) != recipient.startswith(_WHATSAPP):
            return 21910
        if not _E164.fullmatch(recipient.removeprefix(_WHATSAPP)):
            return 21211
        if sender and sender.removeprefix(_WHATSAPP) not in self.senders:
            return 63007 if sender.startswith(_WHATSAPP) else 21659
        if recipient.removeprefix(_WHATSAPP) == TWILIO_OPTED_OUT:
            return 21610
        if utf16_length(form.get("Body", "")) > TWILIO_BODY_LIMIT:
            return 21617
        return _template_refusal(form)

    def _accept(self, form: Mapping[str, str], fails_later: int | None) -> Judgement:
        message_id = f"SM{next(self._numbers):032x}"
        recipient = form["To"].removeprefix(_WHATSAPP)
        template = form.get("ContentSid") or None
        parameters = tuple(_variables(form).values()) if template else ()
        body = form.get("Body", "")
        failed_code = fails_later or _late_refusal(form)
        resource: dict[str, object] = {
            "sid": message_id,
            "account_sid": TWILIO_ACCOUNT_SID,
            "from": form.get("From"),
            "to": form["To"],
            "body": body,
            "status": "queued",
            "error_code": None,
            "error_message": None,
            "uri": f"/2010-04-01/Accounts/{TWILIO_ACCOUNT_SID}/Messages/{message_id}.json",
        }
        outcome = {"status": "delivered"} if failed_code is None else {"status": "failed"}
        with self._lock:
            self._sent[message_id] = {**resource, **outcome, "error_code": failed_code}
        return Judgement(
            reply=json_reply(201, resource),
            message=Message(
                target=recipient,
                text=" ".join(parameters) if template else body,
                raw_text=body,
                message_id=message_id,
                template=template,
                parameters=parameters,
                failed_code=failed_code,
            ),
        )

    def _look_up(self, message_id: str) -> Reply:
        with self._lock:
            resource = self._sent.get(message_id)
        return _refuse(404, 20404) if resource is None else json_reply(200, resource)

    def rate_limited(self, retry_after: int | None) -> Reply:
        """20429: HTTP 429, never processed, always safe to retry; how long to wait is rarely said."""
        return _refuse(429, 20429, {} if retry_after is None else {"Retry-After": str(retry_after)})

    def error(self, status: int, code: int | None) -> Reply:
        """Without a code, the one that goes with the status."""
        return _refuse(status, code or _USUAL_CODES.get(status, 20500))

    def ok_false(self) -> Reply:
        """A message resource that failed, under HTTP 200."""
        return json_reply(200, {"status": "failed", "error_code": 63018, "error_message": None})


def _refuse(status: int, code: int, headers: Mapping[str, str] | None = None) -> Reply:
    return json_reply(
        status,
        {
            "code": code,
            "message": _TITLES.get(code, "Unknown error"),
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        },
        headers,
    )


def _authenticated(header: str) -> bool:
    scheme, _, encoded = header.partition(" ")
    try:
        credentials = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    return scheme.lower() == "basic" and credentials == f"{TWILIO_ACCOUNT_SID}:{TWILIO_AUTH_TOKEN}".encode()


def _variables(form: Mapping[str, str]) -> dict[str, str]:
    """Read ContentVariables; 21656 wants a JSON object whose values are text and not empty.

    Raises:
        ValueError: it is anything else.
    """
    variables = json.loads(form.get("ContentVariables") or "{}")
    if not isinstance(variables, dict) or not all(isinstance(value, str) and value for value in variables.values()):
        raise ValueError("ContentVariables")
    return variables


def _template_refusal(form: Mapping[str, str]) -> int | None:
    if not form.get("ContentSid"):
        return None
    if form["ContentSid"] != TWILIO_CONTENT_SID:
        return 21655
    try:
        variables = _variables(form)
    except ValueError:
        return 21656
    return 21658 if any(utf16_length(value) > TWILIO_BODY_LIMIT for value in variables.values()) else None


def _late_refusal(form: Mapping[str, str]) -> int | None:
    """Return the code that a WhatsApp message fails with after it was queued, or None."""
    if form.get("From") == _WHATSAPP + TWILIO_SANDBOX_SENDER and form["To"] == _WHATSAPP + TWILIO_NOT_JOINED:
        return 63015
    outside = form["To"] == _WHATSAPP + TWILIO_OUTSIDE_WINDOW
    return 63016 if outside and not form.get("ContentSid") else None
