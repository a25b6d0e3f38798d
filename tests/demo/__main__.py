"""`python -m tests.demo`: shows alertbus at work with nothing but this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import tempfile
import time
import webbrowser
from pathlib import Path
from typing import Final

from tests.demo.play import ROUND_SECONDS, TICK_SECONDS, play
from tests.demo.stage import DemoFailedError, Stage

#: Where a real daemon has its page, and the demo too when no daemon runs here.
_USUAL_PORT: Final = 8787


def main(arguments: list[str] | None = None) -> int:
    """Show the demo, and return the exit code: 0, or 1 when the daemon failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--seconds", type=float, help="end by itself after so many seconds")
    parser.add_argument("--once", action="store_true", help=f"end after one round, of {ROUND_SECONDS:g} seconds")
    parser.add_argument("--port", type=int, help=f"where the page is ({_USUAL_PORT}, or a free one if that is taken)")
    parser.add_argument("--seed", type=int, default=1, help="of the prices and what is made of them")
    parser.add_argument("--no-browser", action="store_true", help="only say the address")
    options = parser.parse_args(arguments)
    seconds = min(
        [*([] if options.seconds is None else [options.seconds]), *([ROUND_SECONDS] if options.once else [])],
        default=None,
    )
    if sys.platform == "win32":  # how a test, or another program, ends it there
        signal.signal(signal.SIGBREAK, signal.default_int_handler)
    try:
        # Windows removes no folder in which a virus scanner still has a file open
        with tempfile.TemporaryDirectory(prefix="alertbus-demo-", ignore_cleanup_errors=True) as folder:
            _show(Path(folder), options.port or _page_port(), options.seed, seconds, browser=not options.no_browser)
    except KeyboardInterrupt:
        _say("the demo ended")
    except DemoFailedError as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    return 0


def _show(folder: Path, port: int | None, seed: int, seconds: float | None, *, browser: bool) -> None:
    with Stage(folder, http_port=port) as stage:
        _say(f"the page is at {stage.daemon.url}/ (all of this stays on this machine; Ctrl-C ends it)")
        if browser:
            webbrowser.open(f"{stage.daemon.url}/")
        begin = time.monotonic()
        for number, steps in enumerate(play(seed)):
            at = number * TICK_SECONDS
            if seconds is not None and at >= seconds:
                break
            early = begin + at - time.monotonic()
            if early > 0:
                time.sleep(early)
            for step in steps:
                stage.perform(step)
    _say("the demo ended")


def _page_port() -> int | None:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", _USUAL_PORT))
        except OSError:
            return None
    return _USUAL_PORT


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
