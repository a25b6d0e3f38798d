"""`alertbus-subscriber`: runs the daemon, checks the configuration, and shows how channels and publishers stand.

What concerns the policy is in `policy_commands`, what was stored in `records_commands`.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from bus.alerts import Action, Severity
from bus.errors import ConfigurationError
from subscriber.client import NOBODY_ANSWERS, DaemonClient, DaemonError, daemon_believed
from subscriber.commanding import (
    ACTIONS,
    EXIT_FAILED,
    SEVERITIES,
    AsJson,
    Author,
    action_word,
    author_of,
    channel_name,
    faults_told,
    read_settings,
    severity_word,
    stored,
)
from subscriber.console import Printer
from subscriber.dead_letter_commands import dead_letters
from subscriber.dead_letter_console import print_routed
from subscriber.direct_trial import ALL, built, say_who_switched_off, sent_directly
from subscriber.policy_commands import policy
from subscriber.records_commands import records
from subscriber.settings import SubscriberSettings, channel_configs, effective
from subscriber.status import ChannelView, status_of
from subscriber.store.journals import journal_files
from subscriber.store.store import Store
from subscriber.switch_commands import switches
from subscriber.trial import DEFAULT_TEXT, DEFAULT_WAIT_SECONDS

logger = logging.getLogger("subscriber.service")

app = typer.Typer(
    name="alertbus-subscriber",
    help="Stores trading alerts durably and delivers them to WhatsApp, Telegram and any other Apprise service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and so secrets
)


@app.command()
def run(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do all but send, and show what would be sent.")] = False,
    interval: Annotated[
        float,
        typer.Option(min=0.01, max=60.0, metavar="SECONDS", help="How often the queue is looked at when idle."),
    ] = 1.0,
    require_channels: Annotated[
        bool, typer.Option("--require-channels", help="Refuse to start without a channel, as service units should.")
    ] = False,
) -> None:
    """Run the daemon until it is stopped; without credentials it starts as a dry run and says so."""
    printer = Printer()
    with faults_told(printer):
        settings = read_settings()
        from subscriber.service import RunOptions, Service  # noqa: PLC0415 - the other commands need no HTTP server

        options = RunOptions(dry_run=dry_run, require_channels=require_channels, interval_seconds=interval)
        Service(settings, options, say=printer.say).run()
        logger.info("stopped")  # the whole stop is behind it: whoever reads the log sees that it ended in order


@app.command()
def check(
    *,
    online: Annotated[bool, typer.Option("--online", help="Ask the providers too; nothing is sent.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell every fault of the configuration by name, or the settings that hold; exit 2 when there is a fault."""
    printer = Printer(as_json=as_json)
    with faults_told(printer):
        settings = read_settings()
        from subscriber.service import RunOptions, Service  # noqa: PLC0415 - as above

        Service(settings, RunOptions(), say=printer.say)  # checks the routes
        Store(settings.store.database_url.get_secret_value()).database.check_place()
        for hint in settings.hints:
            printer.fault(hint)
        with ExitStack() as opened:
            channels = built(channel_configs(settings), opened)
            if not online:
                printer.configuration(effective(settings), [channel.name for channel in channels])
                return
            if not channels:
                raise ConfigurationError("No channel has credentials, so there is nobody to ask; see .env.example.")
            answers = [(channel, channel.probe()) for channel in channels]
        printer.probes(
            (channel.name, channel.provider, outcome.accepted, outcome.detail or outcome.reason.value)
            for channel, outcome in answers
        )
        if not all(outcome.accepted for _, outcome in answers):
            raise typer.Exit(EXIT_FAILED)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show channels and publishers: of the running daemon, or without one what its database says."""
    printer = Printer(as_json=as_json)
    with faults_told(printer):
        settings = read_settings()
        answer = DaemonClient.of(settings).get("/status")
        if answer is None:
            with stored(settings) as store:
                answer = _stored_status(settings, store)
        with daemon_believed():
            printer.status(answer)


def _stored_status(settings: SubscriberSettings, store: Store) -> dict[str, Any]:
    configs = channel_configs(settings)
    names = [config.name for config in configs] or sorted(store.channel_counts())
    off = {name for name, switch in store.channel_switches().items() if not switch.enabled}
    return status_of(
        store,
        [ChannelView(name, "", enabled=name not in off, up=None) for name in names],
        dry_run=not configs,
        database=settings.store.shown_database_url,
    )


@app.command("test")
def test_channel(  # noqa: PLR0913 - each is an option of the command
    channel: Annotated[
        str | None, typer.Argument(help=f"A channel's name, or {ALL}; with --severity and the like it may be left out.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="What the message says; a standard sentence when left out.")] = None,
    *,
    severity: Annotated[
        Severity | None,
        typer.Option(parser=severity_word, metavar=SEVERITIES, help="Where the routes send such a risk event."),
    ] = None,
    action: Annotated[
        Action | None, typer.Option(parser=action_word, metavar=ACTIONS, help="Where the routes send such a trade.")
    ] = None,
    event_type: Annotated[str | None, typer.Option(help="Of such a risk event.")] = None,
    symbol: Annotated[str | None, typer.Option(help="What such an alert is about.")] = None,
    agent: Annotated[str | None, typer.Option(help="Of which agent it is.")] = None,
    source: Annotated[str | None, typer.Option(help="Of which publisher it is.")] = None,
    quantity: Annotated[float | None, typer.Option(help="Of such a trade; 0 means that nothing was traded.")] = None,
    daemon: Annotated[
        bool, typer.Option("--daemon", help="Only through a running daemon; exit 1 where none answers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send a test alert: through the running daemon's queue, or without one straight to the provider.

    With --severity, --action and the like it goes where the running daemon's routes send such an alert.
    """
    printer = Printer(as_json=as_json)
    fields = {
        "severity": severity and severity.value,
        "action": action and action.value,
        "event_type": event_type,
        "symbol": symbol,
        "agent_name": agent,
        "source": source,
        "quantity": quantity,
    }
    alert = {name: value for name, value in fields.items() if value is not None}
    if channel is None and not alert:
        raise typer.BadParameter(f"give a channel, or {ALL}; or what alert to send as", param_hint="CHANNEL")
    with faults_told(printer):
        settings = read_settings()
        body: dict[str, Any] = {} if channel in {None, ALL} else {"channel": channel}
        body |= {"alert": alert, "text": text} if alert else {"text": DEFAULT_TEXT if text is None else text}
        result = DaemonClient.of(settings).post("/test", body, timeout_seconds=DEFAULT_WAIT_SECONDS + 5.0)
        if result is None and (daemon or alert):
            raise DaemonError(NOBODY_ANSWERS)
        if result is None:
            result = sent_directly(settings, channel or ALL, DEFAULT_TEXT if text is None else text)
        with daemon_believed():
            say_who_switched_off(DaemonClient.of(settings), result)
            printer.trial(result)
            if not as_json:
                print_routed(printer, result)
            went_well = all(entry["accepted"] or entry["why"] == "dry_run" for entry in result["channels"])
        if not went_well:
            raise typer.Exit(EXIT_FAILED)


