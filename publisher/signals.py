"""Closing a publisher when a signal ends the process: the goodbye says which signal it was. The main thread only."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from bus.errors import AlertBusError

#: Signals that end a process on purpose; the last two only where they exist, and only where nobody handles them.
_ALWAYS: Final = ("SIGTERM",)
_AT_THEIR_DEFAULT: Final = ("SIGBREAK", "SIGHUP")


class ClosingSignals:
    """Handlers that close something, and then let the signal do what it would have done."""

    def __init__(self, close: Callable[[], Callable[[str], object] | None]) -> None:
        """Keep a weak reference, for the table of signals must not hold a publisher that was forgotten.

        Args:
            close: Returns what is called with the reason, like `signal: SIGTERM`, and does not raise.
        """
        self._close = close
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Handle the signals; a second call does nothing.

        Raises:
            AlertBusError: This is not the main thread.
        """
        if threading.current_thread() is not threading.main_thread():
            raise AlertBusError("Signals can be handled in the main thread only; call close_on_signals() there.")
        if self._before:
            return
        for name in (*_ALWAYS, *_AT_THEIR_DEFAULT):
            number = getattr(signal, name, None)
            if number is None:
                continue
            before = signal.getsignal(number)
            # An ignored signal ends nothing; one that is handled outside of Python could not be given back.
            handled = before is not None and before is not signal.SIG_IGN
            if before is signal.SIG_DFL or (handled and name in _ALWAYS):
                self._before[number] = before
                signal.signal(number, self._handle)

    def remove(self) -> None:
        """Give the signals back, as far as nobody else took them; outside of the main thread nothing happens."""
        if threading.current_thread() is threading.main_thread():
            for number in list(self._before):
                self._give_back(number)

    def _give_back(self, number: int) -> bool:
        """Restore who handled a signal before; False when somebody else does now, and calls us."""
        if signal.getsignal(number) != self._handle:
            return False
        signal.signal(number, self._before.pop(number))
        return True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        close = self._close()
        if close is not None:
            close(f"signal: {signal.Signals(number).name}")
        before = self._before.get(number, signal.SIG_DFL)
        if not self._give_back(number):
            if callable(before):
                before(number, frame)
                return
            signal.signal(number, before)
        self.remove()
        signal.raise_signal(number)
