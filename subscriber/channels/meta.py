"""WhatsApp by Meta's Cloud API: limits, pace, text or template, and what its answers and receipts mean.

Sources: developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes (decide on `code` and
`error_data.details`; titles will be removed), developers.facebook.com/docs/graph-api/guides/error-handling (codes below
1000), dualhook.com/docs/api-errors (the pair limit), .../whatsapp/throughput (80 messages a second for a number).
Receipts come by webhook only: `meta_receipts`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from subscriber.channels import meta_receipts, plugins, verdicts
from subscriber.channels.calls import Exchange
from subscriber.channels.channel import Limit, MetaConfig
from subscriber.channels.memory import ChannelMemory
from subscriber.channels.plugins import Plugin
from subscriber.channels.providers import Probe, TemplateMessage
from subscriber.channels.redaction import Redaction
from subscriber.channels.requests_seam import amended
from subscriber.channels.verdicts import Answer, Row, mapping
from subscriber.channels.window import WhatsApp
from subscriber.deliveries import Dialect, LengthUnit, Message, MessageLimits, Outcome, Reason
from subscriber.receipts import ReceiptMode

ORIGIN: Final = "https://graph.facebook.com"

#: "characters", of which nobody says how emoji count; UTF-16 units are the safe reading.
MESSAGE_LIMITS: Final = MessageLimits(Dialect.WHATSAPP, 4096, LengthUnit.UTF16)

# One message in 6 s to one user; a burst is borrowed from what follows it (131056). 10 in 60 s says the same and leaves
# room for one.
_PER_PAIR: Final = Limit(messages=10, seconds=60, burst=5)
_PER_NUMBER: Final = Limit(messages=80, seconds=1, burst=80)

#: A text outside of the 24-hour window.
_OUTSIDE_WINDOW: Final = 131047
_ERROR_CODES: Final = "developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes"
#: By `code`. What is not in it: 200 to 299 are missing permissions, 5xx is unavailable, everything else refuses the
#: message, unless the status says that it is the credentials or the pace.
TABLE: Final[Mapping[int, Row]] = {
    code: Row(reason, meaning, _ERROR_CODES)
    for code, reason, meaning in (
        (0, Reason.UNAUTHORIZED, "AuthException"),
        (1, Reason.UNAVAILABLE, "API unknown"),
        (2, Reason.UNAVAILABLE, "API service"),
        (3, Reason.UNAUTHORIZED, "API method: no capability"),
        (4, Reason.RATE_LIMITED, "API too many calls"),
        (10, Reason.UNAUTHORIZED, "permission denied"),
        (100, Reason.REJECTED, "invalid parameter; with subcode 33 the phone number id is not ours"),
        (190, Reason.UNAUTHORIZED, "access token expired or invalid"),
        (368, Reason.UNAUTHORIZED, "temporarily blocked for policies violations"),
        (80007, Reason.RATE_LIMITED, "the business account's rate limit"),
        (130429, Reason.RATE_LIMITED, "throughput of the number"),
        (130472, Reason.REJECTED, "user's number is part of an experiment"),
        (130497, Reason.UNAUTHORIZED, "the business may not write to people in this country"),
        (131000, Reason.UNAVAILABLE, "something went wrong"),
        (131005, Reason.UNAUTHORIZED, "access denied"),
        (131016, Reason.UNAVAILABLE, "service unavailable"),
        (131021, Reason.UNAUTHORIZED, "recipient cannot be sender"),
        (131026, Reason.REJECTED, "message undeliverable"),
        (131030, Reason.UNAUTHORIZED, "recipient not in the allowed list of a test number"),
        (131031, Reason.UNAUTHORIZED, "account locked"),
        (131037, Reason.UNAUTHORIZED, "the number's display name is not approved"),
        (131042, Reason.UNAUTHORIZED, "payment issue"),
        (131045, Reason.UNAUTHORIZED, "the number is not registered rightly"),
        (_OUTSIDE_WINDOW, Reason.REJECTED, "more than 24 hours since the person's last message"),
        (131048, Reason.REJECTED, "spam rate limit"),
        (131049, Reason.REJECTED, "not delivered to maintain a healthy ecosystem"),
        (131056, Reason.RATE_LIMITED, "pair rate limit"),
        (131057, Reason.UNAVAILABLE, "account in maintenance mode"),
        (132000, Reason.REJECTED, "the number of parameters does not match the template's"),
        (132001, Reason.REJECTED, "the template does not exist in this language, or is not approved"),
        (132005, Reason.REJECTED, "the template with its parameters is too long"),
        (132007, Reason.REJECTED, "the template's text violates a policy of WhatsApp's"),
        (132012, Reason.REJECTED, "a parameter has another format than the template's"),
        (132015, Reason.REJECTED, "the template is paused for its low quality"),
        (132016, Reason.REJECTED, "the template is disabled for good for its low quality"),
        (132018, Reason.REJECTED, "the template's parameters are refused, such as one with a line break"),
        (133004, Reason.UNAVAILABLE, "server temporarily unavailable"),
        (133010, Reason.UNAUTHORIZED, "phone number not registered"),
    )
}
#: The template is at fault and not what it says: the same as text may pass.
_BAD_TEMPLATE: Final = frozenset({132000, 132001, 132005, 132007, 132012, 132015, 132016, 132018})
_UNKNOWN_OBJECT: Final = 33
_PERMISSIONS: Final = range(200, 300)

# Apprise's constructor takes 10 to 14 digits (utils/parse.py:370) and E.164 has 7 to 15; so it is built with a number
# of the range that is kept free for fiction, and given the real one.
_STAND_IN: Final = "+12025550100"


class Meta(WhatsApp):
    """One business phone number and one recipient."""

    name = "meta"
    origin = ORIGIN
    outside_code = _OUTSIDE_WINDOW
    template_codes = _BAD_TEMPLATE
    table = TABLE

    def __init__(self, config: MetaConfig, memory: ChannelMemory, now_us: Callable[[], int]) -> None:
        """Build the plugin for text."""
        parameters = None if config.template is None else config.template_parameters
        super().__init__(config.name, memory, now_us, MESSAGE_LIMITS, parameters)
        self._config = config
        self.secrets = meta_receipts.secrets_of(config)
        self.pace = (*limits_of(config.phone_number_id, config.recipient), *config.limits)
        self.concurrency = config.concurrency
        self.receipts = ReceiptMode.WEBHOOK if config.app_secret and config.verify_token else ReceiptMode.OFF
        text: Any = self._built({})
        self._graph_version = str(text.fb_graph_version)
        self._text: Plugin = text

    def plugin(self, message: Message) -> Plugin:
        """Return the plugin for text, or one for this template message; WhatsApp knows no silent messages.

        Apprise keeps a template's texts in the plugin and sends them in the order in which it is given them
        (plugins/whatsapp.py:370 sorts a copy).
        """
        if not isinstance(message, TemplateMessage):
            return self._text
        texts = {str(number): text for number, text in enumerate(message.parameters, start=1)}
        return self._built(
            {
                "template": self._config.template,
                "language": self._config.template_language,
                "template_mapping": texts,
            }
        )

    def submit(self, plugin: Plugin, message: Message) -> bool:
        """Send the text as it is, or what the plugin was built with, and what receipts are to repeat."""
        with amended(partial(_with_reference, message.reference)):
            return plugin.send(body=message.body, **plugins.AS_TEXT)

    def judge(self, answer: Answer, redaction: Redaction) -> Outcome:
        """Go by the table."""
        return judge_answer(answer, redaction)

    def reaches_target(self, exchange: Exchange) -> bool:
        """Look for the recipient in the request."""
        return bool(json.loads(exchange.request_body).get("to") == self._config.recipient)

    def carries(self, exchange: Exchange, message: Message) -> bool:
        """Look for the text, or for the template with its parameters in order, and for the reference."""
        request = json.loads(exchange.request_body)
        if request.get("biz_opaque_callback_data", "") != message.reference:
            return False
        if not isinstance(message, TemplateMessage):
            return bool(mapping(request.get("text")).get("body") == message.body)
        expected = {
            "name": self._config.template,
            "language": {"code": self._config.template_language},
            "components": [
                {"type": "body", "parameters": [{"type": "text", "text": text} for text in message.parameters]}
            ],
        }
        return bool(request.get("type") == "template" and request.get("template") == expected)

    def probe(self) -> Probe:
        """Ask for the phone number by its id."""
        return Probe(
            f"{ORIGIN}/{self._graph_version}/{self._config.phone_number_id}",
            headers={"Authorization": f"Bearer {self._config.access_token}"},
        )

    def judge_probe(self, answer: Answer, redaction: Redaction) -> Outcome:
        """The number's own id comes back."""
        if answer.status == 200 and answer.json.get("id") == self._config.phone_number_id:
            return Outcome(Reason.ACCEPTED, status=answer.status)
        return self.judge(answer, redaction)

    def _built(self, template: dict[str, Any]) -> Plugin:
        plugin: Any = plugins.built_in_plugin(
            "meta",
            {
                "token": self._config.access_token,
                "from_phone_id": self._config.phone_number_id,
                "targets": [_STAND_IN],
                **template,
            },
        )
        plugin.targets = [self._config.recipient]
        built: Plugin = plugin
        return built


