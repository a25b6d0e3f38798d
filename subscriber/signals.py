"""What a daemon does on signals: it stops in order, ends at once, or reads its configuration again."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

logger = logging.getLogger(__name__)

_STOP: Final = ("SIGINT", "SIGTERM", "SIGBREAK")
_RELOAD: Final = "SIGHUP"


@contextmanager
def handled_signals(*, stop: Callable[[], None], reload: Callable[[], None]) -> Generator[None]:
    """Call `stop` on SIGINT, SIGTERM and Ctrl-Break, and `reload` on SIGHUP, where there are such signals.

    In another thread than the main one nothing is handled: Python lets only that one do it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_stop(number: int, _frame: object) -> None:
        logger.info("stopping", extra={"signal": signal.Signals(number).name})
        stop()

    def on_reload(_number: int, _frame: object) -> None:
        reload()

    handlers = dict.fromkeys(_STOP, on_stop) | {_RELOAD: on_reload}
    numbers = {getattr(signal, name): handler for name, handler in handlers.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in numbers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
