"""Metrics of the channels: attempts, deliveries, what waits, and whether a channel works."""

from __future__ import annotations

from typing import Final

from bus.alerts import Severity
from subscriber.deliveries import DeliveryState, Reason, Why, Window
from subscriber.monitoring.metrics.registry import MetricGroup

#: Seconds; the bounds that people are promised (a few seconds) lie on edges.
END_TO_END_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
ATTEMPT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
_MICROSECONDS: Final = 1e6


class ChannelMetrics(MetricGroup):
    """What happens to deliveries, by channel."""

    def __init__(self) -> None:
        """Create the metrics; `add_channel` creates their children."""
        super().__init__()
        self._attempts = self._counter("attempts", "Attempts to deliver, by how they ended.", "channel", "outcome")
        self._deliveries = self._counter("deliveries", "Deliveries that entered a state.", "channel", "state")
        self._suppressed = self._counter(
            "deliveries_suppressed", "Deliveries that were suppressed, by why.", "channel", "why"
        )
        self._attempt_seconds = self._histogram(
            "attempt_seconds", "Duration of one request to a provider.", ATTEMPT_BUCKETS, "channel"
        )
        self._end_to_end = self._histogram(
            "end_to_end_seconds",
            "From publish() in the trading process to the provider's acceptance.",
            END_TO_END_BUCKETS,
            "channel",
            "severity",
        )
        self._create_gauges()

    def _create_gauges(self) -> None:
        self._queue = self._gauge("queue_deliveries", "Deliveries that wait to be sent.", "channel")
        self._oldest = self._gauge(
            "queue_oldest_timestamp_seconds",
            "When the oldest waiting delivery was published; 0 when none waits.",
            "channel",
        )
        self._overdue = self._gauge(
            "queue_overdue_timestamp_seconds",
            "When the oldest delivery that waits for nothing but its channel was published; 0 when none does.",
            "channel",
        )
        self._held_deliveries = self._gauge(
            "held_deliveries", "Deliveries that wait for the end of a silence or of quiet hours."
        )
        self._dead = self._gauge(
            "dead_letters", "Deliveries that are dead now: kept, and can be sent again.", "channel"
        )
        self._up = self._gauge("channel_up", "1 when the last attempts went well, 0 in Error.", "channel")
        self._paused = self._gauge("channel_paused", "1 while the channel waits for a person to resume it.", "channel")
        self._enabled = self._gauge("channel_enabled", "1 when the channel is switched on.", "channel")
        self._last_success = self._gauge(
            "channel_last_success_timestamp_seconds", "When the provider last took a message; 0 before.", "channel"
        )
        self._held = self._gauge(
            "channel_held_until_timestamp_seconds",
            "Until when the provider asked to be left alone; 0 when it did not.",
            "channel",
        )
        self._pace_wait = self._gauge(
            "channel_pace_wait_seconds", "Until the pace, or the provider, allows the next message.", "channel"
        )
        self._window = self._gauge(
            "channel_window_open", "1 while WhatsApp lets free texts through, 0 where only templates.", "channel"
        )
        self._breaker = self._gauge(
            "breaker_open", "1 while failures in a row keep the channel from sending, but for probes.", "channel"
        )
        self._uncovered = self._gauge(
            "uncovered_critical_deliveries", "CRITICAL deliveries that wait because no channel is switched on for them."
        )

    def add_channel(
        self,
        channel: str,
        *,
        enabled: bool,
        receipts: bool = False,  # noqa: ARG002 - their children are made by `ReceiptMetrics`
        window: bool = False,
    ) -> None:
        """Create a channel's children, all at 0, before anything happens; of what it can't have there are none.

        Args:
            channel: Its name.
            enabled: Whether it is switched on.
            receipts: Whether there can be receipts.
            window: Whether its provider takes free texts only within a window.
        """
        for reason in Reason:
            self._attempts.labels(channel, reason.value)
        for state in DeliveryState:
            self._deliveries.labels(channel, state.value)
        for why in Why:
            self._suppressed.labels(channel, why.value)
        for severity in Severity:
            self._end_to_end.labels(channel, severity.value)
        self._attempt_seconds.labels(channel)
        self.queue(channel, 0, None, None)
        self.dead_letters(channel, 0)
        self._up.labels(channel).set(1)
        self._enabled.labels(channel).set(enabled)
        self.channel_paused(channel, paused=False)
        self.channel_succeeded(channel, None)
        self.held(channel, None)
        self.pace_wait(channel, 0.0)
        self.breaker(channel, is_open=False)
        if window:
            self.window(channel, Window.UNKNOWN)

    def attempt_finished(self, channel: str, reason: Reason, seconds: float, alert_id: str) -> None:
        """Count one attempt and how long it took; the id of the alert, or of a digest's first one, is the exemplar."""
        self._attempts.labels(channel, reason.value).inc()
        self._attempt_seconds.labels(channel).observe(seconds, {"alert_id": alert_id})

    def entered(self, channel: str, state: DeliveryState, count: int = 1) -> None:
        """Count deliveries that entered a state; of `suppressed` ones `suppressed` does, which knows why."""
        self._deliveries.labels(channel, state.value).inc(count)

    def suppressed(self, channel: str, why: Why, count: int = 1) -> None:
        """Count deliveries that are not sent on purpose."""
        self._suppressed.labels(channel, why.value).inc(count)
        self.entered(channel, DeliveryState.SUPPRESSED, count)

    def accepted(self, channel: str, severity: Severity, age_seconds: float, alert_id: str) -> None:
        """Observe the time from publication to a provider's acceptance; the alert's id is the exemplar."""
        self._end_to_end.labels(channel, severity.value).observe(max(age_seconds, 0.0), {"alert_id": alert_id})

    def queue(self, channel: str, waiting: int, oldest_us: int | None, overdue_us: int | None) -> None:
        """Set how many deliveries wait, since when, and since when one waits for nothing but its channel."""
        self._queue.labels(channel).set(waiting)
        self._oldest.labels(channel).set((oldest_us or 0) / _MICROSECONDS)
        self._overdue.labels(channel).set((overdue_us or 0) / _MICROSECONDS)

    def held_deliveries(self, count: int) -> None:
        """Set how many deliveries wait for the end of a silence or of quiet hours."""
        self._held_deliveries.set(count)

    def dead_letters(self, channel: str, count: int) -> None:
        """Set how many deliveries are dead now."""
        self._dead.labels(channel).set(count)

    def channel_up(self, channel: str, *, up: bool) -> None:
        """Set whether a channel works."""
        self._up.labels(channel).set(up)

    def channel_paused(self, channel: str, *, paused: bool) -> None:
        """Set whether a channel waits for a person to resume it."""
        self._paused.labels(channel).set(paused)

    def channel_enabled(self, channel: str, *, enabled: bool) -> None:
        """Set whether a channel is switched on."""
        self._enabled.labels(channel).set(enabled)

    def channel_succeeded(self, channel: str, at_us: int | None) -> None:
        """Set when a channel's provider last took a message; None for never."""
        self._last_success.labels(channel).set((at_us or 0) / _MICROSECONDS)

    def uncovered_critical(self, count: int) -> None:
        """Set how many CRITICAL deliveries wait because no channel is switched on for them."""
        self._uncovered.set(count)

    def held(self, channel: str, until_us: int | None) -> None:
        """Set until when the provider asked to be left alone; None when it did not, or that is over."""
        self._held.labels(channel).set((until_us or 0) / _MICROSECONDS)

    def pace_wait(self, channel: str, seconds: float) -> None:
        """Set how long the channel waits for its pace, or for its provider, until the next message."""
        self._pace_wait.labels(channel).set(max(seconds, 0.0))

    def window(self, channel: str, window: Window) -> None:
        """Set whether free texts go through; where nobody knows, there is no figure."""
        value = {Window.OPEN: 1.0, Window.CLOSED: 0.0}.get(window, float("nan"))
        self._window.labels(channel).set(value)

    def breaker(self, channel: str, *, is_open: bool) -> None:
        """Set whether a channel only probes its provider."""
        self._breaker.labels(channel).set(is_open)
