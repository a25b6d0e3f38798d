"""Turns claimed deliveries into the message that tells them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bus.clock import MICROSECONDS, Clock
from subscriber.channels.channel import Channel
from subscriber.deliveries import Delivery, DigestKind, Message
from subscriber.delivery.parcels import Parcel
from subscriber.delivery.settings import WorkerSettings
from subscriber.logs import OncePerMinute
from subscriber.monitoring.metrics import Metrics
from subscriber.policy.digest_text import render_digest, with_repeat
from subscriber.policy.rendering import render
from subscriber.policy.templates import Template
from subscriber.policy.templating import emergency_parameters
from subscriber.policy.wording import reason_text

logger = logging.getLogger(__name__)


class Teller:
    """Writes the messages of one channel."""

    def __init__(self, channel: Channel, settings: WorkerSettings, metrics: Metrics, clock: Clock) -> None:
        """Keep what is needed.

        Args:
            channel: Whose messages.
            settings: What is told of templates, buttons and the reader's clock.
            metrics: Counts templates that fail.
            clock: The daemon's.
        """
        self._channel = channel
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._once = OncePerMinute(clock)

    def digest(self, deliveries: Sequence[Delivery], kind: DigestKind) -> Message:
        """Write what tells several deliveries: the same at each attempt, and silent where all of them are."""
        silent = all(delivery.handling.silent for delivery in deliveries)
        limits = self._channel.message_limits
        try:
            now_us = self._clock.now_us()
            return render_digest(deliveries, kind, limits, self._settings.zone, now_us=now_us, silent=silent)
        except Exception:  # a bug of ours must not keep a person from hearing that something happened
            logger.exception("a digest could not be written out", extra=deliveries[0].log_fields())
            count, first = len(deliveries), deliveries[0].alert.id
            return self._emergency(f"alertbus: {count} alerts could not be written out. The first one's id is {first}.")

    def message(self, parcel: Parcel) -> Message:
        """Return what a parcel's next request says, a possible repeat marked; a digest has its text already."""
        if parcel.message is None:
            return self._single(parcel.head)
        if not parcel.possible_repeat:
            return parcel.message
        return with_repeat(parcel.message, self._channel.message_limits)

    def _single(self, delivery: Delivery) -> Message:
        try:
            return self._rendered(delivery)
        except Exception:  # as above
            logger.exception("an alert could not be written out", extra=delivery.log_fields())
            return self._emergency(f"alertbus: an alert could not be written out. Its id is {delivery.alert.id}.")

    def _rendered(self, delivery: Delivery) -> Message:
        alert = delivery.alert
        template = self._settings.template_for(delivery.handling.template, delivery.channel, alert.kind)
        since_us = delivery.published_us if delivery.more_since_us is None else delivery.more_since_us

        def on_fault(fault: str) -> None:
            self._failed(template, fault, delivery)

        return render(
            alert,
            self._channel.message_limits,
            self._settings.zone,
            possible_repeat=delivery.possible_repeat,
            silent=delivery.handling.silent,
            more=delivery.more,
            more_seconds=max(delivery.published_us - since_us, 0) / MICROSECONDS,
            reason=reason_text(delivery.step, delivery.batch),
            template=template,
            buttons=self._settings.buttons_for(delivery.channel, alert),
            on_fault=on_fault,
        )

    def _failed(self, template: Template | None, fault: str, delivery: Delivery) -> None:
        name = "" if template is None else template.name
        self._metrics.template_failed(name)
        held_back = self._once.held_back(name)
        if held_back is not None:
            told = {**delivery.log_fields(), "template": name, "fault": fault, "held_back": held_back}
            logger.error("a template failed; the built-in text is sent", extra=told)

    def _emergency(self, text: str) -> Message:
        limits = self._channel.message_limits
        text = text[: max(limits.length, 1)]
        return Message(text, text, limits.dialect, parameters=emergency_parameters(text, limits.template))
