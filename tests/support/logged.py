"""Runs something and returns what was logged, without pytest's own handlers; and puts logging back afterwards."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from subscriber.logs import PINNED, LogFormat, configure_logging

SECRET = '123456789:AA-canary/Canary "0815"'
FORMATS: tuple[LogFormat, ...] = ("text", "json")


@contextmanager
def restored_logging() -> Iterator[None]:
    """Put the process's logging back as pytest left it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in PINNED}
    hooks = sys.excepthook, threading.excepthook
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:], sys.excepthook, threading.excepthook = handlers, *hooks
        root.setLevel(level)
        for name, old in levels.items():
            logging.getLogger(name).setLevel(old)


def logged(format: LogFormat, act: Callable[[], object], level: str = "DEBUG") -> str:  # noqa: A002
    stream = io.StringIO()
    logging.getLogger().handlers.clear()  # pytest's own raise for arguments that don't fit
    configure_logging(level, format, [SECRET], stream)
    act()
    return stream.getvalue()
