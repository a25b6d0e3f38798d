"""WhatsApp's 24-hour window: what a channel knows of it, and the choice between text and template that follows.

A business may write freely for 24 hours after the person's last message to it, and by approved templates at any time
(developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages, and at Twilio
twilio.com/docs/api/errors/63016). Nobody tells us when a window closes. So we go by the person's last message, where a
webhook or a look at the list of messages told of it, and by the last refusal; both are kept in the channel's memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from bus.clock import MICROSECONDS
from subscriber.channels.memory import ChannelMemory
from subscriber.channels.providers import Provider, TemplateMessage
from subscriber.channels.verdicts import Answer, Row, mapping
from subscriber.deliveries import (
    LengthUnit,
    Message,
    MessageLimits,
    Outcome,
    Reason,
    Remembered,
    TemplateLimits,
    Window,
)
from subscriber.receipts import Receipt

logger = logging.getLogger(__name__)

#: How long after a person's message we write freely: a minute less than WhatsApp allows, for the way and the clocks.
OPEN_US: Final = (24 * 3600 - 60) * MICROSECONDS
#: UTF-16 units for all parameters together: a template's body has at most 1024 characters with them
#: (twilio.com/docs/errors/63021), and the fixed words of ours in docs/whatsapp-templates.md are at most 200.
PARAMETERS_LENGTH: Final = 824


def state_of(known: Remembered, now_us: int) -> Window:
    """Say whether the window is open, by what is known."""
    if known.inbound_us is None:
        return Window.UNKNOWN if known.outside_us is None else Window.CLOSED
    if known.outside_us is not None and known.outside_us >= known.inbound_us:
        return Window.CLOSED
    return Window.OPEN if now_us - known.inbound_us <= OPEN_US else Window.CLOSED


class WhatsApp(Provider):
    """What Twilio and Meta have in common: text while the window is open, else the template, where there is one."""

    #: The provider's code for a text outside of the window.
    outside_code: int
    #: Its codes for a template that is at fault itself.
    template_codes: frozenset[int]
    #: What its codes mean; in a receipt, a code that is not in it refuses the message.
    table: Mapping[int, Row]

    def __init__(
        self,
        channel: str,
        memory: ChannelMemory,
        now_us: Callable[[], int],
        limits: MessageLimits,
        template_parameters: int | None,
    ) -> None:
        """Begin with what is remembered.

        Args:
            channel: Its name, for the log.
            memory: Of the channel.
            now_us: The daemon's clock.
            limits: Of a text.
            template_parameters: How many the approved template has; None without one.
        """
        self._channel = channel
        self._memory = memory
        self._now_us = now_us
        template = None
        if template_parameters is not None:
            template = TemplateLimits(template_parameters, PARAMETERS_LENGTH, LengthUnit.UTF16)
        self.message_limits = MessageLimits(limits.dialect, limits.length, limits.unit, template)

    def window(self, now_us: int) -> Window:
        """Say whether the window is open."""
        return state_of(self._memory.values, now_us)

    def chosen(self, message: Message) -> Message:
        """Take the template unless the window is known to be open; a message without parameters has only its text."""
        if self._has_template(message) and self.window(self._now_us()) is not Window.OPEN:
            return TemplateMessage.of(message)
        return message

    def again(self, answer: Answer, message: Message) -> Message | None:
        """Send a text that is refused for the closed window once more, by the template, and the other way round.

        A template that is refused for its own sake says nothing of the window: where that is not known to be closed,
        the text may pass. It goes without parameters, so that it can't become a template again.
        """
        code = _code(answer)
        if isinstance(message, TemplateMessage):
            if code not in self.template_codes:
                return None
            logger.error(
                "the approved template is refused with %s; put it right", code, extra={"channel": self._channel}
            )
            if self.window(self._now_us()) is Window.CLOSED:
                return None
            return Message(message.body, message.text, message.dialect, message.silent, reference=message.reference)
        if code != self.outside_code:
            return None
        self.refused()
        return TemplateMessage.of(message) if self._has_template(message) else None

    def judge_receipt(self, receipt: Receipt, *, by_template: bool) -> Outcome:
        """Go by the code; what failed did not arrive, so nothing is in doubt."""
        code = int(receipt.code) if receipt.code is not None and receipt.code.isdecimal() else None
        row = None if code is None else self.table.get(code)
        outside = code == self.outside_code and not by_template
        if outside:
            self.refused(receipt.at_us)
        return Outcome(
            row.reason if row else Reason.REJECTED,
            receipt.detail or (row.meaning if row else ""),
            code=receipt.code,
            by_template=by_template,
            template_instead=outside and self.message_limits.template is not None,
        )

    def wrote(self, at_us: int) -> None:
        """Remember when the person wrote to us, by the provider's clock."""
        self._memory.latest("inbound_us", min(at_us, self._now_us()))

    def refused(self, at_us: int | None = None) -> None:
        """Remember when a text was refused for being outside of the window, by the provider's clock; now if unsaid.

        A text goes only while the window seems open, so the refusal is about that window: it closes it even where the
        clock by which the person wrote is ahead of the one by which the text was refused.
        """
        now_us = self._now_us()
        given = now_us if at_us is None else min(at_us, now_us)
        self._memory.latest("outside_us", max(given, self._memory.values.inbound_us or given))

    def _has_template(self, message: Message) -> bool:
        return self.message_limits.template is not None and bool(message.parameters)


def _code(answer: Answer) -> object:
    """Return the provider's code, wherever it stands: Twilio's of a message that failed at once is `error_code`."""
    error = mapping(answer.json.get("error"))
    codes = (answer.json.get("code"), answer.json.get("error_code"), error.get("code"))
    return next((code for code in codes if code is not None), None)
