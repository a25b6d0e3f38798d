"""WhatsApp by Twilio: limits, pace, text or template, receipts, and what its answers mean.

Sources: `twilio_codes` for each code, twilio.com/docs/usage/twilios-response for the shape of an error,
twilio.com/docs/whatsapp/best-practices-and-faqs for the pace, twilio.com/docs/messaging/api/message-resource for what
is asked later. What Twilio finds out after it has accepted a message (63015, 63016, 63018 mostly) comes with a receipt,
in the same codes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlencode

from subscriber.channels import plugins, twilio_receipts, verdicts
from subscriber.channels.calls import Exchange
from subscriber.channels.channel import Limit, TwilioConfig
from subscriber.channels.memory import ChannelMemory
from subscriber.channels.plugins import Plugin
from subscriber.channels.providers import Probe, TemplateMessage
from subscriber.channels.redaction import Redaction
from subscriber.channels.twilio_codes import BAD_TEMPLATE, NOT_FOUND, OUTSIDE_WINDOW, TABLE
from subscriber.channels.verdicts import Answer, mapping
from subscriber.channels.window import WhatsApp
from subscriber.deliveries import Dialect, LengthUnit, Message, MessageLimits, Outcome, Reason
from subscriber.receipts import Receipt, ReceiptMode

ORIGIN: Final = "https://api.twilio.com"

#: Error 21617. It says that emoji count as several characters and not how many; UTF-16 units are the safe reading.
MESSAGE_LIMITS: Final = MessageLimits(Dialect.WHATSAPP, 1600, LengthUnit.UTF16)

# WhatsApp's rule for a pair holds whoever is in between: one message in 6 s to one user, of which a burst borrows up to
# 45 from what follows (63018, which names the same recipient). 30 in any 180 s says the same and leaves room for some.
_PER_PAIR: Final = Limit(messages=30, seconds=180, burst=30)
_PER_SENDER: Final = Limit(messages=80, seconds=1, burst=80)
#: The sandbox is one number for everybody, and takes a message each three seconds (docs/whatsapp/sandbox).
_SANDBOX_SENDER: Final = "+14155238886"
_PER_SANDBOX: Final = Limit(messages=1, seconds=3)

# Apprise's constructor takes 10 to 14 digits (utils/parse.py:370, and 11 to 14 for a sender), E.164 has 7 to 15, and a
# Danish number 10; so it is built with Twilio's own test number (docs/iam/test-credentials) and given the real ones.
_STAND_IN: Final = "+15005550006"


class Twilio(WhatsApp):
    """One account, one WhatsApp sender, one recipient."""

    name = "twilio"
    origin = ORIGIN
    outside_code = OUTSIDE_WINDOW
    template_codes = BAD_TEMPLATE
    table = TABLE
    #: Also where Twilio calls us: a call that got lost is made up for.
    receipts = ReceiptMode.POLLING

    def __init__(self, config: TwilioConfig, memory: ChannelMemory, now_us: Callable[[], int]) -> None:
        """Build the plugins."""
        parameters = None if config.content_sid is None else config.template_parameters
        super().__init__(config.name, memory, now_us, MESSAGE_LIMITS, parameters)
        self._config = config
        self.secrets = twilio_receipts.secrets_of(config)
        self.pace = (*limits_of(config.sender, config.recipient), *config.limits)
        self.concurrency = config.concurrency
        self._text = self._built(None)
        self._template = self._text if config.content_sid is None else self._built(config.content_sid)

    def plugin(self, message: Message) -> Plugin:
        """Return the plugin for text or template; WhatsApp knows no silent messages."""
        return self._template if isinstance(message, TemplateMessage) else self._text

    def submit(self, plugin: Plugin, message: Message) -> bool:
        """Send the text as it is, or the parameters, and say where Twilio is to tell what becomes of it."""
        callback = None
        if self._config.public_url is not None:
            callback = twilio_receipts.callback_url(self._config.public_url, message.reference)
        return plugin.send(
            body=message.body, parameters=message.parameters, status_callback=callback, **plugins.AS_TEXT
        )

    def judge(self, answer: Answer, redaction: Redaction) -> Outcome:
        """Go by the table."""
        return judge_answer(answer, redaction)

    def reaches_target(self, exchange: Exchange) -> bool:
        """Look for sender and recipient in the request's form."""
        form = parse_qs(exchange.request_body.decode())
        return form.get("To") == [f"whatsapp:{self._config.recipient}"] and form.get("From") == [
            f"whatsapp:{self._config.sender}"
        ]

    def carries(self, exchange: Exchange, message: Message) -> bool:
        """Look for template and callback in the request's form, and for the text where there is no template."""
        form = {name: texts[0] for name, texts in parse_qs(exchange.request_body.decode()).items()}
        if self._config.public_url is not None and f"reference={message.reference}" not in form.get(
            "StatusCallback", ""
        ):
            return False
        if not isinstance(message, TemplateMessage):
            return form.get("Body") == message.body and "ContentSid" not in form
        variables = json.loads(form.get("ContentVariables", "{}"))
        expected = {str(number): text for number, text in enumerate(message.parameters, start=1)}
        return form.get("ContentSid") == self._config.content_sid and variables == expected and "Body" not in form

    def probe(self) -> Probe:
        """Ask for the account itself."""
        return self._question(".json")

    def judge_probe(self, answer: Answer, redaction: Redaction) -> Outcome:
        """An account may be known and still be suspended or closed."""
        judged = self.judge(answer, redaction)
        status = answer.json.get("status")
        if judged.accepted and status != "active":
            return Outcome(Reason.UNAUTHORIZED, redaction.text(f"the account is {status}"), status=judged.status)
        # The sid of an account is no message's id, and nobody else's business.
        return dataclasses.replace(judged, provider_message_id=None)

    def ask_receipt(self, message_id: str) -> Probe:
        """Ask for the Message resource."""
        return self._question(f"/Messages/{quote(message_id, safe='')}.json")

    def read_receipt(self, answer: Answer, redaction: Redaction) -> Receipt | Outcome:
        """Return what the resource tells; a message that nobody knows is no fault of the account."""
        receipt = twilio_receipts.receipt_of(answer.json, redaction) if 200 <= answer.status < 300 else None
        if receipt is not None:
            return receipt
        judged = self.judge(answer, redaction)
        if judged.accepted:
            return verdicts.unreadable(answer)
        if answer.json.get("code") == NOT_FOUND:
            return dataclasses.replace(judged, reason=Reason.REJECTED, detail="there is no such message")
        return judged

    def ask_inbound(self) -> Probe:
        """Ask for the last message that the person wrote to the sender."""
        query = {
            "From": f"whatsapp:{self._config.recipient}",
            "To": f"whatsapp:{self._config.sender}",
            "PageSize": "1",  # the newest comes first
        }
        return self._question(f"/Messages.json?{urlencode(query)}")

    def read_inbound(self, answer: Answer) -> bool:
        """Remember when it was, where there is one."""
        messages = answer.json.get("messages")
        if answer.status != 200 or not isinstance(messages, list):
            return False
        for message in map(mapping, messages):
            at_us = twilio_receipts.moment_us(message.get("date_created"))
            if message.get("direction") == "inbound" and at_us is not None:
                self.wrote(at_us)
        return True

    def _question(self, path: str) -> Probe:
        account = self._config.account_sid
        return Probe(f"{ORIGIN}/2010-04-01/Accounts/{account}{path}", auth=(account, self._config.auth_token))

    def _built(self, content_sid: str | None) -> Plugin:
        plugin: Any = plugins.built_in_plugin(
            "twilio",
            {
                "account_sid": self._config.account_sid,
                "auth_token": self._config.auth_token,
                "source": f"whatsapp:{_STAND_IN}",
                "targets": [f"whatsapp:{_STAND_IN}"],
                "content_sid": content_sid,
            },
        )
        plugin.source = self._config.sender
        plugin.targets = [(mode, self._config.recipient) for mode, _ in plugin.targets]
        built: Plugin = plugin
        return built


