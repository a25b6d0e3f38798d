"""The commands that switch a channel off and on: by the running daemon, or without one in its database."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from bus.errors import ConfigurationError
from subscriber.channel_notes import NO_CHANNEL_ON, counted
from subscriber.channels.building import placeholder_configs
from subscriber.client import DaemonClient, daemon_believed
from subscriber.commanding import AsJson, Author, author_of, channel_name, faults_told, read_settings, stored
from subscriber.policy_console import PolicyPrinter
from subscriber.settings import SubscriberSettings, channel_configs
from subscriber.switchboard import settle_all

switches: Final = typer.Typer()

_VIA: Final = "cli"
#: A daemon settles what waited for the channel before it answers.
_TIMEOUT_SECONDS: Final = 30.0
ChannelArgument = Annotated[str, typer.Argument(callback=channel_name, help="The channel's name.")]


@switches.command()
def disable(channel: ChannelArgument, *, author: Author = None, as_json: AsJson = False) -> None:
    """Switch a channel off: what waits for it, and what comes, is suppressed for good; CRITICAL goes to others."""
    _switch(channel, enabled=False, author=author_of(author), as_json=as_json)


@switches.command()
def enable(channel: ChannelArgument, *, author: Author = None, as_json: AsJson = False) -> None:
    """Switch a channel on again: it tells what comes from now on, and each CRITICAL that waited for a channel."""
    _switch(channel, enabled=True, author=author_of(author), as_json=as_json)


def _switch(channel: str, *, enabled: bool, author: str, as_json: bool) -> None:
    printer = PolicyPrinter(as_json=as_json)
    with faults_told(printer):
        settings = read_settings()
        body = {"enabled": enabled, "author": author, "via": _VIA}
        result = DaemonClient.of(settings).patch(f"/channels/{channel}", body, _TIMEOUT_SECONDS)
        if result is None:
            result = _switched_in_database(settings, channel, enabled=enabled, author=author)
        with daemon_believed():
            if as_json:
                printer.data(result)
            else:
                printer.say(" ".join(_sentences(result)))
            if not enabled and _all_off(settings):
                printer.fault(NO_CHANNEL_ON)


def _switched_in_database(settings: SubscriberSettings, channel: str, *, enabled: bool, author: str) -> dict[str, Any]:
    names = [config.name for config in channel_configs(settings) or placeholder_configs()]
    if channel not in names:
        raise ConfigurationError(f"There is no channel {channel!r}; channels: {', '.join(names)}.")
    with stored(settings) as store:
        waiting = store.waiting_critical(channel) if enabled else 0
        changed = store.switch_channel(channel, enabled=enabled, author=author, via=_VIA)
        done = settle_all(store, names)
    return {
        "channel": channel,
        "enabled": enabled,
        "changed": changed,
        "suppressed": sum(done.suppressed.values()),
        "handed_over": sum(done.handed_over.values()),
        "released": waiting if changed else 0,
    }


def _all_off(settings: SubscriberSettings) -> bool:
    """Whether no channel is on any more."""
    status = DaemonClient.of(settings).get("/status")
    if status is not None:
        return not any(each["enabled"] for each in status["channels"])
    with stored(settings) as store:
        switches = store.channel_switches()
    names = [config.name for config in channel_configs(settings) or placeholder_configs()]
    return all(name in switches and not switches[name].enabled for name in names)


def _sentences(result: dict[str, Any]) -> list[str]:
    """Say how a channel stands, and what followed; nothing of what did not."""
    stands = "on" if result["enabled"] else "off"
    said = [f"The channel {result['channel']} is switched {stands}{'' if result['changed'] else ', as it was'}."]
    if result["suppressed"]:
        waited = counted(result["suppressed"], "delivery", "deliveries")
        said.append(f"Suppressed for good on channels that are off: {waited}; what other channels tell stays.")
    if result["handed_over"]:
        said.append(f"CRITICAL alerts that another channel tells instead: {result['handed_over']}.")
    if result["released"]:
        said.append(f"CRITICAL alerts that waited and go out now: {result['released']}.")
    return said
