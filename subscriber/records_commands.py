"""The commands that show what was stored: history, one alert's story, digests, changes, and the export.

They read the database, whether a daemon runs or not.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

import typer

from bus.alerts import Severity
from bus.clock import to_us
from bus.errors import AlertBusError
from subscriber.commanding import SEVERITIES, AsJson, channel_name, faults_told, read_settings, severity_word, stored
from subscriber.deliveries import DeliveryState
from subscriber.exports import csv_of, json_lines_of
from subscriber.policy_console import PolicyPrinter
from subscriber.store.exporting import EXPORTS
from subscriber.store.finding import SHORTEST
from subscriber.store.store import Store
from subscriber.stories import story_lines

records: Final = typer.Typer()

_MOMENT: Final = "A time such as 2026-11-23 or 2026-11-23T14:30, in UTC as the tables show, unless it says otherwise."
Since = Annotated[str | None, typer.Option(metavar="TIME", help=f"Nothing before. {_MOMENT}")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Nothing from then on.")]


class UnknownAlertError(AlertBusError):
    """No alert, or more than one, has such an id."""


@records.command()
def history(  # noqa: PLR0913 - each is an option of the command
    *,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many alerts at most.")] = 20,
    channel: Annotated[
        str | None, typer.Option(callback=channel_name, help="Only alerts that were planned for this channel.")
    ] = None,
    state: Annotated[DeliveryState | None, typer.Option(help="Only alerts with a delivery in this state.")] = None,
    severity: Annotated[
        Severity | None,
        typer.Option(parser=severity_word, metavar=SEVERITIES, help="Only alerts of this severity."),
    ] = None,
    event_type: Annotated[str | None, typer.Option(help="Only this event, or this action.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    agent: Annotated[str | None, typer.Option(help="Only this agent.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this publisher.")] = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """List alerts and what became of them, the newest first; from the database, whether a daemon runs or not."""
    printer = PolicyPrinter(as_json=as_json)
    with faults_told(printer):
        settings = read_settings()
        since_us, until_us = _moment(since), _moment(until)
        with stored(settings) as store:
            found = store.history(
                limit,
                None,
                channel,
                None if state is None else state.value,
                since_us=since_us,
                until_us=until_us,
                severity=None if severity is None else severity.value,
                event_type=event_type,
                symbol=symbol,
                agent_name=agent,
                source=source,
            )
        printer.history(found)


@records.command()
def explain(
    alert: Annotated[
        str, typer.Argument(metavar="ALERT_ID", help="An alert's id, or its last digits as messages show.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell one alert's whole story: the routes that took it, what held it back, every attempt, and how it stands."""
    printer = PolicyPrinter(as_json=as_json)
    with faults_told(printer):
        settings = read_settings()
        with stored(settings) as store:
            story = store.story(find_alert(store, alert))
        if as_json:
            printer.data(story)
        elif story is not None:
            printer.lines(story_lines(story, settings.general.zone))


@records.command()
def digest(
    which: Annotated[
        str,
        typer.Argument(metavar="DIGEST", help="Its number, or the id of an alert that it told, as messages show it."),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a digest said, and the alerts that it told."""
    printer = PolicyPrinter(as_json=as_json)
    with faults_told(printer), stored(read_settings()) as store:
        numbers = [int(which)] if which.isdecimal() and len(which) < SHORTEST else _digests_of(store, which)
        stories = [story for story in map(store.digest_story, numbers) if story is not None]
        if not stories:
            raise UnknownAlertError(f"There is no digest {which}.")
        printer.digests(stories)


@records.command()
def changes(
    *,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List what people changed: the configuration, silences, acknowledgements; the newest first."""
    printer = PolicyPrinter(as_json=as_json)
    with faults_told(printer), stored(read_settings()) as store:
        printer.changes(store.changes(limit))


@records.command()
def export(
    what: Annotated[str, typer.Argument(help=f"One of: {', '.join(EXPORTS)}.")] = "alerts",
    *,
    form: Annotated[str, typer.Option("--format", help="json (an object per line) or csv.")] = "json",
    since: Since = None,
    until: Until = None,
) -> None:
    """Write everything of one kind to standard output, the oldest first."""
    printer = PolicyPrinter()
    if what not in EXPORTS:
        raise typer.BadParameter(f"must be one of: {', '.join(EXPORTS)}", param_hint="WHAT")
    if form not in {"json", "csv"}:
        raise typer.BadParameter("must be json or csv", param_hint="--format")
    with faults_told(printer):
        settings = read_settings()
        since_us, until_us = _moment(since), _moment(until)
        with stored(settings) as store:
            rows = store.export(what, since_us, until_us)
            for text in csv_of(rows) if form == "csv" else json_lines_of(rows):
                sys.stdout.write(text)
        sys.stdout.flush()


def find_alert(store: Store, text: str) -> UUID:
    """Return the one alert that an id, or the end of one, names.

    Raises:
        UnknownAlertError: It names none, or several.
        StoreError: The database can't be used at the moment.
    """
    found = store.find_alerts(text)
    match found:
        case [only]:
            return only
        case []:
            raise UnknownAlertError(f"There is no alert {text!r}; give its id, or at least the last 8 digits of it.")
    ids = ", ".join(map(str, found))
    raise UnknownAlertError(f"Several alerts end in {text!r}: {ids}; give more of the id.")


def _digests_of(store: Store, alert: str) -> list[int]:
    story = store.story(find_alert(store, alert))
    told = [] if story is None else [delivery["digest"] for delivery in story["deliveries"]]
    return list(dict.fromkeys(digest["id"] for digest in told if digest is not None))


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return to_us((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time. {_MOMENT}") from None
