"""The commands of dead letters: list them, preview another try, have them sent again.

They ask the running daemon; without one they work on its database, and what is to be sent again is sent at its start.
"""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import typer

from subscriber.channels.building import build_channel, placeholder_configs
from subscriber.client import DaemonClient, DaemonError, daemon_believed
from subscriber.commanding import (
    EXIT_FAILED,
    AsJson,
    Author,
    author_of,
    channel_name,
    faults_told,
    read_settings,
    stored,
)
from subscriber.dead_letter_console import DeadLetterPrinter, letters_counted
from subscriber.dead_letters import MOST_AT_ONCE, DeadLetterDesk, retried_fields
from subscriber.deliveries import MessageLimits
from subscriber.rulebook import own_rules, templates_of
from subscriber.settings import SubscriberSettings, channel_configs
from subscriber.store.store import Store

dead_letters: Final = typer.Typer(
    help="List what was refused for good, preview another try, send it again.", no_args_is_help=True
)
_VIA: Final = "cli"
_PATH: Final = "/dead-letters"
#: All of them are planned again in the time of one request: a hundred thousand take some minutes.
_ALL_SECONDS: Final = 1800.0

Channel = Annotated[str | None, typer.Option(callback=channel_name, help="Only this channel's.")]


@dead_letters.command("list")
def list_letters(
    *,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    before: Annotated[
        int | None, typer.Option(min=1, metavar="ID", help="The last one of the page before this one.")
    ] = None,
    channel: Channel = None,
    as_json: AsJson = False,
) -> None:
    """List what was refused for good, the newest first, and whether it can be sent again."""
    printer = DeadLetterPrinter(as_json=as_json)
    with faults_told(printer):
        answer = _listed(read_settings(), limit, before, channel)
        with daemon_believed():
            printer.letters(answer)


@dead_letters.command("preview")
def preview(
    letter: Annotated[int, typer.Argument(metavar="ID", min=1, help="As the list shows it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show every attempt of a dead letter, and what another one would say now."""
    printer = DeadLetterPrinter(as_json=as_json)
    with faults_told(printer):
        settings = read_settings()
        answer = DaemonClient.of(settings).get(f"{_PATH}/{letter}")
        if answer is None:
            with stored(settings) as store:
                answer = _desk(settings, store).one(letter)
        if answer is None:
            raise DaemonError(f"There is no dead letter {letter} (any more).")
        with daemon_believed():
            printer.letter(answer)


@dead_letters.command("retry")
def retry(
    letters: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", min=1, help="As the list shows them; or --all.")
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter; asks before it does.")] = False,
    channel: Annotated[str | None, typer.Option(callback=channel_name, help="With --all: only this channel's.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Have dead letters sent again; exit 1 where one that was named can't be."""
    if bool(letters) == every:
        raise typer.BadParameter("give the numbers of dead letters, or --all")
    if channel is not None and not every:
        raise typer.BadParameter("goes with --all", param_hint="--channel")
    if letters and len(letters) > MOST_AT_ONCE:
        raise typer.BadParameter(f"at most {MOST_AT_ONCE} at once; or --all")
    printer = DeadLetterPrinter(as_json=as_json)
    with faults_told(printer):
        settings = read_settings()
        if every and not yes:
            with daemon_believed():
                total = int(_listed(settings, 1, None, channel)["total"])
            where = "" if channel is None else f" of the channel {channel}"
            typer.confirm(f"Send {letters_counted(total)}{where} again?", abort=True, err=True)
        answer = _retried(settings, letters, channel, author_of(author))
        with daemon_believed():
            printer.retried(answer)
            if letters and answer["skipped"]:
                raise typer.Exit(EXIT_FAILED)


def _listed(settings: SubscriberSettings, limit: int, before: int | None, channel: str | None) -> Any:
    given = {"limit": limit, "before": before, "channel": channel}
    query = urlencode({name: value for name, value in given.items() if value is not None})
    answer = DaemonClient.of(settings).get(f"{_PATH}?{query}")
    if answer is not None:
        return answer
    with stored(settings) as store:
        return _desk(settings, store).listed(limit, before, channel)


def _retried(settings: SubscriberSettings, letters: list[int] | None, channel: str | None, author: str) -> Any:
    who = {"author": author, "via": _VIA}
    body = {"ids": letters, **who} if letters else {"all": True, "channel": channel, **who}
    answer = DaemonClient.of(settings).post(f"{_PATH}/retry", body, timeout_seconds=_ALL_SECONDS)
    if answer is not None:
        return answer
    with stored(settings) as store:
        desk = _desk(settings, store)
        if letters:
            return retried_fields(desk.retry(letters, author, _VIA))
        return desk.retry_all(channel, author, _VIA).fields()


def _desk(settings: SubscriberSettings, store: Store) -> DeadLetterDesk:
    """Return what the daemon would work with, from its settings."""
    configs = channel_configs(settings)
    known = {config.name: config for config in configs or placeholder_configs()}

    def limits_of(channel: str) -> MessageLimits:
        with closing(build_channel(known[channel], rehearsal=True)) as built:  # nothing is asked of its provider
            return built.message_limits

    return DeadLetterDesk(
        store,
        channels=known,
        limits=limits_of,
        templates=lambda: templates_of(own_rules(settings)),
        zone=settings.general.zone,
        dry_run=not configs,
    )
