"""Processes in a group of their own: Ctrl-C in the terminal does not reach them, and each is stopped by itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any


def own_group() -> dict[str, Any]:
    """Return the arguments of Popen that put a process into a group of its own."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ask a process of its own group to stop, as Ctrl-C does where there is SIGINT, else by Ctrl-Break."""
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        process.send_signal(signal.SIGINT)
