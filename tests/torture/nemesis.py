"""What goes wrong beside the kills: two threads strike, one at the providers and one at everything else.

What they do next is drawn from the seed. Each strike ends by itself and leaves nothing behind.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any, Final

from bus.clock import MICROSECONDS
from tests.torture.site import ROOT, Site
from tests.torture.slots import Slot
from tests.torture.steps import Role

_PROVIDERS: Final = ("telegram", "twilio")
_BETWEEN_SECONDS: Final = (0.5, 3.0)
_PAUSE_SECONDS: Final = (0.5, 4.0)
_DOWN_SECONDS: Final = (0.5, 2.0)
_FULL_SECONDS: Final = (1.0, 3.0)
_WRONG_SECONDS: Final = (0.5, 4.0)
#: The last is longer than a writer waits for a lock.
_LOCK_SECONDS: Final = (1.0, 1.0, 2.0, 2.0, 3.0, 6.0)
_HOUR_SECONDS: Final = 3600
_STEPS_SECONDS: Final = tuple(sign * hours * _HOUR_SECONDS for hours in (1, 25, 24 * 366) for sign in (-1, 1))
#: Below this not even the write-ahead log of a database has room.
_QUOTA_BYTES: Final = 16_384
#: Longer than a send may take.
_SILENT_SECONDS: Final = 3.0

#: A provider's ways to fail for a few requests. None accepts a message after its sender gave up: then the first try,
#: which nobody could mark, would come in behind the marked second one.
_FAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "dropped after acceptance": {"fault": "accept_then_drop"},
    "hanging after acceptance": {"fault": "hang", "seconds": _SILENT_SECONDS, "accept_first": True},
    "hanging": {"fault": "stall", "seconds": _SILENT_SECONDS},
    "dripping": {"fault": "drip", "chunk_bytes": 4, "interval_seconds": 0.1},
    "reset": {"fault": "reset_after_reading"},
    "reset unread": {"fault": "reset_before_reading"},
    "rate limit": {"fault": "rate_limited", "retry_after": 1},
}
_MOST_IN_A_ROW: Final = 3
_DOWN: Final = "down"
_STATUSES: Final = (500, 502, 503)

NEMESES: Final = ("provider", "pause", "lock", "disk", "clock")


class Provider:
    """The provider server, as a process that is never killed."""

    def __init__(self, folder: Path, port: int) -> None:
        """Start it."""
        self.log = folder / "provider.log"
        self._lock = threading.Lock()
        command = ["-m", "tests.support.provider_server", "--port", str(port), "--log", str(self.log), "--steered"]
        with (folder / "provider.err").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def order(self, **order: object) -> None:
        """Steer its faults, as `provider_steering` says; once it is closed, nothing happens."""
        assert self.process.stdin is not None
        with self._lock:
            if self.process.stdin.closed:
                return
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()

    def close(self) -> int:
        """End it in order and return its exit code."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Nemeses:
    """Strikes until it is stopped."""

    def __init__(self, site: Site, provider: Provider, slots: Sequence[Slot], names: Sequence[str], seed: str) -> None:
        """Store what is needed; `start` begins."""
        self.strikes = Counter[str]()
        #: What went wrong in here: a nemesis that does not strike proves nothing.
        self.failures: list[str] = []
        self._site = site
        self._provider = provider
        self._slots = slots
        self._stopping = threading.Event()
        ways: dict[str, Callable[[Random], str]] = {
            "pause": self._pause,
            "lock": self._lock_database,
            "disk": self._fill_disk,
            "clock": self._wrong_clock,
        }
        if sys.platform == "win32":
            del ways["pause"]
        if site.disks.kind == "none":
            del ways["disk"]
        chosen = [ways[name] for name in names if name in ways]
        self._threads = [
            threading.Thread(target=self._run, args=(strikes, Random(f"{seed}/{name}")), name=f"nemesis-{name}")
            for name, strikes in (("world", chosen), ("provider", [self._fail] if "provider" in names else []))
            if strikes
        ]

    def start(self) -> None:
        """Begin to strike."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Strike no more, and undo what was done."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for provider in _PROVIDERS:
            self._provider.order(provider=provider, behave=True)

    def _run(self, strikes: Sequence[Callable[[Random], str]], rng: Random) -> None:
        try:
            while not self._stopping.wait(rng.uniform(*_BETWEEN_SECONDS)):
                name = rng.choice(strikes)(rng)
                self.strikes[name] += 1
                self._site.note(f"nemesis: {name}")
        except (OSError, sqlite3.Error) as error:
            self.failures.append(f"a nemesis failed: {error!r}")

    def _pause(self, rng: Random) -> str:
        slot, seconds = rng.choice(self._slots), rng.uniform(*_PAUSE_SECONDS)
        victim = slot.victim
        victim.pause()
        try:
            self._stopping.wait(seconds)
        finally:
            victim.resume()
        return f"{slot.role} paused"

    def _lock_database(self, rng: Random) -> str:
        seconds = rng.choice(_LOCK_SECONDS)
        with closing(sqlite3.connect(self._site.database, timeout=1, isolation_level=None)) as other:
            try:
                other.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:  # the daemon is in the middle of a write, or was when it was paused
                return "database not locked, being busy"
            self._stopping.wait(seconds)
            other.execute("ROLLBACK")
        return "database locked"

    def _fill_disk(self, rng: Random) -> str:
        seconds = rng.uniform(*_FULL_SECONDS)
        disks = self._site.disks
        place = rng.choice((disks.database, disks.journal))
        if disks.kind == "quota":
            self._site.set_quota("daemon", _QUOTA_BYTES)
            self._stopping.wait(seconds)
            self._site.set_quota("daemon", None)
            return "daemon's files limited"
        disks.fill(place)
        self._stopping.wait(seconds)
        disks.free(place)
        return f"disk of the {place.name} full"

    def _wrong_clock(self, rng: Random) -> str:
        roles: tuple[Role, ...] = ("trader", "daemon")
        role = rng.choice(roles)
        offset, seconds = rng.choice(_STEPS_SECONDS), rng.uniform(*_WRONG_SECONDS)
        self._site.set_clock(role, offset * MICROSECONDS)
        self._stopping.wait(seconds)
        self._site.set_clock(role, 0)
        return f"{role}'s clock {offset // _HOUR_SECONDS:+} h"

    def _fail(self, rng: Random) -> str:
        provider = rng.choice(_PROVIDERS)
        kind = rng.choice([_DOWN, *_FAULTS])
        if kind == _DOWN:
            self._provider.order(provider=provider, always={"fault": "error", "status": rng.choice(_STATUSES)})
            self._stopping.wait(rng.uniform(*_DOWN_SECONDS))
            self._provider.order(provider=provider, always=None)
        else:
            most = 1 if "seconds" in _FAULTS[kind] else _MOST_IN_A_ROW  # what hangs holds up all that waits behind it
            self._provider.order(provider=provider, script=[_FAULTS[kind]] * rng.randint(1, most))
        return f"{provider} {kind}"
