"""What people do with the policy of a running daemon: look at it, silence, acknowledge, reload, preview.

The HTTP API and Telegram's commands call it; each change is in the store when it returns, with who did it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo
from typing import Any, Final
from uuid import UUID

from bus.alerts import Alert
from bus.clock import MICROSECONDS, Clock
from bus.errors import ConfigurationError
from subscriber.deliveries import DeliveryState, Why
from subscriber.delivery.desk import ChannelDesk
from subscriber.errors import StoreError
from subscriber.monitoring.metrics import Metrics
from subscriber.monitoring.policy_api import PolicyParts
from subscriber.policy.templates import sample_alert
from subscriber.reloading import Reloader
from subscriber.rulebook import RuleBook, previewed
from subscriber.silence_requests import requested_silence
from subscriber.store.acknowledging import Acknowledged
from subscriber.store.changes import ChangeKind
from subscriber.store.silences import Silence
from subscriber.store.store import Store

logger = logging.getLogger(__name__)

Fields = dict[str, Any]

#: A silence may begin so long before now: clocks of people and of daemons differ.
_LATE_US: Final = 60 * MICROSECONDS


class PolicyDesk:
    """One daemon's policy, for people."""

    def __init__(
        self,
        book: RuleBook,
        reloader: Reloader,
        *,
        store: Store,
        metrics: Metrics,
        clock: Clock,
        desks: Mapping[str, ChannelDesk],
        zone: tzinfo,
        wake: Callable[[Iterable[str]], None],
    ) -> None:
        """Keep what is needed.

        Args:
            book: The rules and silences in force.
            reloader: Brings another configuration into force.
            store: Where changes go.
            metrics: Counts.
            clock: The daemon's.
            desks: The channels, by name.
            zone: Where the reader's clock is.
            wake: Tells the workers of channels that there is something to do.
        """
        self._book = book
        self._reloader = reloader
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._desks = desks
        self._zone = zone
        self._wake = wake

    def parts(self) -> PolicyParts:
        """Return what the HTTP API calls."""
        return PolicyParts(
            rules=self.rules,
            explain_route=self.explain_route,
            reload=lambda via, author: self._reloader.reload(via, author).fields(),
            add_silence=lambda request, via: self.add_silence(request, via).fields(),
            end_silence=self._ended,
            acknowledge=self._acknowledged,
            preview=self.preview,
        )

    def rules(self) -> Fields:
        """Say what is in force: the routes and all beside them, where they come from, and the silences."""
        return {
            **self._book.rules.fields(),
            "source": self._reloader.state(),
            "silences": [silence.fields() for silence in self._store.open_silences()],
        }

    def explain_route(self, alert: Alert) -> Fields:
        """Say where an alert would go now, and why."""
        return self._book.explain(alert).fields()

    def add_silence(self, request: Mapping[str, Any], via: str) -> Silence:
        """Add a silence: `match`, `seconds` or `ends_us`, and as they may be `starts_us`, `drops`, `lets_critical`.

        Raises:
            ConfigurationError: The match, or the time, is no good one.
            StoreError: The database can't be used at the moment; there is no silence.
        """
        now_us = self._clock.now_us()
        starts_us = request.get("starts_us")
        starts_us = now_us if starts_us is None else max(int(starts_us), now_us - _LATE_US)
        seconds, ends_us = request.get("seconds"), request.get("ends_us")
        if (seconds is None) == (ends_us is None):
            raise ConfigurationError("A silence needs either seconds or ends_us.")
        if ends_us is None:
            ends_us = starts_us + round(float(seconds or 0) * MICROSECONDS)
        new = requested_silence(
            request["match"],
            now_us,
            author=str(request.get("author", "")),
            reason=str(request.get("reason", "")),
            starts_us=starts_us,
            ends_us=ends_us,
            drops=bool(request.get("drops", False)),
            lets_critical=bool(request.get("lets_critical", True)),
        )
        silence = self._store.add_silence(new, via)
        self._book.refresh()
        return silence

    def end_silence(self, number: int, author: str, via: str) -> Silence | None:
        """End a silence now; what nothing else holds is due at once. None where there is none that goes on.

        Raises:
            StoreError: The database can't be used at the moment; the silence goes on.
        """
        finished = self._store.end_silence(number, author, via, self._book.holding)
        if finished is None:
            return None
        for channel, count in finished.told_again.items():
            self._metrics.entered(channel, DeliveryState.PENDING, count)
        self._book.refresh()
        self._wake(self._desks)
        return finished.silence

    def acknowledge(self, alert_id: UUID, author: str, via: str, note: str = "") -> Acknowledged | None:
        """Note that a person knows of an alert; None where there is no such alert.

        Raises:
            StoreError: The database can't be used at the moment; nothing is noted.
        """
        acknowledged = self._store.acknowledge(alert_id, author, via, note)
        if acknowledged is None:
            return None
        if acknowledged.new:
            self._metrics.acknowledged(via)
        for channel, count in acknowledged.suppressed.items():
            self._metrics.suppressed(channel, Why.ACKNOWLEDGED, count)
        return acknowledged

    def resume(self, channel: str, author: str, via: str) -> bool:
        """Let a channel that is paused send again; whether it was paused."""
        desk = self._desks[channel]
        paused = desk.resume()
        self._metrics.channel_up(channel, up=desk.up)
        self._metrics.channel_paused(channel, paused=desk.paused)
        if paused:
            try:
                self._store.record_change(ChangeKind.CHANNEL_RESUMED, author, via, {"channel": channel})
            except StoreError as error:  # it sends again; the record is a matter of the books
                logger.warning("that a channel was resumed could not be recorded: %s", error)
        return paused

    def preview(self, request: Mapping[str, Any]) -> Fields:
        """Show what a template makes of a stored alert, or of a sample.

        Raises:
            ConfigurationError: There is no such channel, template or alert, or the template is wrong.
            StoreError: The database can't be used at the moment.
        """
        channel = str(request["channel"])
        if channel not in self._desks:
            raise ConfigurationError(f"There is no channel {channel!r}; there are: {', '.join(self._desks)}.")
        alert_id = request.get("alert_id")
        alert = sample_alert(str(request["kind"])) if alert_id is None else self._store.alert(alert_id)
        if alert is None:
            raise ConfigurationError(f"There is no alert {alert_id}.")
        limits = self._desks[channel].channel.message_limits
        return previewed(
            self._book.rules, limits, self._zone, alert, channel, name=request.get("name"), text=request.get("text")
        )

    def _ended(self, number: int, author: str, via: str) -> Fields | None:
        ended = self.end_silence(number, author, via)
        return None if ended is None else ended.fields()

    def _acknowledged(self, alert_id: UUID, author: str, via: str, note: str) -> Fields | None:
        acknowledged = self.acknowledge(alert_id, author, via, note)
        return None if acknowledged is None else acknowledged.fields()
