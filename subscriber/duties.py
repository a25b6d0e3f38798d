"""What has to be done in time, whatever comes: escalations, ends of silences, and what a channel that is down owes.

And what waits for the end of quiet hours that are no more is let go, and the switches of channels are followed.

Called by the housekeeping thread each second. Everything waits in the database and is taken there by compare and swap:
several daemons on one database may all do it, and a restart changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bus.clock import MICROSECONDS, Clock
from bus.errors import AlertBusError
from subscriber.deliveries import DeliveryState, Why
from subscriber.delivery.desk import ChannelDesk
from subscriber.delivery.reporting import WakeChannels
from subscriber.logs import OncePerMinute
from subscriber.monitoring.metrics import Metrics
from subscriber.policy.rules import Rules
from subscriber.rulebook import RuleBook
from subscriber.store.silences import Finished
from subscriber.store.store import Store
from subscriber.store.turns import DueEscalation, Escalated
from subscriber.switchboard import Switchboard

logger = logging.getLogger(__name__)

#: What one turn does at most of each; the next turn is a second later.
_MOST_AT_ONCE: Final = 500
#: How often it is asked whether what is held is still to be held; nothing that holds changes within a minute.
_LET_GO_SECONDS: Final = 60.0


class Duties:
    """The duties of one daemon."""

    def __init__(
        self,
        store: Store,
        desks: Mapping[str, ChannelDesk],
        *,
        book: RuleBook,
        metrics: Metrics,
        clock: Clock,
        fallbacks: Callable[[str], Sequence[str]],
        fallback_after_seconds: float | None,
        wake: WakeChannels,
        switchboard: Switchboard,
        dry_run: bool = False,
    ) -> None:
        """Keep what is needed; nothing is done yet.

        Args:
            store: Where all of it waits.
            desks: The channels, by name.
            book: The rules in force, which a reload replaces.
            metrics: Counts.
            clock: The daemon's.
            fallbacks: The channels that may tell an alert instead of one, best first.
            fallback_after_seconds: How long a delivery waits for a channel that is down before others tell it; None:
                for ever. What the store knows counts, also of the time before a restart.
            wake: Wakes the workers of channels.
            switchboard: Follows the switches of the channels, and knows which of them are on.
            dry_run: Nothing is sent: what is planned is suppressed, and no channel is ever down.
        """
        self._store = store
        self._desks = desks
        self._book = book
        self._metrics = metrics
        self._clock = clock
        self._fallbacks = fallbacks
        self._fallback_after_seconds = fallback_after_seconds
        self._wake = wake
        self._switchboard = switchboard
        self._dry_run = dry_run
        self._once = OncePerMinute(clock)
        self._let_go_at = clock.monotonic()
        self._let_go_by: Rules | None = None

    def turn(self) -> None:
        """Do what is due of each duty; one that fails holds up no other, and is done by the next turn."""
        for name, duty in (
            ("switches", self._switchboard.follow),  # first: the others ask which channels are on
            ("escalations", self._escalate),
            ("silences", self._end_silences),
            ("quiet hours", self._let_go),
            ("fallbacks", self._hand_over),
        ):
            try:
                duty()
            except AlertBusError as error:
                self._metrics.store_error()
                held_back = self._once.held_back(name)
                if held_back is not None:
                    told = {"duty": name, "held_back": held_back}
                    logger.warning("a duty waits for the database: %s", error, extra=told)
            except Exception:  # a bug of ours
                held_back = self._once.held_back(f"{name} failed")
                if held_back is not None:
                    told = {"duty": name, "held_back": held_back}
                    logger.exception("a duty failed unexpectedly", extra=told)

    # --- escalations ----------------------------------------------------------------------------------------

    def _escalate(self) -> None:
        enabled = self._switchboard.enabled()
        if not enabled:  # nobody is told of anything: the turns wait until a channel is switched on
            return
        for due in self._store.due_escalations(_MOST_AT_ONCE):
            escalated = self._store.escalate(due, enabled, dry_run=self._dry_run)
            if escalated is not None:
                self._tell_escalated(due, escalated)

    def _tell_escalated(self, due: DueEscalation, escalated: Escalated) -> None:
        fields = {
            "alert_id": str(due.alert_id),
            "event_type": due.event_type,
            "turn": escalated.turn,
            "turns": due.turns,
            "skipped": ", ".join(escalated.skipped),
        }
        channel = escalated.channel
        if channel is None:
            logger.error("nobody acknowledged, and no channel is left to be told", extra=fields)
            return
        logger.warning("nobody acknowledged; another one is told", extra={**fields, "channel": channel})
        self._metrics.escalated(channel)
        if self._dry_run:
            self._metrics.suppressed(channel, Why.DRY_RUN)
        else:
            self._metrics.entered(channel, DeliveryState.PENDING)
        self._wake([channel])

    # --- silences -------------------------------------------------------------------------------------------

    def _end_silences(self) -> None:
        for silence in self._store.over_silences():
            finished = self._store.finish_silence(silence.id, self._book.holding)
            if finished is not None:
                self._tell_finished(finished)
        freed = self._store.free_stragglers(self._book.holding)
        self._wake(freed.due)
        self._wake_for(freed.reopened)
        now_us = self._clock.now_us()
        open_now = [each for each in self._store.open_silences() if each.starts_us <= now_us < each.ends_us]
        self._metrics.silences_active(len(open_now))

    def _tell_finished(self, finished: Finished) -> None:
        silence, again = finished.silence, finished.told_again
        fields = {"silence": silence.id, "author": silence.author, "told_again": sum(again.values())}
        logger.info("a silence is over", extra=fields)
        if silence.drops:
            self._wake_for(again)
        else:
            self._wake(self._desks)  # what it held is due for whichever channels it is

    def _wake_for(self, freed: Mapping[str, int]) -> None:
        """Let what was dropped be told: it is pending again."""
        for channel, count in freed.items():
            self._metrics.entered(channel, DeliveryState.PENDING, count)
        self._wake(freed)

    # --- what is held ---------------------------------------------------------------------------------------

    def _let_go(self) -> None:
        """Let go what nothing holds any more: each minute, at the start, and when the rules are others."""
        rules, now = self._book.rules, self._clock.monotonic()
        if rules is self._let_go_by and now < self._let_go_at:
            return
        freed = self._store.let_go(self._book.holding)
        self._let_go_by, self._let_go_at = rules, now + _LET_GO_SECONDS
        if freed:
            fields = {"deliveries": sum(freed.values())}
            logger.info("what quiet hours or a silence held is told: they hold it no more", extra=fields)
        self._wake(freed)

    # --- channels that are down -----------------------------------------------------------------------------

    def _hand_over(self) -> None:
        after = self._fallback_after_seconds
        if after is None or self._dry_run:
            return
        for name, desk in self._desks.items():
            if desk.enabled and not desk.up:
                self._hand_over_of(name, round(after * MICROSECONDS))

    def _hand_over_of(self, channel: str, after_us: int) -> None:
        others = self._fallbacks(channel)
        if not any(self._desks[other].up for other in others):
            return  # nobody can tell it now; whom a route names goes first even where that one is down
        handed = self._store.hand_over_overdue(channel, self._clock.now_us() - after_us, others, _MOST_AT_ONCE)
        for other, count in handed.items():
            fields = {"channel": channel, "fallback": other, "deliveries": count}
            logger.warning("a channel is down; another one tells what has waited too long for it", extra=fields)
            self._metrics.entered(other, DeliveryState.PENDING, count)
        self._wake(handed)
