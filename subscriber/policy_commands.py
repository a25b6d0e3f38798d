"""The commands of the delivery policy: where an alert would go, silences, acknowledging, reloading, templates.

They ask the running daemon; what can be done without one is done on its database.
"""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any, Final

import typer

from bus.alerts import Action, Severity
from bus.clock import SystemClock
from bus.errors import ConfigurationError
from subscriber.channels.building import build_channel, placeholder_configs
from subscriber.client import NOBODY_ANSWERS, DaemonClient, DaemonError, daemon_believed
from subscriber.commanding import (
    ACTIONS,
    EXIT_CONFIGURATION,
    EXIT_FAILED,
    SEVERITIES,
    AsJson,
    Author,
    action_word,
    author_of,
    faults_told,
    read_settings,
    severity_word,
    stored,
)
from subscriber.deliveries import MessageLimits
from subscriber.policy.durations import parse_duration
from subscriber.policy.samples import sample_of
from subscriber.policy.templates import sample_alert
from subscriber.policy_console import PolicyPrinter
from subscriber.records_commands import find_alert
from subscriber.rulebook import HoldingRules, own_rules, previewed
from subscriber.settings import SubscriberSettings, channel_configs
from subscriber.silence_requests import requested_silence
from subscriber.stories import explanation_lines

policy: Final = typer.Typer()
silences: Final = typer.Typer(help="List, add and end silences.", no_args_is_help=True)
templates: Final = typer.Typer(help="Preview templates.", no_args_is_help=True)
policy.add_typer(silences, name="silences")
policy.add_typer(templates, name="templates")

_VIA: Final = "cli"


