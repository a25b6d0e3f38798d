"""Builds pingers for tests: they ask often, and all of them are stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from bus.clock import Clock, SystemClock
from subscriber.channels.http_environment import HttpEnvironment
from subscriber.monitoring.pinging import DEADLINE_SECONDS, Pinger

Build = Callable[..., Pinger]


@contextmanager
def pingers(own_url: str) -> Iterator[Build]:
    """Build any number of them; they are prepared and not started.

    Args:
        own_url: What is asked by those to whom no other address is given.
    """
    with ExitStack() as opened:

        def build(
            url: str = own_url,
            *,
            not_ready: Callable[[], list[str]] = list,
            clock: Clock | None = None,
            environment: HttpEnvironment | None = None,
            interval_seconds: float = 0.01,
            deadline_seconds: float = DEADLINE_SECONDS,
        ) -> Pinger:
            pinger = Pinger(
                url,
                interval_seconds=interval_seconds,
                not_ready=not_ready,
                clock=clock or SystemClock(),
                environment=environment or HttpEnvironment(),
                deadline_seconds=deadline_seconds,
            )
            pinger.prepare()
            opened.callback(pinger.stop)
            return pinger

        yield build
