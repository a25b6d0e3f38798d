"""`alertbus-subscriber`: runs the daemon and asks it things. The only place that reads the environment here.

Exit codes: 0 done, 2 the configuration has to be changed, 1 anything else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterable
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bus.alerts import Severity, SystemEvent
from bus.errors import AlertBusError, ConfigurationError
from subscriber.channels.building import build_channel
from subscriber.channels.channel import Channel, ChannelConfig
from subscriber.client import NOBODY_ANSWERS, DaemonClient, DaemonError, daemon_believed
from subscriber.console import Printer
from subscriber.deliveries import DeliveryState
from subscriber.errors import StoreError
from subscriber.logs import configure_logging, log_uncaught
from subscriber.policy.rendering import render
from subscriber.settings import SubscriberSettings, channel_configs, effective, secret_values
from subscriber.status import ChannelView, status_of
from subscriber.store.journals import journal_files
from subscriber.store.store import Store
from subscriber.trial import DEFAULT_TEXT, DEFAULT_WAIT_SECONDS, TEST_EVENT

EXIT_FAILED: Final = 1
EXIT_CONFIGURATION: Final = 2
#: What the name of a channel may be to mean every channel.
ALL: Final = "all"
_CHANNEL_NAME: Final = "[A-Za-z0-9_-]{1,64}"

app = typer.Typer(
    name="alertbus-subscriber",
    help="Stores trading alerts durably and delivers them to WhatsApp, Telegram and any other Apprise service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and so secrets
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@contextmanager
def _faults_told(printer: Printer) -> Generator[None]:
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


def _settings() -> SubscriberSettings:
    """Read the settings and have logs redacted from here on."""
    settings = SubscriberSettings.from_environment(os.environ)
    configure_logging(settings.general.log_level, settings.general.log_format, secret_values(settings))
    log_uncaught()
    return settings


def _store(settings: SubscriberSettings) -> Store:
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


def _channel_name(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(_CHANNEL_NAME, name):
        raise typer.BadParameter("must be a channel's name: lower-case letters, digits, - and _")
    return name


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
    with _faults_told(printer):
        settings = _settings()
        from subscriber.service import RunOptions, Service  # noqa: PLC0415 - the other commands need no HTTP server

        options = RunOptions(dry_run=dry_run, require_channels=require_channels, interval_seconds=interval)
        Service(settings, options, say=printer.say).run()


@app.command()
def check(
    *,
    online: Annotated[bool, typer.Option("--online", help="Ask the providers too; nothing is sent.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell every fault of the configuration by name, or the settings that hold; exit 2 when there is a fault."""
    printer = Printer(as_json=as_json)
    with _faults_told(printer):
        settings = _settings()
        from subscriber.service import RunOptions, Service  # noqa: PLC0415

        Service(settings, RunOptions(), say=printer.say)  # checks the routes
        Store(settings.store.database_url.get_secret_value()).database.check_place()
        for hint in settings.hints:
            printer.fault(hint)
        with ExitStack() as opened:
            channels = _built(channel_configs(settings), opened)
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


