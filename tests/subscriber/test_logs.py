"""Logging: one line per record, no forged lines, and no secret in any part of any record."""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from subscriber.logs import PINNED, TEXT_LIMIT, LogFormat, OncePerMinute, configure_logging, escaped, log_uncaught

SECRET = '123456789:AA-canary/Canary "0815"'
FORMATS: tuple[LogFormat, ...] = ("text", "json")
logger = logging.getLogger("alertbus.test")


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now_us(self) -> int:
        return 0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Put the process's logging back as pytest left it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in PINNED}
    hooks = sys.excepthook, threading.excepthook
    yield
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


def fields_of(act: Callable[[], object]) -> dict[str, Any]:
    text = logged("json", act)
    assert text.count("\n") == 1
    fields: dict[str, Any] = json.loads(text)
    return fields


# --- form --------------------------------------------------------------------------------------------------------


def test_text_is_one_line_with_utc_time_and_fields() -> None:
    record = logging.makeLogRecord(
        {
            "name": "a.b",
            "levelname": "INFO",
            "levelno": logging.INFO,
            "msg": "sent %d",
            "args": (3,),
            "created": 1767323045.678,
            "channel": "desk",
        }
    )
    text = logged("text", lambda: logging.getLogger().handle(record))
    assert text == "2026-01-02T03:04:05.678Z INFO     a.b: sent 3 channel=desk\n"


def test_text_quotes_a_field_that_is_no_plain_word() -> None:
    extra = {"a": "two words", "b": 'q"', "c": "", "d": None, "e": 1.5, "f": [1, "x"], "g": "k=v", "h": "two\nlines"}
    text = logged("text", lambda: logger.info("m", extra=extra))
    assert r'a="two words" b="q\"" c="" d=null e=1.5 f="[1, \"x\"]" g="k=v" h="two\\nlines"' in text


def test_json_is_one_object_per_line_with_the_fields() -> None:
    fields = fields_of(
        lambda: logger.warning("refused %s", "x", extra={"status": 400, "target": {"a": [1, None, True]}})
    )
    assert fields.pop("time").endswith("Z")
    assert fields == {
        "level": "WARNING",
        "logger": "alertbus.test",
        "message": "refused x",
        "status": 400,
        "target": {"a": [1, None, True]},
    }


def test_json_keeps_its_own_fields_when_extra_has_the_same_names() -> None:
    fields = fields_of(lambda: logger.info("m", extra={"time": "never", "level": "x", "exception": "y"}))
    assert (fields["level"], fields["level_"], fields["time_"], fields["exception"]) == ("INFO", "x", "never", "y")


def test_json_takes_what_json_can_not_carry() -> None:
    loop: list[Any] = []
    loop.append(loop)
    extra = {
        "nan": float("nan"),
        "inf": float("-inf"),
        "huge": 10**5000,
        "bytes": b"\xff",
        "loop": loop,
        "set": {1},
        "o": Clock,
    }
    fields = fields_of(lambda: logger.info("m", extra=extra))
    assert (fields["nan"], fields["inf"], fields["bytes"], fields["set"]) == ("nan", "-inf", "\ufffd", [1])
    assert isinstance(fields["huge"], str)


@pytest.mark.parametrize("format", FORMATS)
def test_message_whose_arguments_do_not_fit_is_still_logged(format: LogFormat) -> None:  # noqa: A002
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError(SECRET)

    def act() -> None:
        logger.info("%d alerts", SECRET)
        logger.info("%s", Odd())

    text = logged(format, act)
    assert "%d alerts (its arguments don't fit)" in text
    assert "canary" not in text


@pytest.mark.parametrize("format", FORMATS)
def test_long_text_is_cut(format: LogFormat) -> None:  # noqa: A002
    text = logged(format, lambda: logger.info("x" * 10**6))
    assert TEXT_LIMIT < len(text) < TEXT_LIMIT + 200


def test_level_is_the_least_that_is_logged() -> None:
    assert logged("text", lambda: logger.info("below"), "WARNING") == ""
    assert "at the level" in logged("text", lambda: logger.warning("at the level"), "WARNING")


def test_configure_again_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging("INFO", "text", [], first)
    configure_logging("INFO", "json", [], second)
    logger.info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_default_stream_is_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "text", [])
    logger.info("here")
    captured = capsys.readouterr()
    assert "here" in captured.err
    assert captured.out == ""


def test_record_that_can_not_be_written_is_told_without_its_content() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            if "token" in text:
                raise OSError(28, "No space left on device")
            return super().write(text)

    stream = Full()
    configure_logging("INFO", "text", [], stream)
    logger.info("token")
    assert stream.getvalue() == "a log record could not be written (OSError)\n"


