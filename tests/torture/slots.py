"""A slot holds one process that is killed and started again, over and over, by a thread of its own.

The next process is started while the present one runs, and waits for its orders with its imports done: so a kill costs
a tenth of a second instead of one. Which step comes next is drawn from the seed; a step that was reached less often
than the others comes first.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Final

from tests.torture.orders import Orders
from tests.torture.site import Site
from tests.torture.steps import Role, Step

#: How long a process may take to reach its step before it is killed wherever it is.
_REACH_SECONDS: Final = 10.0
_RANDOM_SECONDS: Final = (0.2, 2.5)
#: One kill in so many comes at a random moment.
_RANDOM_SHARE: Final = 0.1
_POLL_SECONDS: Final = 0.02
#: What ended by itself, as a daemon on a full disk may, is started again after so long.
_RESTART_SECONDS: Final = 0.3
_END_SECONDS: Final = 60.0
#: Each trader's clean end for a `goodbye` step comes after at most so many batches.
_MOST_BATCHES: Final = 4


class Victim:
    """One process: started, then given orders."""

    def __init__(self, site: Site, name: str, role: Role) -> None:
        """Start it; it does its imports and waits."""
        with (site.folder / f"{name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.torture.victim", role],
                env={**site.rig.environ, **({"ALERTBUS_SOURCE": name} if role == "trader" else {})},
                cwd=site.folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def tell(self, line: bytes) -> None:
        """Write a line to it: first its orders, then perhaps that it should end."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead already, which whoever waits for it sees
            self.process.stdin.write(line)
            self.process.stdin.flush()

    def ended_within(self, seconds: float) -> bool:
        """Wait for its end."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.poll() is not None

    def end(self) -> int:
        """Ask it to end in order; return its exit code, or that of a kill where it does not."""
        self.tell(b"end\n")
        if not self.ended_within(_END_SECONDS):
            self.kill()
        return self.process.wait()

    def kill(self) -> None:
        """Kill it, paused or not."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def pause(self) -> None:
        """Stop it in its tracks (POSIX)."""
        if sys.platform != "win32":
            self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if sys.platform != "win32":
            self.process.send_signal(signal.SIGCONT)


class KillPlan:
    """Draws where the next process dies."""

    def __init__(self, steps: Sequence[Step], rng: Random) -> None:
        """Begin with every step unreached."""
        self.rng = rng
        self.kills = Counter[str]()
        self.missed = Counter[str]()
        self._steps = steps

    def next(self) -> Step | None:
        """Return a step, or None for a random moment."""
        if not self._steps or self.rng.random() < _RANDOM_SHARE:
            return None
        fewest = min(map(self._count, self._steps))
        return self.rng.choice([step for step in self._steps if self._count(step) == fewest])

    def _count(self, step: Step) -> int:
        return self.kills[step.name] + self.missed[step.name] // 2  # one that is hard to reach is tried more often


class Slot:
    """Keeps one trader or daemon running, and dying."""

    def __init__(
        self, site: Site, name: str, role: Role, steps: Sequence[Step], *, rng: Random, rate: float, broken: str | None
    ) -> None:
        """Store what is needed; `start` begins. Without steps of its role, its process is left alive."""
        self.name = name
        self.role = role
        self.plan = KillPlan([step for step in steps if step.role == role], rng)
        self.at_random = 0
        self.by_itself = 0
        self._deadly = any(step.role == role for step in steps)
        self._site = site
        self._rate = rate
        self._broken = broken
        self._spare = Victim(site, name, role)
        self.victim = self._spare
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"torture-{name}", daemon=True)

    def start(self) -> None:
        """Start the first process."""
        self._thread.start()

    def stop(self) -> None:
        """Kill the present process, and begin one that nobody kills."""
        self._stopping.set()
        self._thread.join()
        self._site.note(f"{self.name} goes on unharmed")
        self._begin(self._orders(None))

    def close(self) -> None:
        """Leave nothing behind."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        for victim in (self.victim, self._spare):
            victim.kill()

    def _run(self) -> None:
        while not self._stopping.is_set():
            step = self.plan.next() if self._deadly else None
            orders = self._orders(step)
            self._begin(orders)
            self._watch(step, orders)

    def _begin(self, orders: Orders) -> None:
        self.victim, self._spare = self._spare, Victim(self._site, self.name, self.role)
        self.victim.tell(orders.line())

    def _orders(self, step: Step | None) -> Orders:
        number = self._site.new_number()
        rng = self.plan.rng
        return Orders(
            step=None if step is None else step.name,
            passing=1 if step is None else rng.randint(1, step.most),
            record=str(self._site.record_of(number)),
            clock=str(self._site.clock_of(self.role)),
            quota=str(self._site.quota_of(self.role)),
            broken=self._broken if self.role == "daemon" else None,
            epoch=number,
            tokens=str(self._site.tokens),
            seed=str(rng.random()),
            rate=self._rate,
            close_after=rng.randint(1, _MOST_BATCHES) if step is not None and step.closing else None,
        )

    def _watch(self, step: Step | None, orders: Orders) -> None:
        """Wait for the end of the present process, bring it about, and count what it was."""
        limit = _REACH_SECONDS if step is not None else self.plan.rng.uniform(*_RANDOM_SECONDS)
        began = time.monotonic()
        while not self.victim.ended_within(_POLL_SECONDS):
            if self._stopping.is_set():
                self.victim.kill()
                return
            if self._deadly and time.monotonic() - began > limit:
                self._kill(step, orders)
                return
        code = self.victim.process.returncode
        self.victim.kill()
        if step is not None and self._site.record_of(orders.epoch).exists():
            self.plan.kills[step.name] += 1
            self._site.note(f"{self.name} {orders.epoch} died at {step.name}, passing {orders.passing}")
        else:
            self.by_itself += 1
            self._site.note(f"{self.name} {orders.epoch} ended by itself with {code}")
            self._stopping.wait(_RESTART_SECONDS)

    def _kill(self, step: Step | None, orders: Orders) -> None:
        self.victim.kill()
        self.at_random += 1
        if step is not None:
            self.plan.missed[step.name] += 1
        never = "" if step is None else f", having not reached {step.name}"
        self._site.note(f"{self.name} {orders.epoch} was killed{never}")
