"""Meta's WhatsApp Cloud API as far as alerts use it: send a text or a template, look at the phone number.

Owns which token, phone number, templates and recipients exist and which requests are refused; what is told later, by
webhook, is the business of `meta_messages`. Sources:
- developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes: the shape of an
  error, errors at once and by webhook; decide on `code` and `error_data.details`;
- dualhook.com/docs/api-errors: the HTTP status of each code; other lists give 400 for some of its 429s, so a
  client must not depend on it, and `error(400, code=130429)` scripts the other reading;
- bodies as received: PipedreamHQ/pipedream#6071 (132000), tawn33y/whatsapp-cloud-api#57 (132001),
  Neurotech-HQ/heyoo#94 (131030), shridarpatil/frappe_whatsapp#43 (100), facebook/facebook-ios-sdk#2576 (190),
  sajuthankappan/whatsapp-cloud-api-rs#3 (unknown phone number id), netflie/whatsapp-cloud-api#201 and
  dimagi/open-chat-studio#4277 (newline, tab, more than four spaces in a template parameter);
- developers.facebook.com/docs/whatsapp/cloud-api/reference/messages: biz_opaque_callback_data, at most 512 characters;
- nyaruka/courier#1081: text up to 4096 characters; chatwoot/chatwoot#6435: a template's body up to 1024.

Stricter than the sources in one place: they count "characters", this counts UTF-16 code units.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.support.meta_messages import (
    META_APP_SECRET,
    META_DISPLAY_NUMBER,
    META_OUTSIDE_WINDOW,
    META_PHONE_ID,
    META_VERIFY_TOKEN,
    MetaMessages,
)
from tests.support.provider_rules import Judgement, Message, ProviderRequest, Reply, json_reply, utf16_length
from tests.support.strict_limits import PairLimits

__all__ = [
    "META_APP_SECRET",
    "META_NOT_ALLOWED",
    "META_NOT_ON_WHATSAPP",
    "META_OUTSIDE_WINDOW",
    "META_PHONE_ID",
    "META_RECIPIENT",
    "META_TEMPLATE",
    "META_TEMPLATE_LANGUAGE",
    "META_TEMPLATE_OF_THREE",
    "META_TOKEN",
    "META_VERIFY_TOKEN",
    "MetaRules",
]

META_TOKEN = "EAAFakeTokenForTests" + "0" * 44
META_RECIPIENT = "+12025550111"
META_NOT_ON_WHATSAPP = "+12025550112"
META_NOT_ALLOWED = "+12025550114"
META_TEMPLATE = "trading_alert"
META_TEMPLATE_OF_THREE = "trading_alert_details"
META_TEMPLATE_LANGUAGE = "en_US"

META_TEXT_LIMIT = 4096
META_TEMPLATE_LIMIT = 1024
META_REFERENCE_LIMIT = 512

_PATH = re.compile(r"/v(?P<major>\d+)\.\d+/(?P<phone_id>[^/]+)(?P<messages>/messages)?")
_UNFIT_PARAMETER = re.compile(r"[\n\r\t]| {5}")
# Introduced with version 23 (support.beeoneten.com article 1760760235); before it, plain 100.
_PARAMETER_CODE, _PARAMETER_CODE_SINCE = 132018, 23


@dataclass(frozen=True)
class _Error:
    status: int
    title: str
    details: str = ""


_ERRORS = {
    100: _Error(400, "Invalid parameter"),
    130429: _Error(429, "Rate limit hit", "Too many messages sent from this phone number in a short time"),
    131000: _Error(500, "Something went wrong"),
    131008: _Error(400, "Required parameter is missing"),
    131016: _Error(503, "Service unavailable"),
    131026: _Error(400, "Message undeliverable", "Receiver is incapable of receiving this message"),
    131030: _Error(400, "Recipient phone number not in allowed list", "Add recipient to recipient list"),
    131047: _Error(
        400,
        "Re-engagement message",
        "Message failed to send because more than 24 hours have passed since the customer last replied",
    ),
    131048: _Error(400, "Spam rate limit hit", "Previous messages were blocked or flagged as spam"),
    131049: _Error(400, "Message not delivered to maintain a healthy ecosystem"),
    131051: _Error(400, "Unsupported message type"),
    131056: _Error(429, "(Business Account, Consumer Account) pair rate limit hit"),
    132000: _Error(400, "Number of parameters does not match the expected number of params"),
    132001: _Error(400, "Template name does not exist in the translation"),
    132005: _Error(400, "Translated text too long"),
    132018: _Error(400, "There's an issue with the parameters in your template"),
}


@dataclass(frozen=True, kw_only=True)
class _Content:
    text: str
    raw_text: str
    template: str | None = None
    parameters: tuple[str, ...] = ()


class _RefusedError(Exception):
    """The request ends with this code."""

    def __init__(self, code: int, details: str | None = None) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


class MetaRules(MetaMessages):
    """One phone number.

    Attributes:
        templates: how many parameters the body of each approved template takes, by name and language.
        pairs: refuses what comes too fast for one person (131056); None takes it.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        super().__init__(now)
        self.pairs: PairLimits | None = None
        self.templates = {
            (META_TEMPLATE, META_TEMPLATE_LANGUAGE): 1,
            (META_TEMPLATE_OF_THREE, META_TEMPLATE_LANGUAGE): 3,
        }

    def judge(self, request: ProviderRequest, *, fails_later: int | None = None) -> Judgement:
        """Decide on one request; a message that `fails_later` does so by webhook only."""
        if request.headers.get("authorization") != f"Bearer {META_TOKEN}":
            return Judgement(reply=_bad_token())
        found = _PATH.fullmatch(request.path)
        known = found is not None and found["phone_id"] == META_PHONE_ID
        if found is None or not known:
            return Judgement(reply=_unknown_object(request))
        if request.method == "GET" and not found["messages"]:
            phone = {"id": META_PHONE_ID, "display_phone_number": META_DISPLAY_NUMBER, "verified_name": "Test alerts"}
            return Judgement(reply=json_reply(200, phone))
        if request.method != "POST" or not found["messages"]:
            return Judgement(reply=_unknown_object(request))
        try:
            return self._send(request.json_object(), int(found["major"]), fails_later)
        except _RefusedError as refusal:
            return Judgement(reply=_refuse(refusal.code, refusal.details))

    def _send(self, payload: Mapping[str, object] | None, version: int, fails_later: int | None) -> Judgement:
        if payload is None or payload.get("messaging_product") != "whatsapp":
            raise _RefusedError(100, "The parameter messaging_product is required.")
        recipient = _recipient(payload.get("to"))
        kind = payload.get("type", "text")
        if kind == "text":
            content = _text(payload.get("text"))
        elif kind == "template":
            content = self._template(payload.get("template"), version)
        else:
            raise _RefusedError(131051, f"Message type {kind} is not supported")
        if recipient == META_NOT_ALLOWED:
            raise _RefusedError(131030)
        if recipient == META_NOT_ON_WHATSAPP:
            raise _RefusedError(131026)
        if content.template is None and not self.window_is_open(recipient):
            if not self.tells_window_late:
                raise _RefusedError(131047)
            fails_later = fails_later or 131047
        if self.pairs is not None and not self.pairs.takes(META_PHONE_ID, recipient):
            raise _RefusedError(131056)
        message_id = self.take(recipient, _reference(payload.get("biz_opaque_callback_data")), fails_later)
        return Judgement(
            reply=json_reply(
                200,
                {
                    "messaging_product": "whatsapp",
                    "contacts": [{"input": payload["to"], "wa_id": recipient.removeprefix("+")}],
                    "messages": [{"id": message_id}],
                },
            ),
            message=Message(
                target=recipient,
                text=content.text,
                raw_text=content.raw_text,
                message_id=message_id,
                template=content.template,
                parameters=content.parameters,
                failed_code=fails_later,
            ),
        )

    def _template(self, template: object, version: int) -> _Content:
        if not isinstance(template, dict) or not template.get("name"):
            raise _RefusedError(100, "Parameter name is missing or empty")
        language = template.get("language")
        code = language.get("code") if isinstance(language, dict) else None
        name = str(template["name"])
        expected = self.templates.get((name, str(code)))
        if expected is None:
            raise _RefusedError(132001, f"template name ({name}) does not exist in {code}")
        parameters = _parameters(template.get("components"))
        if len(parameters) != expected:
            raise _RefusedError(
                132000,
                f"body: number of localizable_params ({len(parameters)}) does not match "
                f"the expected number of params ({expected})",
            )
        if any(_UNFIT_PARAMETER.search(parameter) for parameter in parameters):
            raise _RefusedError(
                _PARAMETER_CODE if version >= _PARAMETER_CODE_SINCE else 100,
                "Param text cannot have new-line/tab characters or more than 4 consecutive spaces",
            )
        text = " ".join(parameters)
        if utf16_length(text) > META_TEMPLATE_LIMIT:
            raise _RefusedError(132005)
        return _Content(text=text, raw_text=text, template=name, parameters=parameters)

    def rate_limited(self, retry_after: int | None) -> Reply:
        """130429; Meta names no waiting time, so `retry_after` comes as a header, if at all."""
        return _refuse(130429, headers={} if retry_after is None else {"Retry-After": str(retry_after)})

    def error(self, status: int, code: int | None) -> Reply:
        """Without a code: a bad token for 401, a rate limit for 429, else something went wrong."""
        chosen = code or {400: 100, 401: 190, 429: 130429, 503: 131016}.get(status, 131000)
        return _bad_token(status) if chosen == 190 else _refuse(chosen, status=status)

    def ok_false(self) -> Reply:
        """An error body under HTTP 200."""
        return _refuse(131026, status=200)


