"""The trading process of the kill test: publishes numbered alerts and notes what it may count on.

Each alert's text holds a token, `T<epoch>-<n>`, that no other alert has. Before it is published, its token is appended
to `attempted-<epoch>`; after a `flush()` that returned True, the tokens that it covers are appended to
`journaled-<epoch>` and synced. The judge reads these two files and nothing else of this side.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from random import Random
from typing import Final

from bus.alerts import Action, AgentAction, Alert, RiskEvent, Severity
from publisher import Publisher
from tests.torture.orders import Orders

ATTEMPTED: Final = "attempted"
JOURNALED: Final = "journaled"
#: What follows a token in `attempted`: which alert it is, and so where the default routes send it.
RISK: Final = "risk"
TRADE: Final = "trade"

_TRADE_SHARE: Final = 0.3
_BURST_SHARE: Final = 0.05
_BURST_ALERTS: Final = (5, 20)
_FLUSH_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 10.0


class Notes:
    """An append-only file of lines, each written by one system call, so that a kill leaves no half line."""

    def __init__(self, path: Path) -> None:
        """Open it."""
        self._descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def add(self, lines: list[str], *, sync: bool) -> None:
        """Append lines; with `sync` they are on the disk when this returns."""
        os.write(self._descriptor, "".join(f"{line}\n" for line in lines).encode("ascii"))
        if sync:
            os.fsync(self._descriptor)


def trade(orders: Orders, closing: threading.Event) -> int:
    """Publish until asked to close, or for as many batches as the orders say; return the exit code."""
    rng = Random(orders.seed)
    attempted = Notes(Path(orders.tokens) / f"{ATTEMPTED}-{orders.epoch}")
    journaled = Notes(Path(orders.tokens) / f"{JOURNALED}-{orders.epoch}")
    uncovered: list[str] = []
    number = batches = 0

    def cover(timeout: float) -> None:
        if uncovered and publisher.flush(timeout):
            journaled.add(uncovered, sync=True)
            uncovered.clear()

    with Publisher.from_environment() as publisher:
        while not closing.is_set() and batches != orders.close_after:
            batches += 1
            for _ in range(rng.randint(*_BURST_ALERTS) if rng.random() < _BURST_SHARE else 1):
                number += 1
                token = f"T{orders.epoch}-{number}"
                is_trade = rng.random() < _TRADE_SHARE
                attempted.add([f"{token} {TRADE if is_trade else RISK}"], sync=False)
                if publisher.publish(_trade(token, rng) if is_trade else _risk(token, rng)):
                    uncovered.append(token)
            cover(_FLUSH_SECONDS)
            closing.wait(rng.expovariate(orders.rate))
        cover(_CLOSE_SECONDS)
        publisher.close(_CLOSE_SECONDS)
    return 0


def _risk(token: str, rng: Random) -> Alert:
    return RiskEvent(
        event_type="DRAWDOWN_BREACH",
        severity=Severity.CRITICAL,
        description=f"Drawdown {token} passed its limit",
        symbol=rng.choice(("TNA", "UPRO", "BRK.B")),
        value=round(rng.uniform(5, 9), 2),
        threshold=5.0,
    )


def _trade(token: str, rng: Random) -> Alert:
    return AgentAction(
        agent_name="ppo_tna",
        symbol="TNA",
        action=rng.choice((Action.BUY, Action.SELL)),
        quantity=rng.randint(1, 50),
        price=round(rng.uniform(30, 50), 2),
        rationale=f"Signal {token}",
    )


def main() -> int:
    """Trade with orders from standard input, without a step to die at; the end of the input closes."""
    closing = threading.Event()
    orders = Orders.read(sys.stdin.readline())

    def listen() -> None:
        sys.stdin.readline()
        closing.set()

    threading.Thread(target=listen, name="torture-orders", daemon=True).start()
    return trade(orders, closing)


if __name__ == "__main__":
    sys.exit(main())
