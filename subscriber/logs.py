"""Logging of the daemon: text for people or JSON for machines, on standard error, and no secret in either.

Every text of a record (message, arguments, extra fields, exception, stack) passes the redactor after it was formatted,
so nobody has to think of it where a line is logged. A control character is escaped: what a stranger put into an alert
can't forge a second line. Libraries that print addresses, and with them tokens, at DEBUG are kept above it.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Literal, TextIO

from bus.clock import Clock, from_us
from bus.conversion import shorten, text_of
from subscriber.redaction import Redactor

logger = logging.getLogger(__name__)

LogFormat = Literal["text", "json"]

#: Loggers of libraries that print addresses, statements or bodies below these levels.
PINNED: Final[Mapping[str, int]] = {
    "apprise": logging.INFO,  # its warnings are needed: they say why a service refused
    "urllib3": logging.WARNING,
    "requests": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "asyncio": logging.WARNING,
    "alembic": logging.WARNING,
    "sqlalchemy": logging.WARNING,
}
#: Levels that are counted, the highest first, and their words.
_COUNTED: Final = ((logging.CRITICAL, "critical"), (logging.ERROR, "error"), (logging.WARNING, "warning"))
_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
#: Control characters, line separators, and marks that reorder what a terminal shows.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PLAIN_WORD: Final = re.compile(r"[^\s\"'=]+")
#: Characters of one text in a line; it is cut only after the redactor saw it, or half a secret could stay.
TEXT_LIMIT: Final = 64 * 1024
_DEPTH_LIMIT: Final = 6
_LARGEST: Final = 1e300


def configure_logging(
    level: str,
    format: LogFormat,  # noqa: A002 - the setting's own word
    secrets: Collection[str],
    stream: TextIO | None = None,
) -> None:
    """Send every record of the process, warnings included, to one stream; a second call replaces the first.

    Args:
        level: A level's name, such as INFO.
        format: `text` or `json`.
        secrets: Texts that must never be shown.
        stream: Standard error unless another one is given.
    """
    redactor = Redactor(secrets)
    handler = _Handler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter(redactor) if format == "json" else TextFormatter(redactor))
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name, lowest in PINNED.items():
        logging.getLogger(name).setLevel(max(lowest, root.level))
    logging.captureWarnings(capture=True)


@contextmanager
def counted_records(count: Callable[[str], None]) -> Iterator[None]:
    """Count what the log says, whichever logger says it, until the block ends.

    Args:
        count: Is called with `warning`, `error` or `critical` for each record of that level, in the thread that logs.
    """
    handler = _Counter(count)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def log_uncaught() -> None:
    """Log what no code caught, in any thread; Python itself would print it past the redactor."""
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("uncaught exception", exc_info=(kind, error or kind(), trace))


class _Counter(logging.Handler):
    """Counts records of warnings and of what is worse; writes nothing, so it can't be its own cause."""

    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._count = count

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record; one that can't be counted is no trouble of whoever logs."""
        with suppress(Exception):
            self._count(next(word for lowest, word in _COUNTED if record.levelno >= lowest))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to a stream; what goes wrong there never reaches the caller, nor a secret the stream."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging calls it so
        """Say that a record is lost and nothing of it: the standard method prints its raw arguments."""
        with suppress(Exception):  # a stream that is closed or full is what brought us here
            self.stream.write(f"a log record could not be written ({type(sys.exception()).__name__})\n")


class _Formatter(logging.Formatter):
    """What both formats share: the parts of a record as plain, redacted data."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def message(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that don't fit, or an object whose __str__ raises
            text = f"{text_of(record.msg, sys.maxsize)} (its arguments don't fit)"
        return self._safe(text)

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        given = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        return {self._safe(name): self._plain(value) for name, value in given.items()}

    def trace(self, record: logging.LogRecord) -> str:
        parts = []
        if record.exc_info and record.exc_info[1] is not None:
            parts.append(self.formatException(record.exc_info))
        elif record.exc_text:
            parts.append(record.exc_text)
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return self._safe("\n".join(parts))

    def time(self, record: logging.LogRecord) -> str:
        moment: datetime = from_us(0) + timedelta(seconds=record.created)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _plain(self, value: object, depth: int = 0) -> Any:
        if value is None or isinstance(value, bool):
            return value
        # JSON has no NaN and no infinity, and Python refuses to write an integer of thousands of digits.
        if isinstance(value, int | float) and abs(value) < _LARGEST and str(value) == self._safe(value):
            return value
        if isinstance(value, Mapping) and depth < _DEPTH_LIMIT:
            return {self._safe(key): self._plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset) and depth < _DEPTH_LIMIT:
            return [self._plain(item, depth + 1) for item in value]
        return self._safe(value)

    def _safe(self, value: object) -> str:
        return shorten(self._redactor.redact(text_of(value, sys.maxsize)), TEXT_LIMIT)


class TextFormatter(_Formatter):
    """One line for a person; a traceback follows in lines that can't be taken for records.

    2026-01-02T03:04:05.678Z WARNING subscriber.delivery.worker: delivery refused channel=telegram status=400
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text, without a newline at its end."""
        head = f"{self.time(record)} {record.levelname:<8} {escaped(str(record.name))}: {escaped(self.message(record))}"
        pairs = (f" {escaped(name)}={_word(value)}" for name, value in self.fields(record).items())
        trace = (f"\n  | {escaped(line)}" for line in self.trace(record).splitlines())
        return "".join((head, *pairs, *trace))


class JsonFormatter(_Formatter):
    """One JSON object per line: time, level, logger, message, the extra fields, and exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON, without a newline at its end."""
        fields: dict[str, Any] = {
            "time": self.time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": self.message(record),
        }
        trace = self.trace(record)
        if trace:
            fields["exception"] = trace
        for name, value in self.fields(record).items():
            # A field of ours by the same name stays what every reader of the logs takes it for.
            fields[f"{name}_" if name in fields else name] = value
        return json.dumps(fields)


class OncePerMinute:
    """Says whether a thing may be logged again: once per reason and minute; safe for threads.

    held_back = self._once.held_back("header")
    if held_back is not None:
        logger.warning("frames skipped", extra={"reason": "header", "held_back": held_back})
    """

    def __init__(self, clock: Clock, interval_seconds: float = 60.0) -> None:
        """Begin as if nothing had been logged.

        Args:
            clock: Whose monotonic seconds count.
            interval_seconds: Between two lines for one reason.
        """
        self._clock = clock
        self._interval_seconds = interval_seconds
        self._lock = threading.Lock()
        self._logged: dict[str, tuple[float, int]] = {}

    def held_back(self, reason: str) -> int | None:
        """Return how often it was held back since the last line, or None where it is to be held back now.

        Args:
            reason: One of a closed set: each is remembered for good.
        """
        now = self._clock.monotonic()
        with self._lock:
            last, count = self._logged.get(reason, (-math.inf, 0))
            if now - last < self._interval_seconds:
                self._logged[reason] = (last, count + 1)
                return None
            self._logged[reason] = (now, 0)
            return count


def escaped(text: str) -> str:
    """Return a text without a character that could end a line or change what a terminal shows."""
    return _UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    return short or (f"\\x{ord(character):02x}" if ord(character) < 0x100 else f"\\u{ord(character):04x}")


def _word(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return (
        text if _PLAIN_WORD.fullmatch(text) and text == escaped(text) else json.dumps(escaped(text), ensure_ascii=False)
    )
