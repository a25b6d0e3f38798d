"""The daemon's own sign of life: it asks an address at its start and each interval, but only while it is well.

Whoever serves the address raises the alarm when nobody asks any more. So silence is the message, whatever it comes
from: a crash, a daemon that hangs, one whose database is away, one that was stopped. Nothing else is ever sent, and
no redirect is followed. Thread `ping` decides and waits; its requests run in a lane, so that no name server and no
server that hangs delays the stop. The address is a secret: nothing here logs it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from bus.clock import Clock
from subscriber.channels.calls import Call, calling
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.channels.lanes import Lanes, NoLaneFree, StillRunning
from subscriber.channels.provider_http import ProviderHttp, quieten
from subscriber.channels.redaction import Redaction
from subscriber.logs import OncePerMinute

logger = logging.getLogger(__name__)

#: How long one request may take, everything included.
DEADLINE_SECONDS: Final = 10.0
#: How soon it looks, or asks, again when it was not well or got no answer, where the interval is longer: a blip must
#: not look like a death, and healthchecks.io refuses more than five requests a minute.
_AGAIN_SECONDS: Final = 15.0
#: How long the stop waits for the thread; only a name server or a database that hangs makes it wait at all.
_JOIN_SECONDS: Final = 1.0
#: One for the request, one for the next while a name server keeps the first.
_LANES: Final = 2
_HEADERS: Final = {"User-Agent": "alertbus", "Accept": "*/*"}
_TAKEN: Final = ""


class Pinger:
    """Asks one address for as long as the daemon is well."""

    def __init__(
        self,
        url: str,
        *,
        interval_seconds: float,
        not_ready: Callable[[], list[str]],
        clock: Clock,
        environment: HttpEnvironment,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """Open nothing yet.

        Args:
            url: What to ask; it never appears in a log.
            interval_seconds: From one request to the next.
            not_ready: Says why the daemon is not well; called in the thread `ping`.
            clock: Tells when it was last taken.
            environment: Proxies and trust.
            deadline_seconds: What one request may take, everything included.
        """
        self._url = url
        self._interval_seconds = interval_seconds
        self._not_ready = not_ready
        self._clock = clock
        self._deadline_seconds = deadline_seconds
        self._http = ProviderHttp(environment, Redaction((url,), show_paths=False), connections=_LANES)
        self._lanes = Lanes("ping", count=_LANES)
        self._once = OncePerMinute(clock)
        self._thread = threading.Thread(target=self._run, name="ping", daemon=True)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._call: Call | None = None
        #: When the address last answered with 2xx, in microseconds since 1970; None before the first time.
        self.last_success_us: int | None = None
        #: Requests that were answered otherwise, or not at all, since the start.
        self.failures = 0
        self._failures_told = 0

    def prepare(self) -> None:
        """Read the CA bundle, so that a fault is told at the start.

        Raises:
            ConfigurationError: It can't be read.
        """
        quieten()  # urllib3 logs each path at DEBUG
        self._http.prepare()

    def start(self) -> None:
        """Ask for the first time, and go on; nothing is asked when the stop came first."""
        self._thread.start()

    def new_failures(self) -> int:
        """Return how many requests failed since this was asked last, for a counter."""
        failures = self.failures
        new, self._failures_told = failures - self._failures_told, failures
        return new

    def ask_to_stop(self) -> None:
        """Ask no more, and cut the request in flight; returns at once and may be called twice."""
        with self._lock:
            self._stopping.set()
            call = self._call
        if call is not None:
            call.give_up()

    def stop(self) -> None:
        """Stop, and close what is open; a thread that a name server or a database holds is left to itself."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_SECONDS)
        self._lanes.close()
        self._http.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            begun = self._clock.monotonic()
            try:
                well = self._turn()
            except Exception:
                logger.exception("the ping failed unexpectedly")
                well = False
            seconds = self._interval_seconds if well else min(self._interval_seconds, _AGAIN_SECONDS)
            self._stopping.wait(max(seconds - (self._clock.monotonic() - begun), 0.0))

    def _turn(self) -> bool:
        """Ask if all is well; return whether it was, and the address took it."""
        reasons = self._not_ready()
        if reasons:
            if not self._stopping.is_set():
                self._log("not pinging: the daemon is not well", " ".join(reasons))
            return False
        failure = self._ping()
        if failure == _TAKEN:
            self.last_success_us = self._clock.now_us()
            return True
        if not self._stopping.is_set():  # else it was cut here
            self.failures += 1
            self._log("a ping failed", failure)
        return False

    def _ping(self) -> str:
        """Make one request; return why it failed, or `_TAKEN`."""
        call = Call(self._deadline_seconds)
        with self._lock:
            self._call = call
            if self._stopping.is_set():
                call.give_up()
        try:
            return self._lanes.run(
                partial(self._ask, call), seconds=self._deadline_seconds, give_up=call.give_up, late=_forget
            )
        except NoLaneFree:
            return "earlier requests still hang"
        except StillRunning:
            return f"no answer within {self._deadline_seconds:g} s"
        finally:
            with self._lock:
                self._call = None

    def _ask(self, call: Call) -> str:
        # Every exception of the request is an OSError, and may quote the address; the exchange says what happened.
        with calling(call), contextlib.suppress(OSError):
            self._http.request(call, "GET", self._url, headers=_HEADERS)
        exchange = call.last
        if exchange is None:
            return "the address can't be used"
        if exchange.status is None or not exchange.answered:
            return exchange.failure or "no answer"
        return _TAKEN if 200 <= exchange.status < 300 else f"answered {exchange.status}"

    def _log(self, message: str, why: str) -> None:
        held_back = self._once.held_back(message)
        if held_back is not None:
            logger.warning(message, extra={"why": why, "held_back": held_back})


def _forget(_result: str) -> None:
    """Drop what comes after the deadline: it was counted as a failure."""
