"""Starts a trader or a daemon that may be killed: `python -m tests.torture.victim trader|daemon`.

It imports what the process needs, waits for its orders on standard input, wraps the one function at which the process
is to die, and runs the process as it is. Nothing else of the process is changed, but for its wall clock, a limit on the
size of its files, and the daemon's pace towards Telegram, which would let no more than a message a second through.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from bus.clock import SystemClock
from tests.torture.orders import Orders
from tests.torture.steps import PACES, STEPS, Role, resolve

if sys.platform != "win32":
    import resource

_POLL_SECONDS: Final = 0.05
#: What a supervisor that is gone leaves behind ends with.
_ORPHANED: Final = 3
_IMPORTS: Final = {
    "trader": ("tests.torture.trader",),
    "daemon": (
        "subscriber.entry",
        "subscriber.__main__",
        "subscriber.service",
        "subscriber.channels.apprise_channel",  # this and the following are imported when they are first needed
        "subscriber.channels.telegram",
        "subscriber.channels.twilio",
        "alembic.command",
        "sqlite3",
    ),
}


def main() -> None:
    """Wait for orders, then run until the process ends or dies."""
    role: Role = "daemon" if sys.argv[1:] == ["daemon"] else "trader"
    for module in _IMPORTS[role]:
        importlib.import_module(module)
    line = sys.stdin.readline()
    if not line:
        return
    orders = Orders.read(line)
    _follow(orders)
    if orders.broken is not None:
        # imported late: it imports the daemon, which a trader must not need
        importlib.import_module("tests.torture.breaks").BREAKS[orders.broken]()
    if orders.step is not None:
        arm(orders)
    if role == "trader":
        closing = threading.Event()
        _listen(closing.set)
        sys.exit(importlib.import_module("tests.torture.trader").trade(orders, closing))
    _lift_pace()
    _listen(lambda: signal.raise_signal(signal.SIGINT))
    sys.argv = ["alertbus-subscriber", "run", "--interval", "0.05"]
    importlib.import_module("subscriber.entry").main()


def die(record: Path) -> None:
    """End this process as a power cut would, leaving nothing but an empty file that tells so."""
    os.close(os.open(record, os.O_CREAT | os.O_WRONLY))
    if sys.platform == "win32":
        os.kill(os.getpid(), signal.SIGTERM)  # TerminateProcess
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def arm(orders: Orders) -> None:
    """Wrap the function of the step; it ends the process when it is passed for the n-th time."""
    (step,) = [step for step in STEPS if step.name == orders.step]
    owner, name = resolve(step.target)
    original: Callable[..., Any] = getattr(owner, name)
    lock = threading.Lock()
    passed = 0

    def passing() -> None:
        nonlocal passed
        with lock:
            passed += 1
            if passed == orders.passing:
                die(Path(orders.record))

    @functools.wraps(original)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        if step.when == "before":
            passing()
            return original(*arguments, **options)
        result = original(*arguments, **options)
        if result or not step.with_result:
            passing()
        return result

    setattr(owner, name, wrapped)


def _listen(asked_to_end: Callable[[], object]) -> None:
    """Hear the supervisor: a line asks for an orderly end; the end of the pipe means that nobody is there any more."""

    def listen() -> None:
        while sys.stdin.readline():
            asked_to_end()
        os._exit(_ORPHANED)

    threading.Thread(target=listen, name="torture-orders", daemon=True).start()


def _lift_pace() -> None:
    for pace in PACES:
        owner, name = resolve(pace)
        setattr(owner, name, lambda *_: ())


# --- the clock and the quota --------------------------------------------------------------------------------


def _follow(orders: Orders) -> None:
    """Be wrong about the time, and limited in space, as the files say from now on."""
    offset_us = 0
    true_us = SystemClock.now_us

    def wrong_us(self: SystemClock) -> int:
        return true_us(self) + offset_us

    def follow() -> None:
        nonlocal offset_us
        offset_us = _number(orders.clock, offset_us)
        _limit_files(_number(orders.quota, -1))

    def keep_following() -> None:
        while True:
            time.sleep(_POLL_SECONDS)
            follow()

    setattr(SystemClock, "now_us", wrong_us)  # noqa: B010 - mypy allows no plain assignment to a method
    follow()
    threading.Thread(target=keep_following, name="torture-clock", daemon=True).start()


def _number(path: str, otherwise: int) -> int:
    """Read a number that ends its line; a file that is being written counts as unchanged."""
    try:
        text = Path(path).read_text(encoding="ascii")
    except OSError:
        return otherwise
    return int(text) if text.endswith("\n") and text.strip() else otherwise


def _limit_files(size_bytes: int) -> None:
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size_bytes < 0 else size_bytes, hard))


if __name__ == "__main__":
    main()
