"""The threads of one channel in which its sends run, so that its own thread can walk away from one that hangs.

The caller waits for its lane until the deadline, gives the job up (which closes its socket) and waits a moment more
for it to say how it ended. Only what no socket ends (name resolution, a plugin without HTTP) is still running then: its
lane is left to itself, joins again when it ends, and its late result is handed to whoever asks for it. Lanes are
bounded; when all of them hang, a job is refused before anything of it has happened.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final, Generic, TypeVar

Result = TypeVar("Result")

#: Lanes beyond the channel's own concurrency, for those that hang.
SPARE_LANES: Final = 4
#: How long a job may take to notice that it was given up; a socket that is shut down wakes its reader at once.
GRACE_SECONDS: Final = 0.5


class NoLaneFree(Exception):
    """Every thread of the channel still hangs in an earlier send."""


class StillRunning(Exception):
    """The job was given up and has not ended."""


class _Job(Generic[Result]):
    """Something to do, and how it ended."""

    def __init__(self, work: Callable[[], Result], late: Callable[[Result], None]) -> None:
        self._work = work
        self._late = late
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._left = False
        self._result: Result | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Work, in a lane."""
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error
        with self._lock:
            left = self._left
            self._ended.set()
        if left and self._error is None and self._result is not None:
            self._late(self._result)

    def wait(self, seconds: float) -> bool:
        """Wait for the end; return whether it came."""
        return self._ended.wait(seconds)

    def leave(self) -> bool:
        """Stop waiting; return False if it has ended in this moment."""
        with self._lock:
            self._left = not self._ended.is_set()
            return self._left

    def result(self) -> Result:
        """Return, or raise, what an ended job ended with."""
        if self._error is not None:
            raise self._error
        assert self._result is not None  # noqa: S101 - for mypy: no job here returns None
        return self._result


class Lanes:
    """A bounded set of threads that are made when needed and reused."""

    def __init__(self, name: str, *, count: int) -> None:
        """Start nothing yet.

        Args:
            name: What the threads are called.
            count: How many there may be at most.
        """
        self._name = name
        self._count = count
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[_Job[object] | None]] = []
        self._made = 0
        self._closed = False

    def run(
        self,
        work: Callable[[], Result],
        *,
        seconds: float,
        give_up: Callable[[], None],
        late: Callable[[Result], None],
    ) -> Result:
        """Run `work` in a lane and return its result.

        Args:
            work: What to do; it returns something and never None.
            seconds: How long to wait before `give_up`.
            give_up: Ends the work, if it can be ended.
            late: Called in the lane with a result that comes after all waiting is over.

        Raises:
            NoLaneFree: Nothing was begun.
            StillRunning: The work goes on by itself.
        """
        job = _Job(work, late)
        self._lane().put(job)  # type: ignore[arg-type]  # a lane never looks at the result
        if not job.wait(seconds):
            give_up()
            if not job.wait(GRACE_SECONDS) and job.leave():
                raise StillRunning
        return job.result()

    def close(self) -> None:
        """Let idle lanes end now, and the others when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for lane in idle:
            lane.put(None)

    def _lane(self) -> SimpleQueue[_Job[object] | None]:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._made >= self._count:
                raise NoLaneFree
            self._made += 1
            number = self._made
        lane: SimpleQueue[_Job[object] | None] = SimpleQueue()
        # A daemon: a name server that never answers must not keep the process from ending.
        threading.Thread(target=self._serve, args=(lane,), name=f"lane:{self._name}:{number}", daemon=True).start()
        return lane

    def _serve(self, lane: SimpleQueue[_Job[object] | None]) -> None:
        while (job := lane.get()) is not None:
            job.run()
            del job  # an idle lane keeps no message alive
            with self._lock:
                if self._closed:
                    return
                self._idle.append(lane)
