"""WhatsApp by Twilio: limits, pace and what its answers mean.

Sources: twilio.com/docs/api/errors/<code> for each code, twilio.com/docs/usage/twilios-response for the shape of an
error, twilio.com/docs/whatsapp/best-practices-and-faqs for the pace. What Twilio finds out after it has accepted a
message (63015, 63016, 63018 mostly) comes with a receipt, in the same codes.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final
from urllib.parse import parse_qs

from subscriber.channels import plugins, verdicts
from subscriber.channels.calls import Exchange
from subscriber.channels.channel import Limit, TwilioConfig
from subscriber.channels.plugins import Plugin
from subscriber.channels.providers import Probe, Provider
from subscriber.channels.redaction import Redaction
from subscriber.channels.verdicts import Answer
from subscriber.deliveries import Dialect, LengthUnit, Message, MessageLimits, Outcome, Reason

ORIGIN: Final = "https://api.twilio.com"

#: Error 21617. It says that emoji count as several characters and not how many; UTF-16 units are the safe reading.
MESSAGE_LIMITS: Final = MessageLimits(Dialect.WHATSAPP, 1600, LengthUnit.UTF16)

_PER_SENDER: Final = Limit(messages=80, seconds=1, burst=80)
#: The sandbox is one number for everybody, and takes a message each three seconds (docs/whatsapp/sandbox).
_SANDBOX_SENDER: Final = "+14155238886"
_PER_SANDBOX: Final = Limit(messages=1, seconds=3)

_CODES: Final = {
    20003: Reason.UNAUTHORIZED,  # Authenticate
    20005: Reason.UNAUTHORIZED,  # Account not active
    20404: Reason.UNAUTHORIZED,  # the requested resource (the account) was not found
    20429: Reason.RATE_LIMITED,  # Too Many Requests: not processed, safe to retry with backoff
    14107: Reason.RATE_LIMITED,  # Message rate limit exceeded
    21211: Reason.UNAUTHORIZED,  # Invalid 'To' phone number
    21212: Reason.UNAUTHORIZED,  # Invalid 'From' number
    21408: Reason.UNAUTHORIZED,  # no permission for this region
    21602: Reason.REJECTED,  # Message body is required
    21606: Reason.UNAUTHORIZED,  # 'From' is no number of this account
    21608: Reason.UNAUTHORIZED,  # a trial account, and 'To' is not verified
    21610: Reason.UNAUTHORIZED,  # the recipient has opted out
    21611: Reason.RATE_LIMITED,  # this 'From' has more queued than it can send in four hours
    21614: Reason.UNAUTHORIZED,  # 'To' is no mobile number
    21617: Reason.REJECTED,  # longer than 1600 characters
    21659: Reason.UNAUTHORIZED,  # 'From' is no number of this account
    21910: Reason.UNAUTHORIZED,  # 'From' and 'To' are of different channels
    63003: Reason.UNAUTHORIZED,  # 'To' could not be found: no WhatsApp user
    63007: Reason.UNAUTHORIZED,  # 'From' is no WhatsApp sender of this account
    63015: Reason.UNAUTHORIZED,  # the recipient has not joined the sandbox, or that has lapsed
    63016: Reason.REJECTED,  # outside of the 24-hour window, without a template
    63018: Reason.RATE_LIMITED,  # too fast for WhatsApp, or the same recipient too often
    63024: Reason.UNAUTHORIZED,  # Invalid message recipient
}

# Apprise's constructor takes 10 to 14 digits (utils/parse.py:370, and 11 to 14 for a sender), E.164 has 7 to 15, and a
# Danish number 10; so it is built with Twilio's own test number (docs/iam/test-credentials) and given the real ones.
_STAND_IN: Final = "+15005550006"


class Twilio(Provider):
    """One account, one WhatsApp sender, one recipient."""

    name = "twilio"
    message_limits = MESSAGE_LIMITS
    origin = ORIGIN

    def __init__(self, config: TwilioConfig) -> None:
        """Build the plugin."""
        self._config = config
        self.secrets = (
            config.auth_token,
            config.account_sid,
            f"{config.account_sid}:{config.auth_token}",  # as Basic authentication encodes it
            config.recipient.lstrip("+"),
            config.sender.lstrip("+"),
        )
        self.pace = (_PER_SANDBOX,) if config.sender == _SANDBOX_SENDER else (_PER_SENDER,)
        plugin: Any = plugins.built_in_plugin(
            "twilio",
            {
                "account_sid": config.account_sid,
                "auth_token": config.auth_token,
                "source": f"whatsapp:{_STAND_IN}",
                "targets": [f"whatsapp:{_STAND_IN}"],
            },
        )
        plugin.source = config.sender
        plugin.targets = [(mode, config.recipient) for mode, _ in plugin.targets]
        self._plugin: Plugin = plugin

    def plugin(self, _message: Message) -> Plugin:
        """Return the one plugin; WhatsApp knows no silent messages."""
        return self._plugin

    def submit(self, plugin: Plugin, message: Message) -> bool:
        """Send the text as it is."""
        return plugin.send(body=message.body, **plugins.AS_TEXT)

    def judge(self, answer: Answer, redaction: Redaction) -> Outcome:
        """Read the code in the body; a status of 2xx with a message's sid is an acceptance, not yet a delivery."""
        code = answer.json.get("code", answer.json.get("error_code"))
        if code is not None:
            detail = redaction.text(str(answer.json.get("message") or answer.json.get("error_message") or ""))
            known = _CODES.get(code) if isinstance(code, int) else None
            return verdicts.outcome(known or _unlisted(answer), answer, detail, code=code)
        if not 200 <= answer.status < 300:
            return verdicts.general(answer, redaction)
        sid = answer.json.get("sid")
        return verdicts.accepted(answer, sid) if isinstance(sid, str) else verdicts.unreadable(answer)

    def reaches_target(self, exchange: Exchange) -> bool:
        """Look for sender and recipient in the request's form."""
        form = parse_qs(exchange.request_body.decode())
        return form.get("To") == [f"whatsapp:{self._config.recipient}"] and form.get("From") == [
            f"whatsapp:{self._config.sender}"
        ]

    def probe(self) -> Probe:
        """Ask for the account itself."""
        account = self._config.account_sid
        return Probe(f"{ORIGIN}/2010-04-01/Accounts/{account}.json", auth=(account, self._config.auth_token))

    def judge_probe(self, answer: Answer, redaction: Redaction) -> Outcome:
        """An account may be known and still be suspended or closed."""
        judged = self.judge(answer, redaction)
        status = answer.json.get("status")
        if judged.accepted and status != "active":
            return Outcome(Reason.UNAUTHORIZED, redaction.text(f"the account is {status}"), status=judged.status)
        # The sid of an account is no message's id, and nobody else's business.
        return dataclasses.replace(judged, provider_message_id=None)


def _unlisted(answer: Answer) -> Reason:
    # A code under a 2xx is one of a message that failed at once.
    return Reason.REJECTED if answer.status < 300 else verdicts.by_status(answer)
