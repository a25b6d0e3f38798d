"""The status that all who ask at about the same time share: ten open pages cost what one costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from subscriber.status import Status

#: For so long a status is given to whoever asks, and for longer where it took long to find out.
SHARED_SECONDS: Final = 0.5
_SHARE: Final = 10.0
_LONGEST_SECONDS: Final = 5.0


class LatestStatus:
    """One daemon's status, found out anew when it is old or when a person changed something since."""

    def __init__(
        self,
        find_out: Callable[[], Status],
        newest_change: Callable[[], int],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without one.

        Args:
            find_out: Returns the status as it is now.
            newest_change: Returns the number of the newest change that a person made; cheap.
            monotonic: Seconds that only ever grow: the machine's own, whatever clock the daemon goes by.
        """
        self._find_out = find_out
        self._newest_change = newest_change
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._status: Status | None = None
        self._change = 0
        self._until = float("-inf")

    def __call__(self) -> Status:
        """Return the status; never one from before a change that was made before the call.

        Raises:
            StoreError: The database can't be used at the moment.
        """
        with self._lock:  # who comes while it is found out waits for it, and takes it
            change = self._newest_change()
            began = self._monotonic()
            if self._status is None or began >= self._until or change != self._change:
                status = self._find_out()
                ended = self._monotonic()
                kept_seconds = min(max(_SHARE * (ended - began), SHARED_SECONDS), _LONGEST_SECONDS)
                self._status, self._change, self._until = status, change, ended + kept_seconds
            return self._status
