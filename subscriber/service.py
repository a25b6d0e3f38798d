"""The running daemon: owns every lifetime, and orders the start and the stop.

    start   store -> HTTP port -> parts -> bus -> workers -> housekeeping -> books -> ping -> HTTP
    stop    ping -> bus (nothing new) -> workers (finish the sends in flight) -> leases -> HTTP -> books
            -> housekeeping -> store

What can't be had at the start ends it with one sentence. The main thread serves HTTP.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from random import Random
from typing import Final

import uvicorn

from bus.clock import Clock, SteadyClock, SystemClock
from bus.errors import AlertBusError, ConfigurationError
from dashboards import static_folder
from subscriber.assembly import Assembly
from subscriber.bookkeeping import Bookkeeper
from subscriber.channels.building import placeholder_configs
from subscriber.channels.channel import ChannelConfig
from subscriber.channels.custom import resolved
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.deliveries import Message
from subscriber.duties import Duties
from subscriber.greeting import greeting
from subscriber.http_server import make_server
from subscriber.logs import counted_records
from subscriber.monitoring.listening import open_listener
from subscriber.monitoring.pinging import Pinger
from subscriber.policy_desk import PolicyDesk
from subscriber.reloading import Reloader
from subscriber.serving import build_site
from subscriber.settings import SubscriberSettings, channel_configs
from subscriber.signals import handled_signals
from subscriber.status import Status, routes_to, status_of, view_of
from subscriber.store.store import Store
from subscriber.telegram_commands import TelegramCommands
from subscriber.telegram_ears import set_up_ears
from subscriber.timekeeping import Timekeeper
from subscriber.trying_out import TryingOut

logger = logging.getLogger(__name__)

#: How long the end of the daemon waits for the sends in flight; what lasts longer is in doubt, and is sent again.
STOP_SECONDS: Final = 10.0
_HOUSEKEEPING_SECONDS: Final = 1.0
_EXIT_HURRIED: Final = 1


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line says beside the settings."""

    dry_run: bool = False
    require_channels: bool = False
    interval_seconds: float = 1.0