@app.command()
def resume(
    channel: Annotated[str, typer.Argument(callback=channel_name, help="The channel's name.")],
    author: Author = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Let a paused channel of the running daemon send again, once its credentials or its target are put right."""
    printer = Printer(as_json=as_json)
    with faults_told(printer):
        body = {"author": author_of(author), "via": "cli"}
        result = DaemonClient.of(read_settings()).post(f"/channels/{channel}/resume", body)
        if result is None:
            raise DaemonError(f"{NOBODY_ANSWERS} A channel's pause ends with its daemon.")
        with daemon_believed():
            printer.resumed(result)


@app.command()
def audit(
    *,
    journal: Annotated[
        Path | None, typer.Option(exists=True, metavar="PATH", help="Publishers' journals too: their folder, or one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that nothing is missing: every acknowledged number, every planned delivery; exit 1 where it is not so."""
    printer = Printer(as_json=as_json)
    with faults_told(printer), stored(read_settings()) as store:
        found = store.audit([] if journal is None else journal_files(journal))
        printer.audit(found.fields())
        if not found.balanced:
            raise typer.Exit(EXIT_FAILED)


app.add_typer(records)
app.add_typer(policy)
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(switches)


def main() -> None:
    """Run a command and exit with its code."""
    app()


if __name__ == "__main__":
    main()