def limits_of(phone_number_id: str, recipient: str) -> tuple[Limit, ...]:
    """Return how fast a number may write to a person, like +15551234567."""
    number = f"meta:{phone_number_id}"
    return (
        dataclasses.replace(_PER_PAIR, scope=f"{number}:{recipient}"),
        dataclasses.replace(_PER_NUMBER, scope=number),
    )


def judge_answer(answer: Answer, redaction: Redaction) -> Outcome:
    """Read the code in the body; other lists than Meta's own give its errors other statuses."""
    error = mapping(answer.json.get("error"))
    if error:
        words = str(error.get("message") or "")
        details = mapping(error.get("error_data")).get("details")
        detail = redaction.text(f"{words}: {details}" if details else words)
        return verdicts.outcome(_reason(error, answer), answer, detail, code=error.get("code"))
    if not 200 <= answer.status < 300:
        return verdicts.general(answer, redaction)
    messages = answer.json.get("messages")
    first = mapping(messages[0]) if isinstance(messages, list) and messages else {}
    wamid = first.get("id")
    if not isinstance(wamid, str):
        return verdicts.unreadable(answer)
    return verdicts.accepted(answer, meta_receipts.message_key(wamid) if wamid else None)


def _with_reference(reference: str, data: Any) -> Any:
    # A release that sends anything but JSON as text fails here, and that when a channel is built.
    request = json.loads(data)
    return json.dumps({**request, "biz_opaque_callback_data": reference}) if reference else data


def _reason(error: Any, answer: Answer) -> Reason:
    code = error.get("code")
    if not isinstance(code, int):
        return verdicts.by_status(answer)
    if code in _PERMISSIONS or (code == 100 and error.get("error_subcode") == _UNKNOWN_OBJECT):
        return Reason.UNAUTHORIZED
    if code in TABLE:
        return TABLE[code].reason
    # What else is refused is refused for good; under 2xx a code is a refusal too.
    return Reason.UNAVAILABLE if answer.status >= 500 else _by_client_status(answer)


def _by_client_status(answer: Answer) -> Reason:
    return verdicts.by_status(answer) if answer.status in (401, 403, 429) else Reason.REJECTED