def _refuse(
    code: int,
    details: str | None = None,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    known = _ERRORS.get(code, _Error(400, "Unknown error"))
    error = {
        "message": f"(#{code}) {known.title}",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": details or known.details or known.title},
        "fbtrace_id": "AFakeTraceForTests00000",
    }
    return json_reply(status or known.status, {"error": error}, headers)


def _bad_token(status: int = 401) -> Reply:
    return json_reply(
        status,
        {
            "error": {
                "message": "Invalid OAuth access token - Cannot parse access token",
                "type": "OAuthException",
                "code": 190,
                "fbtrace_id": "AFakeTraceForTests00000",
            }
        },
    )


def _unknown_object(request: ProviderRequest) -> Reply:
    asked_for = request.path.split("/")[2] if request.path.count("/") > 1 else ""
    return json_reply(
        400,
        {
            "error": {
                "message": f"Unsupported {request.method.lower()} request. Object with ID '{asked_for}' does not "
                "exist, cannot be loaded due to missing permissions, or does not support this operation",
                "type": "GraphMethodException",
                "code": 100,
                "error_subcode": 33,
                "fbtrace_id": "AFakeTraceForTests00000",
            }
        },
    )


def _recipient(value: object) -> str:
    """Normalise a phone number; `00` in front is no country code (Whatsapp-Business-Cloud-Api-Net#31)."""
    if not value:
        raise _RefusedError(131008, "The parameter to is required.")
    digits = re.sub(r"[ ()+-]", "", str(value))
    if not re.fullmatch(r"[1-9]\d{6,14}", digits):
        raise _RefusedError(100, "Parameter Invalid")
    return "+" + digits


def _reference(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > META_REFERENCE_LIMIT:
        raise _RefusedError(
            100, f"Param biz_opaque_callback_data must be at most {META_REFERENCE_LIMIT} characters long."
        )
    return value


def _text(value: object) -> _Content:
    body = value.get("body") if isinstance(value, dict) else None
    if not isinstance(body, str) or not body.strip():
        raise _RefusedError(131008, "The parameter text['body'] is required.")
    if utf16_length(body) > META_TEXT_LIMIT:
        raise _RefusedError(100, f"Param text['body'] must be at most {META_TEXT_LIMIT} characters long.")
    return _Content(text=body, raw_text=body)


def _parameters(components: object) -> tuple[str, ...]:
    """Read the text parameters of the body component."""
    found: list[str] = []
    for component in components if isinstance(components, list) else []:
        if component.get("type") != "body":
            continue
        for parameter in component.get("parameters", []):
            if parameter.get("type") != "text" or not parameter.get("text"):
                raise _RefusedError(100, "Parameter 'text' is mandatory for component parameter type 'text'")
            found.append(str(parameter["text"]))
    return tuple(found)
