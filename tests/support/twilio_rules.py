"""Twilio's Messages API as far as alerts use it: send by WhatsApp or SMS, look at messages, probe the account.

Owns which account, senders, templates and recipients exist and which requests are refused. Every code quotes its
page of twilio.com/docs/api/errors; the shape of an error is that of twilio.com/docs/usage/twilios-response. Found
out late at Twilio, hence accepted here and told later: 63015, 63016 (facts: the real result arrives only by callback
or polling; twilio/twilio-csharp#488 shows `queued` for a phone that never joined the sandbox).

Stricter than a reading of the pages allows in two places: 21617 says that emoji and the like count as several
characters, not how many, so length is in UTF-16 code units; and a template gets exactly the variables it has. A
further one is 21656 (stellar/stellar-disbursement-platform-backend#974), but for a missing one Twilio would show the
template's own placeholder, which no alert wants.
"""

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from tests.support.provider_rules import Judgement, Message, ProviderRequest, Reply, json_reply, utf16_length
from tests.support.strict_limits import PairLimits
from tests.support.twilio_messages import (
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_OUTSIDE_WINDOW,
    TWILIO_SENDER,
    WHATSAPP,
    TwilioMessages,
)

__all__ = [
    "TWILIO_ACCOUNT_SID",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_CONTENT_SID",
    "TWILIO_CONTENT_SID_OF_ONE",
    "TWILIO_MESSAGING_SERVICE_SID",
    "TWILIO_NOT_JOINED",
    "TWILIO_OPTED_OUT",
    "TWILIO_OUTSIDE_WINDOW",
    "TWILIO_RECIPIENT",
    "TWILIO_SANDBOX_SENDER",
    "TWILIO_SENDER",
    "TwilioRules",
]

TWILIO_SANDBOX_SENDER = "+14155238886"  # the sandbox is one number for everybody
TWILIO_RECIPIENT = "+12025550101"
TWILIO_OPTED_OUT = "+12025550102"
TWILIO_NOT_JOINED = "+12025550103"
TWILIO_CONTENT_SID = "HX" + "0123456789abcdef" * 2
TWILIO_CONTENT_SID_OF_ONE = "HX" + "0011223344556677" * 2
TWILIO_MESSAGING_SERVICE_SID = "MG" + "0123456789abcdef" * 2

TWILIO_BODY_LIMIT = 1600

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_PATH = re.compile(r"/2010-04-01/Accounts/(?P<account>[^/]+?)(?:/Messages(?:/(?P<message>[^/]+?))?)?\.json")
#: 21656: "A variable value used in the body contains a newline, a tab, or more than four consecutive spaces".
_UNFIT_VARIABLE = re.compile(r"[\n\r\t]| {5}")

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
    21609: "Invalid 'StatusCallback' URL",
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


class TwilioRules(TwilioMessages):
    """One account with two WhatsApp senders, of which one is the sandbox, and one SMS number.

    Attributes:
        templates: how many variables the body of each approved template has, by ContentSid.
        pairs: lets what comes too fast for one person fail later (63018); None delivers it.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__(now)
        self.pairs: PairLimits | None = None
        self.senders = {TWILIO_SENDER, TWILIO_SANDBOX_SENDER}
        self.templates = {TWILIO_CONTENT_SID: 3, TWILIO_CONTENT_SID_OF_ONE: 1}

    def judge(self, request: ProviderRequest, *, fails_later: int | None = None) -> Judgement:
        """Decide on one request; see `fails_later` in provider_faults."""
        if not _authenticated(request.headers.get("authorization", "")):
            return Judgement(reply=_refuse(401, 20003))
        found = _PATH.fullmatch(request.path)
        if found is None or found["account"] != TWILIO_ACCOUNT_SID:
            return Judgement(reply=_refuse(404, 20404))
        if request.method == "GET" and found["message"] is not None:
            return Judgement(reply=_found(self.look_up(found["message"])))
        if request.method == "GET" and request.path.endswith("/Messages.json"):
            page = self.listed(request.query)
            return Judgement(reply=_refuse(400, 400) if page is None else json_reply(200, page))
        if request.method == "GET":
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
        if sender and sender.startswith(WHATSAPP) != recipient.startswith(WHATSAPP):
            return 21910
        if not _E164.fullmatch(recipient.removeprefix(WHATSAPP)):
            return 21211
        if sender and sender.removeprefix(WHATSAPP) not in self.senders:
            return 63007 if sender.startswith(WHATSAPP) else 21659
        if recipient.removeprefix(WHATSAPP) == TWILIO_OPTED_OUT:
            return 21610
        return self._content_refusal(form)

    def _content_refusal(self, form: Mapping[str, str]) -> int | None:
        if utf16_length(form.get("Body", "")) > TWILIO_BODY_LIMIT:
            return 21617
        if form.get("StatusCallback") and not _is_web_address(form["StatusCallback"]):
            return 21609
        return self._template_refusal(form)

    def _template_refusal(self, form: Mapping[str, str]) -> int | None:
        if not form.get("ContentSid"):
            return None
        expected = self.templates.get(form["ContentSid"])
        if expected is None:
            return 21655
        try:
            variables = _variables(form)
        except ValueError:
            return 21656
        if set(variables) != {str(number + 1) for number in range(expected)}:
            return 21656
        if any(_UNFIT_VARIABLE.search(value) for value in variables.values()):
            return 21656
        return 21658 if any(utf16_length(value) > TWILIO_BODY_LIMIT for value in variables.values()) else None

    def _accept(self, form: Mapping[str, str], fails_later: int | None) -> Judgement:
        failed_code = fails_later or self._late_refusal(form)
        resource = self.take(form, failed_code)
        template = form.get("ContentSid") or None
        variables = _variables(form) if template else {}
        parameters = tuple(variables[name] for name in sorted(variables, key=int))
        return Judgement(
            reply=json_reply(201, resource),
            message=Message(
                target=form["To"].removeprefix(WHATSAPP),
                text=" ".join(parameters) if template else form.get("Body", ""),
                raw_text=form.get("Body", ""),
                message_id=str(resource["sid"]),
                template=template,
                parameters=parameters,
                failed_code=failed_code,
            ),
        )

    def _late_refusal(self, form: Mapping[str, str]) -> int | None:
        """Return the code that a WhatsApp message fails with after it was queued, or None."""
        recipient = form["To"].removeprefix(WHATSAPP)
        if not form["To"].startswith(WHATSAPP):
            return None
        if form.get("From") == WHATSAPP + TWILIO_SANDBOX_SENDER and recipient == TWILIO_NOT_JOINED:
            return 63015
        if not form.get("ContentSid") and not self.window_is_open(recipient):
            return 63016
        too_fast = self.pairs is not None and not self.pairs.takes(form.get("From", ""), recipient)
        return 63018 if too_fast else None

    def rate_limited(self, retry_after: int | None) -> Reply:
        """20429: HTTP 429, never processed, always safe to retry; how long to wait is rarely said."""
        return _refuse(429, 20429, {} if retry_after is None else {"Retry-After": str(retry_after)})

    def error(self, status: int, code: int | None) -> Reply:
        """Without a code, the one that goes with the status."""
        return _refuse(status, code or _USUAL_CODES.get(status, 20500))

    def ok_false(self) -> Reply:
        """A message resource that failed, under HTTP 200."""
        return json_reply(200, {"status": "failed", "error_code": 63018, "error_message": None})


def _found(resource: Mapping[str, object] | None) -> Reply:
    return _refuse(404, 20404) if resource is None else json_reply(200, resource)


def _is_web_address(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


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