class Service:
    """One daemon."""

    def __init__(
        self,
        settings: SubscriberSettings,
        options: RunOptions,
        *,
        say: Callable[[str], None],
        clock: Clock | None = None,
        rng: Random | None = None,
        reread: Callable[[], SubscriberSettings] = SubscriberSettings.from_environment,
    ) -> None:
        """Check the settings as a whole; nothing is opened yet.

        Args:
            settings: All that can be set.
            options: What the command line says beside them.
            say: Tells the person who started it.
            clock: The machine's, when left out.
            rng: For the jitter of waits.
            reread: Reads the settings again, for a reload; raises ConfigurationError with every fault.

        Raises:
            ConfigurationError: A channel is missing that must be there, or a route is wrong.
        """
        self._settings = settings
        self._options = options
        self._say = say
        self._clock = SteadyClock(clock or SystemClock())
        self._rng = rng or Random()  # noqa: S311 - jitter of retries
        configs = channel_configs(settings)
        if options.require_channels and not configs:
            raise ConfigurationError("--require-channels: no channel has credentials; set those of one (.env.example).")
        self._without_credentials = not configs
        self.dry_run = options.dry_run or self._without_credentials
        self._configs: tuple[ChannelConfig, ...] = configs or placeholder_configs()
        names = tuple(config.name for config in self._configs)
        self._rules = settings.rules_for(names)
        self._store = Store(settings.store.database_url.get_secret_value(), self._clock)
        self._timekeeper = Timekeeper(self._store, self._clock)
        self._parts: Assembly
        self._trying_out: TryingOut
        self._reloader: Reloader
        self._policy: PolicyDesk
        self._duties: Duties
        self._ears: list[TelegramCommands] = []
        self._reread = reread
        self._pinger: Pinger | None = None
        self._server: uvicorn.Server | None = None
        self._started_us = 0
        self._stopping = threading.Event()
        self._housekeeping_over = threading.Event()
        #: Set while the daemon takes alerts; for whoever runs it in a thread.
        self.ready = threading.Event()

    def run(self) -> None:
        """Run until `ask_to_stop`, a signal or Ctrl-C, then stop in order.

        Raises:
            ConfigurationError: An endpoint, a port or a credential can't be used; nothing was started.
            StoreError: The database can't be used.
        """
        with ExitStack() as stack:
            stack.enter_context(self._store)
            self._check_database()
            self._timekeeper.begin()
            listener = stack.enter_context(open_listener(self._settings.http.host, self._settings.http.port))
            self._parts = Assembly(
                self._settings,
                self._configs,
                self._rules,
                self._store,
                clock=self._clock,
                rng=self._rng,
                dry_run=self.dry_run,
                interval_seconds=self._options.interval_seconds,
                show_rehearsal=self._show_rehearsal,
            )
            stack.callback(self._parts.close)
            stack.enter_context(counted_records(self._parts.metrics.logged))
            self._timekeeper.on_step = self._parts.clock_was_set
            self._set_up_policy()
            self._pinger = self._make_pinger()
            self._server = self._make_server()
            stack.enter_context(handled_signals(stop=self._stop_by_signal, reload=self._reloader.request))
            self._start(stack)
            self._greet()
            if self._pinger is not None:
                self._pinger.start()
                stack.callback(self._pinger.stop)
            if not self._stopping.is_set():
                self._server.run(sockets=[listener])

    def ask_to_stop(self) -> None:
        """Begin the stop, in a thread of its own: the HTTP server goes after the workers."""
        if not self._stopping.is_set():
            self._stopping.set()
            server = self._server
            if server is not None:  # else nothing runs yet, and `run` looks before it serves
                threading.Thread(target=self._stop, args=(server,), name="stop", daemon=True).start()

    # --- start ----------------------------------------------------------------------------------------------

    def _check_database(self) -> None:
        self._store.remember("started", str(self._clock.now_us()))  # proves that it takes writes
        if self._without_credentials and not self._options.dry_run and self._store.sent_for_real():
            raise ConfigurationError(
                "ALERTBUS_DATABASE_URL: this database was used to send to people, but no credentials are set now, so "
                "what waits would never arrive. Set the credentials (.env.example), or start with --dry-run to send "
                "nothing on purpose."
            )

    def _set_up_policy(self) -> None:
        parts, settings = self._parts, self._settings
        self._reloader = Reloader(
            settings, self._reread, parts.reconfigure, store=self._store, metrics=parts.metrics, clock=self._clock
        )
        self._policy = PolicyDesk(
            parts.book,
            self._reloader,
            store=self._store,
            metrics=parts.metrics,
            clock=self._clock,
            desks=parts.desks,
            zone=settings.general.zone,
            wake=parts.wake,
        )
        self._trying_out = TryingOut(parts, self._stopping)
        self._duties = parts.duties()
        if settings.policy.telegram_commands and not self.dry_run:
            self._ears = set_up_ears(
                [resolved(config) for config in self._configs],
                parts,
                self._policy,
                status=self._status,
                send_test=self._trying_out.channels,
                environment=HttpEnvironment.read(os.environ),
            )

    def _make_server(self) -> uvicorn.Server:
        app = build_site(
            self._parts,
            self._policy,
            self._configs,
            self._settings.http,
            clock=self._clock,
            status=self._status,
            trying_out=self._trying_out,
            not_ready=self._not_ready,
            page_folder=static_folder(),
        )
        return make_server(app, end_streams=app.state.end_streams, answered=self._parts.metrics.answered)

    def _make_pinger(self) -> Pinger | None:
        ping = self._settings.ping
        if ping.url is None:
            return None
        if self.dry_run:  # it would tell that all is well while nobody is told of any alert
            logger.warning("ALERTBUS_PING_URL is not asked in a dry run")
            return None
        pinger = Pinger(
            ping.url.get_secret_value(),
            interval_seconds=ping.interval_seconds,
            not_ready=self._not_well,
            clock=self._clock,
            environment=HttpEnvironment.read(os.environ),
        )
        pinger.prepare()
        self._parts.metrics.pinged(None, 0)
        return pinger

    def _start(self, stack: ExitStack) -> None:
        self._started_us = self._clock.now_us()
        self._parts.metrics.started(self._started_us)
        with suppress(AlertBusError):  # the housekeeping says what is wrong; it measures again in a second
            self._parts.measure()  # whoever looks when it is ready sees how things stand, and no zeros
        self._parts.ingest.start()  # it binds, and so proves that no other daemon holds our leases
        stack.callback(self._stop_working)
        self._reloader.begin()
        if not self.dry_run:
            self._parts.settle_other_channels()
        for worker in self._parts.workers:
            self._store.release_worker(worker.name)
            worker.start()
        for keeper in self._parts.keepers.values():
            keeper.start()
        for ears in self._ears:
            ears.start()
            stack.callback(ears.stop)
        housekeeping = threading.Thread(target=self._keep_house, name="housekeeping", daemon=True)
        housekeeping.start()
        stack.callback(housekeeping.join, STOP_SECONDS)
        stack.callback(self._housekeeping_over.set)
        bookkeeper = Bookkeeper(
            self._store,
            self._parts.metrics,
            self._clock,
            retention_seconds=self._settings.store.retention_seconds,
            retention_size_bytes=self._settings.store.retention_size_bytes,
            audit_interval_seconds=self._settings.store.audit_interval_seconds,
            trusts_clock=self._timekeeper.trusts,
        )
        bookkeeper.start()
        stack.callback(bookkeeper.stop, STOP_SECONDS)

    def _greet(self) -> None:
        http, bus = self._settings.http, self._settings.bus
        fields = {
            "data": ", ".join(bus.data_endpoints),
            "control": ", ".join(bus.control_endpoints),
            "http": f"http://{http.host}:{http.port}",
            "database": self._settings.store.shown_database_url,
            "channels": ", ".join(self._parts.desks),
            "dry_run": self.dry_run,
        }
        logger.info("ready", extra=fields)
        for hint in self._settings.hints:
            logger.warning("%s", hint)
        for text in greeting(dry_run=self.dry_run, without_credentials=self._without_credentials):
            self._say(text)
        self.ready.set()

    # --- stop -----------------------------------------------------------------------------------------------

    def _stop_by_signal(self) -> None:
        if self._stopping.is_set():
            os._exit(_EXIT_HURRIED)  # no less safe than SIGKILL, after which nothing is lost
        self.ask_to_stop()

    def _stop(self, server: uvicorn.Server) -> None:
        try:
            self._stop_working()
        finally:
            server.should_exit = True

    def _stop_working(self) -> None:
        """Take nothing more, finish the sends in flight, give the leases back; harmless when done twice."""
        if self._pinger is not None:
            self._pinger.ask_to_stop()
        self.ready.clear()
        limit = self._clock.monotonic() + STOP_SECONDS
        for worker in self._parts.workers:
            worker.ask_to_stop()
        for keeper in self._parts.keepers.values():
            keeper.ask_to_stop()
        for ears in self._ears:
            ears.ask_to_stop()
        self._parts.ingest.stop(STOP_SECONDS)
        for worker in self._parts.workers:
            if not worker.join(max(limit - self._clock.monotonic(), 0.0)):
                logger.warning("a send still lasts and is left in doubt", extra={"worker": worker.name})
        for keeper in self._parts.keepers.values():  # what it has not done is found again
            keeper.join(max(limit - self._clock.monotonic(), 0.0))
        for worker in self._parts.workers:
            try:
                self._store.release_worker(worker.name)
            except AlertBusError as error:
                logger.warning("leases run out by themselves: %s", error)
                return

    # --- what the parts call --------------------------------------------------------------------------------

    def _show_rehearsal(self, channel: str, message: Message, request: str) -> None:
        text = "\n".join(f"    {line}" for line in message.text.splitlines())
        self._say(f"DRY RUN {channel} would send ({request}):\n{text}")

    def _status(self) -> Status:
        return status_of(
            self._store,
            [view_of(desk) for desk in self._parts.desks.values()],
            dry_run=self.dry_run,
            publishers=self._parts.correspondence.publishers(),
            started_us=self._started_us,
            database=self._settings.store.shown_database_url,
            refused=self._reloader.state()["refused"] is not None,
            routes=routes_to(self._parts.book.rules),
        )

    def _not_ready(self) -> list[str]:
        changing = [] if self.ready.is_set() else ["The daemon is starting or stopping."]
        return changing + self._parts.not_ready()

    def _not_well(self) -> list[str]:
        """Say why nobody may count on this daemon: it is not ready, or the database, which it reads, takes no write."""
        reasons = self._not_ready()
        if not reasons:
            try:
                self._store.remember("pinged", str(self._clock.now_us()))
            except AlertBusError as error:
                reasons.append(str(error))
        return reasons

    def _keep_house(self) -> None:
        """Set the gauges, store what could not be told before, and do what is due by itself."""
        while not self._housekeeping_over.wait(_HOUSEKEEPING_SECONDS):
            try:
                self._timekeeper.look()
                self._parts.announcer.retry()
                self._reloader.look()
                self._parts.book.refresh()
                self._duties.turn()
                if self._pinger is not None:
                    self._parts.metrics.pinged(self._pinger.last_success_us, self._pinger.new_failures())
                self._parts.measure()
            except AlertBusError as error:
                logger.debug("housekeeping waits: %s", error)
            except Exception:
                logger.exception("housekeeping failed unexpectedly")
