"""What the supervisor tells a process that it starts: one JSON line on its standard input, before it begins.

So a process can be started, and its imports done, while the one that it replaces still runs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """One life of a victim.

    Attributes:
        step: Where it kills itself; None leaves that to the supervisor.
        passing: At which passing of the step, from 1.
        record: A file that exists once it killed itself; its path is the victim's own.
        clock: A file that holds the microseconds by which its wall clock is wrong.
        quota: A file that holds the bytes beyond which no file of its own may grow; empty is no limit.
        broken: The name of a break (`breaks.py`), or None.
        epoch: For a trader, the first part of its tokens.
        tokens: For a trader, the folder in which it notes its tokens.
        seed: For a trader, what decides when it publishes what.
        rate: For a trader, batches a second on average.
        close_after: For a trader, after how many batches it closes; None leaves that to the supervisor.
    """

    step: str | None = None
    passing: int = 1
    record: str = ""
    clock: str = ""
    quota: str = ""
    broken: str | None = None
    epoch: int = 0
    tokens: str = ""
    seed: str = ""
    rate: float = 2.0
    close_after: int | None = None

    def line(self) -> bytes:
        """Return it as the line to write."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: str) -> Orders:
        """Read such a line.

        Raises:
            ValueError: It is none.
        """
        return cls(**json.loads(line))
