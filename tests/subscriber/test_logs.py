"""Logging: one line per record, no forged lines, and no secret in any part of any record."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from subscriber.logs import TEXT_LIMIT, LogFormat, OncePerMinute, configure_logging, escaped
from tests.support.clock import FakeClock
from tests.support.logged import FORMATS, SECRET, logged, restored_logging

logger = logging.getLogger("alertbus.test")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with restored_logging():
        yield


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
        "o": FakeClock,
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


# --- once per minute ---------------------------------------------------------------------------------------------


def test_once_per_minute_counts_what_it_holds_back() -> None:
    clock = FakeClock()
    once = OncePerMinute(clock)
    assert once.held_back("header") == 0
    assert [once.held_back("header") for _ in range(5)] == [None] * 5
    assert once.held_back("body") == 0
    clock.advance(seconds=59.9)
    assert once.held_back("header") is None
    clock.advance(seconds=0.1)
    assert once.held_back("header") == 6
    clock.advance(seconds=60)
    assert once.held_back("header") == 0


def test_once_per_minute_takes_another_interval() -> None:
    clock = FakeClock()
    once = OncePerMinute(clock, interval_seconds=5)
    once.held_back("x")
    clock.advance(seconds=5)
    assert once.held_back("x") == 0
