"""Builds the parts of a daemon from its settings and the store; opens nothing. `service` owns their lifetimes."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Final

from bus.alerts import Alert, SystemEvent
from bus.clock import Clock
from bus.errors import AlertBusError, ConfigurationError
from subscriber.channels.channel import ChannelConfig
from subscriber.deliveries import Button, PlannedDelivery
from subscriber.delivery.receipts import ReceiptKeeper
from subscriber.delivery.worker import DeliveryWorker, ShowRehearsal, WorkerSettings
from subscriber.desks import fallbacks_of, set_up_desks
from subscriber.duties import Duties
from subscriber.errors import RoutingError
from subscriber.intake.announcing import Announcer
from subscriber.intake.correspondence import Correspondence
from subscriber.intake.ingest import Ingest
from subscriber.intake.notices import Notices
from subscriber.intake.vigil import Vigil
from subscriber.measuring import Gauges
from subscriber.monitoring.metrics import Metrics
from subscriber.policy.buttons import buttons_for
from subscriber.policy.retry import RetryPolicy
from subscriber.policy.rules import Rules
from subscriber.policy.templates import Template
from subscriber.receipts import ReceiptMode
from subscriber.rulebook import RuleBook
from subscriber.settings import SubscriberSettings, changed_names
from subscriber.store.store import Store
from subscriber.switchboard import Switchboard

logger = logging.getLogger(__name__)

#: Without a turn of the ingest thread for so long, the daemon is not ready.
_STUCK_SECONDS: Final = 5.0
#: For so long after a failure of the database the daemon is not ready: longer than a writer waits for a lock.
_STORE_TROUBLE_SECONDS: Final = 10.0


class Assembly:
    """Every part of one daemon, wired together."""

    def __init__(
        self,
        settings: SubscriberSettings,
        configs: Sequence[ChannelConfig],
        rules: Rules,
        store: Store,
        *,
        clock: Clock,
        rng: Random,
        dry_run: bool,
        interval_seconds: float,
        show_rehearsal: ShowRehearsal,
    ) -> None:
        """Build the parts for an open store.

        Raises:
            ConfigurationError: A channel can't be built.
        """
        self.settings = settings
        self.store = store
        self.clock = clock
        self.dry_run = dry_run
        #: The channels whose chats are listened to; their messages have buttons.
        self.heard: frozenset[str] = frozenset()
        self.metrics = Metrics()
        self.metrics.dry_run(on=dry_run)
        self._store_errors_then = 0
        self._store_failed_at = float("-inf")
        self.desks = set_up_desks(configs, store, metrics=self.metrics, clock=clock, rng=rng, rehearsal=dry_run)
        self._gauges = Gauges(store, self.desks, self.metrics, clock)
        self.switchboard = Switchboard(store, self.desks, metrics=self.metrics, clock=clock, wake=self.wake)
        self.book = RuleBook(rules, store=store, clock=clock, enabled=self.enabled, dry_run=dry_run)
        self._add_templates(rules)
        self.announcer = Announcer(store, self.plan, self.wake, self.metrics, clock)
        notices = Notices(store, self.announcer, self.metrics, clock)
        vigil = Vigil(
            store=store,
            announcer=self.announcer,
            metrics=self.metrics,
            clock=clock,
            timeout_seconds=settings.bus.publisher_timeout_seconds,
            market_hours=settings.market_hours,
            zone=settings.general.zone,
        )
        self.correspondence = Correspondence(
            store=store,
            notices=notices,
            vigil=vigil,
            metrics=self.metrics,
            clock=clock,
            publisher_timeout_seconds=settings.bus.publisher_timeout_seconds,
        )
        self.ingest = Ingest(
            data_endpoints=settings.bus.data_endpoints,
            control_endpoints=settings.bus.control_endpoints,
            store=store,
            planner=self.plan,
            waker=self.wake,
            correspondence=self.correspondence,
            notices=notices,
            metrics=self.metrics,
            clock=clock,
        )
        worker_settings = replace(
            _worker_settings(settings, interval_seconds, dry_run=dry_run),
            fallbacks=fallbacks_of(self.desks),
            wake=self.wake,
            template_for=self._template_for,
            buttons_for=self._buttons_for,
            plan_for=lambda alert, channel: self.book.plan(alert, [channel]),
        )
        self._fallbacks = worker_settings.fallbacks
        self.workers = [
            DeliveryWorker(
                f"{_holder(settings)}/{desk.name}/{number}",
                desk,
                store=store,
                metrics=self.metrics,
                clock=clock,
                rng=rng,
                settings=worker_settings,
                announce=partial(self.tell_elsewhere, desk.name),
                own_events=self.announcer,
                show_rehearsal=show_rehearsal,
            )
            for desk in self.desks.values()
            for number in range(desk.channel.concurrency)
        ]
        #: By channel; only where receipts come.
        self.keepers = {
            desk.name: ReceiptKeeper(
                desk,
                store=store,
                metrics=self.metrics,
                clock=clock,
                rng=rng,
                policy=worker_settings.policy,
                fallbacks=worker_settings.fallbacks,
                wake=self.wake,
                announce=partial(self.tell_elsewhere, desk.name),
            )
            for desk in self.desks.values()
            if desk.channel.receipts.comes and not dry_run
        }

    def plan(self, alert: Alert) -> tuple[PlannedDelivery, ...]:
        """Say where an alert goes now; one that ends another goes where that one went.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        if isinstance(alert, SystemEvent) and alert.resolves is not None:
            channels = [name for name in self.store.channels_of(alert.resolves) if name in self.desks]
            if channels:
                return self.book.plan(alert, channels)
        return self.book.plan(alert)

    def _template_for(self, name: str | None, channel: str, kind: str) -> Template | None:
        return self.book.templates.pick(name, channel, kind)  # of the rules that hold when it is sent

    def _buttons_for(self, channel: str, alert: Alert) -> tuple[Button, ...]:
        return buttons_for(alert) if channel in self.heard else ()

    def reconfigure(self, settings: SubscriberSettings) -> list[str]:
        """Bring other settings into force as far as a running daemon can, and say what takes a restart.

        What is planned stays as it is; but what quiet hours hold that are no more, the duties let go.

        Raises:
            ConfigurationError: The rules don't fit the channels of this daemon; nothing changed.
        """
        waiting = changed_names(self.settings, settings)
        try:
            rules = settings.rules_for(self.desks)
        except RoutingError as error:
            restart = ("A channel that is new takes a restart.",) if waiting else ()
            raise ConfigurationError(*error.problems, *restart) from None
        self.book.replace(rules)
        self._add_templates(rules)
        for hint in settings.hints:
            logger.warning("%s", hint)
        return [f"{name} has changed; it takes effect when the daemon is started again." for name in waiting]

    def _add_templates(self, rules: Rules) -> None:
        for name in rules.templates:
            self.metrics.add_template(name)

    def duties(self) -> Duties:
        """Return what is to be done each second."""
        return Duties(
            self.store,
            self.desks,
            book=self.book,
            metrics=self.metrics,
            clock=self.clock,
            fallbacks=self._fallbacks,
            fallback_after_seconds=self.settings.policy.fallback_after_seconds,
            wake=self.wake,
            switchboard=self.switchboard,
            dry_run=self.dry_run,
        )

    def enabled(self) -> frozenset[str]:
        """Return the channels that are switched on."""
        return self.switchboard.enabled()

    def wake(self, channels: Iterable[str]) -> None:
        """Tell the workers of some channels that there is something to do."""
        for name in channels:
            if name in self.desks:
                self.desks[name].wake.set()

    def look_for_receipts(self, channels: Iterable[str]) -> None:
        """Tell the keepers of some channels that messages of theirs failed."""
        for name in channels:
            if name in self.keepers:
                self.keepers[name].look()

    def polled_channels(self) -> list[str]:
        """Return the channels that ask what became of their messages."""
        return [name for name, desk in self.desks.items() if desk.channel.receipts is ReceiptMode.POLLING]

    def person_wrote(self, channels: Iterable[str], at_us: int) -> None:
        """Note that the person behind some channels wrote to us, which opens WhatsApp's window."""
        for name in channels:
            if name in self.desks:
                self.desks[name].channel.memory.latest("inbound_us", min(at_us, self.clock.now_us()))

    def clock_was_set(self, step_us: int) -> None:
        """Let what the channels remember follow the wall clock, which was set forward by so much."""
        self.metrics.clock_set()
        for desk in self.desks.values():
            desk.channel.memory.moved(step_us)

    def measure(self) -> None:
        """Set the gauges that tell how things stand.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        self._store_failed_lately()
        self._gauges.measure()

    def not_ready(self) -> list[str]:
        """Say why alerts are not taken, stored or delivered at the moment; nothing where they are."""
        reasons = []
        if self.clock.monotonic() - self.ingest.last_turn > _STUCK_SECONDS:
            reasons.append("Alerts are not taken from the bus: is the database away?")
        try:
            self.store.setting("store_id")
        except AlertBusError as error:
            reasons.append(str(error))
        if not reasons and self._store_failed_lately():
            reasons.append("The database could not be used a moment ago.")
        if not self.enabled():
            reasons.append("No channel is enabled.")
        return reasons

    def tell_elsewhere(self, channel: str, event: SystemEvent) -> None:
        """Tell people what is wrong with a channel by the others; by itself only where there is no other."""
        planned = self.plan(event)
        others = tuple(delivery for delivery in planned if delivery.channel != channel)
        self.announcer.announce(event, others or planned)

    def _store_failed_lately(self) -> bool:
        """Whether the database failed within the last seconds: between two failures it may look well."""
        now = self.clock.monotonic()
        if self.metrics.store_errors != self._store_errors_then:
            self._store_errors_then = self.metrics.store_errors
            self._store_failed_at = now
        return now < self._store_failed_at + _STORE_TROUBLE_SECONDS

    def settle_other_channels(self) -> None:
        """Deal with what waits for channels that this daemon has not, before its workers start.

        Those that NOTIFICATION_CHANNELS leaves out are switched off for good. Without credentials they may come back,
        so what waits for them goes on waiting, and the status shows it.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        names = list(self.desks)
        if self.settings.credentials.notification_channels is not None:
            for channel, count in self.store.switch_off_others(names).items():
                found = {"channel": channel, "deliveries": count}
                logger.warning("suppressed what waited for a channel that is switched off", extra=found)
        enabled = [name for name, desk in self.desks.items() if desk.enabled]
        orphans = self.store.settle_orphans(list(self.keepers), enabled or names)
        if orphans:
            logger.warning("messages of channels that are gone had failed; others tell them", extra={"count": orphans})
        for channel, count in self.store.waiting_elsewhere(names).items():
            found = {"channel": channel, "deliveries": count}
            logger.warning("deliveries wait for a channel without credentials", extra=found)

    def close(self) -> None:
        """Close the channels' connections."""
        for desk in self.desks.values():
            desk.channel.close()


def _worker_settings(settings: SubscriberSettings, interval_seconds: float, *, dry_run: bool) -> WorkerSettings:
    delivery = settings.delivery
    return WorkerSettings(
        zone=settings.general.zone,
        policy=RetryPolicy(
            backoff_base_seconds=delivery.backoff_base_seconds,
            backoff_cap_seconds=delivery.backoff_cap_seconds,
        ),
        lease_seconds=delivery.lease_seconds,
        interval_seconds=interval_seconds,
        dry_run=dry_run,
        max_delay_seconds=settings.policy.max_delay_seconds,
    )


def _holder(settings: SubscriberSettings) -> str:
    """Return a name that one living daemon can have, for it holds the port: leases under it are a dead self's."""
    return f"{socket.gethostname()}/{settings.bus.control_endpoints[0]}"