def _built(configs: Iterable[ChannelConfig], opened: ExitStack) -> list[Channel]:
    """Build channels, and tell the faults of all of them at once."""
    channels: list[Channel] = []
    problems: list[str] = []
    for config in configs:
        try:
            channels.append(opened.enter_context(closing(build_channel(config))))
        except ConfigurationError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise ConfigurationError(*problems)
    return channels


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show channels and publishers: of the running daemon, or without one what its database says."""
    printer = Printer(as_json=as_json)
    with _faults_told(printer):
        settings = _settings()
        answer = DaemonClient.of(settings).get("/status")
        if answer is None:
            with _store(settings) as store:
                answer = _stored_status(settings, store)
        with daemon_believed():
            printer.status(answer)


def _stored_status(settings: SubscriberSettings, store: Store) -> dict[str, Any]:
    configs = channel_configs(settings)
    names = [config.name for config in configs] or sorted(store.channel_counts())
    return status_of(
        store,
        [ChannelView(name, "", enabled=True, up=None) for name in names],
        dry_run=not configs,
        database=settings.store.shown_database_url,
    )


@app.command("test")
def test_channel(
    channel: Annotated[str, typer.Argument(help=f"A channel's name, or {ALL}.")],
    text: Annotated[str, typer.Option(help="What the message says.")] = DEFAULT_TEXT,
    *,
    daemon: Annotated[
        bool, typer.Option("--daemon", help="Only through a running daemon; exit 1 where none answers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send a test alert: through the running daemon's queue, or without one straight to the provider."""
    printer = Printer(as_json=as_json)
    with _faults_told(printer):
        settings = _settings()
        body = {"text": text} | ({} if channel == ALL else {"channel": channel})
        result = DaemonClient.of(settings).post("/test", body, timeout_seconds=DEFAULT_WAIT_SECONDS + 5.0)
        if result is None and daemon:
            raise DaemonError(NOBODY_ANSWERS)
        if result is None:
            result = _sent_directly(settings, channel, text)
        with daemon_believed():
            printer.trial(result)
            went_well = all(entry["accepted"] or entry["why"] == "dry_run" for entry in result["channels"])
        if not went_well:
            raise typer.Exit(EXIT_FAILED)


def _sent_directly(settings: SubscriberSettings, name: str, text: str) -> dict[str, Any]:
    configs = channel_configs(settings)
    chosen = [config for config in configs if name in {ALL, config.name}]
    if not chosen:
        if not configs:
            raise ConfigurationError("No channel has credentials (see .env.example), and no daemon runs as a dry run.")
        known = ", ".join(config.name for config in configs)
        raise ConfigurationError(f"There is no channel {name!r}, and no daemon runs; channels: {known}.")
    with ExitStack() as opened:
        return {"channels": [_sent(channel, settings, text) for channel in _built(chosen, opened)]}


def _sent(channel: Channel, settings: SubscriberSettings, text: str) -> dict[str, Any]:
    event = SystemEvent(source="alertbus", event_type=TEST_EVENT, severity=Severity.INFO, description=text)
    outcome = channel.send(render(event, channel.message_limits, settings.general.zone))
    return {
        "channel": channel.name,
        "state": DeliveryState.ACCEPTED.value if outcome.accepted else DeliveryState.PENDING.value,
        "accepted": outcome.accepted,
        "why": None,
        "outcome": outcome.reason.value,
        "detail": outcome.detail,
        "seconds": None,
        "waiting_for": None,
    }


@app.command()
def resume(
    channel: Annotated[str, typer.Argument(callback=_channel_name, help="The channel's name.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Let a paused channel of the running daemon send again, once its credentials or its target are put right."""
    printer = Printer(as_json=as_json)
    with _faults_told(printer):
        result = DaemonClient.of(_settings()).post(f"/channels/{channel}/resume", {})
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
    with _faults_told(printer), _store(_settings()) as store:
        found = store.audit([] if journal is None else journal_files(journal))
        printer.audit(found.fields())
        if not found.balanced:
            raise typer.Exit(EXIT_FAILED)


@app.command()
def history(
    *,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many alerts at most.")] = 20,
    channel: Annotated[
        str | None, typer.Option(callback=_channel_name, help="Only alerts that were planned for this channel.")
    ] = None,
    state: Annotated[DeliveryState | None, typer.Option(help="Only alerts with a delivery in this state.")] = None,
    as_json: AsJson = False,
) -> None:
    """List alerts and what became of them, the newest first; from the database, whether a daemon runs or not."""
    printer = Printer(as_json=as_json)
    with _faults_told(printer), _store(_settings()) as store:
        printer.history(store.history(limit, None, channel, None if state is None else state.value))


def main() -> None:
    """Run a command and exit with its code."""
    app()


if __name__ == "__main__":
    main()
