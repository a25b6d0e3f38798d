"""WhatsApp by Meta's Cloud API: limits, pace and what its answers mean.

Sources: developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes (decide on `code` and
`error_data.details`; titles will be removed), developers.facebook.com/docs/graph-api/guides/error-handling (codes below
1000), facts.md (the pair limit).
"""

from __future__ import annotations

import json
from typing import Any, Final

from subscriber.channels import plugins, verdicts
from subscriber.channels.calls import Exchange
from subscriber.channels.channel import Limit, MetaConfig
from subscriber.channels.plugins import Plugin
from subscriber.channels.providers import Probe, Provider
from subscriber.channels.redaction import Redaction
from subscriber.channels.verdicts import Answer, mapping
from subscriber.deliveries import Dialect, LengthUnit, Message, MessageLimits, Outcome, Reason

ORIGIN: Final = "https://graph.facebook.com"

#: "characters", of which nobody says how emoji count; UTF-16 units are the safe reading.
MESSAGE_LIMITS: Final = MessageLimits(Dialect.WHATSAPP, 4096, LengthUnit.UTF16)

# One message in 6 s to one user; a burst is borrowed from what follows it (131056). 10 in 60 s says the same and leaves
# room for one.
_PER_PAIR: Final = Limit(messages=10, seconds=60, burst=5)

_CODES: Final = {
    0: Reason.UNAUTHORIZED,  # AuthException
    1: Reason.UNAVAILABLE,  # API unknown
    2: Reason.UNAVAILABLE,  # API service
    3: Reason.UNAUTHORIZED,  # API method: no capability
    4: Reason.RATE_LIMITED,  # API too many calls
    10: Reason.UNAUTHORIZED,  # permission denied
    100: Reason.REJECTED,  # invalid parameter; with subcode 33 the phone number id is not ours
    190: Reason.UNAUTHORIZED,  # access token expired or invalid
    368: Reason.UNAUTHORIZED,  # temporarily blocked for policies violations
    80007: Reason.RATE_LIMITED,  # the business account's rate limit
    130429: Reason.RATE_LIMITED,  # throughput of the number
    130472: Reason.REJECTED,  # user's number is part of an experiment
    131000: Reason.UNAVAILABLE,  # something went wrong
    131005: Reason.UNAUTHORIZED,  # access denied
    131016: Reason.UNAVAILABLE,  # service unavailable
    131021: Reason.UNAUTHORIZED,  # recipient cannot be sender
    131026: Reason.REJECTED,  # message undeliverable
    131030: Reason.UNAUTHORIZED,  # recipient not in the allowed list of a test number
    131031: Reason.UNAUTHORIZED,  # account locked
    131042: Reason.UNAUTHORIZED,  # payment issue
    131045: Reason.UNAUTHORIZED,  # the number is not registered rightly
    131047: Reason.REJECTED,  # outside of the 24-hour window
    131048: Reason.REJECTED,  # spam rate limit
    131049: Reason.REJECTED,  # not delivered to maintain a healthy ecosystem
    131056: Reason.RATE_LIMITED,  # pair rate limit
    131057: Reason.UNAVAILABLE,  # account in maintenance mode
    133004: Reason.UNAVAILABLE,  # server temporarily unavailable
    133010: Reason.UNAUTHORIZED,  # phone number not registered
}
_UNKNOWN_OBJECT: Final = 33
_PERMISSIONS: Final = range(200, 300)

# Apprise's constructor takes 10 to 14 digits (utils/parse.py:370) and E.164 has 7 to 15; so it is built with a number
# of the range that is kept free for fiction, and given the real one.
_STAND_IN: Final = "+12025550100"


class Meta(Provider):
    """One business phone number and one recipient."""

    name = "meta"
    message_limits = MESSAGE_LIMITS
    pace = (_PER_PAIR,)
    origin = ORIGIN

    def __init__(self, config: MetaConfig) -> None:
        """Build the plugin."""
        self._config = config
        self.secrets = (config.access_token, config.phone_number_id, config.recipient.lstrip("+"))
        plugin: Any = plugins.built_in_plugin(
            "meta",
            {"token": config.access_token, "from_phone_id": config.phone_number_id, "targets": [_STAND_IN]},
        )
        plugin.targets = [config.recipient]
        self._graph_version = str(plugin.fb_graph_version)
        self._plugin: Plugin = plugin

    def plugin(self, _message: Message) -> Plugin:
        """Return the one plugin; WhatsApp knows no silent messages."""
        return self._plugin

    def submit(self, plugin: Plugin, message: Message) -> bool:
        """Send the text as it is."""
        return plugin.send(body=message.body, **plugins.AS_TEXT)

    def judge(self, answer: Answer, redaction: Redaction) -> Outcome:
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
        message_id = first.get("id")
        return verdicts.accepted(answer, message_id) if isinstance(message_id, str) else verdicts.unreadable(answer)

    def reaches_target(self, exchange: Exchange) -> bool:
        """Look for the recipient in the request."""
        return bool(json.loads(exchange.request_body).get("to") == self._config.recipient)

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


def _reason(error: Any, answer: Answer) -> Reason:
    code = error.get("code")
    if not isinstance(code, int):
        return verdicts.by_status(answer)
    if code in _PERMISSIONS or (code == 100 and error.get("error_subcode") == _UNKNOWN_OBJECT):
        return Reason.UNAUTHORIZED
    if code in _CODES:
        return _CODES[code]
    # 132xxx are template faults, and what else is refused is refused for good; under 2xx a code is a refusal too.
    return Reason.UNAVAILABLE if answer.status >= 500 else _by_client_status(answer)


def _by_client_status(answer: Answer) -> Reason:
    return verdicts.by_status(answer) if answer.status in (401, 403, 429) else Reason.REJECTED
