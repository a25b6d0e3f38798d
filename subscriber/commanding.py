"""What every command of `alertbus-subscriber` needs: its settings, the daemon's store, and errors as sentences.

Exit codes: 0 done, 2 the configuration has to be changed, 1 anything else.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from bus.alerts import Action, Severity
from bus.errors import AlertBusError, ConfigurationError
from subscriber.console import Printer
from subscriber.errors import StoreError
from subscriber.logs import configure_logging, log_uncaught
from subscriber.settings import SubscriberSettings, secret_values
from subscriber.store.store import Store

EXIT_FAILED: Final = 1
EXIT_CONFIGURATION: Final = 2
_CHANNEL_NAME: Final = "[A-Za-z0-9_-]{1,64}"
#: What the help of an option shows.
SEVERITIES: Final = "|".join(Severity)
ACTIONS: Final = "|".join(Action)
Word = TypeVar("Word", Severity, Action)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Author = Annotated[str | None, typer.Option(help="Who does it, for the record; your login name when left out.")]


@contextmanager
def faults_told(printer: Printer) -> Generator[None]:
    """Turn our errors into sentences on standard error, and into the exit code that the contract names."""
    try:
        yield
    except ConfigurationError as error:
        for problem in error.problems:
            printer.fault(problem)
        raise typer.Exit(EXIT_CONFIGURATION) from None
    except AlertBusError as error:
        printer.fault(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_FAILED) from None


def read_settings() -> SubscriberSettings:
    """Read the settings and have logs redacted from here on."""
    settings = SubscriberSettings.from_environment(os.environ)
    configure_logging(settings.general.log_level, settings.general.log_format, secret_values(settings))
    log_uncaught()
    return settings


def stored(settings: SubscriberSettings) -> Store:
    """Return the daemon's store, not opened; never make a new one, whose emptiness would look like an answer.

    Raises:
        StoreError: No daemon ever ran with this database.
    """
    store = Store(settings.store.database_url.get_secret_value())
    file = Path(store.database.url.database or "")
    is_file = not store.database.is_postgresql and not str(file).startswith("file:")
    if is_file and file.parent.is_dir() and not file.exists():  # a missing folder is told when it is opened
        raise StoreError(
            f"There is no database at {settings.store.shown_database_url}: no daemon has run with it. Is this the "
            "daemon's working directory, and is ALERTBUS_DATABASE_URL the daemon's?"
        )
    return store


def channel_name(name: str | None) -> str | None:
    """Check the name of a channel that a command was given.

    Raises:
        typer.BadParameter: No channel can be called so.
    """
    if name is not None and not re.fullmatch(_CHANNEL_NAME, name):
        raise typer.BadParameter("must be a channel's name: lower-case letters, digits, - and _")
    return name


def severity_word(text: str) -> Severity:
    """Read a severity that a command was given, in any case as the API does.

    Raises:
        typer.BadParameter: There is none of that name.
    """
    return _word(Severity, text)


def action_word(text: str) -> Action:
    """Read an action that a command was given, in any case as the API does.

    Raises:
        typer.BadParameter: There is none of that name.
    """
    return _word(Action, text)


def _word(words: type[Word], text: str) -> Word:
    try:
        return words(text)
    except ValueError:
        *first, last = (each.value for each in words)
        raise typer.BadParameter(f"must be {', '.join(first)} or {last}, in any case") from None


def author_of(given: str | None) -> str:
    """Return who does something: as the command was told, else the login name, where there is one."""
    if given is not None:
        return given
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # nobody says who runs it: a container, Windows without a name
        return ""
