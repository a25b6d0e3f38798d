"""Runs `alertbus-subscriber` with what a test of its silence needs: its redaction off, or crashes full of secrets.

    python -m tests.support.canary_runner unredacted,crash run --interval 0.05

`unredacted` lets every text through as it is, so that the test can be seen to fail. `crash` raises two exceptions that
have the whole environment in their text: one in a thread that nobody watches, and one out of the first send of each
channel, which promises not to raise. `broken` does so where the daemon would begin to run. `-` is none of these.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, Final
from unittest.mock import patch

from subscriber import __main__ as command
from subscriber.channels.apprise_channel import AppriseChannel
from subscriber.redaction import Redactor
from subscriber.service import Service

_TRICKS: Final = frozenset({"-", "unredacted", "crash", "broken"})
_POLL_SECONDS: Final = 0.01


class CrashError(RuntimeError):
    """An exception that tells all that the process knows."""

    def __init__(self) -> None:
        super().__init__(f"crashed with {dict(os.environ)}")


def main() -> None:
    """Prepare what the first argument names, and run the command that the others are.

    Raises:
        ValueError: There is no such preparation.
    """
    tricks = set(sys.argv.pop(1).split(","))
    if not tricks <= _TRICKS:
        raise ValueError(f"no preparation is called {tricks - _TRICKS}")
    if "unredacted" in tricks:
        patch.object(Redactor, "redact", lambda _self, text: text).start()
    if "crash" in tricks:
        _crash_in_send()
        threading.Thread(target=_crash_once_logs_are_there, name="crash").start()
    if "broken" in tricks:
        patch.object(Service, "run", _crash).start()
    command.main()


def _crash(*_: object) -> Any:
    raise CrashError


def _crash_once_logs_are_there() -> None:
    never = threading.Event()
    while threading.excepthook is threading.__excepthook__:
        never.wait(_POLL_SECONDS)
    raise CrashError


def _crash_in_send() -> None:
    send = AppriseChannel.send
    crashed: set[str] = set()

    def crashing(self: AppriseChannel, *arguments: Any) -> Any:
        if self.name in crashed:
            return send(self, *arguments)
        crashed.add(self.name)
        raise CrashError

    patch.object(AppriseChannel, "send", crashing).start()


if __name__ == "__main__":
    main()
