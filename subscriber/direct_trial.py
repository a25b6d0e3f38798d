"""Test messages without a daemon, straight to the providers; and who switched a channel off that sent none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from typing import Any, Final

from bus.alerts import Severity, SystemEvent
from bus.errors import ConfigurationError
from subscriber.channels.building import build_channel
from subscriber.channels.channel import Channel, ChannelConfig
from subscriber.client import DaemonClient, DaemonError
from subscriber.commanding import stored
from subscriber.deliveries import DeliveryState, Why
from subscriber.errors import StoreError
from subscriber.policy.rendering import render
from subscriber.settings import SubscriberSettings, channel_configs
from subscriber.store.channel_switches import Switch
from subscriber.trial import TEST_EVENT

#: What the name of a channel may be to mean every channel.
ALL: Final = "all"


def sent_directly(settings: SubscriberSettings, name: str, text: str) -> dict[str, Any]:
    """Send a test message by one channel, or by ALL, but by none that is switched off; return what became of it.

    Raises:
        ConfigurationError: There is no such channel, or one can't be built.
    """
    configs = channel_configs(settings)
    chosen = [config for config in configs if name in {ALL, config.name}]
    if not chosen:
        if not configs:
            raise ConfigurationError("No channel has credentials (see .env.example), and no daemon runs as a dry run.")
        known = ", ".join(config.name for config in configs)
        raise ConfigurationError(f"There is no channel {name!r}, and no daemon runs; channels: {known}.")
    switches = _switches(settings)
    with ExitStack() as opened:
        return {
            "channels": [
                _sent(channel, settings, text)
                if channel.name not in switches or switches[channel.name].enabled
                else _kept(channel.name, switches[channel.name])
                for channel in built(chosen, opened)
            ]
        }


def built(configs: Iterable[ChannelConfig], opened: ExitStack) -> list[Channel]:
    """Build channels, and tell the faults of all of them at once.

    Raises:
        ConfigurationError: One can't be built.
    """
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


def say_who_switched_off(daemon: DaemonClient, result: Mapping[str, Any]) -> None:
    """Give each channel of a daemon's answer that is switched off the words that say by whom, and what to do."""
    off = [each for each in result["channels"] if each["why"] == Why.DISABLED.value and not each["detail"]]
    if not off:
        return
    try:
        status = daemon.get("/status") or {"channels": []}
    except DaemonError:  # the test itself was answered, and is what counts
        status = {"channels": []}
    switched = {each["name"]: each["switched"] or {} for each in status["channels"]}
    for each in off:
        name = each["channel"]
        each["detail"] = _switched_off(name, switched.get(name, {}).get("author", ""))


def _switches(settings: SubscriberSettings) -> Mapping[str, Switch]:
    """Return the switches that people set; none where there is no database yet, or it does not answer.

    Whoever tries credentials out need not have a database.
    """
    try:
        with stored(settings) as store:
            return store.channel_switches()
    except StoreError:
        return {}


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


def _kept(channel: str, switch: Switch) -> dict[str, Any]:
    return {
        "channel": channel,
        "state": DeliveryState.SUPPRESSED.value,
        "accepted": False,
        "why": Why.DISABLED.value,
        "outcome": None,
        "detail": _switched_off(channel, switch.author),
        "seconds": None,
        "waiting_for": None,
    }


def _switched_off(channel: str, author: str) -> str:
    return f"switched off by {author or 'somebody'}; alertbus-subscriber enable {channel}"
