"""No part of a log record shows a secret, and libraries that print addresses are kept quiet."""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from subscriber.logs import PINNED, LogFormat, configure_logging, log_uncaught
from tests.support.logged import FORMATS, SECRET, logged, restored_logging

logger = logging.getLogger("alertbus.test")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with restored_logging():
        yield


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
