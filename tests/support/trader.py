"""A trading process, as the test that runs it holds it: `tests.support.trading` is its other half."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

_ROOT: Final = Path(__file__).parents[2]
_ID_BYTES: Final = 16
#: Seconds for a process to end.
_END_SECONDS: Final = 60.0


class Trader:
    """A publisher in a process of its own, which ends with the block."""

    def __init__(self, environ: Mapping[str, str], folder: Path, ids: Path, *, start: bool = True) -> None:
        """Start it.

        Args:
            environ: The whole environment; it says the endpoints and the journal.
            folder: Its working directory.
            ids: Gets the ids of what it publishes, behind what is there.
            start: Whether it opens its publisher at once, or with the first alert.
        """
        self.ids = ids
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.trading", str(ids), *([] if start else ["--unstarted"])],
            env={**environ, "PYTHONPATH": str(_ROOT)},
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what still runs."""
        self.kill()

    def begin(self, do: str, **arguments: Any) -> None:
        """Give an order; `answer` waits for its end."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for the end of an order."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the trading process ended with {self.process.wait(_END_SECONDS)}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def order(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Have something done: a method of `tests.support.trading.Trading` and its arguments."""
        self.begin(do, **arguments)
        return self.answer()

    def publish(self, count: int, **arguments: Any) -> dict[str, Any]:
        """Publish so many alerts, of which none may be refused, and see them journaled."""
        told = self.order("publish", count=count, **arguments)
        assert told["refused"] == 0
        assert self.order("flush", timeout=_END_SECONDS)["flushed"]
        return told

    def stats(self) -> dict[str, Any]:
        """Return the publisher's own figures."""
        return self.order("stats")

    def leave(self) -> None:
        """End the process in order, as a program's end does."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(_END_SECONDS) == 0

    def kill(self) -> None:
        """End it as a power cut would, and close its pipes."""
        self.process.kill()
        self.process.wait(_END_SECONDS)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def ids_in(path: Path) -> list[bytes]:
    """Return the ids that traders wrote into a file, in the order of publishing."""
    written = path.read_bytes()
    return [written[start : start + _ID_BYTES] for start in range(0, len(written), _ID_BYTES)]