def test_closed_stream_costs_the_record_and_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Python's own way prints the record's arguments on standard error."""
    stream = io.StringIO()
    configure_logging("INFO", "text", [SECRET], stream)
    stream.close()
    logger.info("token %s", SECRET)
    assert capsys.readouterr().err == ""


# --- injection ---------------------------------------------------------------------------------------------------

FORGED = "fine\n2026-01-02T03:04:05.678Z CRITICAL alertbus: forged\r\x1b[2J\u2028\u202e\x85\0"


def test_text_of_a_stranger_can_not_forge_a_line() -> None:
    def act() -> None:
        try:
            raise ValueError(FORGED)
        except ValueError:
            logger.exception("%s", FORGED, extra={"field": FORGED, FORGED: 1})

    lines = logged("text", act).split("\n")
    assert [line for line in lines[1:-1] if not line.startswith("  | ")] == []
    assert lines[-1] == ""
    assert not set("\r\x1b\u2028\u202e\x85\0") & set("".join(lines))
    assert r"fine\n2026" in lines[0]


def test_json_of_a_stranger_stays_one_line() -> None:
    text = logged("json", lambda: logger.info("%s", FORGED, extra={"field": FORGED}))
    assert len(text.splitlines()) == 1
    assert json.loads(text)["message"] == FORGED


def test_escaped_leaves_ordinary_text_alone() -> None:
    assert escaped("Drawdown -3.2 % 🚨 ключ") == "Drawdown -3.2 % 🚨 ключ"
    assert escaped("a\tb\x7f\u2066") == r"a\tb\x7f\u2066"


# --- secrets -----------------------------------------------------------------------------------------------------


def spill() -> None:
    basic = base64.b64encode(f"AC0815:{SECRET}".encode()).decode()
    forms = (SECRET, quote(SECRET), quote(SECRET, safe=""), json.dumps(SECRET), repr(SECRET), basic)
    for form in forms:
        logger.debug("plain %s", form)
        logger.debug(f"in the text itself {form}")  # noqa: G004
        logger.debug("m", extra={"field": form, "nested": {"list": [form], form: 1}, "object": ValueError(form)})
        logger.debug({"message": form})
        logging.getLogger("urllib3.connectionpool").warning("Retrying /bot%s/getMe", form)
        try:
            try:
                raise KeyError(form)
            except KeyError as error:
                error.add_note(form)
                raise RuntimeError(f"https://api.telegram.org/bot{form}/sendMessage") from error
        except RuntimeError:
            logger.exception("send failed", stack_info=True)
        warnings.warn(f"deprecated {form}", UserWarning, stacklevel=1)


@pytest.mark.parametrize("format", FORMATS)
def test_no_part_of_a_record_shows_a_secret(format: LogFormat) -> None:  # noqa: A002
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        text = logged(format, spill)
    assert text.count("***") > 60
    assert "canary" not in text.lower()
    for before in range(3):
        core = base64.b64encode(b"x" * before + SECRET.encode()).decode()[4:20]
        assert core not in text


def test_number_that_is_a_secret_is_not_shown() -> None:
    stream = io.StringIO()
    configure_logging("INFO", "json", ["-1001234567890"], stream)
    logger.info("m", extra={"chat": -1001234567890, "chats": [-1001234567890]})
    assert json.loads(stream.getvalue())["chat"] == "***"
    assert "1001234567890" not in stream.getvalue()


def test_record_of_another_handlers_formatting_is_redacted_too() -> None:
    record = logging.makeLogRecord(
        {"msg": "m", "levelno": logging.INFO, "exc_text": f"Traceback …\nValueError: {SECRET}"}
    )
    text = logged("text", lambda: logging.getLogger().handle(record))
    assert "  | ValueError: ***" in text


@pytest.mark.parametrize("name", list(PINNED))
def test_libraries_that_print_addresses_stay_above_debug(name: str) -> None:
    library = logging.getLogger(f"{name}.child")
    assert logged("text", lambda: library.debug("/bot")) == ""
    assert "trouble" in logged("text", lambda: library.error("trouble"))


def test_apprise_warnings_are_kept_and_a_higher_level_counts_for_libraries() -> None:
    logged("text", lambda: None, "DEBUG")
    assert logging.getLogger("apprise").isEnabledFor(logging.WARNING)
    logged("text", lambda: None, "ERROR")
    assert not logging.getLogger("urllib3").isEnabledFor(logging.WARNING)


def test_warnings_are_logged() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        text = logged("text", lambda: warnings.warn("old", UserWarning, stacklevel=1))
    assert "py.warnings" in text
    assert "UserWarning: old" in text


# --- uncaught ----------------------------------------------------------------------------------------------------


def test_uncaught_exception_of_a_thread_is_logged_without_its_secret(capsys: pytest.CaptureFixture[str]) -> None:
    def act() -> None:
        log_uncaught()
        thread = threading.Thread(target=lambda: int(SECRET))
        thread.start()
        thread.join()

    text = logged("text", act)
    assert "CRITICAL subscriber.logs: uncaught exception" in text
    assert "  | ValueError: invalid literal" in text
    assert "canary" not in text + capsys.readouterr().err


def test_uncaught_exception_of_the_main_thread_is_logged_but_no_interrupt() -> None:
    def act() -> None:
        log_uncaught()
        sys.excepthook(RuntimeError, RuntimeError(SECRET), None)
        sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)

    text = logged("text", act)
    assert text.count("uncaught exception") == 1
    assert "canary" not in text


# --- once per minute ---------------------------------------------------------------------------------------------


def test_once_per_minute_counts_what_it_holds_back() -> None:
    clock = Clock()
    once = OncePerMinute(clock)
    assert once.held_back("header") == 0
    assert [once.held_back("header") for _ in range(5)] == [None] * 5
    assert once.held_back("body") == 0
    clock.seconds += 59.9
    assert once.held_back("header") is None
    clock.seconds += 0.1
    assert once.held_back("header") == 6
    clock.seconds += 60
    assert once.held_back("header") == 0


def test_once_per_minute_takes_another_interval() -> None:
    clock = Clock()
    once = OncePerMinute(clock, interval_seconds=5)
    once.held_back("x")
    clock.seconds += 5
    assert once.held_back("x") == 0