def limits_of(sender: str, recipient: str) -> tuple[Limit, ...]:
    """Return how fast a sender, like +14155238886, may write to a person, like +15551234567."""
    pace = _PER_SANDBOX if sender == _SANDBOX_SENDER else _PER_SENDER
    return (
        dataclasses.replace(_PER_PAIR, scope=f"twilio:{sender}:{recipient}"),
        dataclasses.replace(pace, scope=f"twilio:{sender}"),
    )


def judge_answer(answer: Answer, redaction: Redaction) -> Outcome:
    """Read the code in the body; a status of 2xx with a message's sid is an acceptance, not yet a delivery."""
    code = answer.json.get("code", answer.json.get("error_code"))
    if code is not None:
        row = TABLE.get(code) if isinstance(code, int) else None
        words = answer.json.get("message") or answer.json.get("error_message") or (row.meaning if row else "")
        reason = row.reason if row else _unlisted(answer)
        doubt = row.in_doubt if row else None
        return verdicts.outcome(reason, answer, redaction.text(str(words)), code=code, in_doubt=doubt)
    if not 200 <= answer.status < 300:
        return verdicts.general(answer, redaction)
    sid = answer.json.get("sid")
    return verdicts.accepted(answer, sid) if isinstance(sid, str) else verdicts.unreadable(answer)


def _unlisted(answer: Answer) -> Reason:
    # A code under a 2xx is one of a message that failed at once.
    return Reason.REJECTED if answer.status < 300 else verdicts.by_status(answer)
