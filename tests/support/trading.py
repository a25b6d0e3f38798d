"""A trading process for tests: does what it is told on standard input, one JSON object a line, and answers each.

    {"do": "publish", "count": 1000, "rate": 500}    {"refused": 0, "seconds": 2.0}

The file named on the command line gets the 16 bytes of each alert's id before the alert is published, so that what
was published is known from elsewhere than our own tables. `tests.support.trader.Trader` runs it.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from publisher import AgentAction, Publisher, RiskEvent

#: Alerts in the queue at which a publisher that is told no rate waits: half of what the default takes.
_QUEUED_MOST: Final = 50_000
#: Alerts between two looks at the clock or at the queue.
_SLICE: Final = 100
_WAIT_SECONDS: Final = 0.001

_SYMBOLS: Final = ("TNA", "UPRO", "SPXL", "TQQQ")
_REASONING: Final = (
    "The policy prefers {}: momentum of 20 bars turned, realised volatility is below its monthly median and the "
    "spread is tight; the target position differs by less than the step."
)

Alert = AgentAction | RiskEvent


def information(number: int) -> Alert:
    """Build an alert that the default routes keep in the history only."""
    return RiskEvent(
        event_type="EXPOSURE_CHECKED",
        severity="INFO",
        description=f"Check {number}: net exposure is within its limits, and no order waits longer than it should.",
        agent_name="ppo-1",
        symbol=_SYMBOLS[number % len(_SYMBOLS)],
        value=number,
        threshold=10_000_000,
    )


def a_days_alert(number: int) -> Alert:
    """Build one of a day's alerts: mostly HOLD and INFO, a trade in 500, a WARNING in 5,000, a CRITICAL in 50,000."""
    symbol = _SYMBOLS[number % len(_SYMBOLS)]
    if number % 5_000 == 0:
        critical = number % 50_000 == 0
        return RiskEvent(
            event_type="DRAWDOWN_BREACH" if critical else "VOLATILITY_HIGH",
            severity="CRITICAL" if critical else "WARNING",
            description=f"Alert {number}: the measure passed its limit on {symbol}, and new entries are blocked.",
            agent_name="ppo-1",
            symbol=symbol,
            value=number,
            threshold=5.0,
            action_taken="entries blocked",
        )
    if number % 5 == 0 and number % 500:
        return information(number)
    action = "HOLD" if number % 500 else "BUY" if number % 1_000 else "SELL"
    return AgentAction(
        agent_name="ppo-1",
        symbol=symbol,
        action=action,
        quantity=0 if action == "HOLD" else 10,
        price=41.2,
        confidence=0.75,
        rationale=_REASONING.format(action),
        position=number,
    )


_KINDS: Final[dict[str, Callable[[int], Alert]]] = {"information": information, "day": a_days_alert}


class Trading:
    """One publisher and what it is told to do."""

    def __init__(self, publisher: Publisher, ids: IO[bytes]) -> None:
        """Use an open publisher and an open file."""
        self._publisher = publisher
        self._ids = ids
        self._number = 0

    def publish(self, count: int, kind: str = "information", rate: float | None = None) -> dict[str, Any]:
        """Publish so many alerts, at so many a second or as fast as the queue takes them; build them beforehand."""
        numbers = range(self._number + 1, self._number + count + 1)
        self._number += count
        alerts: Iterator[Alert] = map(_KINDS[kind], numbers)
        if rate is not None:
            alerts = iter(list(alerts))
            gc.freeze()  # or a collection looks at all of them again and again while the pace is kept
        begin = time.perf_counter()
        refused = 0
        for done in range(0, count, _SLICE):
            self._wait(done, begin, rate)
            some = list(islice(alerts, _SLICE))
            self._note(some)
            refused += sum(not self._publisher.publish(alert) for alert in some)
        return {"refused": refused, "seconds": time.perf_counter() - begin}

    def _note(self, alerts: Iterable[Alert]) -> None:
        self._ids.write(b"".join(alert.id.bytes for alert in alerts))
        self._ids.flush()  # before they are published, or a kill would make them unknown

    def _wait(self, done: int, begin: float, rate: float | None) -> None:
        if rate is not None:
            early = begin + done / rate - time.perf_counter()
            if early > 0:
                time.sleep(early)  # the pace is what is asked for
            return
        while self._publisher.stats().queued > _QUEUED_MOST:
            time.sleep(_WAIT_SECONDS)

    def critical(self, text: str, wait: float | None = None) -> dict[str, Any]:
        """Publish a CRITICAL; tell its id, and with `wait` whether a daemon has stored it and all before it."""
        alert = RiskEvent(event_type="MARGIN_CALL", severity="CRITICAL", description=text, symbol="TNA")
        self._note([alert])
        return {"id": alert.id.hex, "taken": self._publisher.publish(alert, wait=wait)}

    def flush(self, timeout: float) -> dict[str, Any]:
        """Wait until all of it is journaled."""
        return {"flushed": self._publisher.flush(timeout)}

    def progress(self, limit_seconds: float) -> dict[str, Any]:
        """Say that the trading loop moves."""
        self._publisher.progress(limit_seconds)
        return {}

    def outlast(self, seconds: float) -> dict[str, Any]:
        """Let time pass in this process."""
        begin = time.perf_counter()
        time.sleep(seconds)  # the time is what is asked for
        return {"seconds": time.perf_counter() - begin}

    def stats(self) -> dict[str, Any]:
        """Return the publisher's own figures."""
        return asdict(self._publisher.stats())

    def close(self, timeout: float) -> dict[str, Any]:
        """Close the publisher; nothing but `stats` may follow."""
        begin = time.perf_counter()
        settled = self._publisher.close(timeout)
        return {"settled": settled, "seconds": time.perf_counter() - begin}


def main(ids: str, *, start: bool) -> None:
    """Take orders until the input ends; without `start`, the first alert opens the publisher."""
    with Path(ids).open("ab") as file, closing(Publisher.from_environment()) as publisher:
        if start:
            publisher.start()
        trading = Trading(publisher, file)
        for line in sys.stdin:
            order = json.loads(line)
            sys.stdout.write(json.dumps(getattr(trading, order.pop("do"))(**order)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], start="--unstarted" not in sys.argv[2:])
