"""A logging handler that turns a program's ERROR and CRITICAL records into alerts."""

from __future__ import annotations

import logging
from typing import Final

from bus.alerts import DESCRIPTION_LIMIT, NAME_LIMIT, Severity, SystemEvent
from bus.conversion import text_of
from publisher.shortcuts import Shortcuts

#: Our own loggers: an alert about a failing publisher would come back to the failing publisher.
_OWN: Final = frozenset({"publisher", "bus", "alertbus", "zmq"})


class AlertHandler(logging.Handler):
    """Publishes log records: ERROR as a WARNING, CRITICAL as a CRITICAL alert. Never raises and never blocks.

    logging.getLogger().addHandler(AlertHandler(publisher))
    """

    def __init__(self, publisher: Shortcuts, level: int = logging.ERROR) -> None:
        """Publish through `publisher` whatever is logged at `level` or above."""
        super().__init__(level)
        self._publisher = publisher

    def emit(self, record: logging.LogRecord) -> None:
        """Publish one record; its own failure is counted by the publisher and told nowhere else."""
        try:
            if str(record.name).partition(".")[0] in _OWN:
                return
            self._publisher.publish_made(lambda: _alert_of(record))
        except Exception as error:  # noqa: BLE001 - a logging call must never raise
            self._publisher.attach_failed(error)


def _alert_of(record: logging.LogRecord) -> SystemEvent:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that don't fit the format, or whose __str__ raises
        message = text_of(record.msg, DESCRIPTION_LIMIT)
    extra: dict[str, object] = {"logger": record.name, "where": f"{record.filename}:{record.lineno}"}
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        extra["exception"] = f"{type(error).__name__}: {text_of(error, 500)}"
    return SystemEvent(
        event_type=f"LOG_{record.levelname}"[:NAME_LIMIT],
        severity=Severity.CRITICAL if record.levelno >= logging.CRITICAL else Severity.WARNING,
        description=message,
        extra=extra,
    )
