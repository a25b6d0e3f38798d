"""What one channel remembers over restarts, shared by its threads; each change is handed on to be kept.

The channel works by what is here even while the database is away; what could not be kept is handed on again later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from subscriber.deliveries import Remembered

Changes = Mapping[str, int | str | None]
#: Keeps some fields of `Remembered`, and says whether it could; never raises.
Keep = Callable[[Changes], bool]

#: All of them are about the configured target. What is remembered of a move has its own digest.
_TIMES: Final = ("held_until_us", "inbound_us", "outside_us")


class ChannelMemory:
    """The values, safe for any thread."""

    def __init__(self, values: Remembered | None = None, keep: Keep | None = None) -> None:
        """Begin with what was kept.

        Args:
            values: From an earlier run.
            keep: Hears of each change, in the thread that makes it.
        """
        self._values = values or Remembered()
        self._keep = keep or (lambda _changes: True)
        self._lock = threading.Lock()  # of the values; never held while they are kept, which may wait for others
        self._keeping = threading.Lock()
        self._unkept: set[str] = set()

    @property
    def values(self) -> Remembered:
        """All that is known now."""
        return self._values

    def change(self, **changes: int | str | None) -> None:
        """Set some fields of `Remembered`, by name."""
        with self._lock:
            self._set(changes)
        self.keep_again()

    def belong_to(self, target: str) -> None:
        """Forget what was learned of another target: its window and its hold are none of this one's.

        Args:
            target: A digest of the configured one.
        """
        with self._lock:
            known = self._values.target
            if known == target:
                return
            self._set({"target": target} if known is None else {"target": target, **dict.fromkeys(_TIMES)})
        self.keep_again()

    def latest(self, field: str, moment_us: int) -> None:
        """Set a time that only moves on."""
        with self._lock:
            known = getattr(self._values, field)
            if known is not None and known >= moment_us:
                return
            self._set({field: moment_us})
        self.keep_again()

    def keep_again(self) -> None:
        """Hand on what is not kept yet, because the database was away or the clock was set."""
        with self._keeping:  # two threads that hand on one field must not end with the older value
            with self._lock:
                changes = {name: getattr(self._values, name) for name in sorted(self._unkept)}
                self._unkept.clear()
            if changes and not self._keep(changes):
                with self._lock:
                    self._unkept.update(changes)

    def moved(self, step_us: int) -> None:
        """Follow the wall clock, which was set forward by so much; waits for nobody.

        The database moves its own copy; these are handed on again for what was on its way there meanwhile.
        """
        with self._lock:
            known = {name: getattr(self._values, name) for name in _TIMES}
            self._set({name: moment + step_us for name, moment in known.items() if moment is not None})

    def _set(self, changes: Changes) -> None:
        self._values = replace(self._values, **changes)  # type: ignore[arg-type]  # the names decide the types
        self._unkept.update(changes)
