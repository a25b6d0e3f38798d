"""How the threads of a channel are woken."""

from __future__ import annotations

import threading


class Wake:
    """Wakes every thread of a channel, those too that are busy now and only then begin to wait.

    An Event would be cleared by the first thread that it wakes; the others would sleep over it, and over their end.
    """

    def __init__(self) -> None:
        """Begin without a ring."""
        self._condition = threading.Condition()
        self._rings = 0

    @property
    def rings(self) -> int:
        """How often it rang; to be read before the look for work that a `wait` follows."""
        return self._rings

    def set(self) -> None:
        """Wake all."""
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def wait(self, seen: int, seconds: float) -> None:
        """Wait so long, or until it rings; not at all where it rang after `seen` rings."""
        with self._condition:
            self._condition.wait_for(lambda: self._rings != seen, seconds)
