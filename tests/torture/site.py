"""Where a run takes place: one folder, the processes' environment, and the files that tell them of the world."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.end_to_end.rig import CREDENTIALS, Rig
from tests.torture.disks import Disks
from tests.torture.steps import Role

ROOT: Final = Path(__file__).parents[2]
#: A send may take so long, far less than in earnest, or a provider that hangs would end the run's deliveries.
_DEADLINE_SECONDS: Final = 1.5
_LEASE_SECONDS: Final = 10


class Site:
    """The folder and everything that is known by its name in it."""

    def __init__(self, folder: Path, disks: Disks, provider_url: str) -> None:
        """Lay out the folder."""
        self.folder = folder
        self.disks = disks
        self.tokens = folder / "tokens"
        self._records = folder / "records"
        self._events = folder / "events.log"
        for made in (self.tokens, self._records):
            made.mkdir()
        self._numbers = itertools.count(1)
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self.rig = Rig(folder, {**CREDENTIALS, **self._environ(provider_url)})
        for role in ("trader", "daemon"):
            self.set_clock(role, 0)
            self.set_quota(role, None)

    @property
    def database(self) -> Path:
        """The daemon's database."""
        return self.disks.database / "alertbus.db"

    def new_number(self) -> int:
        """Return a number that nothing else in this run has, for an epoch or a record."""
        return next(self._numbers)

    def record_of(self, number: int) -> Path:
        """The file that a victim leaves when it kills itself."""
        return self._records / str(number)

    def clock_of(self, role: Role) -> Path:
        """The file that says by how many microseconds a process's wall clock is wrong."""
        return self.folder / f"clock-{role}"

    def quota_of(self, role: Role) -> Path:
        """The file that says beyond how many bytes no file of a process may grow."""
        return self.folder / f"quota-{role}"

    def set_clock(self, role: Role, offset_us: int) -> None:
        """Make a process's wall clock wrong."""
        self.clock_of(role).write_text(f"{offset_us}\n", encoding="ascii")

    def set_quota(self, role: Role, size_bytes: int | None) -> None:
        """Limit the size of a process's files; None ends that."""
        self.quota_of(role).write_text(f"{-1 if size_bytes is None else size_bytes}\n", encoding="ascii")

    def note(self, text: str) -> None:
        """Write down what was done, and when, for whoever looks into a run."""
        with self._lock, self._events.open("a", encoding="utf-8") as events:
            events.write(f"{time.monotonic() - self._began:8.2f} {text}\n")

    def _environ(self, provider_url: str) -> Mapping[str, str]:
        return {
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "ALERTBUS_TELEGRAM_URL": provider_url,
            "ALERTBUS_TWILIO_URL": provider_url,
            "ALERTBUS_DATABASE_URL": f"sqlite:///{self.database}",
            "ALERTBUS_JOURNAL": str(self.disks.journal),
            "ALERTBUS_DELIVERY_DEADLINE": str(_DEADLINE_SECONDS),
            "ALERTBUS_DELIVERY_LEASE": str(_LEASE_SECONDS),
            # each alert is a message of its own, or the provider's log could not be compared with the trader's file
            "ALERTBUS_MAX_DELAY": "off",
            "ALERTBUS_DEDUP_WINDOW": "off",
            "ALERTBUS_DEDUP_WINDOW_CRITICAL": "off",
        }