@policy.command()
def route(
    *,
    severity: Annotated[
        Severity | None, typer.Option(parser=severity_word, metavar=SEVERITIES, help="Of a risk event.")
    ] = None,
    action: Annotated[Action | None, typer.Option(parser=action_word, metavar=ACTIONS, help="Of a trade.")] = None,
    event_type: Annotated[str | None, typer.Option(help="Of a risk event.")] = None,
    symbol: Annotated[str | None, typer.Option()] = None,
    agent: Annotated[str | None, typer.Option()] = None,
    source: Annotated[str | None, typer.Option(help="The publisher's.")] = None,
    quantity: Annotated[float | None, typer.Option(help="Of a trade; 0 means that nothing was traded.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say where such an alert would go now, and why: by the running daemon's routes, or by the file's without one."""
    printer = PolicyPrinter(as_json=as_json)
    fields = {
        "severity": severity and severity.value,
        "action": action and action.value,
        "event_type": event_type,
        "symbol": symbol,
        "agent_name": agent,
        "source": source,
        "quantity": quantity,
    }
    with faults_told(printer):
        settings = read_settings()
        asked = {name: value for name, value in fields.items() if value is not None}
        answer = DaemonClient.of(settings).post("/routes/explain", asked)
        if answer is None:
            try:
                alert = sample_of(asked)
            except ValueError as error:
                raise typer.BadParameter(str(error)) from None
            rules = own_rules(settings)
            now_us = SystemClock().now_us()
            answer = rules.explain(alert, now_us, enabled=rules.channels, dry_run=False).fields()
        if as_json:
            printer.data(answer)
            return
        with daemon_believed():
            printer.lines(explanation_lines(answer, settings.general.zone))


@policy.command()
def ack(
    alert: Annotated[str, typer.Argument(metavar="ALERT_ID", help="An alert's id, or its last digits.")],
    *,
    author: Author = None,
    note: Annotated[str, typer.Option(help="What to remember of it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say that you know of an alert: nobody further is woken for it."""
    printer = PolicyPrinter(as_json=as_json)
    with faults_told(printer):
        settings = read_settings()
        with stored(settings) as store:
            found = find_alert(store, alert)
            body = {"author": author_of(author), "note": note, "via": _VIA}
            result = DaemonClient.of(settings).post(f"/alerts/{found}/ack", body)  # which counts it
            if result is None:
                acknowledged = store.acknowledge(found, body["author"], _VIA, note)
                result = None if acknowledged is None else acknowledged.fields()
        if result is None:  # it was removed meanwhile
            raise DaemonError(f"There is no alert {found}.")
        with daemon_believed():
            printer.acknowledged(result)


@silences.command("list")
def list_silences(
    *,
    ended: Annotated[bool, typer.Option("--ended", help="Those that have ended, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 100,
    as_json: AsJson = False,
) -> None:
    """List silences, the newest first."""
    printer = PolicyPrinter(as_json=as_json)
    with faults_told(printer), stored(read_settings()) as store:
        printer.silences([silence.fields() for silence in store.silences(ended=ended, limit=limit)])


@silences.command("add")
def add_silence(
    match: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="As in a route: symbol=TNA, severity='>=WARNING'; none for all."),
    ] = None,
    *,
    duration: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long: 30min, 2h, 1d.")] = "1h",
    reason: Annotated[str, typer.Option(help="Why, for those who wonder.")] = "",
    author: Author = None,
    drop: Annotated[bool, typer.Option("--drop", help="What falls in it is not told at its end.")] = False,
    hold_critical: Annotated[bool, typer.Option("--hold-critical", help="CRITICAL is held, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Hold what matches until the end, and tell it then in one message; CRITICAL is told all the same."""
    printer = PolicyPrinter(as_json=as_json)
    matchers = _matchers(match or [])
    try:
        length_us = parse_duration(duration)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from None
    if length_us is None:
        raise typer.BadParameter("a silence has an end", param_hint="--for")
    with faults_told(printer):
        now_us = SystemClock().now_us()
        new = requested_silence(
            matchers,
            now_us,
            author=author_of(author),
            reason=reason,
            starts_us=now_us,
            ends_us=now_us + length_us,
            drops=drop,
            lets_critical=not hold_critical,
        )
        with stored(read_settings()) as store:
            printer.silences([store.add_silence(new, _VIA).fields()])


@silences.command("end")
def end_silence(
    number: Annotated[int, typer.Argument(min=1, help="The silence's number.")],
    *,
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """End a silence now; what it held is told at once."""
    printer = PolicyPrinter(as_json=as_json)
    with faults_told(printer):
        settings = read_settings()
        holding = HoldingRules(own_rules(settings))
        with stored(settings) as store:
            finished = store.end_silence(number, author_of(author), _VIA, holding)
        if finished is None:
            raise DaemonError(f"There is no silence {number} that has not ended.")
        printer.silences([finished.silence.fields()])


@policy.command()
def reload(*, author: Author = None, as_json: AsJson = False) -> None:
    """Let the running daemon read its configuration again; one with a fault changes nothing, and exits 2."""
    printer = PolicyPrinter(as_json=as_json)
    with faults_told(printer):
        read_settings()  # names every fault, with the same words as the daemon would
        result = DaemonClient.of(read_settings()).post("/reload", {"author": author_of(author)}, timeout_seconds=30.0)
        if result is None:
            raise DaemonError(NOBODY_ANSWERS)
        with daemon_believed():
            printer.reloaded(result)
            if not result["loaded"]:
                raise typer.Exit(EXIT_CONFIGURATION)


@templates.command("preview")
def preview(
    channel: Annotated[str, typer.Argument(help="The channel that it is for.")],
    *,
    name: Annotated[str | None, typer.Option(help="A template of the file; what the routes say when left out.")] = None,
    text: Annotated[str | None, typer.Option(help="A template that is not in the file.")] = None,
    kind: Annotated[str, typer.Option(help="Of the sample: risk_event, agent_action or system_event.")] = "risk_event",
    alert: Annotated[str | None, typer.Option(metavar="ALERT_ID", help="A stored alert in place of a sample.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a template makes of a stored alert or of a sample; without a daemon, too."""
    printer = PolicyPrinter(as_json=as_json)
    with faults_told(printer):
        settings = read_settings()
        if alert is None:
            shown = sample_alert(kind)
        else:
            with stored(settings) as store:
                found = store.alert(find_alert(store, alert))
            if found is None:
                raise DaemonError(f"There is no alert {alert}.")
            shown = found
        limits = _limits_of(settings, channel)
        result = previewed(own_rules(settings), limits, settings.general.zone, shown, channel, name=name, text=text)
        printer.preview(result)
        if result["fault"] is not None:
            raise typer.Exit(EXIT_FAILED)


def _limits_of(settings: SubscriberSettings, channel: str) -> MessageLimits:
    """Return what a message on a channel has to keep to; nothing is asked of its provider."""
    configs = {config.name: config for config in channel_configs(settings) or placeholder_configs()}
    if channel not in configs:
        raise ConfigurationError(f"There is no channel {channel!r}; channels: {', '.join(configs)}.")
    with closing(build_channel(configs[channel], rehearsal=True)) as built:
        return built.message_limits


def _matchers(pairs: list[str]) -> dict[str, Any]:
    """Read KEY=VALUE; a key that stands twice allows both values."""
    matchers: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key or not value:
            raise typer.BadParameter(f"{pair!r} is no KEY=VALUE such as symbol=TNA")
        before = matchers.get(key)
        if before is None:
            matchers[key] = value
        else:
            matchers[key] = [*(before if isinstance(before, list) else [before]), value]
    return matchers
